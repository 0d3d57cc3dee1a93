//! A table for a file, a pipe, or `--once`.

use super::processes::{Processes, Sort, figure};
use std::fmt::Write;

const HEAD: [&str; 6] = ["NAME", "SERVICE", "CPU%", "MEM MB", "STATE", "UP"];

pub(super) fn table(known: &Processes) -> String {
    let mut sorted = Processes { now: known.now, processes: known.processes.clone() };
    sorted.sort(Sort::Name);
    let rows: Vec<[String; 6]> = sorted
        .processes
        .iter()
        .map(|process| {
            let (cpu, mem) = (figure(process.cpu()), figure(process.mem()));
            [process.name(), process.service(), cpu, mem, process.state(known.now), process.up(known.now)]
        })
        .collect();
    let width = |column: usize| {
        let widest = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        widest.max(HEAD[column].len())
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for row in std::iter::once(&HEAD.map(str::to_owned)).chain(&rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            // Figures are compared by their ends.
            let _ = if matches!(column, 2 | 3) {
                write!(line, "{cell:>width$}  ")
            } else {
                write!(line, "{cell:width$}  ")
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::processes::tests::some;
    use super::*;

    #[test]
    fn each_process_is_a_line_and_steers_no_terminal() {
        let text = table(&some());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "NAME        SERVICE  CPU%  MEM MB  STATE          UP");
        assert_eq!(lines[1], "a           -         1.0    30.0  live           -");
        assert_eq!(lines[2], "b\\u{1b}[2J  s        50.0    20.0  leaks 12 MB/h  1m30s");
        assert_eq!(lines[4], "c           s           -       -  ended 1m00s    -");
        assert_eq!(lines.len(), 5);
    }
}
