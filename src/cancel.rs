//! Cancelling: SIGINT and SIGTERM are heard at once, and asked for where it matters.
//!
//! A runner gives 7.5 s between the first and the second, and 2.5 s more. What a signal means is
//! decided by the step that asks; the third signal ends the process where it stands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::watch;

/// Which signal came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C, or a cancelled job.
    Interrupt,
    /// The runner's second word, or a supervisor's first.
    Terminate,
    /// The terminal went away.
    HangUp,
}

impl Signal {
    /// As messages say it.
    #[must_use]
    pub fn said(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT (job cancelled, or Ctrl-C)",
            Self::Terminate => "SIGTERM (job cancelled or timed out)",
            Self::HangUp => "SIGHUP (the terminal was closed)",
        }
    }
}

/// The ear of a run. Cheap to clone.
#[derive(Clone)]
pub struct Cancel {
    heard: watch::Receiver<Option<Signal>>,
    count: Arc<AtomicU32>,
}

/// The mouth: for signals, and for tests that cancel at a chosen moment.
#[derive(Clone)]
pub struct Canceller {
    say: watch::Sender<Option<Signal>>,
    count: Arc<AtomicU32>,
}

impl Canceller {
    /// A signal came.
    pub fn raise(&self, signal: Signal) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.say.send_replace(Some(signal));
    }
}

/// A pair of mouth and ear.
#[must_use]
pub fn channel() -> (Canceller, Cancel) {
    let (say, heard) = watch::channel(None);
    let count = Arc::new(AtomicU32::new(0));
    (Canceller { say, count: count.clone() }, Cancel { heard, count })
}

impl Cancel {
    /// Resolves when a signal came, at once if one came before.
    pub async fn raised(&self) -> Signal {
        let mut heard = self.heard.clone();
        let signal = heard.wait_for(Option::is_some).await.ok().and_then(|signal| *signal);
        match signal {
            Some(signal) => signal,
            // Nobody is left who could cancel.
            None => std::future::pending().await,
        }
    }

    /// The signal that came, if one did.
    #[must_use]
    pub fn signal(&self) -> Option<Signal> {
        *self.heard.borrow()
    }

    /// How many came.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Resolves when somebody insists: with the third signal the run is dropped where it is.
    pub async fn insisted(&self) {
        let mut heard = self.heard.clone();
        while self.count() < 3 {
            if heard.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Does the work, unless a signal comes first: then the work is dropped where it is.
    ///
    /// # Errors
    /// The signal.
    pub async fn unless<T>(&self, work: impl Future<Output = T>) -> Result<T, Signal> {
        tokio::select! {
            biased;
            signal = self.raised() => Err(signal),
            done = work => Ok(done),
        }
    }
}

/// Hears this process's signals from now on.
///
/// # Errors
/// When the operating system gives no signal handler.
pub fn of_this_process() -> std::io::Result<Cancel> {
    use tokio::signal::unix::{SignalKind, signal};
    let (canceller, cancel) = channel();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            let came = tokio::select! {
                Some(()) = interrupt.recv() => Signal::Interrupt,
                Some(()) = terminate.recv() => Signal::Terminate,
                Some(()) = hang_up.recv() => Signal::HangUp,
                else => return,
            };
            canceller.raise(came);
        }
    });
    Ok(cancel)
}
