//! Markdown, as far as it is needed: code, spans, links, headings, tables.

/// A line, and whether it is part of a code block.
fn marked_lines(text: &str) -> Vec<(&str, bool)> {
    let mut fenced = false;
    let mut is_list = false;
    let mut after_blank = true;
    let mut lines = Vec::new();
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        // Within a list, an indented line continues an item.
        is_list =
            line.starts_with("- ") || line.starts_with("* ") || is_list && (line.is_empty() || line.starts_with(' '));
        let is_indented =
            line.starts_with("    ") && !is_list && (after_blank || lines.last().is_some_and(|(_, code)| *code));
        lines.push((line, (is_indented || fenced) && !is_fence));
        after_blank = line.is_empty();
    }
    lines
}

/// Returns the lines of all code blocks.
pub(crate) fn code_lines(text: &str) -> Vec<String> {
    marked_lines(text).into_iter().filter(|(_, code)| *code).map(|(line, _)| line.trim().to_owned()).collect()
}

/// Returns each code block as one text.
pub(crate) fn code_blocks(text: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    let mut before = false;
    for (line, code) in marked_lines(text) {
        // A blank line does not end an indented block that goes on behind it.
        if code {
            if !before {
                blocks.push(String::new());
            }
            let block = blocks.last_mut().expect("a block");
            block.push_str(line.strip_prefix("    ").unwrap_or(line));
            block.push('\n');
        }
        before = code || before && line.is_empty();
    }
    blocks
}

/// Returns the text without its code blocks.
pub(crate) fn prose(text: &str) -> String {
    let lines = marked_lines(text).into_iter().filter(|(line, code)| !code && !line.trim_start().starts_with("```"));
    lines.map(|(line, _)| line).collect::<Vec<_>>().join("\n")
}

/// Returns what stands between backticks outside of code blocks.
pub(crate) fn spans(text: &str) -> Vec<&str> {
    let mut spans = Vec::new();
    for (line, code) in marked_lines(text) {
        if !code && !line.trim_start().starts_with("```") {
            spans.extend(line.split('`').skip(1).step_by(2));
        }
    }
    spans
}

/// Returns the targets of all links and pictures.
pub(crate) fn targets(text: &str) -> Vec<String> {
    let prose = prose(text);
    // Code is not a link.
    let mut plain = String::new();
    for (at, part) in prose.split('`').enumerate() {
        if at % 2 == 0 {
            plain.push_str(part);
        }
    }
    let inline = plain.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()));
    let sources = plain.split("src=\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()));
    inline.chain(sources).collect()
}

/// Returns the anchors of the headings, as GitHub makes them.
pub(crate) fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for line in prose(text).lines() {
        let Some(heading) = line.strip_prefix('#').map(|rest| rest.trim_start_matches('#')) else { continue };
        let Some(heading) = heading.strip_prefix(' ') else { continue };
        let kept = heading.trim().to_lowercase();
        let kept: String = kept.chars().filter(|char| char.is_alphanumeric() || "-_ ".contains(*char)).collect();
        let anchor = kept.replace(' ', "-");
        let doubles = anchors.iter().filter(|known| **known == anchor).count();
        anchors.push(if doubles == 0 { anchor } else { format!("{anchor}-{doubles}") });
    }
    anchors
}

/// Returns the first cells of the rows of all tables whose heading begins with these cells.
pub(crate) fn first_cells<'a>(text: &'a str, heading: &[&str]) -> Vec<&'a str> {
    let mut cells = Vec::new();
    let mut is_in = false;
    for line in text.lines() {
        let row: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if !line.starts_with('|') {
            is_in = false;
        } else if row.starts_with(heading) {
            is_in = true;
        } else if is_in && !row[0].starts_with("--") {
            cells.push(row[0]);
        }
    }
    cells
}

#[test]
fn code_is_told_from_prose() {
    let text = "a `b` [c](d.md#e)\n\n    f\n\n    g\n\n```toml\nh\n```\n- i\n\n    `j` [k](l)\n";
    assert_eq!(code_lines(text), ["f", "g", "h"]);
    assert_eq!(code_blocks(text), ["f\ng\n", "h\n"]);
    assert_eq!(spans(text), ["b", "j"]);
    assert_eq!(targets(text), ["d.md#e", "l"]);
}

#[test]
fn anchors_are_those_of_github() {
    let text = "# A client in Python\n## One row: `/TABLE/KEY`\n#no\n## Or NATS, Redis?\n## Limits\n### Limits\n";
    let expected = ["a-client-in-python", "one-row-tablekey", "or-nats-redis", "limits", "limits-1"];
    assert_eq!(anchors(text), expected);
}

#[test]
fn a_table_is_found_by_its_heading() {
    let text = "| setting | default |\n|---|--:|\n| `a` | 1 |\n\n| other | default |\n|---|---|\n| `b` | 2 |\n";
    assert_eq!(first_cells(text, &["setting", "default"]), ["`a`"]);
}
