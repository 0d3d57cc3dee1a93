//! Questions to the page, as scripts.

use serde_json::{Value, json};

// Columns of the table.
pub(crate) const STATE: usize = 2;
pub(crate) const CPU: usize = 4;
pub(crate) const MEMORY: usize = 6;
pub(crate) const UP: usize = 8;
pub(crate) const LIVE: &str = "return document.querySelector('#link').textContent === 'live'";

pub(crate) const BLUE: [u8; 3] = [31, 119, 180];

/// The selector of a chart's plot.
pub(crate) fn plot(chart: &str) -> String {
    format!("#{chart} .u-over")
}

/// Returns the number of pixels of a chart of about this color: `[red, green, blue]`, in these parts of its width.
pub(crate) fn pixels(chart: &str, color: [u8; 3], from: f64, to: f64) -> String {
    count(chart, color, from, to, 1.0, "n++")
}

/// The same in the upper part of its height.
pub(crate) fn pixels_above(chart: &str, color: [u8; 3], height: f64) -> String {
    count(chart, color, 0.0, 1.0, height, "n++")
}

/// Returns the part of the columns between the two that have such a pixel.
pub(crate) fn columns(chart: &str, color: [u8; 3], from: f64, to: f64) -> String {
    let found = count(chart, color, from, to, 1.0, "(seen[(i / 4) % width] ??= ++n)");
    found.replace("return n", "return n / width")
}

fn count(chart: &str, color: [u8; 3], from: f64, to: f64, height: f64, found: &str) -> String {
    format!(
        "const c = document.querySelector('#{chart} canvas'); if (!c) return 0;
         // A copy: Chromium complains of many looks at one that it draws on.
         const copy = new OffscreenCanvas(c.width, c.height).getContext('2d', {{ willReadFrequently: true }});
         copy.drawImage(c, 0, 0);
         const x = Math.floor(c.width * {from});
         const width = Math.floor(c.width * {to}) - x;
         const d = copy.getImageData(x, 0, width, Math.floor(c.height * {height})).data;
         const seen = [];
         let n = 0;
         for (let i = 0; i < d.length; i += 4) {{
             const far = Math.abs(d[i] - {0}) + Math.abs(d[i + 1] - {1}) + Math.abs(d[i + 2] - {2});
             if (d[i + 3] > 200 && far < 60) {{ {found}; }}
         }}
         return n",
        color[0], color[1], color[2]
    )
}

/// Returns a cell of the row of this name, or nothing.
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
