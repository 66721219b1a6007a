//! Facts: everything a plan needs, read and never written. What is independent is read side by side.
//!
//! A right that is optional comes back as unseen; a right that is needed fails here, before any write.

pub mod bench;
pub mod place;
pub mod platforms;
pub mod source;

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::aws::{Aws, Caller, RepositoryState};
use crate::checkout::{self, Dirty, EventCommit, Seat};
use crate::cluster::Cluster;
use crate::error::{Code, Failure, Unseen};
use crate::github::api::Github;
use crate::github::context::Context;
use crate::inputs::{Inputs, Intent};
use crate::names::{Commit, CommitSha, ImageRef, Platform, Repository, Tag};
use crate::recipe::Recipe;
use crate::registry::{Held, Registry};
use bench::Bench;
use place::Place;
use source::Source;

/// Who talks to whom: made once, used by every step.
pub struct Remotes {
    /// AWS.
    pub aws: Aws,
    /// The ECR repository's registry; absent while the repository is unknown.
    pub registry: Option<Registry>,
    /// The cluster; absent with `until: push`.
    pub cluster: Option<Cluster>,
}

/// The commit of a run that ships one.
#[derive(Default)]
pub struct Checked {
    /// The commit; none for a rollback, whose commit is found in the history.
    pub commit: Option<Commit>,
    /// What differs from it, by hand.
    pub differs: Vec<Differs>,
    /// What was not seen of it.
    pub unseen: Option<Unseen>,
}

/// A file that is not as in the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differs {
    /// From the root of the checkout.
    pub path: String,
    /// Git does not know it, and the image gets it.
    pub is_new: bool,
}

/// What was read.
pub struct Facts {
    /// The commit that is shipped; a rollback's is found later, in the history.
    pub commit: Option<Commit>,
    /// What differs from it, by hand.
    pub differs: Vec<Differs>,
    /// Who we are to AWS.
    pub caller: Caller,
    /// The ECR repository.
    pub repository: Option<(Repository, RepositoryState)>,
    /// `host/name` of that repository, once it is there.
    pub uri: Option<ImageRef>,
    /// The refusal of a repository that is not there, with the nearest that is.
    pub missing: Option<Failure>,
    /// The image that was given, opened.
    pub source: Option<Source>,
    /// What it would be built with; only looked for where no image is known.
    pub bench: Option<Bench>,
    /// The recipe of the checkout, where it can be read and an image is known.
    pub recipe: Option<Recipe>,
    /// What ECR has under the commit's tag.
    pub held: Option<Held>,
    /// Tags of its images for one platform each, where nobody joined them.
    pub parts: Vec<Tag>,
    /// What this run made and pushed: the plan is drafted again with it.
    pub made: Option<Held>,
    /// The workload and what is around it; absent with `until: push`.
    pub place: Option<Place>,
    /// What could not be seen.
    pub unseen: Vec<Unseen>,
    /// How many reads it took.
    pub reads: usize,
}

impl Facts {
    /// What the image that serves is built for, where a node or ECR told it.
    #[must_use]
    pub fn serving_platforms(&self) -> Vec<Platform> {
        let Some(place) = &self.place else { return Vec::new() };
        if !place.evidence.live.is_empty() {
            return place.evidence.live.clone();
        }
        place.evidence.nodes.as_deref().map(crate::cluster::platforms).unwrap_or_default()
    }
}

/// Counts reads, for the line that says how many there were.
#[derive(Default)]
pub struct Reads(AtomicUsize);

impl Reads {
    /// Counts `n` more.
    pub fn add(&self, n: usize) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// The commit to ship, by the checkout, crossed with what the event and the input say.
///
/// # Errors
/// No repository, or three different words for what is shipped.
pub async fn commit(inputs: &Inputs, context: Option<&Context>) -> Result<Checked, Failure> {
    let folder = inputs.context.clone();
    let seat = if context.is_some() { Seat::Step } else { Seat::Shell };
    // A large tree takes its time to compare: on a thread of its own, so that a cancel is heard.
    let read = tokio::task::spawn_blocking(move || checkout::read(&folder, seat)).await;
    let read =
        read.unwrap_or_else(|_| Err(Failure::new(Code::RunBug, "the checkout's reader ended")));
    let checkout = match read {
        Ok(checkout) => checkout,
        // An artifact that another job built needs no checkout beside it, if its commit is said.
        Err(failure) => return said(inputs).ok_or(failure),
    };
    let event = context.and_then(event_commit);
    let sha = checkout::cross_check(&checkout.head, event.as_ref(), inputs.commit.as_ref())?;
    // A workflow changes files of its own checkout all the time; by hand a changed tree is another tree.
    let by_hand = context.is_none() && sha == checkout.head;
    if !by_hand {
        return Ok(Checked::clean(sha));
    }
    let (changed, unseen) = match checkout.dirty {
        Dirty::Changed(paths) => (paths, None),
        // It is tagged as the commit itself: who ships it should know on what grounds.
        Dirty::NotChecked(why) => (Vec::new(), Some(Unseen::new("changes in the checkout", why))),
        Dirty::Clean => (Vec::new(), None),
    };
    // A new file changes no image that was built before.
    let new = match checkout.new {
        new if !new.is_empty() && builds(inputs) => bench::built_in(inputs, new).await,
        _ => Vec::new(),
    };
    let changed = changed.into_iter().map(|path| Differs { path, is_new: false });
    let new = new.into_iter().map(|path| Differs { path, is_new: true });
    let differs: Vec<_> = changed.chain(new).collect();
    Ok(Checked { commit: Some(Commit { sha, dirty: !differs.is_empty() }), differs, unseen })
}

impl Checked {
    fn clean(sha: CommitSha) -> Self {
        Self { commit: Some(Commit { sha, dirty: false }), ..Self::default() }
    }
}

fn said(inputs: &Inputs) -> Option<Checked> {
    inputs.commit.clone().map(Checked::clean)
}

fn event_commit(context: &Context) -> Option<EventCommit> {
    let event = &context.event;
    let parse = |sha: &Option<String>| sha.as_ref().and_then(|sha| sha.parse::<CommitSha>().ok());
    let pull_request = event.pull_request.zip(parse(&event.head_sha));
    let name = event.name.clone().unwrap_or_default();
    Some(EventCommit { sha: parse(&event.sha)?, name, pull_request })
}

/// Reads everything. There is no commit for commands that ship none.
///
/// # Errors
/// The first thing that makes a plan impossible.
pub async fn look(
    inputs: &Inputs,
    checked: Checked,
    aws: Aws,
    github: Option<&Github>,
) -> Result<(Facts, Remotes), Failure> {
    let Checked { commit, differs, .. } = checked;
    let reads = Reads::default();
    let caller = caller(inputs, &aws, &reads).await?;
    let shelf = source::shelf(inputs, commit.as_ref(), (&aws, &caller.account), &reads);
    let place = place::look(inputs, commit.as_ref(), &aws, &caller, github, &reads);
    let (mut shelf, place) = tokio::try_join!(shelf, place)?;
    let mut unseen = std::mem::take(&mut shelf.unseen);
    let (mut place, cluster) =
        place.map_or((None, None), |(place, cluster)| (Some(place), Some(cluster)));
    if let Some(place) = &mut place {
        unseen.append(&mut place.unseen);
        let host = shelf.uri.as_ref().and_then(|uri| uri.registry.clone());
        place.registry = host.unwrap_or_default();
        let repository = shelf.repository.as_ref().map(|(name, _)| name).zip(shelf.uri.as_ref());
        place
            .look_at_live_images(&aws, shelf.registry.as_ref(), repository, &mut unseen, &reads)
            .await;
        if let Some(earlier) =
            source::earlier(inputs, &place.record, shelf.registry.as_ref(), &reads).await?
        {
            shelf.held = Some(earlier);
        }
    }
    let builds = builds(inputs);
    let dirty = commit.as_ref().is_some_and(|commit| commit.dirty);
    let (mut bench, mut recipe) = (None, None);
    if builds && (shelf.held.is_none() || dirty) {
        bench = Some(bench::look(inputs).await);
    } else if builds {
        // A job that only deploys may have no Dockerfile: then nothing is compared.
        recipe = bench::materials(inputs).await.ok().map(|materials| materials.recipe);
    }
    let facts = Facts {
        commit,
        differs,
        caller,
        repository: shelf.repository,
        uri: shelf.uri,
        missing: shelf.missing,
        source: shelf.source,
        bench,
        recipe,
        held: shelf.held,
        parts: shelf.parts,
        made: None,
        place,
        unseen,
        reads: reads.count(),
    };
    Ok((facts, Remotes { aws, registry: shelf.registry, cluster }))
}

/// Who we are comes first: every other answer depends on it.
///
/// # Errors
/// No identity that AWS knows, or another account than the expected one.
pub async fn caller(inputs: &Inputs, aws: &Aws, reads: &Reads) -> Result<Caller, Failure> {
    reads.add(1);
    let caller = aws.caller().await?;
    match &inputs.expect_account {
        Some(expected) if *expected != caller.account => Err(Failure::new(
            Code::AwsAccount,
            format!("these credentials belong to account {}, not to {expected}", caller.account),
        )
        .why(format!(
            "GetCallerIdentity: {} in {}; `expect-account` is {expected}",
            caller.who, caller.account
        ))
        .next("give the secrets or the role of that account, or correct `expect-account`")),
        _ => Ok(caller),
    }
}

/// GitHub's API for the repository of this run, or of the checkout with a token and by hand.
#[must_use]
pub fn github(inputs: &Inputs, context: Option<&Context>) -> Option<Github> {
    let endpoint = inputs.endpoints.github.as_deref();
    let (repository, url) = match context {
        Some(context) => (context.repository.clone()?, endpoint.unwrap_or(&context.api_url)),
        // By hand the checkout's remote says where to ask, and only who gave a token is asked for.
        None => {
            inputs.github_token.as_ref()?;
            (checkout::remote(&inputs.context)?, endpoint.unwrap_or("https://api.github.com"))
        }
    };
    Github::new(crate::http::client().ok()?, url, inputs.github_token.clone(), &repository).ok()
}

/// The tag that a commit's image gets: with `until: push` and one `platform` it is one of several that
/// `slipway index` joins under the commit's own.
#[must_use]
pub fn tag(inputs: &Inputs, commit: &Commit) -> Tag {
    match &inputs.platforms[..] {
        [only] if inputs.push_only => commit.tag_for(only),
        _ => commit.tag(),
    }
}

/// Whether this run ships a commit of its own, rather than putting one back or only looking.
#[must_use]
pub fn ships(inputs: &Inputs) -> bool {
    use crate::inputs::table::Command;
    inputs.intent == Intent::Ship && matches!(inputs.command, Command::Ship | Command::Plan)
}

/// Whether this run builds where nothing is under the commit's tag.
fn builds(inputs: &Inputs) -> bool {
    ships(inputs) && inputs.image.is_none()
}
