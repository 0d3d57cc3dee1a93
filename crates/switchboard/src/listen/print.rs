//! A message as it is printed.

use crate::cli::Listen;
use crate::escape::{self, escape_header, escape_message};
use serde_json::json;
use std::fmt::Write;
use switchboard_client::Message;

pub(super) fn print(args: &Listen, message: &Message, escapes: bool, text: &mut Vec<u8>) {
    if args.json {
        let mut line = match std::str::from_utf8(message) {
            Ok(data) => json!({ "subscription": args.channel.to_string(), "data": data }),
            Err(_) => json!({ "subscription": args.channel.to_string(), "hex": hex(message) }),
        };
        if args.headers {
            let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let headers: Vec<_> = message.headers().map(|(name, value)| [lossy(&name), lossy(&value)]).collect();
            line["headers"] = json!(headers);
        }
        return text.extend_from_slice(escape::json_line(line).as_bytes());
    }
    if args.headers {
        // A line end in a value would begin a header that nobody sent, for a program that reads them, too.
        for (name, value) in message.headers() {
            let line = format!("{}: {}\n", escape_header(&name), escape_header(&value));
            text.extend_from_slice(line.as_bytes());
        }
        text.push(b'\n');
    }
    match escapes {
        true => text.extend_from_slice(escape_message(message).as_bytes()),
        false => text.extend_from_slice(message),
    }
    text.push(b'\n');
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
