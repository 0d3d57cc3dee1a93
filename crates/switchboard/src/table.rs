//! Tables on a terminal of any width, or uncut for a file.

use crate::display;
use ratatui::crossterm::terminal;
use std::fmt::Write;
use switchboard_driver::quantity::plural;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Between two columns.
const GAP: &str = "  ";
/// The least that is left of a name.
const NAME: usize = 8;
/// Widest column of an uncut table: a longer text moves the rest of its own row only.
const WIDEST: usize = 64;
/// Indentation of what is said about a row, below it.
const INDENT: &str = "  ";

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

/// A row, and what is said about it on lines of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) cells: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// A table whose first column is a name.
pub(crate) struct Table {
    pub(crate) head: Vec<&'static str>,
    /// The columns that are aligned to the right.
    pub(crate) figures: std::ops::Range<usize>,
    pub(crate) rows: Vec<Row>,
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

impl Row {
    /// The lines of the notes, wrapped to these columns.
    fn notes(&self, columns: Option<usize>) -> Vec<String> {
        self.notes.iter().flat_map(|note| wrap(note, columns)).collect()
    }
}

impl Table {
    /// Returns the number of lines that all rows take.
    pub(crate) fn lines(&self, columns: Option<usize>) -> usize {
        self.rows.iter().map(|row| 1 + row.notes(columns).len()).sum()
    }

    /// Keeps the first rows, so many that they take at most so many lines.
    pub(crate) fn truncate(&mut self, lines: usize, columns: Option<usize>) {
        let mut left = lines;
        let fits = |row: &Row| {
            let taken = left.checked_sub(1 + row.notes(columns).len());
            left = taken.unwrap_or(left);
            taken.is_some()
        };
        let kept = self.rows.iter().map(fits).take_while(|fits| *fits).count();
        self.rows.truncate(kept);
    }

    /// Figures keep the room that they need. Of the texts the widest gives way first, down to the length of its title.
    pub(crate) fn draw(&self, columns: Option<usize>, lines: &mut Vec<String>) {
        let widths = self.widths(columns);
        let heads = self.head.iter().map(|&head| head.to_owned()).collect::<Vec<String>>();
        lines.push(self.line(&heads, &widths, columns.is_some()));
        for row in &self.rows {
            lines.push(self.line(&row.cells, &widths, columns.is_some()));
            lines.extend(row.notes(columns));
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

    fn widths(&self, columns: Option<usize>) -> Vec<usize> {
        let last = self.head.len() - 1;
        let most = if columns.is_some() { usize::MAX } else { WIDEST };
        let widest = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.cells.get(at)).map(|cell| width(cell));
            cells.filter(|width| *width <= most).chain([self.head[at].len()]).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..self.head.len()).map(widest).collect();
        let Some(columns) = columns else { return widths };
        let least = |at: usize| if at == 0 { NAME.max(self.head[0].len()) } else { self.head[at].len() };
        let taken: usize = widths.iter().sum::<usize>() + GAP.len() * last;
        for _ in columns..taken {
            let texts = (0..=last).rev().filter(|at| !self.figures.contains(at) && widths[*at] > least(*at));
            let Some(widest) = texts.max_by_key(|at| widths[*at]) else { break };
            widths[widest] -= 1;
        }
        widths
    }

    fn line(&self, cells: &[String], widths: &[usize], cuts: bool) -> String {
        let mut line = String::new();
        for (at, (cell, &room)) in cells.iter().zip(widths).enumerate() {
            let cell = if cuts { fit(cell, room) } else { cell.clone() };
            let gap = if at == 0 { "" } else { GAP };
            let padding = " ".repeat(room.saturating_sub(width(&cell)));
            // Figures are compared by their ends.
            let parts = if self.figures.contains(&at) { [gap, &padding, &cell] } else { [gap, &cell, &padding] };
            line.extend(parts);
        }
        line
    }
}

/// Columns of a terminal that the text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The text, or as much of it as there is room for, with an ellipsis.
pub(crate) fn fit(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let (mut kept, mut taken) = (String::new(), 1);
    for c in text.chars() {
        taken += c.width().unwrap_or(0);
        if taken > room {
            break;
        }
        kept.push(c);
    }
    if room > 0 {
        kept.push(if display::is_ascii() { '~' } else { '\u{2026}' });
    }
    kept
}

/// The text in indented lines, broken between words to fit these columns; a word that does not fit is broken as well.
pub(crate) fn wrap(text: &str, columns: Option<usize>) -> Vec<String> {
    let Some(room) = columns.map(|columns| columns.saturating_sub(INDENT.len()).max(1)) else {
        return vec![format!("{INDENT}{text}")];
    };
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && width(&line) + 1 + width(word) > room {
            lines.push(std::mem::take(&mut line));
        } else if !line.is_empty() {
            line.push(' ');
        }
        for c in word.chars() {
            if !line.is_empty() && width(&line) + c.width().unwrap_or(0) > room {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    lines.push(line);
    lines.into_iter().map(|line| format!("{INDENT}{line}")).collect()
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
