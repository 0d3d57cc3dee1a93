//! Colors, as CSS has them.

/// The named colors.
const NAMES: &str = "aliceblue antiquewhite aqua aquamarine azure beige bisque black blanchedalmond blue blueviolet brown burlywood \
    cadetblue chartreuse chocolate coral cornflowerblue cornsilk crimson cyan darkblue darkcyan darkgoldenrod darkgray darkgreen \
    darkgrey darkkhaki darkmagenta darkolivegreen darkorange darkorchid darkred darksalmon darkseagreen darkslateblue darkslategray \
    darkslategrey darkturquoise darkviolet deeppink deepskyblue dimgray dimgrey dodgerblue firebrick floralwhite forestgreen fuchsia \
    gainsboro ghostwhite gold goldenrod gray green greenyellow grey honeydew hotpink indianred indigo ivory khaki lavender \
    lavenderblush lawngreen lemonchiffon lightblue lightcoral lightcyan lightgoldenrodyellow lightgray lightgreen lightgrey \
    lightpink lightsalmon lightseagreen lightskyblue lightslategray lightslategrey lightsteelblue lightyellow lime limegreen linen \
    magenta maroon mediumaquamarine mediumblue mediumorchid mediumpurple mediumseagreen mediumslateblue mediumspringgreen \
    mediumturquoise mediumvioletred midnightblue mintcream mistyrose moccasin navajowhite navy oldlace olive olivedrab orange \
    orangered orchid palegoldenrod palegreen paleturquoise palevioletred papayawhip peachpuff peru pink plum powderblue purple \
    rebeccapurple red rosybrown royalblue saddlebrown salmon sandybrown seagreen seashell sienna silver skyblue slateblue slategray \
    slategrey snow springgreen steelblue tan teal thistle tomato turquoise violet wheat white whitesmoke yellow yellowgreen";

/// Functions of colors; what is between their parentheses, the page judges.
const FUNCTIONS: [&str; 10] = ["rgb", "rgba", "hsl", "hsla", "hwb", "lab", "lch", "oklab", "oklch", "color"];

/// Reads a color.
///
/// # Errors
/// The reason, as a sentence without its end.
pub(crate) fn color(text: &str) -> Result<String, String> {
    let lower = text.trim().to_ascii_lowercase();
    let is_hex =
        |digits: &str| [3, 4, 6, 8].contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let is_function = |(name, rest): (&str, &str)| FUNCTIONS.contains(&name) && rest.ends_with(')');
    let is_color = lower.strip_prefix('#').is_some_and(is_hex)
        || NAMES.split_ascii_whitespace().any(|name| name == lower)
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
