//! Drawings in ASCII, for a terminal whose locale is not one of UTF-8.

use ratatui::buffer::Buffer;

/// Puts characters of ASCII in the place of all others.
pub(super) fn reduce(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if !cell.symbol().is_ascii() {
            let symbol = of(cell.symbol());
            cell.set_symbol(symbol);
        }
    }
}

fn of(symbol: &str) -> &'static str {
    match symbol.chars().next() {
        Some('\u{2502}') => "|",
        Some('\u{2500}') => "-",
        Some('\u{2501}'..='\u{257f}') => "+",
        Some('\u{2800}') => " ",
        Some('\u{2801}'..='\u{28ff}' | '\u{2022}') => "*",
        // From an eighth of the cell's height to all of it.
        Some(c @ '\u{2581}'..='\u{2588}') => [".", ":", "-", "=", "+", "*", "%", "#"][c as usize - 0x2581],
        Some('\u{2026}') => "~",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_corners_dots_and_bars_have_a_character_each() {
        for (symbol, expected) in [
            ("\u{2502}", "|"),
            ("\u{2500}", "-"),
            ("\u{250c}", "+"),
            ("\u{2514}", "+"),
            ("\u{28ff}", "*"),
            ("\u{2800}", " "),
            ("\u{2581}", "."),
            ("\u{2588}", "#"),
            ("\u{2026}", "~"),
            ("\u{6ce8}", "?"),
        ] {
            assert_eq!(of(symbol), expected, "{symbol}");
        }
    }
}
