//! A table for a file, a pipe, or `--once`.

use super::processes::{Processes, Sort, figure};
use crate::table::{self, Row, Size, Table};

/// Renders the processes, for a screen cut to its width.
pub(super) fn table(known: &Processes, size: Option<Size>) -> String {
    let mut sorted = Processes { now: known.now, processes: known.processes.clone() };
    sorted.sort(Sort::Name);
    let rows = sorted.processes.iter().map(|process| {
        let (cpu, mem) = (figure(process.cpu()), figure(process.mem()));
        let state = process.state(known.now);
        Row { cells: vec![process.name(), process.service(), cpu, mem, state, process.up(known.now)], notes: vec![] }
    });
    let rows: Vec<Row> = rows.collect();
    let head = vec!["NAME", "SERVICE", "CPU%", "MEM MB", "STATE", "UP"];
    let total = rows.len();
    let table = Table { head, figures: 2..4, rows, total, may_be_more: false, what: "process" };
    let mut lines = Vec::new();
    table.draw(size.map(|size| size.columns), &mut lines);
    table::text(lines, size)
}

#[cfg(test)]
mod tests {
    use super::super::processes::tests::{named, some};
    use super::*;

    #[test]
    fn each_process_is_a_line_and_steers_no_terminal() {
        let text = table(&some(), None);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "NAME        SERVICE  CPU%  MEM MB  STATE          UP");
        assert_eq!(lines[1], "a           -         1.0    30.0  live           -");
        assert_eq!(lines[2], "b\\u{1b}[2J  s        50.0    20.0  leaks 12 MB/h  1m30s");
        assert_eq!(lines[4], "c           s           -       -  ended 1m00s    -");
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn a_terminal_is_not_left_and_names_of_wide_letters_keep_the_columns() {
        for name in ["\u{6ce8}".repeat(100), "e\u{301}".repeat(300), "x".repeat(900)] {
            let text = table(&named(&name, 1.0, 2.0), Some(Size { columns: 80, rows: None }));
            for line in text.lines() {
                assert!(table::width(line) <= 80, "{line}");
            }
            assert!(text.contains("live   1m30s"), "{text}");
        }
        assert!(table(&named(&"x".repeat(900), 1.0, 2.0), None).contains(&"x".repeat(900)));
    }
}
