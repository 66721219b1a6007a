//! A small engine on loopback for tests: each request is answered by a closure, in chunks that may be cut off. It
//! shares no code with the client.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What was asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// `POST /images/web/push?tag=v1`.
    pub(super) line: String,
    /// Lower-case names.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

/// What is answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) chunks: Vec<Vec<u8>>,
    /// The connection ends in the middle.
    pub(super) cut: bool,
}

impl Reply {
    pub(super) fn json(status: u16, body: &str) -> Self {
        Self { status, chunks: vec![body.into()], ..Self::default() }
    }

    /// One line each, as the engine streams.
    pub(super) fn lines(lines: &[&str]) -> Self {
        let chunks = lines.iter().map(|line| format!("{line}\r\n").into_bytes()).collect();
        Self { status: 200, chunks, ..Self::default() }
    }
}

#[derive(Clone)]
pub(super) struct Server {
    pub(super) address: String,
    pub(super) asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub(super) async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        let server = Self { address, asked: Arc::default() };
        let (log, answer) = (Arc::clone(&server.asked), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                tokio::spawn(async move {
                    let mut socket = BufReader::new(socket);
                    let Some(asked) = read(&mut socket).await else { return };
                    log.lock().unwrap().push(asked.clone());
                    write(&mut socket, answer(&asked)).await;
                });
            }
        });
        server
    }

    /// How often something was asked that begins so.
    pub(super) fn count(&self, start: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| asked.line.starts_with(start)).count()
    }
}

async fn read(socket: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut first = String::new();
    socket.read_line(&mut first).await.ok()?;
    let mut asked =
        Asked { line: first.trim_end().trim_end_matches(" HTTP/1.1").into(), ..Asked::default() };
    loop {
        let mut line = String::new();
        socket.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        asked.headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    if let Ok(length) = asked.header("content-length").parse::<usize>() {
        asked.body = vec![0; length];
        socket.read_exact(&mut asked.body).await.ok()?;
    }
    while asked.header("transfer-encoding") == "chunked" {
        let mut line = String::new();
        socket.read_line(&mut line).await.ok()?;
        let size = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        socket.read_exact(&mut chunk).await.ok()?;
        asked.body.extend_from_slice(&chunk[..size]);
        if size == 0 {
            break;
        }
    }
    Some(asked)
}

/// A client that goes away is part of the tests.
async fn write(socket: &mut BufReader<TcpStream>, reply: Reply) {
    let mut text = format!("HTTP/1.1 {} x\r\nTransfer-Encoding: chunked\r\n", reply.status);
    for (name, value) in reply.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let _ = socket.write_all(text.as_bytes()).await;
    for chunk in reply.chunks.iter().filter(|chunk| !chunk.is_empty()) {
        let _ = socket.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await;
        let _ = socket.write_all(chunk).await;
        let _ = socket.write_all(b"\r\n").await;
        let _ = socket.flush().await;
    }
    if !reply.cut {
        let _ = socket.write_all(b"0\r\n\r\n").await;
    }
    let _ = socket.shutdown().await;
}
