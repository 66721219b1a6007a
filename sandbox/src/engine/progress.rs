//! What a build says while it goes on, kept so that who asks late hears all of it.

use std::sync::Mutex;

use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1::{StatusResponse, Vertex, VertexLog, VertexStatus};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use std::sync::Arc;
use tokio::sync::watch;
use tonic::Status;

use crate::world::hold;

/// A build that goes on, or went.
pub(crate) struct Progress {
    said: Mutex<Vec<StatusResponse>>,
    /// How much was said, and whether that is all.
    grown: watch::Sender<(usize, bool)>,
    /// The step that is going on.
    current: Mutex<Option<(Vertex, String)>>,
}

impl Default for Progress {
    fn default() -> Self {
        let grown = watch::Sender::new((0, false));
        Self { said: Mutex::default(), grown, current: Mutex::default() }
    }
}

fn now() -> Option<Timestamp> {
    let now = jiff::Timestamp::now();
    Some(Timestamp { seconds: now.as_second(), nanos: now.subsec_nanosecond() })
}

/// A step as it is told.
pub(crate) fn vertex(name: &str, key: &str, inputs: &[String]) -> Vertex {
    let digest = crate::image::digest(format!("{name}\0{key}").as_bytes());
    Vertex { digest, name: name.to_owned(), inputs: inputs.to_vec(), ..Default::default() }
}

impl Progress {
    fn say(&self, said: StatusResponse) {
        let mut all = hold(&self.said);
        all.push(said);
        let count = all.len();
        drop(all);
        self.grown.send_modify(|grown| grown.0 = count);
    }

    fn vertex(&self, vertex: Vertex) {
        self.say(StatusResponse { vertexes: vec![vertex], ..Default::default() });
    }

    /// Steps that there will be.
    pub(crate) fn announce(&self, vertexes: Vec<Vertex>) {
        self.say(StatusResponse { vertexes, ..Default::default() });
    }

    /// A step of the builder's own: it is told as done before it begins, as 28 does.
    pub(crate) fn internal(&self, name: &str) -> Vertex {
        let mut step = vertex(name, &format!("{:?}", jiff::Timestamp::now()), &[]);
        self.vertex(step.clone());
        step.started = now();
        self.vertex(Vertex { completed: now(), ..step.clone() });
        self.begin(step)
    }

    /// A step begins.
    pub(crate) fn begin(&self, mut step: Vertex) -> Vertex {
        step.started = now();
        self.vertex(step.clone());
        *hold(&self.current) = Some((step.clone(), String::new()));
        step
    }

    /// What the step would say if it were ended by force now.
    pub(crate) fn would_say(&self, said: String) {
        if let Some(current) = hold(&self.current).as_mut() {
            current.1 = said;
        }
    }

    /// How many bytes came, or another small thing within a step.
    pub(crate) fn status(&self, step: &Vertex, id: &str, current: i64) {
        let (vertex, name) = (step.digest.clone(), id.trim_end_matches(':').to_owned());
        let status = VertexStatus {
            id: id.into(),
            vertex,
            name: name.split(' ').next().filter(|_| id.ends_with(':')).unwrap_or_default().into(),
            current,
            timestamp: now(),
            started: step.started,
            completed: now(),
            ..Default::default()
        };
        self.say(StatusResponse { statuses: vec![status], ..Default::default() });
    }

    /// What a step writes.
    pub(crate) fn line(&self, step: &Vertex, stream: i64, line: &str) {
        let (vertex, msg) = (step.digest.clone(), line.as_bytes().to_vec());
        let log = VertexLog { vertex, timestamp: now(), stream, msg };
        self.say(StatusResponse { logs: vec![log], ..Default::default() });
    }

    /// It was in the cache.
    pub(crate) fn cached(&self, mut step: Vertex) {
        (step.started, step.completed, step.cached) = (now(), now(), true);
        self.vertex(step);
    }

    /// It ended, well or with these words.
    pub(crate) fn ended(&self, mut step: Vertex, error: &str) {
        (step.completed, step.error) = (now(), error.to_owned());
        self.vertex(step);
        *hold(&self.current) = None;
    }

    /// Nothing more is said; a step that goes on was ended by force.
    pub(crate) fn close(&self) {
        let current = hold(&self.current).take();
        if let Some((step, said)) = current {
            let said = if said.is_empty() { String::new() } else { format!("{said}: ") };
            self.ended(step, &format!("{said}context canceled: context canceled"));
        }
        self.grown.send_modify(|grown| grown.1 = true);
    }

    /// All that was said, then all that is said from now on, to the end.
    pub(crate) fn heard(self: Arc<Self>) -> BoxStream<'static, Result<StatusResponse, Status>> {
        let grown = self.grown.subscribe();
        stream::unfold((self, grown, 0), |(progress, mut grown, at)| async move {
            let (count, _) =
                *grown.wait_for(|(count, is_all)| *count > at || *is_all).await.ok()?;
            let next = (count > at).then(|| hold(&progress.said).get(at).cloned()).flatten()?;
            Some((Ok(next), (progress, grown, at + 1)))
        })
        .boxed()
    }
}
