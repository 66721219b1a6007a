//! The engine's own push, really made over HTTP to the sandbox's registry, and what is said on the way.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::handshake;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::serve::lines;
use super::shelf::{LIST, MANIFEST, Stored, familiar, whole};
use super::wrong::Wrong;
use super::{Kind, State, Store, Version};
use crate::answer::Answer;
use crate::image::digest;
use crate::world::hold;

/// Where something is pushed to, by whom.
struct Registry {
    address: String,
    /// The name that is asked for, as messages have it.
    host: String,
    repository: String,
    login: String,
}

pub(super) async fn answered(state: &State, name: &str, tag: Option<&str>, login: &str) -> Answer {
    let name = tag.map_or_else(|| name.to_owned(), |tag| format!("{name}:{tag}"));
    let full = whole(&name);
    let (repository, tag) = full.rsplit_once(':').unwrap_or((&full, "latest"));
    let status = format!("The push refers to repository [{repository}]");
    let mut said = vec![json!({ "status": status })];
    let found = {
        let shelf = hold(&state.shelf);
        match state.is_renamed.load(Ordering::SeqCst) {
            true => shelf.images.last().cloned(),
            false => shelf.find(&familiar(&name)).cloned(),
        }
    };
    let ended = match found {
        None => {
            let bare = familiar(&name);
            let bare = bare.rsplit_once(':').map_or(bare.as_str(), |(bare, _)| bare);
            Err(format!("An image does not exist locally with the tag: {bare}"))
        }
        Some(image) => pushed(state, &image, repository, tag, login, &mut said).await,
    };
    match ended {
        Ok((digest, size)) => {
            let status = format!("{tag}: digest: {digest} size: {size}");
            said.push(json!({ "status": status }));
            if state.kind.store == Store::Classic {
                let aux = json!({ "Tag": tag, "Digest": digest, "Size": size });
                said.push(json!({ "progressDetail": {}, "aux": aux }));
            }
        }
        Err(message) => {
            said.push(json!({ "errorDetail": { "message": message }, "error": message }));
        }
    }
    lines(&said)
}

async fn pushed(
    state: &State,
    image: &Stored,
    repository: &str,
    tag: &str,
    login: &str,
    said: &mut Vec<Value>,
) -> Result<(String, usize), String> {
    let (host, path) = repository.split_once('/').unwrap_or_default();
    let is_ours = host == state.registry || host.contains(".dkr.ecr.");
    if !is_ours || state.is_cut_off.load(Ordering::SeqCst) {
        let config = image.platforms.first().map(|one| digest(&one.config)).unwrap_or_default();
        let asked = match state.kind.store {
            Store::Classic => format!("Get \"https://{host}/v2/\""),
            Store::Containerd => {
                format!("failed to do request: Head \"https://{host}/v2/{path}/blobs/{config}\"")
            }
        };
        return Err(format!("{asked}: dial tcp: lookup {host}: no such host"));
    }
    let address = state.registry.clone();
    let (host, repository) = (host.to_owned(), path.to_owned());
    let registry = Registry { address, host, repository, login: basic(login) };
    for one in &image.platforms {
        for blob in &one.blobs {
            let digest = digest(blob);
            let was_there = registry.blob(&digest, blob, state.kind).await?;
            let status = if was_there { "Layer already exists" } else { "Pushed" };
            let id = digest.trim_start_matches("sha256:").get(..12).unwrap_or_default();
            said.push(json!({ "status": status, "progressDetail": {}, "id": id }));
        }
        // Engines do not speak of it.
        registry.blob(&digest(&one.config), &one.config, state.kind).await?;
        let is_listed = image.list.is_some();
        let at = if is_listed { digest(&one.manifest) } else { tag.to_owned() };
        registry.manifest(&at, MANIFEST, &one.manifest).await?;
    }
    let Some(list) = &image.list else {
        let manifest = image.platforms.first().map(|one| one.manifest.clone()).unwrap_or_default();
        return Ok((digest(&manifest), manifest.len()));
    };
    registry.manifest(tag, LIST, list).await?;
    Ok((digest(list), list.len()))
}

/// What a registry takes of what an engine was given.
fn basic(login: &str) -> String {
    let bytes = BASE64_URL_SAFE.decode(login).unwrap_or_default();
    let login: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    match (login["username"].as_str(), login["password"].as_str()) {
        (Some(user), Some(password)) => {
            format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
        }
        _ => String::new(),
    }
}

impl Registry {
    /// One request; its status, where it leads, and its text.
    async fn ask(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &Bytes,
    ) -> Result<(StatusCode, String, String), String> {
        let failed = |error: &dyn std::fmt::Display| {
            let (host, path) = (&self.host, path);
            format!("failed to do request: {method} \"https://{host}{path}\": {error}")
        };
        let wire = TcpStream::connect(&self.address).await.map_err(|error| failed(&error))?;
        let (mut sender, connection) =
            handshake(TokioIo::new(wire)).await.map_err(|error| failed(&error))?;
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.address)
            .header("user-agent", "docker/sandbox");
        for (name, value) in [("authorization", self.login.as_str()), ("content-type", kind)] {
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        let request = request.body(Full::new(body.clone())).map_err(|error| failed(&error))?;
        // As Go tells a connection that ended.
        let answer = sender.send_request(request).await.map_err(|_| failed(&"EOF"))?;
        let location = crate::call::header(answer.headers(), "location").to_owned();
        let status = answer.status();
        let text = answer.into_body().collect().await.map_err(|error| failed(&error))?.to_bytes();
        Ok((status, location, String::from_utf8_lossy(&text).into_owned()))
    }

    /// Sends a blob that is not there; whether it was.
    async fn blob(&self, digest: &str, bytes: &Bytes, kind: Kind) -> Result<bool, String> {
        let none = Bytes::new();
        let path = format!("/v2/{}/blobs/{digest}", self.repository);
        let (status, ..) = self.ask("HEAD", &path, "", &none).await?;
        match status.as_u16() {
            200 => return Ok(true),
            404 => {}
            401 if kind.store == Store::Classic && self.login.is_empty() => {
                return Err("no basic auth credentials".into());
            }
            _ => return Err(unexpected("HEAD", &self.host, &path, status, "")),
        }
        let path = format!("/v2/{}/blobs/uploads/", self.repository);
        let (status, location, text) = self.ask("POST", &path, "", &none).await?;
        if status != StatusCode::ACCEPTED {
            return Err(unexpected("POST", &self.host, &path, status, &text));
        }
        let start = format!("http://{}", self.address);
        let mut path = location.strip_prefix(&start).unwrap_or(&location).to_owned();
        let mark = if path.contains('?') { '&' } else { '?' };
        _ = write!(path, "{mark}digest={digest}");
        let (status, _, text) = self.ask("PUT", &path, "application/octet-stream", bytes).await?;
        if status != StatusCode::CREATED {
            return Err(unexpected("PUT", &self.host, &path, status, &text));
        }
        Ok(false)
    }

    async fn manifest(&self, at: &str, kind: &str, bytes: &Bytes) -> Result<(), String> {
        let path = format!("/v2/{}/manifests/{at}", self.repository);
        let (status, _, text) = self.ask("PUT", &path, kind, bytes).await?;
        if status == StatusCode::CREATED {
            return Ok(());
        }
        Err(unexpected("PUT", &self.host, &path, status, &text))
    }
}

/// A registry's answer as containerd tells it; its own words, where it had some.
fn unexpected(method: &str, host: &str, path: &str, status: StatusCode, text: &str) -> String {
    let told: Value = serde_json::from_str(text).unwrap_or_default();
    let first = &told["errors"][0];
    if let (Some(code), Some(message)) = (first["code"].as_str(), first["message"].as_str()) {
        return format!("{}: {message}", code.to_lowercase().replace('_', " "));
    }
    format!("unexpected status from {method} request to https://{host}{path}: {status}")
}

/// Why a base image is not to be had. A registry that answers is not asked for one: that is not played.
pub(super) async fn unreachable_base(name: &str, kind: Kind) -> Result<String, Wrong> {
    let (host, rest) = name.split_once('/').unwrap_or_default();
    let (path, tag) = rest.rsplit_once(':').unwrap_or((rest, "latest"));
    let is_loopback = host.starts_with("127.0.0.1:");
    let scheme = if is_loopback && kind.version == Version::V20 { "http" } else { "https" };
    let url = format!("{scheme}://{host}/v2/{path}/manifests/{tag}");
    let why = match TcpStream::connect(host).await {
        Ok(_) => return Err(Wrong::Unplayed(format!("the base image `{name}` out of a registry"))),
        Err(_) if is_loopback => format!("dial tcp {host}: connect: connection refused"),
        Err(_) => format!("dial tcp: lookup {host}: no such host"),
    };
    Ok(format!("failed to do request: Head \"{url}\": {why}"))
}
