//! The header `Prefer`.

use super::QueryError;

/// A client's preferences. An unknown one is ignored, unless the client asks for `handling=strict`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// The content of the reply to a write.
    pub returned: Option<Return>,
    /// The treatment of an inserted row that is there already.
    pub resolution: Option<Resolution>,
    /// The reply counts the rows.
    pub count: bool,
    /// The meaning of a field that is missing in one row of several.
    pub missing: Option<Missing>,
}

/// The content of the reply to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// The rows.
    Representation,
    /// Nothing.
    Minimal,
    /// Nothing, and where the row is.
    HeadersOnly,
}

/// The treatment of an inserted row that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It replaces the values that it has.
    Merge,
    /// It is left out.
    Ignore,
}

/// The meaning of a field that is missing in one row of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Null.
    Null,
    /// The column's default.
    Default,
}

impl Preferences {
    /// Reads the values of every `Prefer` header.
    ///
    /// # Errors
    /// If a write is to be undone (`tx=rollback`); with `handling=strict`, if a preference is not known.
    pub fn parse<'a>(headers: impl IntoIterator<Item = &'a str>) -> Result<Preferences, QueryError> {
        let mut all = Preferences::default();
        let (mut strict, mut unknown, mut seen) = (false, Vec::new(), Vec::new());
        let parts = headers.into_iter().flat_map(|header| header.split(','));
        for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
            // Parameters of a preference are none of ours.
            let part = part.split(';').next().unwrap_or_default().trim();
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let [name, value] = [name.trim(), value.trim().trim_matches('"')].map(str::to_ascii_lowercase);
            let is_first = !seen.contains(&name);
            match (name.as_str(), value.as_str()) {
                // Ignored, it would write what the client only tries.
                ("tx", "rollback") => {
                    let message = "Prefer: tx=rollback is not supported: every write is committed".to_owned();
                    return Err(QueryError { code: "PGRST122", message, hint: None });
                }
                // RFC 7240: the first of several with one name counts.
                _ if !is_first => {}
                ("return", "representation") => all.returned = Some(Return::Representation),
                ("return", "minimal") => all.returned = Some(Return::Minimal),
                ("return", "headers-only") => all.returned = Some(Return::HeadersOnly),
                ("resolution", "merge-duplicates") => all.resolution = Some(Resolution::Merge),
                ("resolution", "ignore-duplicates") => all.resolution = Some(Resolution::Ignore),
                // An exact count is a good estimate.
                ("count", "exact" | "planned" | "estimated") => all.count = true,
                ("missing", "null") => all.missing = Some(Missing::Null),
                ("missing", "default") => all.missing = Some(Missing::Default),
                ("handling", "strict") => strict = true,
                ("handling", "lenient") => strict = false,
                _ => unknown.push(part.to_owned()),
            }
            if is_first {
                seen.push(name);
            }
        }
        if strict && !unknown.is_empty() {
            let message = format!("these preferences are not known: {}", unknown.join(", "));
            return Err(QueryError { code: "PGRST122", message, hint: None });
        }
        Ok(all)
    }

    /// The value of `Preference-Applied`, if anything was.
    #[must_use]
    pub fn applied(&self) -> Option<String> {
        let returned = self.returned.map(|returned| match returned {
            Return::Representation => "return=representation",
            Return::Minimal => "return=minimal",
            Return::HeadersOnly => "return=headers-only",
        });
        let resolution = self.resolution.map(|resolution| match resolution {
            Resolution::Merge => "resolution=merge-duplicates",
            Resolution::Ignore => "resolution=ignore-duplicates",
        });
        let count = self.count.then_some("count=exact");
        let missing = self.missing.map(|missing| match missing {
            Missing::Null => "missing=null",
            Missing::Default => "missing=default",
        });
        let applied: Vec<&str> = [resolution, missing, returned, count].into_iter().flatten().collect();
        (!applied.is_empty()).then(|| applied.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_applied_and_the_rest_left_alone() {
        for (header, applied) in [
            ("", None),
            ("return=representation", Some("return=representation")),
            ("Return=\"minimal\"; x=1", Some("return=minimal")),
            ("RETURN=REPRESENTATION, Count=Exact", Some("return=representation, count=exact")),
            ("return=headers-only,count=planned", Some("return=headers-only, count=exact")),
            ("resolution=merge-duplicates, return=minimal", Some("resolution=merge-duplicates, return=minimal")),
            ("resolution=ignore-duplicates,tx=commit", Some("resolution=ignore-duplicates")),
            ("missing=null", Some("missing=null")),
            ("missing=default", Some("missing=default")),
            ("return=what, return", None),
            ("return=what, return=minimal", None),
            ("return=minimal, RETURN=representation", Some("return=minimal")),
            (
                "resolution=merge-duplicates,resolution=ignore-duplicates,missing=default,missing=null",
                Some("resolution=merge-duplicates, missing=default"),
            ),
            ("count=none, count=exact", None),
            ("handling=lenient, handling=strict, x", None),
        ] {
            let preferences = Preferences::parse([header]).expect("lenient");
            assert_eq!(preferences.applied().as_deref(), applied, "{header}");
        }
        let two = Preferences::parse(["count=exact", "return=minimal"]).expect("lenient");
        assert_eq!(two.applied().as_deref(), Some("return=minimal, count=exact"));
        let two = Preferences::parse(["return=minimal", "return=representation"]).expect("lenient");
        assert_eq!(two.applied().as_deref(), Some("return=minimal"));
    }

    #[test]
    fn strict_handling_refuses_what_is_not_known() {
        assert!(Preferences::parse(["handling=strict, return=minimal"]).is_ok());
        let error = Preferences::parse(["max-affected=1, handling=strict"]).expect_err("refused");
        assert_eq!((error.code, error.message.contains("max-affected=1")), ("PGRST122", true));
    }

    #[test]
    fn a_write_that_is_to_be_undone_is_refused() {
        for header in [
            "tx=rollback",
            "return=minimal, TX=\"rollback\"",
            "handling=lenient, tx=rollback",
            "tx=commit, tx=rollback",
        ] {
            let error = Preferences::parse([header]).expect_err(header);
            assert_eq!((error.code, error.message.contains("tx=rollback")), ("PGRST122", true), "{header}");
        }
    }
}
