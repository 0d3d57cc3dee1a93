//! PNG of a page.

use super::failure::Failure;
use super::page::Page;
use super::request::{MAX_AREA, MAX_SIDE, Screenshot};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

pub(super) async fn take(page: &Page<'_>, wanted: Screenshot) -> Result<Vec<u8>, Failure> {
    let viewport = page.request.viewport;
    let (mut width, mut height) = (f64::from(viewport.width), f64::from(viewport.height));
    if wanted.full {
        let metrics = page.call("Page.getLayoutMetrics", json!({})).await?;
        let size = |key: &str, least: f64| metrics["cssContentSize"][key].as_f64().unwrap_or(least).max(least);
        (width, height) = bounded(size("width", width), size("height", height));
    }
    let scale = wanted.width.map_or(1.0, |wanted| f64::from(wanted) / width);
    if let Some(wanted) = wanted.height {
        // Cropped, as Splash does, not distorted.
        height = f64::from(wanted) / scale;
    }
    if width * height * scale * scale > MAX_AREA as f64 {
        return Err(format!("the screenshot has more than {MAX_AREA} pixels").into());
    }
    let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": scale });
    let params = json!({ "format": "png", "clip": clip, "captureBeyondViewport": true });
    let answer = page.call("Page.captureScreenshot", params).await?;
    let data = answer["data"].as_str().unwrap_or_default();
    STANDARD.decode(data).map_err(|error| format!("the screenshot cannot be read: {error}").into())
}

/// The size of a whole page, cut to the limits.
fn bounded(width: f64, height: f64) -> (f64, f64) {
    let width = width.clamp(1.0, f64::from(MAX_SIDE));
    let highest = f64::from(MAX_SIDE).min((MAX_AREA as f64 / width).floor());
    (width, height.clamp(1.0, highest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_page_is_cut_at_the_limits() {
        let side = f64::from(MAX_SIDE);
        for (size, expected) in [
            ((1024.0, 768.0), (1024.0, 768.0)),
            ((0.0, 0.0), (1.0, 1.0)),
            ((1024.0, 1e9), (1024.0, side)),
            ((1e9, 1e9), (side, 1024.0)),
            ((2048.0, 1e9), (2048.0, 8192.0)),
        ] {
            assert_eq!(bounded(size.0, size.1), expected, "{size:?}");
        }
    }
}
