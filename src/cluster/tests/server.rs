//! An HTTP server by hand, since the faults to play are below what a server library lets through:
//! chunks that end in the middle, answers that never come.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) token: String,
    pub(super) content_type: String,
    pub(super) body: String,
}

impl Heard {
    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    /// The value of a query parameter, as it was sent.
    pub(super) fn query(&self, key: &str) -> Option<&str> {
        let query = self.target.split_once('?')?.1;
        query
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|(k, _)| *k == key).map(|(_, v)| v))
    }

    pub(super) fn is_watch(&self) -> bool {
        self.query("watch") == Some("true")
    }
}

/// What the server does with a request.
pub(super) enum Say {
    Answer(u16, String),
    /// A whole answer with one more header.
    With(&'static str, u16, String),
    /// The lines of a watch, then what comes after them.
    Lines(Vec<String>, Then),
    /// Nothing at all, until the other side gives up.
    Nothing,
    /// The connection is closed without an answer.
    Close,
}

/// How a stream goes on after its lines.
pub(super) enum Then {
    /// It stays open and silent.
    Stay,
    /// It ends as it should.
    End,
    /// The connection is cut in the middle of a chunk, with this much of a line sent.
    Cut(String),
}

pub(super) fn ok(object: &Value) -> Say {
    Say::Answer(200, object.to_string())
}

/// A Kubernetes `Status`.
pub(super) fn status(code: u16, reason: &str, message: &str) -> Say {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code});
    Say::Answer(code, status.to_string())
}

#[derive(Default)]
struct Book {
    heard: Mutex<Vec<Heard>>,
    asked: Mutex<BTreeMap<(String, bool), usize>>,
    left: Mutex<usize>,
    leaving: Notify,
}

/// The server; dropping it ends it.
pub(super) struct Server {
    pub(super) endpoint: String,
    book: Arc<Book>,
    _accepts: JoinSet<()>,
}

impl Server {
    /// `answer` is given a request and how many of its kind (path, watch or not) came before it.
    pub(super) async fn start(
        answer: impl Fn(&Heard, usize) -> Say + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let book = Arc::new(Book::default());
        let (shared, answer) = (Arc::clone(&book), Arc::new(answer));
        let mut accepts = JoinSet::new();
        accepts.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (book, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                connections.spawn(async move {
                    let _ = serve(stream, &book, answer.as_ref()).await;
                });
            }
        });
        Self { endpoint, book, _accepts: accepts }
    }

    pub(super) fn heard(&self) -> Vec<Heard> {
        self.book.heard.lock().unwrap().clone()
    }

    pub(super) fn watches_of(&self, resource: &str) -> Vec<Heard> {
        let of_it = |heard: &Heard| heard.is_watch() && heard.path().ends_with(resource);
        self.heard().into_iter().filter(of_it).collect()
    }

    /// Waits until so many open streams were left by the other side.
    pub(super) async fn until_left(&self, count: usize) {
        loop {
            let leaving = self.book.leaving.notified();
            if *self.book.left.lock().unwrap() >= count {
                return;
            }
            leaving.await;
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    book: &Book,
    answer: &(dyn Fn(&Heard, usize) -> Say + Send + Sync),
) -> std::io::Result<()> {
    let Some(heard) = hear(&mut stream).await? else { return Ok(()) };
    let before = {
        let mut asked = book.asked.lock().unwrap();
        let count = asked.entry((heard.path().to_owned(), heard.is_watch())).or_default();
        *count += 1;
        *count - 1
    };
    book.heard.lock().unwrap().push(heard.clone());
    match answer(&heard, before) {
        Say::Answer(code, body) => whole(&mut stream, code, "", &body).await,
        Say::With(header, code, body) => whole(&mut stream, code, header, &body).await,
        Say::Lines(lines, then) => lines_of(&mut stream, book, &lines, then).await,
        Say::Nothing => stay(&mut stream, book).await,
        Say::Close => Ok(()),
    }
}

async fn hear(stream: &mut TcpStream) -> std::io::Result<Option<Heard>> {
    let mut read = Vec::new();
    let (head, length) = loop {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Ok(None);
        }
        read.extend_from_slice(&piece[..count]);
        let Some(end) = read.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        let length: usize = header(&head, "content-length").parse().unwrap_or(0);
        if read.len() >= end + 4 + length {
            break (head, end + 4..end + 4 + length);
        }
    };
    let mut first = head.lines().next().unwrap_or_default().split(' ');
    Ok(Some(Heard {
        method: first.next().unwrap_or_default().into(),
        target: first.next().unwrap_or_default().into(),
        token: header(&head, "authorization"),
        content_type: header(&head, "content-type"),
        body: String::from_utf8_lossy(&read[length]).into_owned(),
    }))
}

fn header(head: &str, name: &str) -> String {
    let pairs = head.lines().filter_map(|line| line.split_once(':'));
    let mut found =
        pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim().to_owned());
    found.next_back().unwrap_or_default()
}

async fn whole(stream: &mut TcpStream, code: u16, header: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {code} X\r\ncontent-length: {length}\r\nconnection: close\r\n{header}\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

async fn lines_of(
    stream: &mut TcpStream,
    book: &Book,
    lines: &[String],
    then: Then,
) -> std::io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n")
        .await?;
    for line in lines {
        let chunk = format!("{:x}\r\n{line}\n\r\n", line.len() + 1);
        stream.write_all(chunk.as_bytes()).await?;
    }
    match then {
        Then::Stay => stay(stream, book).await,
        Then::End => {
            stream.write_all(b"0\r\n\r\n").await?;
            stream.shutdown().await
        }
        Then::Cut(part) => {
            stream.write_all(format!("{:x}\r\n{part}", part.len() + 100).as_bytes()).await?;
            stream.shutdown().await
        }
    }
}

/// Stays open until the other side leaves.
async fn stay(stream: &mut TcpStream, book: &Book) -> std::io::Result<()> {
    let mut byte = [0; 1];
    let _ = stream.read(&mut byte).await;
    *book.left.lock().unwrap() += 1;
    book.leaving.notify_waiters();
    Ok(())
}
