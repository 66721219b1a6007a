//! Layers and configs on their way out: a HEAD says whether one is there, a GET redirects to the
//! bucket, and the bucket refuses a request that still carries the registry's credentials.

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::Method;
use hyper::body::Frame;
use tokio::io::AsyncReadExt as _;

use super::{error, file};
use crate::answer::{Answer, Broken, answer, set};
use crate::call::{Asked, fields};
use crate::sandbox::State;
use crate::sigv4;
use crate::world::hold;

/// HEAD or GET of a blob.
pub(super) fn answered(state: &State, repository: &str, digest: &str, method: &Method) -> Answer {
    let size = {
        let world = hold(&state.world);
        world.repositories.get(repository).and_then(|kept| kept.blobs.get(digest).copied())
    };
    let Some(size) = size else {
        let said = format!(
            "The layer with digest '{digest}' does not exist in the repository with name \
             '{repository}'"
        );
        return error(404, "BLOB_UNKNOWN", &said);
    };
    if *method == Method::HEAD {
        let mut answer = answer(200, "application/octet-stream", "");
        set(&mut answer, "content-length", &size.to_string());
        set(&mut answer, "Docker-Content-Digest", digest);
        return answer;
    }
    let end = hold(&state.world).now().as_second() + 3600;
    let path = format!("/bucket/{repository}/{digest}");
    let mut answer = answer(307, "", "");
    // The bucket has another name than the registry, so that clients that keep credentials for the
    // same host only do here what they do before S3.
    let place = format!(
        "http://localhost:{}{path}?X-Amz-Algorithm=AWS4-HMAC-SHA256&end={end}&X-Amz-Signature={}",
        state.address.port(),
        signature(state, &path, &end.to_string())
    );
    set(&mut answer, "Location", &place);
    answer
}

fn signature(state: &State, path: &str, end: &str) -> String {
    let secret = state.folder.path().to_string_lossy();
    hex::encode(sigv4::hmac(secret.as_bytes(), format!("{path}\n{end}").as_bytes()))
}

/// The bucket behind the registry: takes the signed address, and nothing beside it.
pub(crate) fn bucket(state: &State, asked: &Asked) -> Result<Answer, Broken> {
    if !asked.header("authorization").is_empty() {
        return Ok(refused(
            400,
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, \
             Signature query string parameter or the Authorization header should be specified",
        ));
    }
    let given = fields(&asked.query);
    let end = given.get("end").map_or("", String::as_str);
    let signed = given.get("X-Amz-Signature") == Some(&signature(state, &asked.path, end));
    let now = hold(&state.world).now().as_second();
    if !signed || end.parse::<i64>().is_ok_and(|end| end <= now) {
        return Ok(refused(403, "AccessDenied", "Request has expired"));
    }
    let digest = asked.path.rsplit('/').next().unwrap_or_default();
    let seeded = hold(&state.world).blobs.get(digest).cloned();
    if let Some(bytes) = seeded {
        return Ok(answer(200, "application/octet-stream", bytes));
    }
    let Ok(file) = std::fs::File::open(file(state, digest)) else {
        return Ok(refused(404, "NoSuchKey", "The specified key does not exist."));
    };
    let size = file.metadata()?.len();
    let mut answer = answer(200, "application/octet-stream", "").map(|_| streamed(file));
    set(&mut answer, "content-length", &size.to_string());
    Ok(answer)
}

fn refused(status: u16, code: &str, said: &str) -> Answer {
    let body = format!("<Error><Code>{code}</Code><Message>{said}</Message></Error>");
    answer(status, "application/xml", body)
}

/// A file as a body, in pieces: a layer may be larger than the memory.
fn streamed(file: std::fs::File) -> crate::answer::Body {
    let file = tokio::fs::File::from_std(file);
    let pieces = stream::unfold(file, |mut file| async move {
        let mut piece = vec![0; 64 * 1024];
        let read = match file.read(&mut piece).await {
            Ok(0) => return None,
            Ok(read) => read,
            Err(broken) => return Some((Err(broken.into()), file)),
        };
        piece.truncate(read);
        Some((Ok::<_, Broken>(Frame::data(Bytes::from(piece))), file))
    });
    StreamBody::new(pieces).boxed_unsync()
}
