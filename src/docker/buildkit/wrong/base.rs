//! An image that a Dockerfile begins with or copies from, and that cannot be had.

use super::{Ended, Order, Said};
use crate::error::{Code, Failure, quoted};

/// Where images without a host come from.
const HUB: &str = "docker.io";

/// What builders write before the name of an image that they ask a registry about.
const ASKED: &[&str] = &["load metadata for ", "FROM ", FRONTEND];

/// The same of the image that reads the Dockerfile, which its first line may name.
const FRONTEND: &str = "resolve image config for ";

impl Ended<'_> {
    /// The image could not be asked for or pulled.
    pub(super) fn of_base(&self, said: &Said<'_>) -> Option<Failure> {
        let image = image(said)?;
        let host = host(image);
        let is_frontend = said.step.is_some_and(|step| step.name.contains(FRONTEND));
        let (what, place) = match is_frontend {
            true if self.order.args.contains_key("BUILDKIT_SYNTAX") => {
                ("the frontend", "`BUILDKIT_SYNTAX`")
            }
            true => ("the frontend", "`# syntax=`"),
            false => ("base image", "FROM"),
        };
        let words = said.words.as_str();
        let (why, next) = cause(self.order, words, host, place);
        let failure = Failure::new(Code::BuildBase, format!("{what} `{image}` cannot be pulled"));
        let failure = self.with_line(failure, said).why(why);
        let failure = failure.why(format!("the builder: {}", quoted(reason(words)))).next(next);
        // Others' frontends read what the engine's own does not.
        Some(if is_frontend && image.contains("docker/dockerfile") {
            failure.next(format!("or leave out {place}: the engine has a frontend of its own"))
        } else {
            failure
        })
    }
}

/// Why the host does not give it, and what to do.
pub(in crate::docker) fn cause(
    order: &Order,
    words: &str,
    host: &str,
    place: &str,
) -> (String, String) {
    let has = |marks: &[&str]| marks.iter().any(|mark| words.contains(mark));
    let denied = has(&[
        "401 Unauthorized",
        "403 Forbidden",
        "authorization failed",
        "access denied",
        "no basic auth",
        "insufficient_scope",
        "unauthorized",
        "denied",
    ]);
    if has(&["failed to register layer", "failed to extract"]) {
        ("it came, and the engine could not unpack it".into(), "act on the engine's words".into())
    } else if denied {
        denial(order, host)
    } else if has(&["no match for platform", "no matching manifest"]) {
        let platforms: Vec<_> = order.platforms.iter().map(ToString::to_string).collect();
        (
            format!("{host} does not have it for {}", platforms.join(", ")),
            "begin with an image that is there for this platform".into(),
        )
    } else if has(&["429", "toomanyrequests"]) {
        (
            format!("{host} allows no more pulls for now"),
            format!("add a login for {host} to the input `base-logins`, which may pull more"),
        )
    } else if has(&["500 Internal", "502 Bad", "503 Service", "504 Gateway", "HTTP status: 5"]) {
        (format!("{host} is out of order"), "run it again when it is well".into())
    } else if has(&["x509: ", "tls: "]) {
        (
            format!("the engine does not trust the certificate of {host}"),
            format!(
                "give the engine's machine the authority of {host}, and start the engine again"
            ),
        )
    } else if has(&[
        "failed to do request",
        "dial tcp",
        "i/o timeout",
        "no such host",
        "TLS handshake timeout",
        "request canceled",
    ]) {
        (
            format!("the engine did not reach {host}"),
            format!("let the engine's machine reach {host}, or name another registry in {place}"),
        )
    } else {
        (format!("{host} has no such image"), format!("correct the name or the tag in {place}"))
    }
}

/// Whose login it was that the host does not take, if there was one.
fn denial(order: &Order, host: &str) -> (String, String) {
    match order.logins.iter().find(|login| same_host(&login.host, host)) {
        Some(login) if login.is_ours => (
            "this run's own login may not pull it, or there is no such image".into(),
            format!(
                "let the run's role or user read that repository, or give a login for {host} in `base-logins`"
            ),
        ),
        Some(_) => (
            format!(
                "the login for {host} in `base-logins` may not pull it, or there is no such image"
            ),
            format!("correct the login for {host} in `base-logins`"),
        ),
        None => (
            format!("{host} asks for a login, or there is no such image"),
            format!("add a login for {host} to the input `base-logins`"),
        ),
    }
}

/// The image that it is about: the builder's words name it, or the step that failed.
fn image<'a>(said: &'a Said<'_>) -> Option<&'a str> {
    const BEFORE: &str = "failed to resolve source metadata for ";
    if let Some((_, rest)) = said.words.split_once(BEFORE) {
        return Some(rest.split_once(": ").map_or(rest, |(image, _)| image));
    }
    let name = said.step?.name.as_str();
    let (_, rest) = ASKED.iter().find_map(|asked| name.split_once(asked))?;
    let image = rest.split_whitespace().next().filter(|image| !image.is_empty())?;
    Some(image.strip_prefix("docker-image://").unwrap_or(image))
}

/// The words after the name of the image.
fn reason(words: &str) -> &str {
    match words.split_once("failed to resolve source metadata for ") {
        Some((_, rest)) => rest.split_once(": ").map_or(rest, |(_, reason)| reason),
        None => words,
    }
}

/// Where an image comes from.
pub(in crate::docker) fn host(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => HUB,
    }
}

fn same_host(login: &str, host: &str) -> bool {
    super::super::answers::host(login) == super::super::answers::host(host)
}
