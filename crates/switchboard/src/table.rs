//! Tables on a terminal of any width, or uncut for a file.

use ratatui::crossterm::terminal;
use std::fmt::Write;
use switchboard_driver::quantity::plural;

/// The least that is left of a name.
const NAME: usize = 8;

/// A terminal's columns and rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: Option<usize>,
}

/// The terminal's size, if the output goes there; its rows only if they bound what is shown.
pub(crate) fn size(is_screen: bool, bounds_rows: bool) -> Option<Size> {
    let (columns, rows) = terminal::size().ok().filter(|_| is_screen)?;
    of(columns, rows, bounds_rows)
}

/// A terminal that does not know its size says that it is 0.
fn of(columns: u16, rows: u16, bounds_rows: bool) -> Option<Size> {
    let rows = (bounds_rows && rows > 0).then_some(rows.into());
    (columns > 0).then_some(Size { columns: columns.into(), rows })
}

/// A table whose first column is a name.
pub(crate) struct Table {
    pub(crate) head: Vec<&'static str>,
    /// The columns that are aligned to the right.
    pub(crate) figures: std::ops::Range<usize>,
    pub(crate) rows: Vec<Vec<String>>,
    /// All rows that there are.
    pub(crate) total: usize,
    /// The total may be too small.
    pub(crate) may_be_more: bool,
    pub(crate) what: &'static str,
}

/// Lines of text, each cut to the terminal's width if there is a terminal.
pub(crate) fn text(lines: Vec<String>, size: Option<Size>) -> String {
    let cut = |line: String| match size {
        Some(size) => fit(&line, size.columns),
        None => line,
    };
    lines.into_iter().fold(String::new(), |mut text, line| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", cut(line).trim_end());
        text
    })
}

impl Table {
    /// The first column takes the room that the others leave; the last one may be cut.
    pub(crate) fn draw(&self, columns: Option<usize>, lines: &mut Vec<String>) {
        let last = self.head.len() - 1;
        let width = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
            cells.chain([self.head[at].len()]).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        if let Some(columns) = columns {
            let is_text_last = !self.figures.contains(&last);
            let others: usize = widths[1..].iter().map(|width| width + 2).sum();
            // Words at the end give way first, down to the length of their title.
            let excess = (others + widths[0].min(columns / 3)).saturating_sub(columns);
            if is_text_last {
                widths[last] = widths[last].saturating_sub(excess).max(self.head[last].len());
            }
            let others: usize = widths[1..].iter().map(|width| width + 2).sum();
            widths[0] = widths[0].min(columns.saturating_sub(others).max(NAME));
        }
        let heads = self.head.iter().map(|&head| head.to_owned()).collect::<Vec<String>>();
        for row in std::iter::once(&heads).chain(&self.rows) {
            let mut line = String::new();
            for (at, cell) in row.iter().enumerate() {
                let width = widths[at];
                let cell = fit(cell, width);
                let gap = if at == 0 { "" } else { "  " };
                let _ = if self.figures.contains(&at) {
                    write!(line, "{gap}{cell:>width$}")
                } else {
                    write!(line, "{gap}{cell:width$}")
                };
            }
            lines.push(line);
        }
        let (shown, total) = (self.rows.len(), self.total.max(self.rows.len()));
        let left_out = total - shown;
        let more = plural(left_out, &format!("more {}", self.what));
        match (left_out, self.may_be_more) {
            (0, false) => {}
            (0, true) => lines.push(format!("perhaps more {}s: --all", self.what)),
            (_, false) => lines.push(format!("{more}: --all")),
            (_, true) => lines.push(format!("at least {more}: --all")),
        }
    }
}

/// The text, or as much of it as there is room for, with an ellipsis.
pub(crate) fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    if width == 0 { kept } else { kept + "\u{2026}" }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_terminal_without_a_size_cuts_nothing() {
        assert!(of(0, 0, true).is_none());
        assert!(of(0, 24, true).is_none());
        let size = of(80, 0, true).unwrap();
        assert_eq!((size.columns, size.rows), (80, None));
        let size = of(80, 24, true).unwrap();
        assert_eq!((size.columns, size.rows), (80, Some(24)));
        assert_eq!(of(1, 24, false).unwrap().rows, None);
    }
}
