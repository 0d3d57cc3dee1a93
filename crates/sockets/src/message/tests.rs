#![allow(clippy::cmp_owned, clippy::comparison_to_empty, reason = "comparisons are what is tested")]

use super::Message;
use bytes::Bytes;
use std::collections::HashSet;
use std::sync::Arc;

#[test]
fn a_message_equals_its_only_part_however_that_is_stored() {
    for data in [vec![], vec![b'x'; 70], vec![b'x'; 71]] {
        let text = String::from_utf8(data.clone()).unwrap();
        let all = [
            Message::from(&data[..]),
            Message::from(Bytes::from(data.clone())),
            Message::from(text.clone()),
            Message::from(data.clone().into_boxed_slice()),
            Message::from(Arc::<[u8]>::from(&data[..])),
            Message::multipart([data.clone()]),
        ];
        for message in &all {
            assert!(message == &data[..] && *message == text && *message == text[..] && *message == data);
            assert!(data == *message && text == *message);
            assert_eq!(message.as_str(), Some(&text[..]));
        }
        assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), 1);
    }
    let two = Message::multipart(["a", ""]);
    assert!(two != "a" && two != Message::from("a") && two != Message::multipart(["", "a"]));
    assert!(Message::from("a") == b"a" && Message::from("a") == *b"a" && Message::from("\u{fc}") == "\u{fc}");
}

#[test]
fn parts_are_counted_indexed_and_iterated_from_both_ends() {
    let mut message: Message = ["a", "bc"].into_iter().collect();
    message.push("d");
    message.extend([Bytes::from_static(b"e")]);
    assert_eq!((message.len(), message.iter().len(), &message[1], message.get(4)), (4, 4, &b"bc"[..], None));
    assert_eq!(message.iter().rev().collect::<Vec<_>>(), [&b"e"[..], b"d", b"bc", b"a"]);
    let mut parts = message.iter();
    parts.next();
    assert_eq!((parts.len(), parts.next_back()), (3, Some(&b"e"[..])));
    assert_eq!((&message).into_iter().count(), message.clone().into_iter().count());
    let mut one = Message::from("a");
    one.push("b");
    assert_eq!(one, Message::multipart(["a", "b"]));
}

#[test]
fn a_message_without_parts_is_empty_and_one_of_an_empty_part_is_not() {
    let none = Message::default();
    assert!(none.is_empty() && none.data().is_empty() && none.iter().next().is_none() && none != "");
    assert_eq!(none.into_data(), Bytes::new());
    assert!(!Message::from("").is_empty() && Message::from("") == "");
}

#[test]
#[should_panic(expected = "part 1 of a message of 1 parts")]
fn an_index_beyond_the_last_part_panics_with_both_numbers() {
    let _ = &Message::from("a")[1];
}
