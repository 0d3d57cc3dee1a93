//! Errors of frames that are none, and the receipts that they name.

use super::super::Session;
use super::{CONNECT, session};

#[test]
fn the_error_of_a_frame_before_connect_names_its_receipt_however_it_is_cut() {
    let long = |pad: usize| format!("SEND\nx:{}\nreceipt:r\n\n\0", "y".repeat(pad));
    let head = "SEND\nx:\nreceipt:r\n".len();
    for (frame, receipt) in [
        ("SEND\ndestination:/queue/a\nreceipt:r\n\nbody\0".to_owned(), Some("r")),
        ("\r\n\nACK\r\nid:1\r\nreceipt: r \r\n\r\n\0".to_owned(), Some("r")),
        ("SEND\nreceipt:r\ncontent-length:99\n\n".to_owned(), Some("r")),
        ("DISCONNECT\nreceipt:first\nreceipt:second\n\n\0".to_owned(), Some("first")),
        ("SEND\n\nreceipt:body\n\0".to_owned(), None),
        // As far as it is looked for: 8 KiB with its end.
        (long(8192 - head), Some("r")),
        (long(8193 - head), None),
    ] {
        let steps = if frame.len() > 1000 { vec![frame.len(), 1000] } else { (1..=frame.len()).collect() };
        for step in steps {
            let (mut session, _) = session();
            let mut result = Ok(());
            for piece in frame.as_bytes().chunks(step) {
                result = result.and_then(|()| session.received_up_to(piece, usize::MAX, &mut Vec::new()));
            }
            let error = result.unwrap_err();
            assert!(error.message.contains("CONNECT or STOMP"), "{frame:?}: {}", error.message);
            assert_eq!(error.receipt.as_deref(), receipt.map(str::as_bytes), "{frame:?} {step}");
        }
    }
}

#[test]
fn the_error_of_a_frame_that_cannot_be_decoded_names_a_receipt_that_came_before_the_fault() {
    let long = "y".repeat(8193);
    let many = "h:\n".repeat(256);
    for fault in [
        format!("k:{long}\n\n\0"),
        long.clone(),
        format!("{many}\n\0"),
        "no colon\n\n\0".to_owned(),
        ":no name\n\n\0".to_owned(),
        "x:\\t\n\n\0".to_owned(),
        "x:\0".to_owned(),
        "content-length:x\n\n\0".to_owned(),
        "content-length:99999999\n\n".to_owned(),
        "content-length:1\n\nab\0".to_owned(),
    ] {
        let frame = format!("SEND\nreceipt:r\n{fault}");
        for step in [frame.len(), 1000, 7, 1] {
            let (mut session, _) = session();
            session.received_up_to(CONNECT.as_bytes(), usize::MAX, &mut Vec::new()).unwrap();
            let mut result = Ok(());
            for piece in frame.as_bytes().chunks(step) {
                result = result.and_then(|()| session.received_up_to(piece, usize::MAX, &mut Vec::new()));
            }
            let error = result.unwrap_err();
            assert_eq!(error.receipt.as_deref(), Some(&b"r"[..]), "{} in steps of {step}", error.message);
        }
    }
}

#[test]
fn a_first_command_in_small_letters_is_named_once_it_is_whole_wherever_it_is_cut() {
    for command in ["connect\n", "stomp\r\n"] {
        for end in 1..=command.len() {
            let bytes = &command.as_bytes()[..end];
            assert!(Session::begins_with(bytes), "{command}, {end}");
            let result = session().0.received_up_to(bytes, usize::MAX, &mut Vec::new());
            let is_whole = end >= command.trim_end().len();
            assert_eq!(result.is_err_and(|error| error.message.contains("in capital letters")), is_whole, "{end}");
        }
    }
}
