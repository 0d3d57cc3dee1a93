//! Why a selector finds nothing.

use crate::site::Pattern;
use scraper::ElementRef;
use std::time::Instant;

/// Hints for a selector that matches no element.
pub(crate) fn nothing(selector: &str, elements: &[ElementRef], end: Instant) -> Option<String> {
    let count = |text: &str| -> Option<usize> {
        let pattern = Pattern::new(text).ok()?;
        let in_time = elements.iter().take_while(|_| Instant::now() < end);
        Some(in_time.filter(|element| pattern.selector.matches(element)).count())
    };
    let parts = split(selector);
    let compounds = |keep: &dyn Fn(usize) -> bool| -> String {
        parts.iter().enumerate().filter(|(number, _)| keep(*number)).map(|(_, part)| part.as_str()).collect()
    };
    let is_tbody = |part: &str| part.trim_start_matches(['>', ' ']).starts_with("tbody");
    if parts.iter().any(|part| is_tbody(part)) {
        let without = compounds(&|number| !is_tbody(&parts[number]));
        let found = count(&without)?;
        if found > 0 {
            return Some(format!(
                "{selector:?} matches nothing, {without:?} matches {found}: the table has no tbody of this form; browsers \
                 show one that the page does not contain"
            ));
        }
    }
    // A row is never a child of its table: the parser, as browsers do, puts a tbody in between.
    let is_row =
        |number: usize| parts[number].trim_start_matches(['>', ' ']).starts_with("tr") && parts[number].contains('>');
    if let Some(row) = (1..parts.len()).find(|&number| is_row(number) && parts[number - 1].contains("table")) {
        let with: String = parts
            .iter()
            .enumerate()
            .map(|(number, part)| if number == row { format!(" > tbody{part}") } else { part.clone() })
            .collect();
        let found = count(&with)?;
        if found > 0 {
            return Some(format!(
                "{selector:?} matches nothing, {with:?} matches {found}: a table's rows stand in a tbody"
            ));
        }
    }
    let mut last = None;
    for length in 1..=parts.len() {
        let start: String = parts[..length].concat();
        match count(start.trim())? {
            0 => {
                let before = last.map_or(String::new(), |(text, found)| format!("; {text:?} matches {found}"));
                return Some(format!("{:?} matches nothing{before}", start.trim()));
            }
            found => last = Some((start.trim().to_owned(), found)),
        }
    }
    None
}

/// A selector in its compounds, each with the combinator before it. Lists are not split.
fn split(selector: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let (mut part, mut depth, mut quote) = (String::new(), 0_u32, None);
    for letter in selector.trim().chars() {
        let is_combinator =
            depth == 0 && quote.is_none() && (letter.is_whitespace() || matches!(letter, '>' | '+' | '~'));
        let has_compound = part.contains(|letter: char| !letter.is_whitespace() && !matches!(letter, '>' | '+' | '~'));
        if is_combinator && has_compound {
            parts.push(std::mem::take(&mut part));
        }
        match letter {
            '"' | '\'' if quote.is_none() => quote = Some(letter),
            _ if quote == Some(letter) => quote = None,
            '(' | '[' if quote.is_none() => depth += 1,
            ')' | ']' if quote.is_none() => depth = depth.saturating_sub(1),
            _ => {}
        }
        part.push(letter);
    }
    parts.push(part);
    parts
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_selector_is_split_at_its_combinators_only() {
        assert_eq!(split("a  > b c+d"), ["a", "  > b", " c", "+d"]);
        assert_eq!(split("a:has(> b c)[x='> y'] d"), ["a:has(> b c)[x='> y']", " d"]);
        assert_eq!(split(""), [""]);
    }
}
