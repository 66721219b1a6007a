//! A small registry on loopback for tests: blobs, sessions, manifests, one login, and what goes
//! wrong on request. Sessions take one body each, as ECR's do. It shares no code with the client.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What goes wrong at a request.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// This answer instead.
    Answer(u16, &'static [(&'static str, &'static str)], String),
    /// The connection ends after so many bytes of the body.
    Cut(usize),
    /// It is done, and answered with another status.
    Status(u16),
    /// Nothing is read and nothing is answered.
    Stall,
    /// Before the request is done, this blob is deleted.
    Delete(String),
    /// Done, but the answer is lost.
    Lose,
    /// Done, and so many bytes of its answer come; then the connection ends, or stays silent.
    Half(usize, Then),
}

/// What follows half an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    End,
    Silence,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) blobs: BTreeMap<String, Vec<u8>>,
    /// Media type and bytes, by tag and by digest.
    pub(super) manifests: BTreeMap<String, (String, Vec<u8>)>,
    pub(super) immutable: bool,
    /// Mounting begins a session instead, as in an account where it is off.
    pub(super) mounts_nothing: bool,
    /// The bucket knows no ranges.
    pub(super) whole_only: bool,
    /// The only one that is accepted; any is when it is empty.
    pub(super) password: String,
    /// "METHOD /path", in order.
    pub(super) log: Vec<String>,
    sessions: HashMap<String, Option<Vec<u8>>>,
    begun: usize,
    /// Method, part of the path, what goes wrong, how often.
    faults: Vec<(&'static str, String, Fault, usize)>,
}

#[derive(Clone)]
pub(super) struct Server {
    pub(super) state: Arc<Mutex<State>>,
    pub(super) url: String,
}

struct Request {
    method: String,
    path: String,
    query: HashMap<String, String>,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

type Response = (u16, Vec<(String, String)>, Vec<u8>);

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = State { password: "one".into(), ..State::default() };
        let server = Self { state: Arc::new(Mutex::new(state)), url };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let server = serving.clone();
                // A client that goes away is part of the tests.
                tokio::spawn(async move { server.serve(socket).await.unwrap_or_default() });
            }
        });
        server
    }

    pub(super) fn fault(&self, method: &'static str, path: &str, fault: Fault, times: usize) {
        self.state.lock().unwrap().faults.push((method, path.into(), fault, times));
    }

    pub(super) fn count(&self, start: &str) -> usize {
        self.state.lock().unwrap().log.iter().filter(|line| line.starts_with(start)).count()
    }

    async fn serve(&self, socket: TcpStream) -> std::io::Result<()> {
        let mut socket = BufReader::new(socket);
        while let Some(mut request) = head(&mut socket).await? {
            let fault = self.fault_of(&request);
            match &fault {
                Some(Fault::Answer(status, headers, text)) => {
                    // A refusal half-way is what overloaded servers do; others hear the client out.
                    if *status < 500 {
                        body(&mut socket, &request.headers).await?;
                    }
                    let headers = headers.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
                    return answer(
                        &mut socket,
                        (*status, headers, text.clone().into_bytes()),
                        false,
                    )
                    .await;
                }
                Some(Fault::Stall) => return std::future::pending().await,
                Some(Fault::Cut(bytes)) => {
                    let mut some = vec![0; *bytes];
                    socket.read_exact(&mut some).await?;
                    return Ok(());
                }
                _ => {}
            }
            request.body = body(&mut socket, &request.headers).await?;
            let is_head = request.method == "HEAD";
            let mut response = self.answer_to(&request);
            match fault {
                Some(Fault::Status(status)) => response.0 = status,
                Some(Fault::Lose) => return Ok(()),
                Some(Fault::Half(bytes, then)) => {
                    answer_half(&mut socket, response, bytes).await?;
                    match then {
                        Then::End => return Ok(()),
                        Then::Silence => return std::future::pending().await,
                    }
                }
                _ => {}
            }
            answer(&mut socket, response, is_head).await?;
        }
        Ok(())
    }

    fn fault_of(&self, request: &Request) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        state.log.push(format!("{} {}", request.method, request.path));
        let fault = state.faults.iter_mut().find(|(method, path, _, left)| {
            *method == request.method && request.path.contains(path.as_str()) && *left > 0
        })?;
        fault.3 -= 1;
        let fault = fault.2.clone();
        if let Fault::Delete(digest) = &fault {
            state.blobs.remove(digest);
        }
        Some(fault)
    }

    fn answer_to(&self, request: &Request) -> Response {
        let mut state = self.state.lock().unwrap();
        if let Some(digest) = request.path.strip_prefix("/bucket/") {
            return state.bucket(digest, request);
        }
        let login =
            base64::engine::general_purpose::STANDARD.encode(format!("AWS:{}", state.password));
        let sent = request.headers.get("authorization");
        let accepted = !state.password.is_empty() || sent.is_none();
        if accepted && sent != Some(&format!("Basic {login}")) {
            return refused(401, "UNAUTHORIZED", "authentication required");
        }
        let Some((_, rest)) = request.path.split_once("/v2/shop/web/") else {
            return state.other_repository(request, &self.url);
        };
        match (request.method.as_str(), rest.split('/').collect::<Vec<_>>().as_slice()) {
            ("GET" | "HEAD", ["blobs", digest]) => match state.blobs.get(*digest) {
                Some(bytes) => (200, vec![], bytes.clone()),
                None => refused(404, "BLOB_UNKNOWN", "blob unknown to registry"),
            },
            ("POST", ["blobs", "uploads", ""]) => state.begin(request),
            ("PATCH", ["blobs", "uploads", id]) => state.patch(id, request),
            ("PUT", ["blobs", "uploads", id]) => state.complete(id, request),
            ("GET" | "HEAD", ["manifests", name]) => state.manifest(name),
            ("PUT", ["manifests", name]) => state.put_manifest(name, request),
            _ => refused(404, "UNSUPPORTED", "no such thing"),
        }
    }
}

impl State {
    /// `shop/base` has what the tests mount and copy; its blobs are fetched as ECR's are, elsewhere.
    fn other_repository(&self, request: &Request, url: &str) -> Response {
        let rest = request.path.strip_prefix("/v2/shop/base/").and_then(|r| r.split_once('/'));
        match rest {
            Some(("blobs", digest)) if self.blobs.contains_key(&format!("base/{digest}")) => {
                let bucket = url.replace("127.0.0.1", "localhost");
                match request.method.as_str() {
                    "HEAD" => (200, vec![], vec![]),
                    _ => (
                        307,
                        vec![("Location".into(), format!("{bucket}/bucket/{digest}"))],
                        vec![],
                    ),
                }
            }
            Some(("blobs", _)) => refused(404, "BLOB_UNKNOWN", "blob unknown to registry"),
            Some(("manifests", name)) => self.manifest(&format!("base/{name}")),
            _ => refused(
                404,
                "NAME_UNKNOWN",
                "The repository with name 'shop/gone' does not exist in the registry with id '123456789012'",
            ),
        }
    }

    /// Where blobs really are: it takes no login, and gives the rest from where it is asked.
    fn bucket(&self, digest: &str, request: &Request) -> Response {
        if request.headers.contains_key("authorization") {
            return refused(400, "InvalidArgument", "Only one auth mechanism allowed");
        }
        let bytes = self.blobs[&format!("base/{digest}")].clone();
        let range = request.headers.get("range").and_then(|range| {
            range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok()
        });
        match range.filter(|_| !self.whole_only) {
            Some(from) => (206, vec![], bytes[from..].to_vec()),
            None => (200, vec![], bytes),
        }
    }

    fn begin(&mut self, request: &Request) -> Response {
        if let Some(mount) = request.query.get("mount").filter(|_| !self.mounts_nothing) {
            let bytes = self.blobs.get(&format!("base/{mount}")).cloned().unwrap();
            self.blobs.insert(mount.clone(), bytes);
            return (201, vec![("Docker-Content-Digest".into(), mount.clone())], vec![]);
        }
        // Sessions end: how many there are is no name for the next one.
        self.begun += 1;
        let id = format!("s{}", self.begun);
        self.sessions.insert(id.clone(), None);
        (
            202,
            vec![("Location".into(), format!("/v2/shop/web/blobs/uploads/{id}?state=a%2Fb"))],
            vec![],
        )
    }

    fn patch(&mut self, id: &str, request: &Request) -> Response {
        match self.sessions.get_mut(id) {
            Some(body @ None) if request.query.get("state").is_some_and(|s| s == "a%2Fb") => {
                *body = Some(request.body.clone());
                (202, vec![], vec![])
            }
            Some(Some(_)) => refused(
                416,
                "BLOB_UPLOAD_INVALID",
                "First byte of the layer part is 0 instead of 1",
            ),
            _ => refused(404, "BLOB_UPLOAD_UNKNOWN", "upload unknown"),
        }
    }

    fn complete(&mut self, id: &str, request: &Request) -> Response {
        let Some(Some(bytes)) = self.sessions.remove(id) else {
            return refused(404, "BLOB_UPLOAD_UNKNOWN", "upload unknown");
        };
        let digest = request.query["digest"].replace("%3A", ":");
        if sha256(&bytes) != digest {
            return refused(
                400,
                "DIGEST_INVALID",
                "provided digest did not match uploaded content",
            );
        }
        self.blobs.insert(digest.clone(), bytes);
        (201, vec![("Docker-Content-Digest".into(), digest)], vec![])
    }

    fn manifest(&self, name: &str) -> Response {
        match self.manifests.get(name) {
            Some((media_type, bytes)) => {
                let digest = ("Docker-Content-Digest".into(), sha256(bytes));
                (200, vec![("Content-Type".into(), media_type.clone()), digest], bytes.clone())
            }
            None => refused(404, "MANIFEST_UNKNOWN", "Requested image not found"),
        }
    }

    fn put_manifest(&mut self, name: &str, request: &Request) -> Response {
        if self.immutable && self.manifests.contains_key(name) {
            return refused(
                400,
                "TAG_INVALID",
                "The image tag 'v1' already exists in the 'shop/web' repository and cannot be overwritten because the tag is immutable.",
            );
        }
        let said: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let lists =
            ["layers", "manifests"].into_iter().filter_map(|key| said[key].as_array()).flatten();
        for named in lists.chain(said.get("config")) {
            let digest = named["digest"].as_str().unwrap();
            if !self.blobs.contains_key(digest) && !self.manifests.contains_key(digest) {
                return refused(
                    404,
                    "LAYERS_NOT_FOUND",
                    &format!(
                        "Layers with digests '[{digest}]' required for pushing image into repository do not exist"
                    ),
                );
            }
        }
        let digest = sha256(&request.body);
        let stored = (request.headers["content-type"].clone(), request.body.clone());
        self.manifests.insert(digest.clone(), stored.clone());
        self.manifests.insert(name.into(), stored);
        (201, vec![("Docker-Content-Digest".into(), digest)], vec![])
    }
}

pub(super) fn refused(status: u16, code: &str, message: &str) -> Response {
    let body = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
    (
        status,
        vec![("Content-Type".into(), "application/json".into())],
        body.to_string().into_bytes(),
    )
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

async fn head(socket: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut first = String::new();
    if socket.read_line(&mut first).await? == 0 {
        return Ok(None);
    }
    let mut words = first.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = pairs
        .map(|(k, v)| (k.to_owned(), v.replace("%3A", ":").replace("shop%2F", "shop/")))
        .collect();
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        socket.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    Ok(Some(Request { method: method.into(), path: path.into(), query, headers, body: Vec::new() }))
}

async fn body(
    socket: &mut BufReader<TcpStream>,
    headers: &HashMap<String, String>,
) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if let Some(length) = headers.get("content-length") {
        body.resize(length.parse().unwrap(), 0);
        socket.read_exact(&mut body).await?;
    }
    if headers.get("transfer-encoding").is_some_and(|how| how == "chunked") {
        loop {
            let mut line = String::new();
            if socket.read_line(&mut line).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let size = usize::from_str_radix(line.trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            socket.read_exact(&mut chunk).await?;
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                break;
            }
        }
    }
    Ok(body)
}

async fn answer(
    socket: &mut BufReader<TcpStream>,
    response: Response,
    is_head: bool,
) -> std::io::Result<()> {
    let most = if is_head { 0 } else { response.2.len() };
    answer_half(socket, response, most).await
}

/// The head of an answer, and at most so many bytes of its body.
async fn answer_half(
    socket: &mut BufReader<TcpStream>,
    (status, headers, body): Response,
    most: usize,
) -> std::io::Result<()> {
    let mut text = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    socket.write_all(text.as_bytes()).await?;
    socket.write_all(&body[..most.min(body.len())]).await?;
    socket.flush().await
}
