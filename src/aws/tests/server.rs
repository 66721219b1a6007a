//! A server on loopback that answers what it is told to: one request a connection, no state of AWS.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A request as the tests look at it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// `GetCallerIdentity`, `BatchGetImage`, or the path where the protocol has no names.
    pub(super) call: String,
    pub(super) head: String,
    pub(super) body: String,
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: String,
    pub(super) date: Option<String>,
}

pub(super) fn reply(status: u16, body: impl Into<String>) -> Reply {
    Reply { status, body: body.into(), date: None }
}

/// What was asked so far, in order.
pub(super) type Log = Arc<Mutex<Vec<Asked>>>;

/// Answers on a port of loopback for as long as the test's runtime lives.
pub(super) async fn serve(
    answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
) -> (String, Log) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let log = Log::default();
    let (seen, answer) = (log.clone(), Arc::new(answer));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (seen, answer) = (seen.clone(), answer.clone());
            tokio::spawn(async move {
                let (asked, stream) = read(stream).await?;
                seen.lock().unwrap().push(asked.clone());
                write(stream, answer(&asked)).await
            });
        }
    });
    (url, log)
}

pub(super) fn calls(log: &Log) -> Vec<String> {
    log.lock().unwrap().iter().map(|asked| asked.call.clone()).collect()
}

async fn read(mut stream: TcpStream) -> Option<(Asked, TcpStream)> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                let (head, body) = (head.to_owned(), body.to_owned());
                return Some((Asked { call: call(&head, &body), head, body }, stream));
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

async fn write(mut stream: TcpStream, reply: Reply) -> Option<()> {
    let Reply { status, body, date } = reply;
    let date = date.map(|d| format!("date: {d}\r\n")).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n{date}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}

pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn call(head: &str, body: &str) -> String {
    let target = header(head, "x-amz-target").and_then(|t| t.rsplit('.').next());
    let action = body.split('&').find_map(|p| p.strip_prefix("Action="));
    let path = head.split_whitespace().nth(1).unwrap_or_default();
    target.or(action).unwrap_or(path).to_owned()
}
