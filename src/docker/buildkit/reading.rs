//! Reads files for a builder: one thread walks the tree, some read what was asked for. Each fills a
//! piece of the answer and waits until it is taken, so that memory does not grow with the context.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc::Sender;

use super::packet;
use crate::error::{Code, Failure};
use crate::recipe::{Kind, Pick, Tree};

/// How many files are read at a time.
pub(super) const READERS: usize = 4;
/// How much goes into one piece of the answer, and how much of a file into one packet: below what
/// the oldest engine takes in a message.
const PIECE: usize = 64 << 10;

/// What the walk has told of, by the number that it is asked for with.
#[derive(Debug, Default)]
struct Told {
    paths: String,
    /// Where each path ends, and how long the file was.
    files: Vec<(u32, u64)>,
}

impl Told {
    fn add(&mut self, path: &str, size: u64) {
        self.paths.push_str(path);
        self.files.push((u32::try_from(self.paths.len()).unwrap_or(u32::MAX), size));
    }

    fn find(&self, id: u32) -> Option<(String, u64)> {
        let at = id as usize;
        let (end, size) = *self.files.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.files[before].0);
        Some((self.paths.get(start as usize..end as usize)?.to_owned(), size))
    }
}

/// The numbers of files that were asked for and that nobody reads yet.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<u32>,
    closed: bool,
}

/// What the threads of one transfer share.
#[derive(Debug)]
pub(super) struct Reading {
    tree: Tree,
    told: Mutex<Told>,
    queue: Mutex<Queue>,
    asked: Condvar,
    /// Why it cannot go on; the first cause.
    trouble: Arc<Mutex<Option<Failure>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reading {
    pub(super) fn new(tree: Tree, trouble: Arc<Mutex<Option<Failure>>>) -> Self {
        Self {
            tree,
            told: Mutex::default(),
            queue: Mutex::default(),
            asked: Condvar::new(),
            trouble,
        }
    }

    /// Asks for a file.
    pub(super) fn ask(&self, id: u32) {
        locked(&self.queue).waiting.push_back(id);
        self.asked.notify_one();
    }

    /// Nothing more will be asked for; what was asked for is left.
    pub(super) fn close(&self) {
        let mut queue = locked(&self.queue);
        queue.closed = true;
        queue.waiting.clear();
        self.asked.notify_all();
    }

    /// The next file, if one is asked for now.
    fn next_now(&self) -> Option<u32> {
        locked(&self.queue).waiting.pop_front()
    }

    /// The next file, now or when one is asked for; nothing when there will be none.
    fn next(&self) -> Option<u32> {
        let mut queue = locked(&self.queue);
        loop {
            if let Some(id) = queue.waiting.pop_front() {
                return Some(id);
            }
            if queue.closed {
                return None;
            }
            queue = self.asked.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Tells of every picked file, then of their end.
    pub(super) fn walk(&self, pick: &Pick, answer: &Sender<Bytes>) {
        let mut piece = BytesMut::with_capacity(PIECE);
        let mut taken = true;
        let walked = self.tree.walk(pick, &mut |entry| {
            let size = if entry.kind == Kind::File { entry.size } else { 0 };
            locked(&self.told).add(&entry.path, size);
            packet::stat(&mut piece, entry);
            taken = piece.len() < PIECE - 1024 || hand_over(&mut piece, answer);
            taken
        });
        match walked {
            Ok(()) => packet::last_stat(&mut piece),
            Err(failure) => self.fail(failure, &mut piece),
        }
        if taken {
            hand_over(&mut piece, answer);
        }
    }

    /// Reads what is asked for until there is no more.
    pub(super) fn read(&self, answer: &Sender<Bytes>) {
        let mut piece = BytesMut::with_capacity(PIECE);
        let mut buffer = vec![0; PIECE];
        loop {
            // Nothing is held while this waits: whoever asked may wait for it before it asks for more.
            let now = self.next_now();
            if now.is_none() && !hand_over(&mut piece, answer) {
                return;
            }
            let Some(id) = now.or_else(|| self.next()) else { return };
            if !self.send(id, &mut buffer, &mut piece, answer)
                || piece.len() >= PIECE / 2 && !hand_over(&mut piece, answer)
            {
                return;
            }
        }
    }

    /// Sends one file. False when nobody wants more.
    fn send(
        &self,
        id: u32,
        buffer: &mut [u8],
        piece: &mut BytesMut,
        answer: &Sender<Bytes>,
    ) -> bool {
        let Some((path, size)) = locked(&self.told).find(id) else {
            packet::error(piece, &format!("no file {id}"));
            return hand_over(piece, answer);
        };
        match self.pieces(id, &path, size, buffer, piece, answer) {
            Ok(taken) => taken,
            Err(error) => {
                let shown = self.tree.path(&path);
                let failure = Failure::new(
                    Code::BuildContext,
                    format!("`{}` cannot be read", shown.display()),
                );
                self.fail(failure.why(read_error(&error)).next(next_of(&error)), piece);
                hand_over(piece, answer)
            }
        }
    }

    /// No more than was told of: a file that grows would never end. One that shrinks ends earlier.
    fn pieces(
        &self,
        id: u32,
        path: &str,
        size: u64,
        buffer: &mut [u8],
        piece: &mut BytesMut,
        answer: &Sender<Bytes>,
    ) -> io::Result<bool> {
        let mut left = size;
        let mut file = if left > 0 { Some(File::open(self.tree.path(path))?) } else { None };
        while let Some(file) = file.as_mut().filter(|_| left > 0) {
            let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let count = match file.read(&mut buffer[..most]) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            packet::data(piece, id, &buffer[..count]);
            left -= count as u64;
            if piece.len() >= PIECE && !hand_over(piece, answer) {
                return Ok(false);
            }
        }
        packet::data(piece, id, &[]);
        Ok(true)
    }

    /// Keeps why, and tells the builder so that it stops.
    fn fail(&self, failure: Failure, piece: &mut BytesMut) {
        packet::error(piece, &failure.what);
        locked(&self.trouble).get_or_insert(failure);
    }
}

fn read_error(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "it was there when the build began, and then it was gone".into(),
        io::ErrorKind::PermissionDenied => "this process may not read it".into(),
        _ => error.to_string(),
    }
}

fn next_of(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "let nothing change the context while it is built",
        _ => "make it readable, or name it in `.dockerignore` if the image does not need it",
    }
}

/// Hands a piece over, and waits until there is room. False when nobody takes it.
fn hand_over(piece: &mut BytesMut, answer: &Sender<Bytes>) -> bool {
    if piece.is_empty() {
        return !answer.is_closed();
    }
    let full = std::mem::replace(piece, BytesMut::with_capacity(PIECE));
    answer.blocking_send(full.freeze()).is_ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Who asked waits for the last byte before it asks for more, so that a piece that is held back is never sent.
    #[test]
    fn a_reader_that_waits_holds_nothing_back() {
        let folder = tempfile::tempdir().unwrap();
        for name in 0..8 {
            std::fs::write(folder.path().join(name.to_string()), b"x").unwrap();
        }
        for round in 0..2_000 {
            let tree = Tree::open(folder.path()).unwrap();
            let reading = Arc::new(Reading::new(tree, Arc::default()));
            let (answer, mut pieces) = tokio::sync::mpsc::channel(64);
            reading.walk(&Pick::default(), &answer);
            let told = pieces.blocking_recv().unwrap();
            (0..8).for_each(|id| reading.ask(id));
            let (said, is_said) = std::sync::mpsc::channel();
            for _ in 0..READERS {
                let (reading, answer) = (Arc::clone(&reading), answer.clone());
                std::thread::spawn(move || reading.read(&answer));
            }
            std::thread::spawn(move || {
                // Of each file a packet with its byte, and one that ends it.
                let length = |id: u32| {
                    let mut both = BytesMut::new();
                    packet::data(&mut both, id, b"x");
                    packet::data(&mut both, id, b"");
                    both.len()
                };
                let whole: usize = (0..8).map(length).sum();
                let mut come = 0;
                while come < whole {
                    come += pieces.blocking_recv().map_or(whole, |piece| piece.len());
                }
                let _ = said.send(come - whole);
            });
            let more = is_said.recv_timeout(Duration::from_secs(20));
            assert_eq!(more, Ok(0), "round {round}, {} bytes told", told.len());
            reading.close();
        }
    }
}
