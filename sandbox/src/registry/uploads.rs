//! Layers on their way in: a session takes one stream of consecutive bytes into a file, and ends
//! with the digest. A session that broke keeps what arrived and takes nothing from the beginning
//! again; every retry needs a new one, as with ECR.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::body::Incoming;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use super::{error, file};
use crate::access;
use crate::answer::{Answer, Broken, answer, set};
use crate::call::{fields, header};
use crate::sandbox::State;
use crate::world::hold;

/// Upload sessions that are open, by repository and id.
#[derive(Default)]
pub(crate) struct Uploads(BTreeMap<(String, String), Arc<Mutex<Upload>>>);

/// What arrived in one session.
struct Upload {
    path: PathBuf,
    file: File,
    hash: Sha256,
    size: u64,
}

/// POST: a new session, or a mount where the account has them enabled.
pub(super) fn begun(state: &State, repository: &str, query: &str) -> Answer {
    let given = fields(query);
    if let (Some(digest), Some(from)) = (given.get("mount"), given.get("from"))
        && mounted(state, repository, digest, from)
    {
        let mut answer = answer(201, "", "");
        set(&mut answer, "Location", &format!("{}/v2/{repository}/blobs/{digest}", state.url()));
        set(&mut answer, "Docker-Content-Digest", digest);
        return answer;
    }
    let id = crate::serve::request_id(state);
    let path = state.folder.path().join(format!("upload-{}", access::random(state, &id)));
    match File::create(&path) {
        Ok(file) => {
            let upload = Upload { path, file, hash: Sha256::new(), size: 0 };
            let key = (repository.to_owned(), id.clone());
            hold(&state.uploads).0.insert(key, Arc::new(Mutex::new(upload)));
            at(state, 202, repository, &id, 0)
        }
        Err(broken) => error(500, "UNKNOWN", &broken.to_string()),
    }
}

/// Whether the layer could be taken from another repository.
fn mounted(state: &State, repository: &str, digest: &str, from: &str) -> bool {
    let mut world = hold(&state.world);
    let size = world.repositories.get(from).and_then(|kept| kept.blobs.get(digest).copied());
    let (Some(size), true) = (size, world.mounting) else { return false };
    let Some(kept) = world.repositories.get_mut(repository) else { return false };
    kept.blobs.insert(digest.to_owned(), size);
    true
}

/// An answer that says where the session is and how far.
fn at(state: &State, status: u16, repository: &str, id: &str, size: u64) -> Answer {
    let mut answer = answer(status, "", "");
    let place = format!("{}/v2/{repository}/blobs/uploads/{id}", state.url());
    set(&mut answer, "Location", &place);
    set(&mut answer, "Docker-Upload-UUID", id);
    set(&mut answer, "Range", &format!("0-{}", size.saturating_sub(1)));
    answer
}

fn session(state: &State, repository: &str, id: &str) -> Option<Arc<Mutex<Upload>>> {
    hold(&state.uploads).0.get(&(repository.to_owned(), id.to_owned())).map(Arc::clone)
}

fn unknown(state: &State, repository: &str, id: &str) -> Answer {
    let account = &hold(&state.world).account;
    let said = format!(
        "The upload with id '{id}' does not exist in the repository with name '{repository}' in \
         the registry with id '{account}'"
    );
    error(404, "BLOB_UPLOAD_UNKNOWN", &said)
}

/// Why a session cannot end like this. It stays open, with what it has.
fn unfinished(
    state: &State,
    (repository, id): (&str, &str),
    size: u64,
    (wanted, digest): (&str, &str),
) -> Option<Answer> {
    let hex = wanted.strip_prefix("sha256:").unwrap_or_default();
    if hex.len() != 64 || !hex.chars().all(|c| c.is_ascii_hexdigit()) {
        let said = "provided digest did not match uploaded content";
        return Some(error(400, "DIGEST_INVALID", said));
    }
    if size == 0 {
        let account = &hold(&state.world).account;
        let said = format!(
            "The upload with id '{id}' in the repository with name '{repository}' in registry with \
             id '{account}' cannot be completed because it does not have any parts."
        );
        return Some(error(400, "BLOB_UPLOAD_INVALID", &said));
    }
    (wanted != digest).then(|| {
        let said = "None of the provided layer digests match the calculated layer digest";
        error(400, "BLOB_UPLOAD_INVALID", said)
    })
}

/// PATCH: the bytes. ECR answers 201 here, not the 202 of the specification.
pub(super) async fn part(
    state: &State,
    repository: &str,
    id: &str,
    request: Request<Incoming>,
    cut: Option<u64>,
) -> Result<Answer, Broken> {
    let Some(session) = session(state, repository, id) else {
        return Ok(unknown(state, repository, id));
    };
    let mut upload = session.lock().await;
    if let Some(refused) = out_of_line(&upload, &request) {
        return Ok(refused);
    }
    received(&mut upload, request, cut).await?;
    Ok(at(state, 201, repository, id, upload.size))
}

/// Parts are consecutive; one without a range begins at the beginning.
fn out_of_line(upload: &Upload, request: &Request<Incoming>) -> Option<Answer> {
    let range = header(request.headers(), "content-range");
    let range = range.strip_prefix("bytes ").unwrap_or(range);
    let first = range.split('-').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
    (first != upload.size).then(|| {
        let said = format!("First byte of the layer part is {first} instead of {}", upload.size);
        error(416, "BLOB_UPLOAD_INVALID", &said)
    })
}

/// Takes the body, piece by piece; nothing but the piece is in memory. The file and the hash never
/// differ, because nothing is awaited between them.
async fn received(
    upload: &mut Upload,
    request: Request<Incoming>,
    cut: Option<u64>,
) -> Result<(), Broken> {
    let mut body = request.into_body();
    let mut left = cut.unwrap_or(u64::MAX);
    while left > 0 {
        let Some(frame) = body.frame().await else { break };
        let Ok(mut data) = frame?.into_data() else { continue };
        data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        upload.file.write_all(&data)?;
        upload.hash.update(&data);
        upload.size += data.len() as u64;
        left -= data.len() as u64;
    }
    match cut {
        Some(_) => Err("cut by a fault".into()),
        None => Ok(()),
    }
}

/// PUT: the end of a session, with its last bytes perhaps, and the digest of all.
pub(super) async fn completed(
    state: &State,
    repository: &str,
    id: &str,
    request: Request<Incoming>,
    cut: Option<u64>,
) -> Result<Answer, Broken> {
    let Some(session) = session(state, repository, id) else {
        return Ok(unknown(state, repository, id));
    };
    let wanted = fields(request.uri().query().unwrap_or_default()).get("digest").cloned();
    let wanted = wanted.unwrap_or_default();
    let mut upload = session.lock().await;
    received(&mut upload, request, cut).await?;
    let digest = format!("sha256:{}", hex::encode(upload.hash.clone().finalize()));
    let ends = (wanted.as_str(), digest.as_str());
    if let Some(refused) = unfinished(state, (repository, id), upload.size, ends) {
        return Ok(refused);
    }
    hold(&state.uploads).0.remove(&(repository.to_owned(), id.to_owned()));
    std::fs::rename(&upload.path, file(state, &digest))?;
    if let Some(kept) = hold(&state.world).repositories.get_mut(repository) {
        kept.blobs.insert(digest.clone(), upload.size);
    }
    let mut answer = answer(201, "", "");
    set(&mut answer, "Location", &format!("{}/v2/{repository}/blobs/{digest}", state.url()));
    set(&mut answer, "Docker-Content-Digest", &digest);
    Ok(answer)
}
