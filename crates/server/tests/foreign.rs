//! Other protocols at the native port.

mod common;

use common::{Client, Running};
use switchboard_server::{Settings, Token, WebOptions};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

async fn answer(server: &Running, bytes: &[u8]) -> String {
    let mut client = Client(TcpStream::connect(server.native).await.unwrap());
    client.0.write_all(bytes).await.unwrap();
    String::from_utf8(client.end().await).unwrap()
}

#[tokio::test]
async fn http_is_told_where_http_is() {
    let server = Running::start().await;
    let text = answer(&server, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{text}");
    assert!(text.contains(&format!("http://{}/", server.http)), "{text}");
}

#[tokio::test]
async fn http_on_all_addresses_is_told_by_its_port() {
    let token = Some(Token::new("0123456789abcdef").unwrap());
    let settings = Settings { web: WebOptions { token, ..WebOptions::default() }, ..Settings::default() };
    let server = Running::start_at(settings, "0.0.0.0:0").await;
    let text = answer(&server, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(text.contains(&format!("HTTP is at port {} of this host\n", server.http.port())), "{text}");
}

#[tokio::test]
async fn tls_mqtt_and_ssh_are_closed_without_a_byte() {
    let server = Running::start_with(Settings::default()).await;
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"\x10\x0c\x00\x04MQTT\x05\x02", b"SSH-2.0-x\r\n"] {
        assert_eq!(answer(&server, bytes).await, "");
    }
}

#[tokio::test]
async fn what_is_nearly_stomp_is_told_so_and_closed() {
    let server = Running::start().await;
    for bytes in [&b"STOMPED\n\n\0"[..], b"\nSEND\n\n\0", b"Cx\0\0"] {
        let text = answer(&server, bytes).await;
        assert!(text.starts_with("ERROR\n") && text.contains("begins with CONNECT or STOMP"), "{text}");
    }
}

#[tokio::test]
async fn a_blank_behind_connect_is_told_in_stomp() {
    let server = Running::start().await;
    for bytes in [&b"CONNECT \naccept-version:1.2\nhost:a\n\n\0"[..], b"CONNECT \r\n\r\n\0", b"STOMP \n\n\0"] {
        let text = answer(&server, bytes).await;
        assert!(text.starts_with("ERROR\n") && text.contains("CONNECT"), "{text}");
    }
}

#[tokio::test]
async fn what_begins_as_stomp_and_is_another_protocol_is_told_from_stomp() {
    let server = Running::start().await;
    let tunnel = &b"CONNECT example.com:443 HTTP/1.1\r\n\r\n"[..];
    for bytes in [tunnel, b"CONNECT {\"verbose\":false}\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11"] {
        // An ERROR would be STOMP's.
        assert_eq!(answer(&server, bytes).await, "", "{}", bytes.escape_ascii());
    }
}

#[tokio::test]
async fn http_in_the_middle_of_a_session_is_not_answered() {
    let server = Running::start().await;
    let mut client = server.client("/topic/a").await;
    client.0.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(client.end().await, b"");
}
