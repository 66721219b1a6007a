//! The write: one PATCH of one workload. From here on there is no early return: every end is a
//! [`Rollout`] or says what runs.
//!
//! A PATCH whose answer was lost is a state, not an error: the workload is read back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;

use crate::cluster::{Cluster, Live, Patch, PatchAnswer};
use crate::error::Failure;
use crate::inputs::Target;
use crate::names::Digest;
use crate::record::Record;
use crate::restore::RestorePoint;
use crate::rollout::Ours;

/// How long a lost answer is looked for in the workload itself.
const READ_BACK: Duration = Duration::from_secs(30);

/// A rollout under way, with what undoes it.
pub struct Rollout {
    /// The workload right after the PATCH.
    pub patched: Box<Deployment>,
    /// What the watch is pinned to.
    pub ours: Ours,
    /// What a rollback restores.
    pub restore: Option<RestorePoint>,
    /// Generation before and after.
    pub generations: (i64, i64),
    /// When the PATCH was sent: the zero of every `+6.9s`.
    pub begun: Instant,
    /// What stood there, as people read it.
    pub from_label: String,
}

/// What became of the write.
pub enum Written {
    /// It is there.
    Rolling(Box<Rollout>),
    /// Somebody was faster: clear again.
    Clash,
    /// The answer was lost and it is not there yet: clear again, but it may still come.
    Absent(String),
    /// The server said no at the last moment, and nothing was written.
    Refused(PatchAnswer),
    /// The answer was lost and the workload cannot be read: either may run.
    Unknown(String),
}

/// What is written, without the workload it is written to.
pub struct Write<'a> {
    /// The PATCH.
    pub patch: &'a Patch,
    /// The workload as it was read for it.
    pub live: &'a Live,
    /// Container to image.
    pub images: &'a BTreeMap<String, String>,
    /// Container to digests.
    pub digests: &'a BTreeMap<String, Vec<Digest>>,
    /// What it can be undone to.
    pub restore: Option<RestorePoint>,
    /// What stands there.
    pub from_label: &'a str,
    /// The run that writes, as its annotation says.
    pub run: &'a str,
}

/// Sends the PATCH, once, and finds out what became of it.
///
/// # Errors
/// It was certainly not sent.
pub async fn write(
    write: Write<'_>,
    target: &Target,
    cluster: &Cluster,
) -> Result<Written, Failure> {
    let begun = Instant::now();
    let patched_at = jiff::Timestamp::now();
    match cluster.patch(write.patch).await? {
        PatchAnswer::Applied(patched) => {
            Ok(Written::Rolling(Box::new(rollout(write, patched, begun, patched_at))))
        }
        PatchAnswer::Conflict(_) => Ok(Written::Clash),
        PatchAnswer::Lost(why) => Ok(match read_back(target, cluster, write.run, &why).await {
            Found::Ours(patched) => {
                let mut found = rollout(write, patched, begun, patched_at);
                found.believe_only_ours();
                Written::Rolling(Box::new(found))
            }
            Found::Others => Written::Absent(why),
            Found::Nothing(why) => Written::Unknown(why),
        }),
        refused => Ok(Written::Refused(refused)),
    }
}

impl Rollout {
    /// Read back, the workload may carry a later change than ours under our annotation: another
    /// image than we wrote is somebody's then, and the watch has to see it as that.
    fn believe_only_ours(&mut self) {
        let live = Live::of((*self.patched).clone());
        let whole = self
            .ours
            .images
            .iter()
            .all(|(name, image)| live.container(name).is_some_and(|c| c.image == *image));
        if !whole {
            self.ours.generation = self.generations.0;
        }
    }
}

enum Found {
    Ours(Box<Deployment>),
    Others,
    Nothing(String),
}

/// Looks for our own mark in the workload. A PATCH that is still on its way can only arrive where
/// its tests hold, so clearing again after "not there" is safe.
async fn read_back(target: &Target, cluster: &Cluster, run: &str, why: &str) -> Found {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(250);
    let mut why = why.to_owned();
    while begun.elapsed() < READ_BACK {
        match cluster.workload(&target.namespace, &target.workload).await {
            Ok(live) if Record::read(&live.annotations).run.as_deref() == Some(run) => {
                return Found::Ours(live.deployment);
            }
            Ok(_) => return Found::Others,
            Err(failure) => why = format!("{why}; then {}", failure.what),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
    Found::Nothing(why)
}

fn rollout(
    write: Write<'_>,
    patched: Box<Deployment>,
    begun: Instant,
    sent: jiff::Timestamp,
) -> Rollout {
    let live = Live::of((*patched).clone());
    let ours = Ours {
        namespace: live.namespace.clone(),
        name: live.name.clone(),
        uid: live.uid.clone(),
        generation: live.generation,
        images: write.images.clone(),
        digests: write.digests.clone(),
        run: write.run.to_owned(),
        patched_at: written_at(&patched).unwrap_or(sent),
    };
    Rollout {
        generations: (write.live.generation, live.generation),
        patched,
        ours,
        restore: write.restore,
        begun,
        from_label: write.from_label.to_owned(),
    }
}

/// The server's own clock at our write, from the managed fields: this machine's may be off.
fn written_at(patched: &Deployment) -> Option<jiff::Timestamp> {
    let fields = patched.metadata.managed_fields.as_ref()?;
    let ours = fields.iter().filter(|field| field.manager.as_deref() == Some("slipway"));
    ours.filter_map(|field| field.time.as_ref().map(|time| time.0)).max()
}
