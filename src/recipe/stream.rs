//! A build context as a tar, for the builder before BuildKit: read as it is sent, never copied.
//!
//! As Docker's own client makes it: owned by root, the Dockerfile and `.dockerignore` sent even where
//! ignored, a Dockerfile from elsewhere under a name that the builder then leaves out.

use std::fs;
use std::io::Read as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tar::{EntryType, Header};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::dockerfile::Dockerfile;
use super::pick::{NAME, Pick};
use super::tree::{Entry, Kind, Tree};
use super::wrong;
use crate::error::Failure;

/// A context on its way. Dropping it ends the reading.
#[derive(Debug)]
pub struct Sending {
    /// What the Dockerfile is called in it.
    pub dockerfile: String,
    chunks: Receiver<Result<Bytes, Failure>>,
}

impl Stream for Sending {
    type Item = Result<Bytes, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.chunks.poll_recv(cx)
    }
}

/// As much is handed over at once, and as many of them wait: all the memory that it takes.
const CHUNK: usize = 64 * 1024;
const WAITING: usize = 8;

/// A tar is written in blocks.
const BLOCK: usize = 512;

/// A name or a link of more bytes has an entry of its own before it.
const SHORT: usize = 100;

/// Begins to read a context.
///
/// # Errors
/// No thread can be had to read it on.
pub fn sending(tree: &Tree, pick: &Pick, dockerfile: &Dockerfile) -> Result<Sending, Failure> {
    let (sender, chunks) = channel(WAITING);
    let (name, own) = match tree.inside(dockerfile.path()) {
        Some(name) => (name, None),
        None => {
            let digest = dockerfile.digest().trim_start_matches("sha256:");
            let name = format!(".dockerfile.{}", &digest[..digest.len().min(20)]);
            (name.clone(), Some(Own { name, bytes: dockerfile.bytes().to_owned() }))
        }
    };
    let pick = pick.clone().with(NAME);
    let pick = if own.is_none() { pick.with(&name) } else { pick };
    let tree = tree.clone();
    let read = move || read(&tree, &pick, own, sender);
    let thread = thread::Builder::new().name("context".into()).spawn(read);
    thread.map_err(|error| wrong::no_thread(&error))?;
    Ok(Sending { dockerfile: name, chunks })
}

/// A Dockerfile that is not in the context.
struct Own {
    name: String,
    bytes: Vec<u8>,
}

/// Reads a whole context. Ends early if nobody wants it any more.
fn read(tree: &Tree, pick: &Pick, own: Option<Own>, sender: Sender<Result<Bytes, Failure>>) {
    let mut tape = Tape { sender, buffer: BytesMut::with_capacity(CHUNK) };
    let mut ended = Ok(());
    let mut ignored = own.is_none();
    let walked = tree.walk(pick, &mut |entry| {
        ended = match &own {
            Some(own) if entry.path == NAME && entry.kind == Kind::File => {
                ignored = true;
                let read = fs::read(tree.path(NAME));
                let read = read.map_err(|error| End::Failed(wrong::unreadable(NAME, &error)));
                read.and_then(|bytes| tape.ignoring(&bytes, own))
            }
            _ => tape.entry(tree, &entry),
        };
        ended.is_ok()
    });
    let ended = walked.map_err(End::Failed).and(ended).and_then(|()| {
        let Some(own) = &own else { return tape.end() };
        if !ignored {
            tape.ignoring(NAME.as_bytes(), own)?;
        }
        tape.made(&own.name, &own.bytes)?;
        tape.end()
    });
    if let Err(End::Failed(failure)) = ended {
        // Nobody may be there to hear it, which is as well.
        let _ = tape.sender.blocking_send(Err(failure));
    }
}

/// Why reading ended before its time.
enum End {
    /// Nobody wants it.
    Unwanted,
    Failed(Failure),
}

/// What was written and not yet handed over.
struct Tape {
    sender: Sender<Result<Bytes, Failure>>,
    buffer: BytesMut,
}

impl Tape {
    fn entry(&mut self, tree: &Tree, entry: &Entry) -> Result<(), End> {
        let mut header = Header::new_gnu();
        header.set_mode(entry.mode);
        header.set_mtime(u64::try_from(entry.modified / 1_000_000_000).unwrap_or_default());
        let (kind, link) = match &entry.kind {
            Kind::File => (EntryType::Regular, ""),
            Kind::Folder => (EntryType::Directory, ""),
            Kind::Link(to) => (EntryType::Symlink, to.as_str()),
            Kind::Pipe => (EntryType::Fifo, ""),
        };
        header.set_entry_type(kind);
        let name = match entry.kind {
            Kind::Folder => format!("{}/", entry.path),
            _ => entry.path.clone(),
        };
        if entry.kind != Kind::File {
            return self.header(header, &name, link, 0);
        }
        // Opened first, so that a file that cannot be has no header.
        let mut file = tree.bytes(&entry.path).map_err(End::Failed)?;
        self.header(header, &name, link, entry.size)?;
        let mut left = entry.size;
        while left > 0 {
            let room = (CHUNK - self.buffer.len()).min(usize::try_from(left).unwrap_or(CHUNK));
            let from = self.buffer.len();
            self.buffer.resize(from + room, 0);
            let read = file.read(&mut self.buffer[from..]);
            let read = read.map_err(|error| End::Failed(wrong::unreadable(&entry.path, &error)))?;
            self.buffer.truncate(from + read);
            if read == 0 {
                return Err(End::Failed(wrong::changed(&entry.path, entry.size)));
            }
            left -= u64::try_from(read).unwrap_or_default();
            self.hand_over_full()?;
        }
        self.fill(entry.size)
    }

    /// A file of ours.
    fn made(&mut self, name: &str, bytes: &[u8]) -> Result<(), End> {
        let mut header = Header::new_gnu();
        header.set_mode(0o600);
        header.set_mtime(0);
        header.set_entry_type(EntryType::Regular);
        let size = u64::try_from(bytes.len()).unwrap_or_default();
        self.header(header, name, "", size)?;
        self.write(bytes)?;
        self.fill(size)
    }

    /// The lines of `.dockerignore`, and one for the Dockerfile that was added.
    fn ignoring(&mut self, lines: &[u8], own: &Own) -> Result<(), End> {
        let line = format!("\n{}\n", own.name);
        self.made(NAME, &[lines, line.as_bytes()].concat())
    }

    fn header(&mut self, mut header: Header, name: &str, link: &str, size: u64) -> Result<(), End> {
        self.long(EntryType::GNULongName, name)?;
        self.long(EntryType::GNULongLink, link)?;
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(size);
        self.plain(header, name.as_bytes(), link.as_bytes())
    }

    /// The entry before one whose name or link does not fit.
    fn long(&mut self, kind: EntryType, text: &str) -> Result<(), End> {
        if text.len() <= SHORT {
            return Ok(());
        }
        let bytes = [text.as_bytes(), b"\0"].concat();
        let size = u64::try_from(bytes.len()).unwrap_or_default();
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(size);
        header.set_entry_type(kind);
        self.plain(header, b"././@LongLink", b"")?;
        self.write(&bytes)?;
        self.fill(size)
    }

    /// Writes a header with as much of its name and link as fits, byte by byte as they are.
    fn plain(&mut self, mut header: Header, name: &[u8], link: &[u8]) -> Result<(), End> {
        let fields = header.as_old_mut();
        let (name, link) = (&name[..name.len().min(SHORT)], &link[..link.len().min(SHORT)]);
        fields.name[..name.len()].copy_from_slice(name);
        fields.linkname[..link.len()].copy_from_slice(link);
        header.set_cksum();
        self.write(header.as_bytes())
    }

    fn fill(&mut self, size: u64) -> Result<(), End> {
        let over = usize::try_from(size % 512).unwrap_or_default();
        self.write(&[0; BLOCK][..(BLOCK - over) % BLOCK])
    }

    fn end(&mut self) -> Result<(), End> {
        self.write(&[0; 2 * BLOCK])?;
        self.hand_over()
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), End> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            self.hand_over_full()?;
        }
        Ok(())
    }

    fn hand_over_full(&mut self) -> Result<(), End> {
        if self.buffer.len() < CHUNK { Ok(()) } else { self.hand_over() }
    }

    fn hand_over(&mut self) -> Result<(), End> {
        let full = std::mem::replace(&mut self.buffer, BytesMut::with_capacity(CHUNK));
        self.sender.blocking_send(Ok(full.freeze())).map_err(|_| End::Unwanted)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use futures_util::StreamExt as _;
    use insta::assert_snapshot;
    use tar::Archive;

    use super::super::tests::ground::{Ground, excluding};
    use super::*;

    async fn sent(ground: &Ground, file: &Path) -> (String, Result<Vec<u8>, Failure>) {
        let dockerfile = Dockerfile::read(file).unwrap();
        let pick = Pick::of(ground.root(), file).unwrap();
        let mut sending = sending(&ground.tree(), &pick, &dockerfile).unwrap();
        let mut bytes = Vec::new();
        while let Some(chunk) = sending.next().await {
            match chunk {
                Ok(chunk) => bytes.extend_from_slice(&chunk),
                Err(failure) => return (sending.dockerfile, Err(failure)),
            }
        }
        (sending.dockerfile, Ok(bytes))
    }

    /// Each entry as `kind mode path -> link = text`.
    fn listed(bytes: &[u8]) -> Vec<String> {
        let mut archive = Archive::new(Cursor::new(bytes));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let header = entry.header().clone();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            let link =
                entry.link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned());
            let link = link.map(|link| format!(" -> {link}")).unwrap_or_default();
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let text = if text.is_empty() { text } else { format!(" = {text:?}") };
            let kind = char::from(header.entry_type().as_byte());
            format!("{kind} {:o} {path}{link}{text}", header.mode().unwrap())
        });
        entries.collect()
    }

    fn set_mode(ground: &Ground, path: &str, mode: u32) {
        std::fs::set_permissions(ground.at(path), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[tokio::test]
    async fn what_is_sent_is_what_docker_sends() {
        let ground = Ground::with(&[
            ".dockerignore = *\n!app\napp/*.log\n",
            "Dockerfile = FROM a\n",
            "app/run = go",
            "app/x.log",
            "app/link -> ../else/where/./x//y",
            "other",
        ]);
        for path in [".dockerignore", "Dockerfile"] {
            set_mode(&ground, path, 0o644);
        }
        set_mode(&ground, "app", 0o755);
        set_mode(&ground, "app/run", 0o4755);
        let made = std::process::Command::new("mkfifo").arg(ground.at("app/pipe")).status();
        assert!(made.unwrap().success());
        set_mode(&ground, "app/pipe", 0o600);
        let (name, bytes) = sent(&ground, &ground.at("Dockerfile")).await;
        let bytes = bytes.unwrap();
        assert_eq!(name, "Dockerfile");
        assert_snapshot!(listed(&bytes).join("\n"), @r#"
        0 644 .dockerignore = "*\n!app\napp/*.log\n"
        0 644 Dockerfile = "FROM a\n"
        5 755 app/
        2 777 app/link -> ../else/where/./x//y
        6 600 app/pipe
        0 4755 app/run = "go"
        "#);
        assert_eq!(sent(&ground, &ground.at("Dockerfile")).await.1.unwrap(), bytes, "again");
    }

    #[tokio::test]
    async fn a_dockerfile_from_elsewhere_has_a_name_of_its_own_that_is_ignored() {
        let elsewhere = Ground::with(&["Dockerfile = FROM a\n"]);
        let ground = Ground::with(&["a"]);
        set_mode(&ground, "a", 0o644);
        let (name, bytes) = sent(&ground, &elsewhere.at("Dockerfile")).await;
        assert_snapshot!(listed(&bytes.unwrap()).join("\n"), @r#"
        0 644 a
        0 600 .dockerignore = ".dockerignore\n.dockerfile.20a51c1806196a27c0b6\n"
        0 600 .dockerfile.20a51c1806196a27c0b6 = "FROM a\n"
        "#);
        assert_eq!(name, ".dockerfile.20a51c1806196a27c0b6");
        ground.add(".dockerignore = b");
        set_mode(&ground, ".dockerignore", 0o644);
        let (_, bytes) = sent(&ground, &elsewhere.at("Dockerfile")).await;
        assert_snapshot!(listed(&bytes.unwrap()).join("\n"), @r#"
        0 600 .dockerignore = "b\n.dockerfile.20a51c1806196a27c0b6\n"
        0 644 a
        0 600 .dockerfile.20a51c1806196a27c0b6 = "FROM a\n"
        "#);
    }

    #[tokio::test]
    async fn long_names_links_and_files_arrive_whole() {
        let folder = "f".repeat(100);
        let path = format!("{folder}/{}/{}", "g".repeat(150), "h".repeat(200));
        let ground = Ground::with(&["Dockerfile = FROM a"]);
        ground.add(&format!("{path} = text"));
        ground.add(&format!("link -> {path}"));
        let large: String = "0123456789abcde\n".repeat(20_000);
        ground.add(&format!("large = {large}"));
        ground.add(&format!("block = {}", "x".repeat(512)));
        let bytes = sent(&ground, &ground.at("Dockerfile")).await.1.unwrap();
        assert_eq!(bytes.len() % 512, 0);
        let listed = listed(&bytes);
        let has = |end: &str| listed.iter().any(|entry| entry.ends_with(end));
        assert!(has(&format!(" {path} = \"text\"")), "a long name");
        assert!(has(&format!(" link -> {path}")), "a long link");
        assert!(has(&format!(" large = {large:?}")), "more than one chunk");
        assert!(has(&format!(" {folder}/")), "a folder whose name just does not fit");
        assert_eq!(listed.len(), 7);
    }

    #[tokio::test]
    async fn a_failure_ends_the_stream() {
        let ground = Ground::with(&["Dockerfile = FROM a"]);
        std::fs::write(ground.root().join("x"), "").unwrap();
        let gone =
            Entry { path: "gone".into(), kind: Kind::File, mode: 0o644, size: 5, modified: 0 };
        let (sender, _chunks) = channel(WAITING);
        let mut tape = Tape { sender, buffer: BytesMut::new() };
        let Err(End::Failed(failure)) = tape.entry(&ground.tree(), &gone) else {
            panic!("it is sent")
        };
        assert_eq!(failure, ground.tree().bytes("gone").unwrap_err());
        let shrunk = Entry { path: "x".into(), ..gone };
        let Err(End::Failed(failure)) = tape.entry(&ground.tree(), &shrunk) else {
            panic!("it is sent")
        };
        assert_snapshot!(ground.told(&failure), @"
        SW-BUILD-CONTEXT: `x` in the build context changed while it was sent
        why:  it had 5 bytes when it was listed, and fewer when it was read
        next: let nothing else write in the build context meanwhile, and run it again
        ");
        let pick = excluding(&["[a"]);
        let dockerfile = Dockerfile::read(&ground.at("Dockerfile")).unwrap();
        let mut sending = sending(&ground.tree(), &pick, &dockerfile).unwrap();
        let failure = sending.next().await.unwrap().unwrap_err();
        assert_eq!(failure.what, "the pattern \"[a\" of files to send cannot be used");
        assert!(sending.next().await.is_none());
    }

    #[test]
    fn reading_ends_when_nobody_wants_it() {
        let ground = Ground::with(&["Dockerfile = FROM a"]);
        let huge = std::fs::File::create(ground.at("huge")).unwrap();
        huge.set_len(1 << 40).unwrap();
        let (sender, mut chunks) = channel(WAITING);
        let tree = ground.tree();
        let reading = thread::spawn(move || read(&tree, &Pick::default(), None, sender));
        assert!(chunks.blocking_recv().is_some());
        drop(chunks);
        // A tebibyte would take longer than any test may.
        reading.join().unwrap();
    }
}
