//! `switchboard man`: the manual, made from the command line's definition and the table of settings.

mod settings;

use crate::cli::Cli;
use crate::output;
use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use std::io;
use std::path::Path;
use switchboard_driver::quantity::plural;

/// The heading of every page.
const MANUAL: &str = "Switchboard Manual";

/// Writes one page for each command, and switchboard.toml(5), into the folders `man1` and `man5` of a directory, as `man` looks for them.
/// Makes the folders that are missing.
pub(crate) fn run(directory: &Path) -> Result<()> {
    let mut count = 0;
    for (name, page) in pages()? {
        let path = directory.join(name);
        let folder = path.parent().unwrap_or(directory);
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        std::fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
        count += 1;
    }
    output::write(format!("Wrote {} to {}.\n", plural(count, "page"), directory.display()).as_bytes())
}

/// Every page by its path within the directory.
fn pages() -> Result<Vec<(String, Vec<u8>)>> {
    let mut cli = Cli::command().disable_help_subcommand(true);
    cli.build();
    let mut pages = Vec::new();
    of_command(&cli, None, &mut pages)?;
    pages.push(("man5/switchboard.toml.5".to_owned(), settings::page().into_bytes()));
    Ok(pages)
}

fn of_command(command: &Command, above: Option<&str>, pages: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let page = page(command, &name, above).with_context(|| format!("cannot describe {name}"))?;
    pages.push((format!("man1/{name}.1"), page));
    command.get_subcommands().filter(|sub| !sub.is_hide_set()).try_for_each(|sub| of_command(sub, Some(&name), pages))
}

fn page(command: &Command, name: &str, above: Option<&str>) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone()).manual(MANUAL).source(source());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut page)?;
    }
    let subcommands: Vec<String> = command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set())
        .map(|sub| format!("{name}-{}", sub.get_name()))
        .collect();
    if !subcommands.is_empty() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut rest = Roff::new();
    // Its lines stand as they are; clap's own section would fill them.
    if let Some(help) = command.get_after_long_help().or_else(|| command.get_after_help()) {
        rest.control("SH", ["EXAMPLES"]).control("nf", []);
        for line in help.to_string().lines().filter(|line| *line != "Examples:") {
            rest.text([roman(line.trim_start())]);
        }
        rest.control("fi", []);
    }
    let others = above.map(str::to_owned).into_iter().chain(subcommands);
    see_also(&mut rest, others.map(|name| (name, "1")).chain([("switchboard.toml".to_owned(), "5")]));
    rest.to_writer(&mut page)?;
    Ok(page)
}

fn see_also(roff: &mut Roff, pages: impl Iterator<Item = (String, &'static str)>) {
    let mut line = Vec::new();
    for (name, section) in pages {
        line.extend((!line.is_empty()).then(|| roman(", ")));
        line.extend([bold(name), roman(format!("({section})"))]);
    }
    roff.control("SH", ["SEE ALSO"]).text(line);
}

fn source() -> String {
    format!("switchboard {}", env!("CARGO_PKG_VERSION"))
}
