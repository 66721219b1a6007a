//! Tasks that end with their owner: a build that is given up leaves none behind.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::task::JoinSet;

/// Owns tasks; all of them end when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Tasks(Arc<Mutex<JoinSet<()>>>);

/// Starts tasks for an owner, and keeps nothing alive by itself: tasks hold it too.
#[derive(Clone, Debug)]
pub(super) struct Starter(Weak<Mutex<JoinSet<()>>>);

impl Tasks {
    pub(super) fn starter(&self) -> Starter {
        Starter(Arc::downgrade(&self.0))
    }
}

impl Starter {
    /// Starts a task, unless the owner is gone.
    pub(super) fn start(&self, task: impl Future<Output = ()> + Send + 'static) {
        let Some(tasks) = self.0.upgrade() else { return };
        let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that have ended are buried here: nobody waits for them.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Starter {
    fn execute(&self, task: F) {
        self.start(task);
    }
}
