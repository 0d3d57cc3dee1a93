//! Colors, as CSS has them.

use cssparser::color::{parse_hash_color, parse_named_color};

/// Functions of colors; what is between their parentheses, the page judges.
const FUNCTIONS: [&str; 10] = ["rgb", "rgba", "hsl", "hsla", "hwb", "lab", "lch", "oklab", "oklch", "color"];

/// Reads a color.
///
/// # Errors
/// The reason, as a sentence without its end.
pub(crate) fn color(text: &str) -> Result<String, String> {
    let lower = text.trim().to_ascii_lowercase();
    let is_function = |(name, rest): (&str, &str)| FUNCTIONS.contains(&name) && rest.ends_with(')');
    let is_color = lower.strip_prefix('#').is_some_and(|digits| parse_hash_color(digits.as_bytes()).is_ok())
        || parse_named_color(&lower).is_ok()
        || lower.split_once('(').is_some_and(is_function);
    if is_color {
        Ok(text.trim().to_owned())
    } else {
        Err("it must be a color of CSS, such as #0070c0, teal or rgb(0 112 192)".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::color;

    #[test]
    fn colors_are_what_a_browser_takes_for_one() {
        for text in
            ["red", "Teal", "#0f0", "#00ff007f", "#0070C0", "rgb(0 112 192)", "hsl(120, 50%, 50%)", "yellowgreen"]
        {
            assert_eq!(color(text), Ok(text.to_owned()));
        }
        for text in
            ["", "notacolor", "#", "#12", "#12345", "#1234567", "#00gg00", "0070c0", "rgb(1", "url(x)", "red green"]
        {
            assert!(color(text).is_err(), "{text}");
        }
    }
}
