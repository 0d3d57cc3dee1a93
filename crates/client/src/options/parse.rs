use super::{Options, Protocol, Receipts, Runtime, SIZE_BOUNDS, WhenFull, is_size};
use percent_encoding::percent_decode_str;
use std::time::Duration;
use switchboard_driver::quantity;

const SCHEMES: [(&str, Protocol); 2] = [("switchboard://", Protocol::Native), ("stomp://", Protocol::Stomp)];

pub(super) fn parse(url: &str) -> Result<Options, String> {
    let found = SCHEMES.iter().find_map(|(scheme, protocol)| Some((url.strip_prefix(scheme)?, *protocol)));
    let (rest, protocol) = found.ok_or("it does not begin with switchboard:// or stomp://")?;
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let place = place.strip_suffix('/').unwrap_or(place);
    let mut options = Options { protocol, port: protocol.default_port(), ..Options::default() };
    let place = match place.rsplit_once('@') {
        None => place,
        Some(_) if protocol == Protocol::Native => return Err("the native protocol has no login".into()),
        Some((user, place)) => {
            let (login, passcode) = user.split_once(':').map_or((user, None), |(user, rest)| (user, Some(rest)));
            options.login = Some(decoded("login", login)?);
            options.passcode = passcode.map(|passcode| decoded("passcode", passcode)).transpose()?;
            place
        }
    };
    let port = match place.strip_prefix('[') {
        Some(inner) => {
            let (host, port) = inner.split_once(']').ok_or("a [ without a ]")?;
            options.host = host.into();
            port.strip_prefix(':').map_or(if port.is_empty() { Ok(None) } else { Err(()) }, |port| Ok(Some(port)))
        }
        None => {
            let (host, port) = place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port)));
            options.host = host.into();
            Ok(port)
        }
    };
    if let Some(port) = port.map_err(|()| "something stands between the host and the options")? {
        options.port = port.parse().map_err(|_| format!("{port:?} is not a port (IPv6 hosts stand in brackets)"))?;
    }
    if options.host.is_empty() {
        return Err("the host is missing".into());
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("option {pair:?} has no value"))?;
        set(&mut options, name, value).map_err(|problem| format!("option {name}={value}: {problem}"))?;
    }
    if options.backoff_max < options.backoff_min {
        return Err("backoff_max is less than backoff_min".into());
    }
    Ok(options)
}

/// The URL as it may be shown: without login and passcode, wherever they end.
pub(super) fn without_login(url: &str) -> String {
    let (scheme, rest) = match url.find("://") {
        Some(at) => url.split_at(at + "://".len()),
        None => ("", url),
    };
    rest.rsplit_once('@').map_or_else(|| url.to_owned(), |(_, rest)| format!("{scheme}***@{rest}"))
}

fn set(options: &mut Options, name: &str, value: &str) -> Result<(), String> {
    match name {
        "connect_timeout" => options.connect_timeout = duration(value)?,
        "timeout" => options.timeout = if value == "never" { Duration::MAX } else { duration(value)? },
        "heartbeat" => options.heartbeat = duration(value)?,
        "backoff_min" => options.backoff_min = duration(value)?,
        "backoff_max" => options.backoff_max = duration(value)?,
        "buffer" => options.buffer = size(value)?,
        "waiting" => options.waiting = count(value, usize::MAX as u64)?,
        "resend" => options.resend = count(value, u32::MAX.into())?,
        "inbox" => options.inbox = size(value)?,
        "max_frame" => options.max_frame = size(value)?,
        "max_channel" => options.max_channel = size(value)?,
        "when_full" => options.when_full = one_of(value, &[("wait", WhenFull::Wait), ("fail", WhenFull::Fail)])?,
        "retry_first" => options.retry_first = one_of(value, &[("true", true), ("false", false)])?,
        "reconnect" => options.reconnect = one_of(value, &[("true", true), ("false", false)])?,
        "vhost" if options.protocol == Protocol::Stomp => options.vhost = decoded("vhost", value)?,
        "receipts" if options.protocol == Protocol::Stomp => {
            options.receipts = one_of(value, &[("write", Receipts::Write), ("message", Receipts::Message)])?;
        }
        "vhost" | "receipts" => return Err("only STOMP has it".into()),
        "driver" => options.driver = one_of(value, &[("current", Runtime::Current), ("shared", Runtime::Shared)])?,
        _ => {
            return Err("there is no such option; there are connect_timeout, timeout, heartbeat, backoff_min, \
                 backoff_max, buffer, when_full, waiting, resend, inbox, max_frame, max_channel, retry_first, reconnect, \
                 driver, vhost, receipts"
                .into());
        }
    }
    Ok(())
}

fn decoded(what: &str, text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| format!("{what} is not UTF-8"))?;
    if decoded.contains(['\n', '\r', '\0']) {
        return Err(format!("{what} has a line end or a NUL byte"));
    }
    Ok(decoded.into_owned())
}

/// A count that may be smaller than what the grammar takes.
fn count<T: TryFrom<u64>>(value: &str, most: u64) -> Result<T, String> {
    T::try_from(quantity::parse_count(value)?).map_err(|_| format!("it is too large: at most {most}"))
}

fn one_of<T: Copy>(value: &str, choices: &[(&str, T)]) -> Result<T, String> {
    choices.iter().find(|(name, _)| *name == value).map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        format!("it is one of {}", names.join(", "))
    })
}

/// More than zero: with a time-out of nothing, nothing would ever succeed.
fn duration(value: &str) -> Result<Duration, String> {
    let duration = quantity::parse_duration(value)?;
    if duration.is_zero() { Err("it must be more than zero".into()) } else { Ok(duration) }
}

fn size(value: &str) -> Result<usize, String> {
    let bytes = quantity::parse_size(value)?;
    if is_size(bytes) { Ok(bytes) } else { Err(SIZE_BOUNDS.into()) }
}
