//! A sample: the JSON that a process sends once a second, with optional fields.

#[cfg(feature = "collector")]
use crate::Usage;
use crate::{Millis, Refusal, TEXT};
use serde::de::{Deserialize, Deserializer, Visitor};
use std::borrow::Cow;
use std::fmt;

/// The most CPU, in percent of one core: 4,096 cores.
pub(crate) const CPU: f64 = 409_600.0;
/// The most memory, in MB: 64 TB.
pub(crate) const MEM: f64 = 64_000_000.0;
/// The last millisecond of the year 9999.
const LATEST: i64 = 253_402_300_799_999;

/// The byte order mark of UTF-8.
pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

/// An error of the JSON library, with the types of the format in place of those of this program.
pub(crate) fn in_words(error: &serde_json::Error) -> String {
    const WORDS: [(&str, &str); 3] = [
        ("f64", "a number"),
        ("u32", "a whole number from 0 to 4294967295"),
        ("i32", "a whole number from -2147483648 to 2147483647"),
    ];
    let text = error.to_string();
    // The last occurrence: the text before it may quote the sender.
    let Some((before, expected)) = text.rsplit_once(", expected ") else { return text };
    let (name, place) = expected.split_once(" at line ").unwrap_or((expected, ""));
    match WORDS.iter().find(|(own, _)| *own == name) {
        Some((_, words)) => format!("{before}, expected {words} at line {place}"),
        None => text,
    }
}

/// One measurement of one process, checked. The texts are parts of the message, where they can be.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'a> {
    /// The color of its line, as sent. A sender without a service is known by it.
    pub color: Option<Cow<'a, str>>,
    /// When it was measured.
    pub time: Millis,
    /// Whether the time was written with its offset from UTC, or as a number; else it is taken for UTC.
    pub has_zone: bool,
    /// Percent of one core.
    pub cpu: f64,
    /// Resident memory, in MB.
    pub mem: f64,
    /// The service that the process is an instance of.
    pub service: Option<Cow<'a, str>>,
    /// The name of the instance.
    pub instance: Option<Cow<'a, str>>,
    /// Its process number.
    pub pid: Option<u32>,
    /// The machine that it runs on.
    pub host: Option<Cow<'a, str>>,
    /// The version of the watched program.
    pub version: Option<Cow<'a, str>>,
    /// When the process was started.
    pub started: Option<Millis>,
    /// Number of cores that it may use.
    pub ncpu: Option<u32>,
    /// Its exit code, if this is the last that comes of it.
    pub ended: Option<i32>,
}

impl<'a> Sample<'a> {
    /// Reads one JSON object.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(bytes: &'a [u8]) -> Result<Sample<'a>, Refusal> {
        let bytes = bytes.strip_prefix(BOM).unwrap_or(bytes);
        let written: Written<'a> = serde_json::from_slice(bytes).map_err(|error| Refusal::Json(in_words(&error)))?;
        written.check()
    }

    /// Reads a message, if it is not longer than this.
    pub(crate) fn read(message: &'a [u8], limit: usize) -> Result<Sample<'a>, Refusal> {
        let length = message.len();
        if length > limit { Err(Refusal::Long { length, limit }) } else { Sample::parse(message) }
    }

    /// Returns the sample of this very process.
    #[cfg(feature = "collector")]
    pub(crate) fn of_own(name: &'a str, usage: Usage, now: Millis) -> Sample<'a> {
        Sample {
            color: None,
            time: now,
            has_zone: true,
            // The digits beyond are none that were measured.
            cpu: (usage.cpu.clamp(0.0, CPU) * 100.0).round() / 100.0,
            mem: (usage.mem.clamp(0.0, MEM) * 100.0).round() / 100.0,
            service: Some(name.into()),
            instance: None,
            pid: Some(std::process::id()),
            host: None,
            version: Some(env!("CARGO_PKG_VERSION").into()),
            started: None,
            ncpu: std::thread::available_parallelism().ok().and_then(|count| u32::try_from(count.get()).ok()),
            ended: None,
        }
    }
}

/// As it is written.
#[derive(serde::Deserialize)]
#[serde(expecting = "an object with `timestamp`, `cpu` and `mem`")]
pub(crate) struct Written<'a> {
    #[serde(borrow)]
    color: Option<Text<'a>>,
    timestamp: Option<When>,
    cpu: Option<f64>,
    mem: Option<f64>,
    #[serde(borrow)]
    service: Option<Text<'a>>,
    #[serde(borrow)]
    instance: Option<Text<'a>>,
    pid: Option<u32>,
    #[serde(borrow)]
    host: Option<Text<'a>>,
    #[serde(borrow)]
    version: Option<Text<'a>>,
    started: Option<When>,
    ncpu: Option<u32>,
    ended: Option<i32>,
}

impl<'a> Written<'a> {
    pub(crate) fn check(self) -> Result<Sample<'a>, Refusal> {
        let has_zone = !matches!(self.timestamp, Some(When::At(_, false)));
        let sample = Sample {
            color: text("color", self.color)?,
            time: time("timestamp", self.timestamp)?.ok_or(Refusal::Missing("timestamp"))?,
            has_zone,
            cpu: in_range("cpu", self.cpu, CPU)?,
            mem: in_range("mem", self.mem, MEM)?,
            service: text("service", self.service)?,
            instance: text("instance", self.instance)?,
            pid: self.pid,
            host: text("host", self.host)?,
            version: text("version", self.version)?,
            started: time("started", self.started)?,
            ncpu: self.ncpu,
            ended: self.ended,
        };
        if sample.color.is_none() && sample.service.is_none() {
            return Err(Refusal::Missing("color"));
        }
        Ok(sample)
    }
}

fn text<'a>(field: &'static str, text: Option<Text<'a>>) -> Result<Option<Cow<'a, str>>, Refusal> {
    match text {
        Some(Text(text)) if text.len() > TEXT => Err(Refusal::Text { field, length: text.len(), limit: TEXT }),
        // To say nothing and to say "" is the same.
        text => Ok(text.map(|Text(text)| text).filter(|text| !text.is_empty())),
    }
}

fn time(field: &'static str, when: Option<When>) -> Result<Option<Millis>, Refusal> {
    match when {
        Some(When::Fraction(value)) => Err(Refusal::Fraction { field, value }),
        Some(When::Never(text)) => Err(Refusal::Time { field, text }),
        Some(When::At(time, _)) => Ok(Some(time)),
        None => Ok(None),
    }
}

fn in_range(field: &'static str, value: Option<f64>, limit: f64) -> Result<f64, Refusal> {
    let value = value.ok_or(Refusal::Missing(field))?;
    if (0.0..=limit).contains(&value) { Ok(value) } else { Err(Refusal::OutOfRange { field, value, limit }) }
}

/// A text or a whole number. (An `Option<Cow<str>>` of serde's own is always a copy.)
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<'a>, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Cow<'de, str>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
                Ok(Cow::Borrowed(text))
            }
            fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Cow<'de, str>, E> {
                Ok(Cow::Owned(number.to_string()))
            }
        }
        deserializer.deserialize_any(Reader).map(Text)
    }
}

/// ISO 8601, or whole milliseconds since 1970.
enum When {
    /// A time, and whether it was written with its offset from UTC.
    At(Millis, bool),
    /// The text of something that is no time.
    Never(String),
    /// A number that is not whole.
    Fraction(f64),
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<When, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = When;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time")
            }
            fn visit_str<E>(self, text: &str) -> Result<When, E> {
                // The shown part of it is bounded, too.
                let never = || When::Never(text.chars().take(40).collect());
                Ok(Millis::parse_with_zone(text).map_or_else(never, |(time, has_zone)| When::At(time, has_zone)))
            }
            fn visit_u64<E>(self, number: u64) -> Result<When, E> {
                let millis = i64::try_from(number).ok().filter(|millis| *millis <= LATEST);
                Ok(millis.map_or_else(|| When::Never(number.to_string()), |millis| When::At(Millis(millis), true)))
            }
            fn visit_f64<E>(self, number: f64) -> Result<When, E> {
                Ok(When::Fraction(number))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str =
        r#"{"color": "red", "timestamp": "2026-01-02T03:04:05.678901+00:00", "cpu": 1.5, "mem": 20.25}"#;

    fn with(field: &str) -> String {
        PLAIN.replace('}', &format!(", {field}}}"))
    }

    #[test]
    fn the_json_of_a_typical_sender_is_a_sample() {
        let sample = Sample::parse(PLAIN.as_bytes()).unwrap();
        assert_eq!(sample.color.as_deref(), Some("red"));
        assert!(matches!(sample.color, Some(Cow::Borrowed(_))));
        assert_eq!((sample.time, sample.cpu, sample.mem), (Millis(1_767_323_045_678), 1.5, 20.25));
        assert_eq!((sample.service, sample.pid, sample.started), (None, None, None));
    }

    #[test]
    fn optional_fields_may_be_there_or_null_and_unknown_ones_are_passed_over() {
        let text = with(r#""service": "web", "instance": 3, "pid": 7, "started": 1000, "host": null, "x": [{}]"#);
        let sample = Sample::parse(text.as_bytes()).unwrap();
        assert_eq!((sample.service.as_deref(), sample.instance.as_deref()), (Some("web"), Some("3")));
        assert_eq!((sample.pid, sample.started, sample.host), (Some(7), Some(Millis(1000)), None));
    }

    #[test]
    fn a_service_needs_no_color_but_something_needs_a_name() {
        let nobody = PLAIN.replace("red", "");
        assert_eq!(Sample::parse(nobody.as_bytes()), Err(Refusal::Missing("color")));
        let service = nobody.replace('}', r#", "service": "web"}"#);
        assert_eq!(Sample::parse(service.as_bytes()).unwrap().color, None);
    }

    #[test]
    fn values_are_taken_up_to_their_limits() {
        let at = |cpu: &str, mem: &str| {
            Sample::parse(PLAIN.replace("1.5", cpu).replace("20.25", mem).as_bytes()).map(|sample| sample.mem)
        };
        assert_eq!(at("0", "0"), Ok(0.0));
        assert_eq!(at("409600", "64000000"), Ok(MEM));
        for (cpu, mem, field) in [("409600.1", "1", "cpu"), ("-0.1", "1", "cpu"), ("1", "64000000.5", "mem")] {
            assert!(matches!(at(cpu, mem), Err(Refusal::OutOfRange { field: named, .. }) if named == field));
        }
        assert!(matches!(at("1e400", "1"), Err(Refusal::Json(_))));
        assert!(matches!(at("NaN", "1"), Err(Refusal::Json(_))));
        assert_eq!(at("null", "1"), Err(Refusal::Missing("cpu")));
    }

    #[test]
    fn texts_are_taken_up_to_their_limit() {
        let of = |length: usize| {
            let text = PLAIN.replace("red", &"x".repeat(length));
            Sample::parse(text.as_bytes()).map(|sample| sample.color.unwrap().len())
        };
        assert_eq!((of(TEXT - 1), of(TEXT)), (Ok(TEXT - 1), Ok(TEXT)));
        assert_eq!(of(TEXT + 1), Err(Refusal::Text { field: "color", length: TEXT + 1, limit: TEXT }));
    }

    #[test]
    fn a_wrong_type_is_told_in_the_words_of_the_format() {
        let why = |text: &str| match Sample::parse(text.as_bytes()) {
            Err(Refusal::Json(why)) => why,
            other => panic!("{text}: {other:?}"),
        };
        for (text, expected) in [
            ("7", "expected an object with `timestamp`, `cpu` and `mem` at line 1 column 1"),
            (r#"{"pid": -1}"#, "expected a whole number from 0 to 4294967295 at line 1 column 10"),
            (r#"{"cpu": "1"}"#, "expected a number at line 1 column 11"),
            (r#"{"ended": 2147483648}"#, "expected a whole number from -2147483648 to 2147483647 at line 1 column 20"),
            (r#"{"color": []}"#, "expected a text at line 1 column 12"),
        ] {
            assert!(why(text).ends_with(expected), "{text}: {}", why(text));
        }
    }

    #[test]
    fn a_byte_order_mark_before_a_sample_is_passed_over() {
        let with_mark = [BOM, PLAIN.as_bytes()].concat();
        assert_eq!(Sample::parse(&with_mark), Sample::parse(PLAIN.as_bytes()));
    }

    #[test]
    fn what_is_no_sample_says_why() {
        for text in ["", "[]", "7", "{", r#"{"color": []}"#, r#"{"pid": -1}"#, "\0", r#"{"cpu": "1"}"#] {
            assert!(matches!(Sample::parse(text.as_bytes()), Err(Refusal::Json(_))), "{text}");
        }
        assert_eq!(Sample::parse(b"{}"), Err(Refusal::Missing("timestamp")));
        let never = PLAIN.replace("2026-01", "2026-13");
        let fraction = PLAIN.replace("\"2026-01-02T03:04:05.678901+00:00\"", "1795878469.186");
        let refused = Sample::parse(fraction.as_bytes());
        assert_eq!(refused, Err(Refusal::Fraction { field: "timestamp", value: 1_795_878_469.186 }));
        assert!(matches!(Sample::parse(never.as_bytes()), Err(Refusal::Time { field: "timestamp", .. })));
        let started = |millis: &str| with(&format!("\"started\": {millis}"));
        assert!(Sample::parse(started("253402300799999").as_bytes()).is_ok());
        assert!(matches!(
            Sample::parse(started("253402300800000").as_bytes()),
            Err(Refusal::Time { field: "started", .. })
        ));
    }
}
