use crate::Browser;
use serde_json::json;

/// Keys without a character, as WebDriver names them.
pub mod key {
    /// The Enter key.
    pub const ENTER: &str = "\u{e007}";
    /// The Escape key.
    pub const ESCAPE: &str = "\u{e00c}";
    /// The left arrow key.
    pub const LEFT: &str = "\u{e012}";
    /// The up arrow key.
    pub const UP: &str = "\u{e013}";
    /// The right arrow key.
    pub const RIGHT: &str = "\u{e014}";
    /// The down arrow key.
    pub const DOWN: &str = "\u{e015}";
    /// The tabulator key.
    pub const TAB: &str = "\u{e004}";
}

/// A pointer that is pulled over a part of the page.
#[derive(Clone, Copy, Debug)]
enum Pointer {
    Mouse,
    Touch,
}

impl Browser {
    /// Clicks on the first element that the selector finds.
    pub async fn click(&self, selector: &str) {
        let found = self.client().find(fantoccini::Locator::Css(selector)).await;
        found.unwrap_or_else(|_| panic!("there is no {selector}")).click().await.expect("clicked");
    }

    /// Moves the mouse over an element, to these parts of its width and height (0.0 to 1.0).
    pub async fn hover(&self, selector: &str, x: f64, y: f64) {
        let [left, top, width, height] = self.area(selector).await;
        let (x, y) = ((left + width * x).round() as i64, (top + height * y).round() as i64);
        let step = json!({ "type": "pointerMove", "x": x, "y": y, "duration": 20 });
        self.point(Pointer::Mouse, json!([step])).await;
    }

    /// Moves the pressed mouse over an element, from and to these parts of its width (0.0 to 1.0).
    pub async fn drag(&self, selector: &str, from: f64, to: f64) {
        self.pull(Pointer::Mouse, selector, from, to).await;
    }

    /// The same with a finger.
    pub async fn swipe(&self, selector: &str, from: f64, to: f64) {
        self.pull(Pointer::Touch, selector, from, to).await;
    }

    /// Presses a key where the focus is: a character, or one of [`key`].
    pub async fn press(&self, key: &str) {
        let actions = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        self.command("actions", json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] })).await;
    }

    async fn pull(&self, pointer: Pointer, selector: &str, from: f64, to: f64) {
        let [left, top, width, height] = self.area(selector).await;
        let at = |part: f64| (left + width * part).round() as i64;
        let y = (top + height / 2.0).round() as i64;
        let move_to = |x: i64| json!({ "type": "pointerMove", "x": x, "y": y, "duration": 20 });
        let steps = json!([
            move_to(at(from)), { "type": "pointerDown", "button": 0 }, move_to(at(f64::midpoint(from, to))),
            move_to(at(to)), { "type": "pointerUp", "button": 0 },
        ]);
        self.point(pointer, steps).await;
    }

    async fn point(&self, pointer: Pointer, steps: serde_json::Value) {
        let kind = match pointer {
            Pointer::Mouse => "mouse",
            Pointer::Touch => "touch",
        };
        let actions = json!({ "type": "pointer", "id": kind, "parameters": { "pointerType": kind }, "actions": steps });
        self.command("actions", json!({ "actions": [actions] })).await;
    }

    /// Left, top, width and height within the window, in CSS pixels.
    async fn area(&self, selector: &str) -> [f64; 4] {
        let script = format!(
            "const b = document.querySelector({})?.getBoundingClientRect(); return b && [b.left, b.top, b.width, b.height]",
            json!(selector)
        );
        let area = self.run(&script).await;
        serde_json::from_value(area).unwrap_or_else(|_| panic!("there is no {selector}"))
    }
}
