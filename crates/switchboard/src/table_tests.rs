//! Tests of tables: widths, what is cut, and what is not.

use super::*;

fn table(rows: &[(&str, &str)]) -> Table {
    let row = |(name, note): &(&str, &str)| Row {
        cells: vec![(*name).to_owned(), "7".to_owned(), "idle".to_owned()],
        notes: (!note.is_empty()).then(|| (*note).to_owned()).into_iter().collect(),
    };
    let rows: Vec<Row> = rows.iter().map(row).collect();
    let total = rows.len();
    Table { head: vec!["NAME", "DEPTH", "STATE"], figures: 1..2, rows, total, may_be_more: false, what: "row" }
}

fn drawn(table: &Table, columns: Option<usize>) -> Vec<String> {
    let mut lines = Vec::new();
    table.draw(columns, &mut lines);
    let text = text(lines, columns.map(|columns| Size { columns, rows: None }));
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_terminal_without_a_size_cuts_nothing() {
    assert!(of(0, 0, true).is_none());
    assert!(of(0, 24, true).is_none());
    let size = of(80, 0, true).unwrap();
    assert_eq!((size.columns, size.rows), (80, None));
    let size = of(80, 24, true).unwrap();
    assert_eq!((size.columns, size.rows), (80, Some(24)));
    assert_eq!(of(1, 24, false).unwrap().rows, None);
}

#[test]
fn what_does_not_fit_ends_with_an_ellipsis() {
    for (room, fitted) in [(6, "orders"), (5, "orde\u{2026}"), (2, "o\u{2026}"), (1, "\u{2026}"), (0, "")] {
        assert_eq!(fit("orders", room), fitted, "{room}");
    }
    // Two columns each.
    assert_eq!(fit("\u{6ce8}\u{6587}\u{66f8}", 6), "\u{6ce8}\u{6587}\u{66f8}");
    assert_eq!(fit("\u{6ce8}\u{6587}\u{66f8}", 5), "\u{6ce8}\u{6587}\u{2026}");
    assert_eq!(fit("\u{6ce8}\u{6587}\u{66f8}", 4), "\u{6ce8}\u{2026}");
    // A combining accent takes none, and stays with its letter.
    assert_eq!(fit("e\u{301}e\u{301}e\u{301}", 3), "e\u{301}e\u{301}e\u{301}");
    assert_eq!(fit("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}\u{2026}");
}

#[test]
fn columns_stand_below_each_other_whatever_the_letters_of_a_name() {
    for columns in [None, Some(40)] {
        let lines = drawn(&table(&[("/\u{6ce8}\u{6587}", ""), ("/e\u{301}", ""), ("/plain", "")]), columns);
        for line in &lines[1..] {
            let before = line.split_once("idle").unwrap().0;
            assert_eq!(width(before), width(lines[0].split_once("STATE").unwrap().0), "{lines:?}");
        }
    }
}

#[test]
fn a_long_name_moves_its_own_row_only_where_nothing_is_cut() {
    for (length, widest) in [(WIDEST - 1, WIDEST - 1), (WIDEST, WIDEST), (WIDEST + 1, 6), (900, 6)] {
        let long = "x".repeat(length);
        let lines = drawn(&table(&[(&long, ""), ("/short", "")]), None);
        assert!(lines[1].starts_with(&long) && lines[1].ends_with("idle"), "{}", lines[1]);
        assert_eq!(lines[2], format!("{:widest$}      7  idle", "/short"), "{length}");
    }
}

#[test]
fn a_note_stands_whole_below_its_row_and_is_wrapped_to_the_terminal() {
    let note = "paused: queue /queue/a is at its bound of 100 bytes (limit: queue)";
    let table = table(&[("/a", note), ("/b", "")]);
    assert_eq!(drawn(&table, None)[2], format!("  {note}"));
    for columns in [30, 67, 68, 69] {
        let lines = drawn(&table, Some(columns));
        let notes: Vec<&str> = lines[2..lines.len() - 1].iter().map(|line| line.trim()).collect();
        assert_eq!(notes.join(" "), note, "{columns}");
        assert_eq!(notes.len() == 1, columns >= note.len() + 2, "{columns}");
        assert!(lines.iter().all(|line| width(line) <= columns), "{lines:?}");
    }
    assert_eq!(wrap("aaaa bb", Some(5)), ["  aaa", "  a", "  bb"]);
}

#[test]
fn rows_are_left_out_with_their_notes() {
    for (lines, rows) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (9, 3)] {
        let mut table = table(&[("/a", "note"), ("/b", ""), ("/c", "note")]);
        assert_eq!(table.lines(Some(80)), 5);
        table.truncate(lines, Some(80));
        assert_eq!(table.rows.len(), rows, "{lines}");
    }
}
