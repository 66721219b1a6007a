//! BuildKit, as the engine has it inside: asked for a build over one connection, answered over another.
//!
//! Files, logins and secrets go to it when it asks for them, and are kept nowhere. What it says is
//! passed on as it comes. Leans on `recipe` for the files of a context.

mod answers;
mod channel;
pub(super) mod detail;
mod files;
pub(super) mod lines;
mod packet;
mod progress;
mod reading;
mod request;
mod session;
mod tasks;
#[cfg(test)]
mod tests;
pub(super) mod wrong;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1::{
    ListWorkersRequest, SolveRequest, SolveResponse, StatusRequest,
};
use tonic::{Response, Status};

use super::{Built, Listener, Order, Place};
use crate::error::{Code, Failure};
use crate::names::Platform;
use crate::recipe::Tree;
use answers::Answers;
use channel::Control;
use files::Folders;
use lines::Masks;
use progress::Progress;
use session::Services;
use tasks::Tasks;
use wrong::Ended;

/// How long the last words of a build are waited for after its end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Builds an image and keeps it in the engine's store. Ends in the engine too when it is dropped.
///
/// # Errors
/// What the build failed with, as its cause can be told.
pub(super) async fn build(
    place: &Place,
    store_is_containerd: bool,
    order: &Order,
    hear: Listener<'_>,
) -> Result<Built, Failure> {
    let (folders, file) = folders(order)?;
    let answers = Answers::new(order.secrets.clone(), order.logins.clone());
    let (id, session) = (random()?, random()?);
    let key = request::key(&order.context);
    let unreached = |error: std::io::Error| wrong::unreached(place, &error);
    let tasks = Tasks::default();
    let services = Services { folders: folders.clone(), answers: answers.clone() };
    session::open(place, &tasks, services, &session, &key).await.map_err(unreached)?;
    let control = channel::open(place, &tasks).await.map_err(unreached)?;
    let mut progress = Progress::new(Masks::of(order));
    let asked = request::of(order, &file, &id, &session);
    let solved = solve(control, asked, &mut progress, hear).await;
    progress.end().into_iter().for_each(hear);
    let trouble = folders.trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (solved, trouble) {
        (Ok(response), _) => built(&response, store_is_containerd),
        // What could not be read is known better here than to the builder that waited for it.
        (Err(_), Some(failure)) => Err(failure),
        (Err(status), None) => {
            let missing = answers.missing();
            Err(Ended { order, progress: &progress, missing: &missing }.failure(&status))
        }
    }
}

/// The id by which the engine's store has the image: of its configuration, or of its manifest.
fn built(response: &SolveResponse, store_is_containerd: bool) -> Result<Built, Failure> {
    const MANIFEST: &str = "containerimage.digest";
    // The oldest engine gives the one under the other's name.
    const CONFIGURATION: &str = "containerimage.config.digest";
    let digests = &response.exporter_response;
    let id = match digests.get(CONFIGURATION) {
        Some(id) if !store_is_containerd => Some(id),
        _ => digests.get(MANIFEST),
    };
    id.map(|id| Built { id: id.clone() }).ok_or_else(|| {
        Failure::new(Code::BuildEngine, "the engine does not say what it built")
            .next("run this again with a newer engine")
    })
}

/// The context, the folder of the Dockerfile, and the Dockerfile's name in it.
fn folders(order: &Order) -> Result<(Folders, String), Failure> {
    let folder = match order.file.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => Path::new("/"),
    };
    let name = order.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let trees = BTreeMap::from([
        ("context", Tree::open(&order.context)?),
        ("dockerfile", Tree::open(folder).map_err(|_| wrong::missing_file(order))?),
    ]);
    Ok((Folders { trees, trouble: Arc::new(Mutex::default()) }, name))
}

/// An id that nobody else can guess: who has a session's may ask it for its secrets.
fn random() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|error| {
        Failure::new(Code::BuildEngine, "this machine gives no random numbers")
            .why(format!("{error:?}"))
    })?;
    Ok(hex::encode(bytes))
}

/// Asks for the build and hears of it until it has ended.
async fn solve(
    control: Control,
    request: SolveRequest,
    progress: &mut Progress,
    hear: Listener<'_>,
) -> Result<SolveResponse, Status> {
    let status = StatusRequest { r#ref: request.r#ref.clone() };
    let mut asking = control.clone();
    let solve = async move { asking.solve(request).await.map(Response::into_inner) };
    let mut hearing = control;
    let follow = async move {
        let Ok(stream) = hearing.status(status).await else { return };
        let mut stream = stream.into_inner();
        while let Ok(Some(told)) = stream.message().await {
            progress.take(told).into_iter().for_each(hear);
        }
    };
    let (mut solve, mut follow) = (Box::pin(solve), Box::pin(follow));
    let solved = tokio::select! {
        solved = &mut solve => {
            // It says how it ended before its last lines are through.
            drop(tokio::time::timeout(LAST_WORDS, &mut follow).await);
            return solved;
        }
        () = &mut follow => solve.await,
    };
    solved
}

/// What the engine builds for: its own platform first, then what it emulates.
///
/// # Errors
/// The engine does not answer.
pub(super) async fn platforms(place: &Place) -> Result<Vec<Platform>, Failure> {
    let tasks = Tasks::default();
    let opened = channel::open(place, &tasks).await;
    let mut control = opened.map_err(|error| wrong::unreached(place, &error))?;
    let workers = control.list_workers(ListWorkersRequest::default()).await.map_err(|status| {
        wrong::unreached(place, &std::io::Error::other(status.message().to_owned()))
    })?;
    let platforms = workers.into_inner().record.into_iter().flat_map(|worker| worker.platforms);
    // Levels of amd64 are features of one platform, which no node is told apart by.
    let apart = platforms.filter(|p| p.architecture != "amd64" || p.variant.is_empty());
    Ok(apart.map(|p| Platform::new(&p.os, &p.architecture, Some(&p.variant))).collect())
}
