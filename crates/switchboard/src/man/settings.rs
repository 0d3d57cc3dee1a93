//! switchboard.toml(5): every setting, its default, and what it is.

use super::{MANUAL, see_also, source};
use crate::config::{Settings, TABLES};
use clap_mangen::roff::{Roff, bold, italic, roman};

/// The parts of a printed configuration that no setting describes: tables that may come more than once.
const TABLES_OF_TABLES: [&str; 2] = ["[[rows.table]]", "[[channel]]"];

pub(super) fn page() -> String {
    let defaults = Settings::default();
    let mut roff = Roff::new();
    let source = source();
    roff.control("TH", ["switchboard.toml", "5", "", source.as_str(), MANUAL]);
    roff.control("SH", ["NAME"]).text([roman("switchboard.toml - configuration file of switchboard")]);
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([
        roman("A file in TOML, named by "),
        bold("--config"),
        roman(". What it does not set has its default. Each setting can also be given on the command line: those of the whole program and of "),
        bold("[broker]"),
        roman(" as "),
        bold("--set KEY=VALUE"),
        roman(", the others as "),
        bold("--set TABLE.KEY=VALUE"),
        roman(". The command line wins. "),
        bold("switchboard config"),
        roman(" prints such a file, and "),
        bold("switchboard config check FILE"),
        roman(" reads one and says what is wrong."),
    ]);
    roff.control("PP", []);
    roff.text([
        roman("A size is a number of bytes, or one with a unit (64KiB, 1.5 MB); a duration is a number of seconds, or one with a unit (50ms, 1.5h). At SIGHUP the file is read again: "),
        bold("log"),
        roman(", "),
        bold("http.hosts"),
        roman(" and the "),
        bold("[[channel]]"),
        roman(" rules are applied, and every other change takes a restart."),
    ]);
    for (table, settings) in TABLES {
        let heading = if table.is_empty() { "BEFORE THE FIRST TABLE".to_owned() } else { format!("[{table}]") };
        roff.control("SH", [heading.as_str()]);
        for setting in settings {
            let default = (setting.show)(&defaults);
            roff.control("TP", []);
            roff.text([bold(setting.key), roman(" = "), italic(default)]);
            roff.text([roman(setting.about)]);
        }
    }
    let printed = defaults.print();
    for heading in TABLES_OF_TABLES {
        roff.control("SH", [heading]);
        roff.control("nf", []);
        for line in example(&printed, heading) {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
    see_also(&mut roff, [("switchboard".to_owned(), "1"), ("switchboard-config".to_owned(), "1")].into_iter());
    roff.to_roff()
}

/// The paragraph of a printed configuration that shows this table, without its comment signs.
fn example(printed: &str, mark: &str) -> Vec<String> {
    let paragraphs = printed.split("\n\n");
    let paragraph = { paragraphs }.find(|paragraph| paragraph.contains(&format!("# {mark}"))).unwrap_or_default();
    paragraph.lines().map(|line| line.trim_start_matches('#').trim_start().to_owned()).collect()
}
