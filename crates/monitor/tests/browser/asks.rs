//! Questions to the page, as scripts.

use serde_json::{Value, json};

// Columns of the table.
pub(crate) const CPU: usize = 3;
pub(crate) const MEMORY: usize = 5;
pub(crate) const STATE: usize = 7;
pub(crate) const LIVE: &str = "return document.querySelector('#link').textContent === 'live'";

pub(crate) const BLUE: [u8; 3] = [31, 119, 180];

// As WebDriver names them.
pub(crate) const ESCAPE: &str = "\u{e00c}";
pub(crate) const LEFT: &str = "\u{e012}";
pub(crate) const RIGHT: &str = "\u{e014}";

/// How many pixels of a chart have about this colour: `[red, green, blue]`, in these parts of its width.
pub(crate) fn pixels(chart: &str, color: [u8; 3], from: f64, to: f64) -> String {
    format!(
        "const c = document.querySelector('#{chart} canvas'); if (!c) return 0;
         // A copy: Chromium complains of many looks at one that it draws on.
         const copy = new OffscreenCanvas(c.width, c.height).getContext('2d', {{ willReadFrequently: true }});
         copy.drawImage(c, 0, 0);
         const x = Math.floor(c.width * {from});
         const d = copy.getImageData(x, 0, Math.floor(c.width * {to}) - x, c.height).data;
         let n = 0;
         for (let i = 0; i < d.length; i += 4) {{
             const far = Math.abs(d[i] - {0}) + Math.abs(d[i + 1] - {1}) + Math.abs(d[i + 2] - {2});
             n += d[i + 3] > 200 && far < 60;
         }}
         return n",
        color[0], color[1], color[2]
    )
}

/// What stands in the row of this name, or nothing.
pub(crate) fn cell(name: &str, column: usize) -> String {
    let name = json!(name);
    format!(
        "const row = [...document.querySelectorAll('#rows tr')].find((row) => row.querySelector('th').textContent === {name});
         return row ? row.children[{column}].textContent : ''"
    )
}

pub(crate) fn differs(script: &str, value: &Value) -> String {
    format!("return (() => {{ {script} }})() !== {value}")
}

pub(crate) fn equals(script: &str, value: &str) -> String {
    format!("return (() => {{ {script} }})() === {value}")
}
