//! The threads that press blocks of layers, one a core. They end when nobody can ask them any more.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::gzip::{BLOCK, Press, Pressed};

/// A block that is being pressed.
pub(super) type Waiting = oneshot::Receiver<io::Result<Done>>;

/// A pressed block, with the room that it takes.
pub(super) struct Done {
    pub(super) pressed: Pressed,
    pub(super) permit: OwnedSemaphorePermit,
}

impl std::fmt::Debug for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Done").finish_non_exhaustive()
    }
}

struct Job {
    block: Vec<u8>,
    permit: OwnedSemaphorePermit,
    to: oneshot::Sender<io::Result<Done>>,
}

pub(super) struct Presses {
    jobs: Sender<Job>,
    idle: Receiver<Vec<u8>>,
}

impl Presses {
    /// Must be called on a tokio runtime.
    pub(super) fn new(cores: usize) -> Self {
        let (jobs, queue) = channel();
        let (home, idle) = channel();
        let queue: Arc<Mutex<Receiver<Job>>> = Arc::new(Mutex::new(queue));
        for _ in 0..cores {
            let (queue, home) = (Arc::clone(&queue), home.clone());
            tokio::task::spawn_blocking(move || work(&queue, &home));
        }
        Self { jobs, idle }
    }

    /// An empty buffer for a block; those that were pressed come back.
    pub(super) fn buffer(&self) -> Vec<u8> {
        let mut buffer = self.idle.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK));
        buffer.clear();
        buffer
    }

    pub(super) fn press(&self, block: Vec<u8>, permit: OwnedSemaphorePermit) -> Waiting {
        let (to, waiting) = oneshot::channel();
        // Where no thread is left, the one that waits is told by the end of its channel.
        let _ = self.jobs.send(Job { block, permit, to });
        waiting
    }
}

fn work(queue: &Mutex<Receiver<Job>>, home: &Sender<Vec<u8>>) {
    let mut press = Press::new();
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { block, permit, to }) = job else { return };
        // The upload may have ended meanwhile.
        if to.is_closed() {
            continue;
        }
        let done = press.block(&block).map(|pressed| Done { pressed, permit });
        let _ = home.send(block);
        let _ = to.send(done);
    }
}
