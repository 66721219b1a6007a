//! The image's side of the facts: the repository, what it has under the commit's tag, the image
//! that was given.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::aws::{Aws, RepositoryState};
use crate::docker::{Engine, EngineImage};
use crate::error::{Code, Failure, Unseen};
use crate::http;
use crate::image::{self, Image};
use crate::inputs::{Inputs, Intent};
use crate::names::{Account, Commit, EcrRef, ImageRef, Platform, Repository, Tag};
use crate::record::Record;
use crate::registry::{Held, Login, Original, Reference, Registry};

use super::Reads;

/// The image that was given.
pub enum Source {
    /// A layout or an archive.
    Files(Image),
    /// An image in the Docker Engine.
    Engine(Box<InEngine>),
    /// An image in another repository of the same registry, or under another tag.
    Ecr(Box<Original>),
}

/// An image in the Docker Engine.
pub struct InEngine {
    /// As it was typed.
    pub shown: String,
    /// Where it is.
    pub engine: Engine,
    /// What it is.
    pub image: EngineImage,
}

/// What was found on the image's side.
pub struct Shelf {
    /// The repository and its state.
    pub repository: Option<(Repository, RepositoryState)>,
    /// `host/name`, by the repository's own word or by that of the login.
    pub uri: Option<ImageRef>,
    /// The refusal where it is not there.
    pub missing: Option<Failure>,
    /// Its registry, unless it is missing.
    pub registry: Option<Registry>,
    /// What the commit's tag names.
    pub held: Option<Held>,
    /// Tags of its images for one platform each, where its own tag names nothing.
    pub parts: Vec<Tag>,
    /// The image that was given.
    pub source: Option<Source>,
    /// What could not be seen.
    pub unseen: Vec<Unseen>,
}

/// Reads repository, tag and image side by side.
pub async fn shelf(
    inputs: &Inputs,
    commit: Option<&Commit>,
    (aws, account): (&Aws, &Account),
    reads: &Reads,
) -> Result<Shelf, Failure> {
    let given = inputs.image.as_deref().filter(|_| super::ships(inputs));
    let elsewhere = given.filter(|given| EcrRef::is_meant(given) && !Path::new(given).exists());
    let source = async {
        match given.filter(|_| elsewhere.is_none()) {
            Some(path) => opened(inputs, path).await.map(Some),
            None => Ok(None),
        }
    };
    let ecr = ecr(inputs, commit, aws, reads);
    let (source, mut shelf) = tokio::try_join!(source, ecr)?;
    shelf.source = source;
    if let Some(typed) = elsewhere {
        let named = named(typed)?;
        // The repository may have to be created first; the one to copy from is there.
        let registry = match &shelf.registry {
            Some(registry) => registry.clone(),
            None => registry(aws, &named.repository).await?.0,
        };
        reads.add(1);
        shelf.source = Some(match registry.original(&named, account, &inputs.region).await {
            Ok(original) => Source::Ecr(Box::new(original)),
            // Somebody may have built it under this name and pushed it nowhere yet.
            Err(failure) if failure.code == Code::ImageMissing => {
                in_engine(inputs, typed, failure).await?
            }
            Err(failure) => return Err(failure),
        });
    }
    Ok(shelf)
}

/// A reference in ECR, as it was typed.
fn named(typed: &str) -> Result<EcrRef, Failure> {
    typed.parse().map_err(|clause: String| {
        let typed = crate::error::one_line(typed, 100);
        Failure::new(Code::ImageMissing, format!("image `{typed}` is no reference in ECR"))
            .why(clause)
            .next("write it as HOST/REPOSITORY:TAG or HOST/REPOSITORY@sha256:...")
    })
}

/// What was typed is a path, relative to where slipway was started, or else an image's name in the
/// engine.
async fn opened(inputs: &Inputs, typed: &str) -> Result<Source, Failure> {
    let no_file = match image::open(typed).await {
        Err(failure) if failure.code == Code::ImageMissing => failure,
        opened => return opened.map(Source::Files),
    };
    in_engine(inputs, typed, no_file).await
}

/// What was typed as the name of an image in the engine, or the failure of what it was looked for before.
async fn in_engine(inputs: &Inputs, typed: &str, no_file: Failure) -> Result<Source, Failure> {
    let engine = match Engine::find(&inputs.build.whereabouts).await {
        Ok(engine) => engine,
        Err(none) => {
            let next = no_file.next.clone();
            let failure = Failure { next: Vec::new(), ..no_file };
            return Err(Failure { next, ..failure.why(format!("as a name: {}", none.what)) });
        }
    };
    match engine.inspect(typed).await? {
        Some(image) => {
            let shown = typed.to_owned();
            Ok(Source::Engine(Box::new(InEngine { shown, engine, image })))
        }
        None => Err(no_file.why(format!(
            "{}, at {}, has no image of that name",
            engine.facts.product, engine.shown
        ))),
    }
}

async fn ecr(
    inputs: &Inputs,
    commit: Option<&Commit>,
    aws: &Aws,
    reads: &Reads,
) -> Result<Shelf, Failure> {
    let mut shelf = Shelf {
        repository: None,
        uri: None,
        missing: None,
        registry: None,
        held: None,
        parts: Vec::new(),
        source: None,
        unseen: Vec::new(),
    };
    let Some(name) = &inputs.repository else { return Ok(shelf) };
    reads.add(1);
    let state = aws.repository(name).await?;
    match &state {
        RepositoryState::Missing => {
            reads.add(1);
            shelf.missing = Some(aws.repository_missing(name).await);
        }
        RepositoryState::Found(_) | RepositoryState::NotSeen(_) => {
            let (registry, host) = registry(aws, name).await?;
            shelf.uri = Some(match &state {
                RepositoryState::Found(found) => found.uri.clone(),
                _ => ImageRef {
                    registry: host,
                    repository: name.to_string(),
                    tag: None,
                    digest: None,
                },
            });
            reads.add(1);
            if let Some(commit) = commit {
                reads.add(1);
                shelf.held = registry.held(&Reference::Tag(super::tag(inputs, commit))).await?;
                let builds = super::builds(inputs) && !inputs.push_only && !commit.dirty;
                if builds && shelf.held.is_none() {
                    shelf.parts = parts(&registry, commit, &inputs.platforms, reads).await?;
                }
            }
            shelf.registry = Some(registry);
        }
    }
    if let RepositoryState::NotSeen(unseen) = &state {
        shelf.unseen.push(unseen.clone());
    }
    shelf.repository = Some((name.clone(), state));
    Ok(shelf)
}

/// Images of the commit that native runners pushed, and that nobody has joined.
async fn parts(
    registry: &Registry,
    commit: &Commit,
    given: &[Platform],
    reads: &Reads,
) -> Result<Vec<Tag>, Failure> {
    let platforms: BTreeSet<_> =
        Platform::usual().into_iter().chain(given.iter().cloned()).collect();
    let tags: Vec<_> = platforms.iter().map(|platform| commit.tag_for(platform)).collect();
    reads.add(tags.len());
    let asked = tags.into_iter().map(|tag| async move {
        Ok(registry.held(&Reference::Tag(tag.clone())).await?.map(|_| tag))
    });
    let found: Vec<Option<Tag>> = futures_util::future::try_join_all(asked).await?;
    Ok(found.into_iter().flatten().collect())
}

/// The image that a rollback puts back, by the digest that was recorded for its commit, else by its tag.
///
/// # Errors
/// The registry does not answer.
pub async fn earlier(
    inputs: &Inputs,
    record: &Record,
    registry: Option<&Registry>,
    reads: &Reads,
) -> Result<Option<Held>, Failure> {
    let (Intent::Rollback(to), Some(registry)) = (&inputs.intent, registry) else {
        return Ok(None);
    };
    let recorded = record.shipped(to);
    let reference = match (recorded.values().next(), to.whole()) {
        (Some(digest), _) if recorded.len() == 1 => Reference::Digest((*digest).clone()),
        (_, Some(commit)) => Reference::Tag(commit.tag()),
        (_, None) => return Ok(None),
    };
    reads.add(1);
    registry.held(&reference).await
}

/// The registry of a repository, and its host: both are what GetAuthorizationToken names.
///
/// # Errors
/// No login, or an endpoint that cannot be used.
pub async fn registry(
    aws: &Aws,
    repository: &Repository,
) -> Result<(Registry, Option<String>), Failure> {
    let first = aws.registry_login().await?;
    let base: reqwest::Url = first.endpoint.parse().map_err(|_| {
        Failure::new(Code::AwsAnswer, "ECR names a registry that is no address").why(format!(
            "GetAuthorizationToken: proxyEndpoint {}",
            crate::error::quoted(&first.endpoint)
        ))
    })?;
    let host = base
        .host_str()
        .map(|host| base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")));
    let aws = aws.clone();
    // The login that named the endpoint is the first to be used; later ones are asked for when needed.
    let first = Arc::new(std::sync::Mutex::new(Some(first)));
    let registry = Registry::new(http::client()?, base, repository.clone(), move || {
        let (aws, first) = (aws.clone(), first.clone());
        async move {
            let ready = first.lock().ok().and_then(|mut first| first.take());
            let login = match ready {
                Some(login) => login,
                None => aws.registry_login().await?,
            };
            Ok(Login { user: login.user, password: login.password })
        }
    })?;
    Ok((registry, host))
}
