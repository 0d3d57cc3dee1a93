//! Texts in columns.

use ratatui::text::Span;

/// Whole if it fits, else its beginning and an ellipsis, in columns of a terminal.
pub(super) fn fit(text: &str, width: usize) -> String {
    if Span::raw(text).width() <= width {
        return text.to_owned();
    }
    let mut cut = text.to_owned();
    while !cut.is_empty() && Span::raw(cut.as_str()).width() >= width {
        cut.pop();
    }
    if width > 0 {
        cut.push('\u{2026}');
    }
    cut
}

/// "1 process", "2 processes".
pub(super) fn processes(count: usize) -> String {
    format!("{count} process{}", if count == 1 { "" } else { "es" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_ends_with_an_ellipsis() {
        for (width, fitted) in [(6, "orders"), (5, "orde\u{2026}"), (2, "o\u{2026}"), (1, "\u{2026}"), (0, "")] {
            assert_eq!(fit("orders", width), fitted, "{width}");
        }
        // Two columns each.
        assert_eq!(fit("\u{6ce8}\u{6587}\u{66f8}", 5), "\u{6ce8}\u{6587}\u{2026}");
        assert_eq!(fit("\u{6ce8}\u{6587}\u{66f8}", 4), "\u{6ce8}\u{2026}");
    }

    #[test]
    fn one_process_is_no_plural() {
        assert_eq!([0, 1, 2].map(processes), ["0 processes", "1 process", "2 processes"]);
    }
}
