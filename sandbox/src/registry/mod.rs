//! The OCI registry with ECR's manners: its Basic tokens, its IAM rights, its words. Routes and
//! admits; what moves is in the files beside this one.

mod blobs;
mod manifests;
mod uploads;

use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::body::Incoming;
use hyper::{Method, Request};
use serde_json::json;

pub(crate) use blobs::bucket;
pub(crate) use manifests::{Refused, digest_of, put};
pub(crate) use uploads::Uploads;

use crate::access::{self, Principal};
use crate::answer::{Answer, Broken, answer, is_typed, set};
use crate::call::header;
use crate::sandbox::State;
use crate::world::hold;

/// What a path of `/v2/` names.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Ping,
    Manifest(String, String),
    Uploads(String),
    Upload(String, String),
    Blob(String, String),
    Tags(String),
}

impl Place {
    fn of(path: &str) -> Option<Self> {
        let path = path.strip_prefix("/v2")?.trim_start_matches('/');
        if path.is_empty() {
            return Some(Self::Ping);
        }
        let parts: Vec<_> = path.split('/').collect();
        let name = |parts: &[&str]| Some(parts.join("/")).filter(|name| !name.is_empty());
        Some(match parts.as_slice() {
            [repo @ .., "blobs", "uploads"] | [repo @ .., "blobs", "uploads", ""] => {
                Self::Uploads(name(repo)?)
            }
            [repo @ .., "blobs", "uploads", id] => Self::Upload(name(repo)?, (*id).to_owned()),
            [repo @ .., "blobs", digest] => Self::Blob(name(repo)?, (*digest).to_owned()),
            [repo @ .., "manifests", what] if is_reference(what) => {
                Self::Manifest(name(repo)?, (*what).to_owned())
            }
            [repo @ .., "tags", "list"] => Self::Tags(name(repo)?),
            _ => return None,
        })
    }

    /// The repository and the right that ECR asks for.
    fn needs(&self, method: &Method) -> Option<(&str, &'static str)> {
        let read = matches!(*method, Method::GET | Method::HEAD);
        Some(match self {
            Self::Manifest(repo, _) if read => (repo, "BatchGetImage"),
            Self::Manifest(repo, _) if *method == Method::PUT => (repo, "PutImage"),
            Self::Blob(repo, _) if *method == Method::HEAD => (repo, "BatchCheckLayerAvailability"),
            Self::Blob(repo, _) if *method == Method::GET => (repo, "GetDownloadUrlForLayer"),
            Self::Uploads(repo) if *method == Method::POST => (repo, "InitiateLayerUpload"),
            Self::Upload(repo, _) if *method == Method::PATCH => (repo, "UploadLayerPart"),
            Self::Upload(repo, _) if *method == Method::PUT => (repo, "CompleteLayerUpload"),
            Self::Tags(repo) if *method == Method::GET => (repo, "ListImages"),
            _ => return None,
        })
    }
}

/// Whether it can be a tag or a digest: there is no page for anything else.
fn is_reference(what: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let tag = what.starts_with(word) && what.len() <= 128;
    let digest = what.strip_prefix("sha256:").is_some_and(|hex| hex.chars().all(word));
    digest || tag && what.chars().all(|c| word(c) || matches!(c, '.' | '-'))
}

/// Answers one request of the registry. `cut` ends an upload after so many bytes.
pub(crate) async fn answered(
    state: &State,
    request: Request<Incoming>,
    cut: Option<u64>,
) -> Result<Answer, Broken> {
    let mut answer = match admitted(state, &request) {
        Ok(place) => moved(state, place, request, cut).await?,
        Err(refused) => *refused,
    };
    set(&mut answer, "Docker-Distribution-Api-Version", "registry/2.0");
    Ok(answer)
}

async fn moved(
    state: &State,
    place: Place,
    request: Request<Incoming>,
    cut: Option<u64>,
) -> Result<Answer, Broken> {
    let method = request.method().clone();
    Ok(match place {
        Place::Ping => answer(200, "text/plain; charset=utf-8", ""),
        Place::Manifest(repo, what) if method == Method::PUT => {
            manifests::put_by_http(state, &repo, &what, request).await?
        }
        Place::Manifest(repo, what) => {
            manifests::answered(state, &repo, &what, header(request.headers(), "accept"))
        }
        Place::Blob(repo, digest) => blobs::answered(state, &repo, &digest, &method),
        Place::Uploads(repo) => {
            uploads::begun(state, &repo, request.uri().query().unwrap_or_default())
        }
        Place::Upload(repo, id) if method == Method::PATCH => {
            uploads::part(state, &repo, &id, request, cut).await?
        }
        Place::Upload(repo, id) => uploads::completed(state, &repo, &id, request, cut).await?,
        Place::Tags(repo) => manifests::tags(state, &repo),
    })
}

/// Where an admitted request may go: the token, the right and the repository are looked at, in this
/// order. The refusal is boxed: it is much bigger than the place.
fn admitted(state: &State, request: &Request<Incoming>) -> Result<Place, Box<Answer>> {
    let who = authenticated(state, header(request.headers(), "authorization"))?;
    let Some(place) = Place::of(request.uri().path()) else {
        return Err(Box::new(error(404, "NOT_FOUND", "page not found")));
    };
    if place == Place::Ping {
        return Ok(place);
    }
    let Some((repository, action)) = place.needs(request.method()) else {
        return Err(Box::new(error(405, "UNSUPPORTED", "The operation is unsupported.")));
    };
    let world = hold(&state.world);
    let resource =
        format!("arn:aws:ecr:{}:{}:repository/{repository}", world.region, world.account);
    access::allow(&world, &who, &format!("ecr:{action}"), &resource)
        .map_err(|no| Box::new(error(403, "DENIED", &no.message)))?;
    if !world.repositories.contains_key(repository) {
        let said = no_repository(repository, &world.account);
        return Err(Box::new(error(404, "NAME_UNKNOWN", &said)));
    }
    Ok(place)
}

/// Without credentials ECR asks for them; a password that it never gave is a bare 400, and one that
/// has expired a 403 that says so.
fn authenticated(state: &State, authorization: &str) -> Result<Principal, Box<Answer>> {
    let Some(given) = authorization.strip_prefix("Basic ") else {
        let mut answer = answer(401, "text/plain; charset=utf-8", "Not Authorized\n");
        let realm = format!("Basic realm=\"{}/\",service=\"ecr.amazonaws.com\"", state.url());
        set(&mut answer, "Www-Authenticate", &realm);
        return Err(Box::new(answer));
    };
    let given = BASE64_STANDARD.decode(given.trim()).unwrap_or_default();
    let given = String::from_utf8(given).unwrap_or_default();
    let now = hold(&state.world).now();
    let sessions = hold(&state.sessions);
    match given.strip_prefix("AWS:").and_then(|password| sessions.password(password)) {
        None => Err(Box::new(answer(400, "", ""))),
        Some((_, until)) if *until <= now => {
            let said = "Your authorization token has expired. Reauthenticate and try again.";
            Err(Box::new(error(403, "DENIED", said)))
        }
        Some((who, _)) => Ok(who.clone()),
    }
}

/// ECR's sentence for a repository that is not there.
pub(crate) fn no_repository(name: &str, account: &str) -> String {
    format!("The repository with name '{name}' does not exist in the registry with id '{account}'")
}

/// An error in the registry's form.
fn error(status: u16, code: &str, message: &str) -> Answer {
    let body = json!({ "errors": [{ "code": code, "message": message }] });
    let mut answer = answer(status, "", format!("{body}\n"));
    if !is_typed(&answer) {
        set(&mut answer, "content-type", "application/json; charset=utf-8");
    }
    answer
}

/// Where a pushed blob lies.
fn file(state: &State, digest: &str) -> PathBuf {
    state.folder.path().join(digest.replace(':', "-"))
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn names_with_slashes_and_words_of_the_protocol_are_found() {
        assert_eq!(Place::of("/v2/"), Some(Place::Ping));
        assert_eq!(
            Place::of("/v2/a/b/manifests/t"),
            Some(Place::Manifest("a/b".into(), "t".into()))
        );
        assert_eq!(Place::of("/v2/a/blobs/uploads/"), Some(Place::Uploads("a".into())));
        assert_eq!(Place::of("/v2/a/blobs/uploads/7"), Some(Place::Upload("a".into(), "7".into())));
        assert_eq!(Place::of("/v2/a/tags/list"), Some(Place::Tags("a".into())));
        assert_eq!(Place::of("/v2/manifests/t"), None);
        assert_eq!(Place::of("/v2/a/manifests/-t"), None);
        assert_eq!(Place::of(&format!("/v2/a/manifests/{}", "t".repeat(129))), None);
    }
}
