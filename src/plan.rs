//! The plan: a pure function of inputs and facts, a value that serialises and prints itself. It is
//! the whole of `slipway plan`, and `ship` does nothing that is not in it.
//!
//! Refusals are found here, before any write, all of them; what only a later moment can decide is
//! listed as deferred and decided by clearance.

pub mod build;
pub mod image;
pub mod leaks;
pub mod rows;
pub mod workload;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cluster::LiveContainer;
use crate::error::{Code, Failure, Unseen};
use crate::inputs::{Inputs, Intent, OnCancel, Target};
use crate::names::{Commit, CommitPrefix, Digest, ImageRef, Platform, Repository, Tag};
use crate::record::{HighWater, Mark};
use crate::restore::RestorePoint;
use crate::rollout::Patience;
use crate::survey::Facts;
use crate::survey::platforms::Needs;
use build::Building;

/// What a plan calls an image: its repository's name.
pub type ImageName = String;

/// What will be done.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// Ship or roll back.
    pub intent: Purpose,
    /// The commit whose image will serve.
    pub commit: Commit,
    /// Every image that is needed.
    pub images: BTreeMap<ImageName, ImagePlan>,
    /// What changes, in order: each stage waits for the one before.
    pub stages: Vec<Stage>,
    /// How to wait and what to overrule.
    pub policy: Policy,
    /// What could not be seen.
    pub unseen: Vec<Unseen>,
    /// What is decided later, and when.
    pub deferred: Vec<String>,
}

/// What the run is for, as the plan prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Bring a commit to the workload.
    Ship,
    /// Put this commit back.
    Rollback {
        /// As it was typed.
        to: CommitPrefix,
    },
}

/// One image of a plan.
#[derive(Clone, Debug, Serialize)]
pub struct ImagePlan {
    /// Where it comes from.
    pub origin: Origin,
    /// The ECR repository.
    pub repository: Repository,
    /// `host/name`, once the repository is there.
    pub uri: Option<ImageRef>,
    /// The tag it gets or has.
    pub tag: Tag,
    /// Whether the repository is created first.
    pub create: bool,
    /// What it is for; absent where nothing is rolled out.
    pub needs: Option<Needs>,
    /// What it runs on.
    pub has: Vec<Platform>,
    /// Every digest a pod may report for it: its own, and those of its platforms' manifests.
    pub digests: Vec<Digest>,
}

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// ECR has it.
    Reuse(Digest),
    /// It is pushed from where it was given.
    Take {
        /// As it was typed.
        shown: String,
        /// A folder, not a file.
        is_folder: bool,
        /// What its digest is.
        digest: Digest,
        /// Its bytes.
        size: u64,
    },
    /// It is in ECR under another name, and gets this one too.
    Copy {
        /// As it was typed.
        shown: String,
        /// What its digest is, and stays.
        digest: Digest,
    },
    /// It is taken out of the Docker Engine.
    Engine {
        /// As it was typed.
        shown: String,
        /// The engine's own name of it.
        id: Digest,
        /// Its bytes there.
        size: u64,
    },
    /// It is built.
    Build(Building),
}

impl Origin {
    /// The digest, where it is known before anything is made.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Reuse(digest) | Self::Take { digest, .. } | Self::Copy { digest, .. } => {
                Some(digest)
            }
            Self::Engine { .. } | Self::Build(_) => None,
        }
    }
}

/// Changes that are made together.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    /// All of them.
    pub changes: Vec<Change>,
}

/// One change.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Another image in some containers of one workload.
    Image(ImageChange),
}

/// Another image in some containers of one workload.
#[derive(Clone, Debug, Serialize)]
pub struct ImageChange {
    /// The workload's namespace.
    pub namespace: String,
    /// The workload's name.
    pub name: String,
    /// The cluster.
    pub cluster: String,
    /// Container to image.
    pub containers: BTreeMap<String, ImageName>,
    /// What stands there now, by container.
    pub from: BTreeMap<String, String>,
    /// The label of what stands there now.
    pub from_label: String,
    /// The restore point as the survey saw it; clearance captures it again.
    pub restore: Option<RestorePoint>,
    /// Nothing changes: it serves already, whole and healthy.
    pub unchanged: bool,
    /// Though nothing changes, slipway's own annotations name another commit for this image, or
    /// none: they alone are set.
    pub renames: bool,
    /// What becomes of the high-water mark.
    pub high_water: HighWater,
}

/// How to wait and what to overrule.
#[derive(Clone, Debug, Serialize)]
pub struct Policy {
    /// How long.
    pub patience: Patience,
    /// A cancelled run rolls back.
    pub rollback_on_cancel: bool,
    /// Overruled refusals.
    pub allow: Vec<Code>,
    /// Nothing is rolled out.
    pub push_only: bool,
}

impl Plan {
    /// The one image change there is, unless this run only pushes.
    #[must_use]
    pub fn change(&self) -> Option<&ImageChange> {
        self.stages
            .iter()
            .flat_map(|stage| &stage.changes)
            .map(|Change::Image(change)| change)
            .next()
    }

    /// The one image there is.
    #[must_use]
    pub fn image(&self) -> Option<&ImagePlan> {
        self.images.values().next()
    }

    /// The commit as people read it.
    #[must_use]
    pub fn short(&self) -> String {
        self.commit.short()
    }
}

/// A plan with what speaks against it.
#[derive(Default)]
pub struct Draft {
    /// As far as it could be made.
    pub plan: Option<Plan>,
    /// Its rows, as far as they are known.
    pub rows: Vec<(String, String)>,
    /// Why nothing may be written.
    pub refusals: Vec<Failure>,
    /// Warnings, and whether it is only a notice.
    pub warnings: Vec<(Failure, bool)>,
}

impl Draft {
    /// Refuses for this reason, or only warns of it where the user allowed it.
    pub fn object(&mut self, inputs: &Inputs, failure: Failure) {
        if inputs.allows(failure.code) {
            let next = vec!["nothing: it is allowed".to_owned()];
            self.warnings.push((Failure { next, ..failure }, false));
        } else {
            self.refusals.push(failure);
        }
    }
}

/// The run that plans, as far as a plan depends on it.
pub struct Run {
    /// Who it is, among other runs.
    pub mark: Mark,
    /// The push event's word.
    pub push: crate::guard::Push,
    /// A re-run.
    pub is_rerun: bool,
    /// Its clock, to say how long ago something was.
    pub now: jiff::Timestamp,
}

/// Drafts the plan. Pure.
#[must_use]
pub fn draft(inputs: &Inputs, facts: &Facts, run: &Run) -> Draft {
    let (mut draft, mut beside) = (Draft::default(), Draft::default());
    // What is built is built for what the nodes need; what speaks against the image is told first.
    let workload = inputs.target.as_ref().and_then(|target| {
        let place = facts.place.as_ref()?;
        workload::look(inputs, target, facts, place, &mut beside)
    });
    let needs = workload.as_ref().and_then(|workload| workload.needs.clone());
    let wanted = image::wanted(inputs, facts, needs.as_ref(), &mut draft);
    draft.refusals.append(&mut beside.refusals);
    draft.warnings.append(&mut beside.warnings);
    // Where nothing is rolled out, what was asked for is what the image has to be.
    let asked = (inputs.push_only && !inputs.platforms.is_empty()).then(|| Needs {
        platforms: inputs.platforms.clone(),
        because: "the `platform` input says so".into(),
        nodes: Vec::new(),
    });
    if let (Some(wanted), Some(needs)) = (&wanted, needs.as_ref().or(asked.as_ref())) {
        let covered = crate::survey::platforms::covers(
            &wanted.quoted(),
            &wanted.has,
            needs,
            &wanted.fix(needs),
        );
        draft.refusals.extend(covered.err().map(|failure| *failure));
    }
    let change = match (&wanted, &workload, facts.place.as_ref()) {
        (Some(wanted), Some(workload), Some(place)) => {
            let mut change = workload::change(inputs, workload, place, wanted);
            workload::guards(inputs, wanted, place, run, &mut change, &mut draft);
            Some(change)
        }
        _ => None,
    };
    draft.rows = rows::rows(inputs, facts, wanted.as_ref(), workload.as_ref(), change.as_ref());
    draft.plan = wanted.map(|wanted| assemble(inputs, facts, wanted, needs, change));
    draft
}

fn assemble(
    inputs: &Inputs,
    facts: &Facts,
    wanted: image::Wanted,
    needs: Option<Needs>,
    change: Option<ImageChange>,
) -> Plan {
    let name = wanted.repository.to_string();
    let purpose = match &inputs.intent {
        Intent::Ship => Purpose::Ship,
        Intent::Rollback(to) => Purpose::Rollback { to: to.clone() },
    };
    let mut deferred = Vec::new();
    if wanted.origin.digest().is_none() {
        deferred.push(
            "the image's digest is known once it is in ECR; the plan is made again with it"
                .to_owned(),
        );
    }
    if change.is_some() {
        deferred.push(
            "the workload is read again right before the patch, which is tried as a dry run first"
                .to_owned(),
        );
    }
    Plan {
        intent: purpose,
        commit: wanted.commit.clone(),
        images: BTreeMap::from([(name, wanted.planned(needs))]),
        stages: change
            .into_iter()
            .map(|change| Stage { changes: vec![Change::Image(change)] })
            .collect(),
        policy: Policy {
            patience: inputs.patience,
            rollback_on_cancel: inputs.on_cancel == OnCancel::Rollback,
            allow: inputs.allow.clone(),
            push_only: inputs.push_only,
        },
        unseen: facts.unseen.clone(),
        deferred,
    }
}

/// A target as messages write it: `shop/web`.
#[must_use]
pub fn path(target: &Target) -> String {
    format!("{}/{}", target.namespace, target.workload.name)
}

/// The containers of a target with what a plan knows about them.
pub struct WorkloadPlan {
    /// The containers that get the image.
    pub containers: Vec<LiveContainer>,
    /// What the image has to be for.
    pub needs: Option<Needs>,
    /// What a rollback would restore.
    pub restore: Option<RestorePoint>,
    /// The label of what serves.
    pub label: String,
}
