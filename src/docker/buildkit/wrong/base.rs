//! An image that a Dockerfile begins with or copies from, and that cannot be had.

use super::super::super::stages::{self, Slip};
use super::super::super::{Login, told};
use super::{Ended, Order, Place, Said};
use crate::error::{Code, Failure};
use crate::recipe::By;

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
        let builder = format!("the builder: {}", told::end_of(reason(&said.words)));
        if said.step.is_some_and(|step| step.name.contains(FRONTEND)) {
            return Some(self.no_frontend(image, said, builder));
        }
        Some(not_had(self.order, image, &said.words, said.place.as_ref(), builder))
    }

    /// The image that reads the Dockerfile.
    fn no_frontend(&self, image: &str, said: &Said<'_>, builder: String) -> Failure {
        let place = match self.order.args.contains_key("BUILDKIT_SYNTAX") {
            true => "`BUILDKIT_SYNTAX`",
            false => "`# syntax=`",
        };
        let asked = Asked { image, host: host(image), place, platform: None };
        let (why, next) = cause(self.order, &said.words, &asked);
        let what = format!("the frontend `{image}` cannot be pulled");
        let failure = self.with_line(Failure::new(Code::BuildBase, what), said);
        let failure = failure.why(why).why(builder).next(next);
        // Others' frontends read what the engine's own does not.
        if image.contains("docker/dockerfile") {
            failure.next(format!("or leave out {place}: the engine has a frontend of its own"))
        } else {
            failure
        }
    }
}

/// An image that the Dockerfile begins with or copies from cannot be had. It may have been meant for a stage, which
/// only who wrote it knows.
pub(in crate::docker) fn not_had(
    order: &Order,
    image: &str,
    words: &str,
    place: Option<&Place>,
    builder: String,
) -> Failure {
    let naming = stages::naming(order, image);
    let by = naming.as_ref().map_or(By::From, |naming| naming.by);
    // Variables are not filled in there.
    let host = match image.contains('$') {
        true => told::between(words, "://", "/").unwrap_or("its registry"),
        false => host(image),
    };
    let line = place.cloned().or_else(|| stages::line(order, naming.as_ref()?));
    let platform = line.as_ref().and_then(|line| {
        line.text.split_whitespace().find_map(|word| word.strip_prefix("--platform="))
    });
    let asked = Asked { image, host, place: stages::place(by), platform };
    let (why, next) = cause(order, words, &asked);
    let slip = naming.as_ref().and_then(|naming| Some((naming, stages::slip(naming)?)));
    let file = told::shown(order);
    let kind = if by == By::From { "base image" } else { "image" };
    let what = match &slip {
        Some((naming, Slip::Near(_))) => {
            format!("`{}` is no stage of {file}, and no image that can be pulled", naming.word)
        }
        _ => format!("{kind} `{image}` cannot be pulled"),
    };
    let failure = told::placed(Failure::new(Code::BuildBase, what), order, line.as_ref());
    match slip {
        Some((naming, Slip::Near(near))) => failure
            .why(format!(
                "no stage is called `{}`, so it was taken for an image: {why}",
                naming.word
            ))
            .why(builder)
            .next(format!("did you mean `{near}`?"))
            .next(format!("or, if an image is meant: {next}")),
        Some((naming, Slip::Others(names))) => failure
            .why(format!(
                "no stage is called `{}` (there is `{}`), so it was taken for an image: {why}",
                naming.word,
                names.join("`, `")
            ))
            .why(builder)
            .next(next),
        None => failure.why(why).why(builder).next(next),
    }
}

/// The image that was asked for.
pub(in crate::docker) struct Asked<'a> {
    pub(in crate::docker) image: &'a str,
    pub(in crate::docker) host: &'a str,
    /// Where the Dockerfile names it: `FROM`.
    pub(in crate::docker) place: &'a str,
    /// The platform that it says there, if it says one.
    pub(in crate::docker) platform: Option<&'a str>,
}

/// What came of asking a registry for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It came, and could not be unpacked.
    Packed,
    /// The engine's own proxy did not let it ask.
    Proxy,
    /// Who gives tokens for it does not take the login.
    Login,
    Denied,
    NoPlatform,
    TooMany,
    OutOfOrder,
    Plaintext,
    Untrusted,
    Unreached,
    InPart,
    Absent,
    NoName,
}

/// The words of each in what engines from 20.10 to 28 and Podman say; the first that is found counts.
const ANSWERS: &[(Answer, &[&str])] = &[
    (Answer::Packed, &["failed to register layer", "failed to extract"]),
    (Answer::NoPlatform, &["no match for platform", "no matching manifest"]),
    (Answer::TooMany, &["429 Too Many", "toomanyrequests"]),
    (Answer::Proxy, &["407 Proxy", "Proxy Authentication Required"]),
    (
        Answer::Login,
        &[
            "failed to fetch oauth token: unknown: ",
            "failed to fetch oauth token: denied",
            "failed to fetch oauth token: unauthorized",
            // Addresses are left out.
            "failed to fetch oauth token: unexpected status from POST request to 401",
            "failed to fetch oauth token: unexpected status from POST request to 403",
            "failed to fetch oauth token: unexpected status from GET request to 401",
            "failed to fetch oauth token: unexpected status from GET request to 403",
        ],
    ),
    (
        Answer::Denied,
        &[
            "failed to fetch anonymous token: unknown: ",
            "401 Unauthorized",
            "403 Forbidden",
            "authorization failed",
            "authentication required",
            "access denied",
            "no basic auth",
            "insufficient_scope",
            "unauthorized",
            "denied",
        ],
    ),
    (
        Answer::OutOfOrder,
        &["500 Internal", "502 Bad", "503 Service", "504 Gateway", "HTTP status: 5"],
    ),
    (
        Answer::Plaintext,
        &["does not look like a TLS handshake", "server gave HTTP response to HTTPS client"],
    ),
    (
        Answer::Untrusted,
        &["x509: ", "failed to verify certificate", "unknown certificate authority"],
    ),
    (
        Answer::InPart,
        &[
            "could not fetch content descriptor",
            "failed commit on ref",
            "unknown blob",
            "Error fetching blob",
            "download failed after",
            "does not match expected",
            "unexpected EOF",
        ],
    ),
    (
        Answer::Unreached,
        &[
            "failed to do request",
            "pinging container registry",
            "dial tcp",
            "i/o timeout",
            "no such host",
            "TLS handshake timeout",
            "request canceled",
            "connection reset by peer",
            " EOF",
        ],
    ),
    (
        Answer::Absent,
        &[
            "not found",
            "manifest unknown",
            "name unknown",
            "does not exist",
            "StatusCode: 404",
            "404 Not Found",
        ],
    ),
    (Answer::NoName, &["invalid reference format"]),
];

/// Why the host does not give an image, and what to do.
pub(in crate::docker) fn cause(order: &Order, words: &str, asked: &Asked<'_>) -> (String, String) {
    let Asked { image, host, place, platform } = *asked;
    let (why, next) = match answer(words, image) {
        Some(Answer::Denied) => return denial(order, host),
        Some(Answer::Login) => return refusal(order, host),
        Some(Answer::Proxy) => (
            "the proxy that the engine goes by asks for a login".into(),
            "give the engine that login: `proxies` in its configuration, or HTTPS_PROXY where it is \
             started"
                .into(),
        ),
        Some(Answer::Packed) => (
            "it came, and the engine could not unpack it".into(),
            "act on the engine's words".into(),
        ),
        Some(Answer::NoPlatform) => return no_platform(order, host, platform),
        Some(Answer::TooMany) => (
            format!("{host} allows no more pulls for now"),
            format!("add a login for {host} to the input `base-logins`, which may pull more"),
        ),
        Some(Answer::OutOfOrder) => {
            (format!("{host} is out of order"), "run it again when it is well".into())
        }
        Some(Answer::Plaintext) => (
            format!("{host} answers without TLS, which the engine asks for"),
            format!(
                "name a registry with TLS in {place}, or tell the engine that this one has none: \
                 `insecure-registries` in its configuration"
            ),
        ),
        Some(Answer::Untrusted) => (
            format!("the engine does not trust the certificate of {host}"),
            format!(
                "give the engine's machine the authority of {host}, and start the engine again"
            ),
        ),
        Some(Answer::Unreached) => (
            format!("the engine did not reach {host}"),
            format!("let the engine's machine reach {host}, or name another registry in {place}"),
        ),
        Some(Answer::InPart) => (
            format!("{host} has it, but not all of it came as it should"),
            "run it again; if it stays so, push that image again or name another".into(),
        ),
        Some(Answer::Absent) => {
            (format!("{host} has no such image"), format!("correct the name or the tag in {place}"))
        }
        Some(Answer::NoName) => {
            ("that is no name of an image".into(), format!("correct the name in {place}"))
        }
        None => (
            format!("the engine cannot use what {host} answered"),
            format!("act on those words, or name another image in {place}"),
        ),
    };
    (why, next)
}

fn no_platform(order: &Order, host: &str, own: Option<&str>) -> (String, String) {
    let asked: Vec<_> = order.platforms.iter().map(ToString::to_string).collect();
    let asked = match own {
        Some(own) => format!("what `--platform={own}` says"),
        None => asked.join(", "),
    };
    (
        format!("{host} does not have it for {asked}"),
        "begin with an image that is there for this platform".into(),
    )
}

/// What came of asking for an image, by the words that tell of it.
pub(super) fn answer(words: &str, image: &str) -> Option<Answer> {
    // A firewall denies, too, and asks for no login.
    let words = bare(words, image).replace("permission denied", "");
    let is_said = |marks: &[&str]| marks.iter().any(|mark| words.contains(mark));
    ANSWERS.iter().find(|(_, marks)| is_said(marks)).map(|(answer, _)| *answer)
}

/// Without the addresses that were asked, and the image's own names: those may hold any word.
fn bare(words: &str, image: &str) -> String {
    let is_said = |word: &&str| {
        let name = word.trim_matches(['"', '\'', ',', ':', '(', ')']);
        let is_reference = name.contains(['/', '@', ':']) && path(name) == path(image);
        !is_reference && !name.contains("://")
    };
    words.split_whitespace().filter(is_said).collect::<Vec<_>>().join(" ")
}

/// An image's name without its host, tag and digest.
pub(super) fn path(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let name = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    };
    let name = match name.split_once('/') {
        Some((first, rest)) if is_host(first) => rest,
        _ => name,
    };
    name.strip_prefix("library/").unwrap_or(name)
}

/// Who gives tokens for the host did not take the login.
fn refusal(order: &Order, host: &str) -> (String, String) {
    match login(order, host) {
        Some(login) if !login.is_ours => (
            format!("{host} does not take the login in `base-logins`"),
            format!("correct the user and the password for {host} in `base-logins`"),
        ),
        _ => denial(order, host),
    }
}

/// The login that the host was given.
pub(super) fn login<'a>(order: &'a Order, host: &str) -> Option<&'a Login> {
    order.logins.iter().find(|login| same_host(&login.host, host))
}

/// Whose login it was that the host does not take, if there was one.
fn denial(order: &Order, host: &str) -> (String, String) {
    match login(order, host) {
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
        Some((host, _)) if is_host(host) => host,
        _ => HUB,
    }
}

/// Whether the first part of an image's name is a host, as engines tell it from a user of Docker Hub.
fn is_host(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.contains(char::is_uppercase)
}

fn same_host(login: &str, host: &str) -> bool {
    super::super::answers::host(login) == super::super::answers::host(host)
}
