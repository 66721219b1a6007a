//! The API client against a real socket that answers what it is told, once each.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// What arrived: each request as it came over the wire.
type Requests = Arc<Mutex<Vec<String>>>;

/// Answers each connection with the next of these and closes it; the last one stays.
async fn server(answers: &[&'static str]) -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/api/v3/", listener.local_addr().unwrap());
    let requests = Requests::default();
    let (seen, answers) = (requests.clone(), answers.to_vec());
    tokio::spawn(async move {
        for turn in 0.. {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut text = String::new();
            while !whole(&text) {
                let mut buffer = [0; 4096];
                let read = socket.read(&mut buffer).await.unwrap();
                text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
            }
            seen.lock().unwrap().push(text);
            let (head, body) = answers[turn.min(answers.len() - 1)].split_once('|').unwrap();
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (address, requests)
}

/// Whether a request has arrived with all of its body.
fn whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .lines()
        .find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    body.len() >= length.and_then(|l| l.parse().ok()).unwrap_or(0)
}

fn github(address: &str) -> Github {
    // Another test may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::new();
    let mut github =
        Github::new(http, address, Some("t0ken-of-a-test".into()), "acme/shop").unwrap();
    github.pauses = [Duration::from_millis(1); 2];
    github
}

#[tokio::test]
async fn a_comparison_is_one_of_four() {
    let table = [
        (r#"200 OK|{"status":"ahead","ahead_by":3,"behind_by":0}"#, Ancestry::Ahead(3)),
        (r#"200 OK|{"status":"identical","ahead_by":0,"behind_by":0}"#, Ancestry::Same),
        (r#"200 OK|{"status":"behind","ahead_by":0,"behind_by":2}"#, Ancestry::Behind(2)),
        (
            r#"200 OK|{"status":"diverged","ahead_by":1,"behind_by":4}"#,
            Ancestry::Diverged { ahead: 1, behind: 4 },
        ),
    ];
    for (answer, expected) in table {
        let (address, requests) = server(&[answer]).await;
        assert_eq!(github(&address).compare("3f2a91c", "9f2c1e4").await, Ok(expected));
        let requests = requests.lock().unwrap();
        let [request] = requests.as_slice() else { panic!("one request") };
        assert!(
            request.starts_with(
                "GET /api/v3/repos/acme/shop/compare/3f2a91c...9f2c1e4?per_page=1 HTTP/1.1\r\n"
            ),
            "{request}"
        );
        assert!(request.contains("authorization: Bearer t0ken-of-a-test"), "{request}");
    }
}

#[tokio::test]
async fn a_read_is_tried_three_times_and_no_more() {
    let good = r#"200 OK|{"status":"ahead","ahead_by":1,"behind_by":0}"#;
    let (address, requests) =
        server(&["502 Bad Gateway|<html>", "429 Slow\r\nretry-after: 0|{}", good]).await;
    assert_eq!(github(&address).compare("a", "b").await, Ok(Ancestry::Ahead(1)));
    assert_eq!(requests.lock().unwrap().len(), 3);

    let (address, requests) = server(&["502 Bad Gateway|<html>"]).await;
    let unseen = github(&address).compare("a", "b").await.unwrap_err();
    assert_eq!(unseen.because, "GitHub answered 502");
    assert_eq!(requests.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_long_wait_is_not_waited() {
    let (address, requests) =
        server(&["403 Forbidden\r\nretry-after: 3600|{\"message\":\"rate limit\"}"]).await;
    let unseen = github(&address).compare("a", "b").await.unwrap_err();
    assert_eq!(unseen.because, "GitHub answered 403 \"rate limit\"");
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_status_is_asked_once_and_names_its_permission() {
    let (address, requests) =
        server(&["403 Forbidden|{\"message\":\"Resource not accessible by integration\"}"]).await;
    let long = "x".repeat(200);
    let unseen =
        github(&address).commit_status("abc", State::Success, &long, None).await.unwrap_err();
    assert_eq!(
        unseen,
        Unseen {
            what: "commit status".into(),
            because: "GitHub answered 403 \"Resource not accessible by integration\"; \
                      the token may lack `statuses: write`"
                .into()
        }
    );
    let requests = requests.lock().unwrap();
    let [request] = requests.as_slice() else { panic!("one request") };
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let kept = "x".repeat(137);
    assert_eq!(
        body,
        format!(r#"{{"state":"success","description":"{kept}...","context":"slipway"}}"#)
    );
}

#[tokio::test]
async fn a_status_is_not_tried_again_after_an_error_of_the_server() {
    let (address, requests) = server(&["502 Bad Gateway|", "201 Created|{}"]).await;
    let unseen = github(&address).commit_status("abc", State::Failure, "no", None).await;
    assert_eq!(unseen.unwrap_err().because, "GitHub answered 502");
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_named_without_the_token() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let unseen = github(&address).compare("a", "b").await.unwrap_err();
    assert_eq!(unseen.what, "whether b follows a");
    assert!(unseen.because.starts_with("GitHub could not be reached: "), "{}", unseen.because);
    assert!(!unseen.because.contains("t0ken"), "{}", unseen.because);
}
