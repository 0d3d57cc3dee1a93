use crate::Look;
use serde_json::{Map, Value, json};
use std::path::Path;

const ARGUMENTS: [&str; 10] = [
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--disable-breakpad",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    // Labels of time axes are the same on every machine.
    "--lang=en",
];

/// The capabilities of a session, as WebDriver and Chromium name them.
pub(crate) fn capabilities(look: Look, profile: &Path) -> Map<String, Value> {
    let mut arguments = ARGUMENTS.map(str::to_owned).to_vec();
    arguments.push(format!("--window-size={},{}", look.width, look.height));
    arguments.push(format!("--user-data-dir={}", profile.display()));
    let mut options = json!({ "args": arguments });
    if look.phone {
        options["mobileEmulation"] =
            json!({ "deviceMetrics": { "width": look.width, "height": look.height, "pixelRatio": 1, "touch": true } });
    }
    let all = json!({
        "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" },
    });
    all.as_object().cloned().unwrap_or_default()
}
