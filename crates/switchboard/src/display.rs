//! The capabilities of the terminal: of its type, by TERM, and of its encoding, by the locale.

use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal, stdout};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether drawings have ASCII only.
static ASCII: AtomicBool = AtomicBool::new(false);

/// Takes the encoding from the locale, once, for all drawings of this process.
pub(crate) fn choose_encoding() {
    ASCII.store(!is_utf8(|name| std::env::var_os(name)), Relaxed);
}

/// Returns true if drawings may have no other characters than those of ASCII.
pub(crate) fn is_ascii() -> bool {
    ASCII.load(Relaxed)
}

/// Returns true if the standard output is a terminal whose cursor can be moved.
pub(crate) fn is_screen() -> bool {
    stdout().is_terminal() && has_cursor()
}

/// Returns true if the terminal's type is known, and it understands more than lines.
pub(crate) fn has_cursor() -> bool {
    moves_cursor(std::env::var_os("TERM").as_deref())
}

fn moves_cursor(term: Option<&OsStr>) -> bool {
    term.is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// The first of these that is set and not empty names the locale; without one it is `C`.
fn is_utf8(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable).find(|locale| !locale.is_empty());
    let locale = locale.map(|locale| locale.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_without_a_type_or_of_the_type_dumb_has_no_cursor() {
        for (term, has) in [(None, false), (Some(""), false), (Some("dumb"), false), (Some("xterm"), true)] {
            assert_eq!(moves_cursor(term.map(OsStr::new)), has, "{term:?}");
        }
    }

    #[test]
    fn the_first_variable_of_the_locale_that_is_set_says_whether_it_is_utf_8() {
        let utf8 = |variables: &[(&str, &str)]| {
            is_utf8(|name| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| value.into()))
        };
        for (variables, expected) in [
            (&[][..], false),
            (&[("LANG", "C")], false),
            (&[("LANG", "de_DE.ISO-8859-1")], false),
            (&[("LANG", "C.UTF-8")], true),
            (&[("LANG", "de_DE.utf8")], true),
            (&[("LANG", "C"), ("LC_CTYPE", "C.UTF-8")], true),
            (&[("LANG", "C.UTF-8"), ("LC_CTYPE", "C")], false),
            (&[("LANG", "C.UTF-8"), ("LC_ALL", "")], true),
            (&[("LC_ALL", "POSIX"), ("LC_CTYPE", "C.UTF-8")], false),
        ] {
            assert_eq!(utf8(variables), expected, "{variables:?}");
        }
    }
}
