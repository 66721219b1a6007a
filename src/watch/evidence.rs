//! Takes what a rollback would destroy: the failing container's last words, the node's platform,
//! warnings. Every read is optional; a diagnosis says less without it, never something else.

use std::time::Duration;

use crate::cluster::{Cluster, Landing};
use crate::names::Platform;
use crate::report::{Event, Reporter, Source};
use crate::restore::RestorePoint;
use crate::rollout::{Cause, Evidence, Logs, Memory, Trouble, scrub};

/// Lines of a container that are taken.
const LINES: u32 = 50;

/// Nothing of this may hold up a rollback for long.
const PATIENCE: Duration = Duration::from_secs(8);

/// What the survey knows and a diagnosis may use.
#[derive(Clone)]
pub struct Around {
    /// The namespace.
    pub namespace: String,
    /// The workload's name.
    pub workload: String,
    /// The image as it is written.
    pub image: String,
    /// What it runs on.
    pub image_platforms: Vec<Platform>,
    /// The nodes its pods can land on.
    pub nodes: Vec<Landing>,
    /// Whether image and cluster are in one account.
    pub same_account: Option<bool>,
    /// The role that the nodes pull with.
    pub node_role: Option<String>,
}

impl Around {
    /// The same around the image that is put back: what is known of the new one says nothing of it.
    #[must_use]
    pub fn back_at(&self, point: &RestorePoint) -> Self {
        let image = point.images.values().next().cloned().unwrap_or_default();
        Self { image, image_platforms: Vec::new(), ..self.clone() }
    }
}

/// Takes the evidence of a cause.
pub async fn take(
    cause: &Cause,
    memory: &Memory,
    cluster: &Cluster,
    around: &Around,
    report: &Reporter,
) -> Evidence {
    let logs =
        tokio::time::timeout(PATIENCE, logs(cause, cluster, around, report)).await.ok().flatten();
    if let Some(logs) = logs.as_ref().filter(|logs| !logs.lines.is_empty()) {
        let which = if logs.previous { "previous container, " } else { "" };
        let title = format!("{}, {which}last lines", logs.pod);
        report.say(Event::Foreign {
            source: Source::Evidence,
            title,
            lines: logs.lines.clone(),
            left_out: 0,
        });
    }
    let node_platform = node_platform(cause, cluster, around).await;
    Evidence {
        cause: cause.clone(),
        namespace: around.namespace.clone(),
        workload: around.workload.clone(),
        logs,
        node_platform,
        image_platforms: around.image_platforms.clone(),
        image: around.image.clone(),
        same_account: around.same_account,
        pod: cause.pod.as_deref().and_then(|name| memory.pod(name)).cloned().map(Box::new),
        warnings: memory.warnings(cause),
        node_role: around.node_role.clone(),
    }
}

/// The platform of the cause's node: the survey may know it, or it came up since then.
async fn node_platform(cause: &Cause, cluster: &Cluster, around: &Around) -> Option<Platform> {
    let name = cause.node.as_ref()?;
    if let Some(known) = around.nodes.iter().find(|landing| landing.node == *name) {
        return Some(known.platform.clone());
    }
    let nodes = tokio::time::timeout(PATIENCE, cluster.nodes()).await.ok()?.ok()?;
    let node = nodes.iter().find(|node| node.metadata.name.as_ref() == Some(name))?;
    crate::cluster::platform(node)
}

/// The last words of the container. Which container still has them depends on whether it was started
/// again: the previous one is asked first, since a restart is the usual case.
async fn logs(
    cause: &Cause,
    cluster: &Cluster,
    around: &Around,
    report: &Reporter,
) -> Option<Logs> {
    let (pod, container) = (cause.pod.as_ref()?, cause.container.as_ref()?);
    let ran = matches!(
        cause.trouble,
        Trouble::Exit { .. } | Trouble::Killed { .. } | Trouble::NotReady { .. } | Trouble::Nothing
    );
    if !ran {
        return None;
    }
    let ended = matches!(cause.trouble, Trouble::Exit { .. } | Trouble::Killed { .. });
    let order: &[bool] = if ended { &[true, false] } else { &[false] };
    let mut nothing = None;
    for previous in order.iter().copied() {
        let read = cluster.logs(&around.namespace, pod, container, previous, LINES).await;
        // A program's last words may name its passwords.
        let lines = read.map(|lines| lines.iter().map(|line| scrub(line)).collect::<Vec<_>>());
        let logs = lines.map(|lines| Logs {
            pod: pod.clone(),
            container: container.clone(),
            previous,
            lines,
        });
        match logs {
            Ok(logs) if !logs.lines.is_empty() => return Some(logs),
            // It could be read and is empty: that is a fact too.
            Ok(logs) => nothing = Some(logs),
            Err(unseen) if previous == order[order.len() - 1] && nothing.is_none() => {
                report.say(Event::NotSeen(unseen));
            }
            Err(_) => {}
        }
    }
    nothing
}
