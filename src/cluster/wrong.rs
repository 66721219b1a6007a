//! What can go wrong between us and the API server, in our own words.
//!
//! The error texts of kube and hyper carry URLs and chains; none of them is printed, only what the
//! innermost error is. Turning it into a failure needs to know what was asked.

use std::error::Error;
use std::io;
use std::time::Duration;

use http::StatusCode;
use hyper_util::client::legacy;
use kube::core::Status;
use rustls::CertificateError;

use crate::error::{Code, Failure, Unseen, quoted};

use super::access::Access;
use super::rights::Right;

/// Why a request has no good answer.
#[derive(Debug)]
pub(super) enum Wrong {
    /// There is no token: whoever mints it says why.
    Mint(Failure),
    /// 401, to a new token too.
    Unknown,
    /// No connection, so that nothing was sent: the clause after "was not reached: ", and for how long
    /// that was tried.
    Reach(String, Duration),
    /// Whoever answers there has no certificate that is trusted, so that nothing was sent.
    Untrusted(String),
    /// It was sent, but no whole answer came: the clause after it.
    Cut(String),
    /// An answer that is not 2xx.
    Status(StatusCode, Box<Status>),
    /// An answer that cannot be read.
    Garbled(String),
}

/// What was asked, for the sentence of a failure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doing<'a> {
    pub(super) right: Right,
    pub(super) namespace: Option<&'a str>,
}

impl Wrong {
    /// Reads what kept a request from its answer.
    pub(super) fn from_send(error: &kube::Error) -> Self {
        if let Some(tls) = chain(error).find_map(certificate) {
            return Self::Untrusted(tls);
        }
        let is_unsent = |e: &legacy::Error| e.is_connect();
        let unsent = chain(error).any(|e| e.downcast_ref().is_some_and(is_unsent));
        let words =
            chain(error).find_map(telling).unwrap_or_else(|| "the connection ended early".into());
        if unsent { Self::Reach(words, Duration::ZERO) } else { Self::Cut(words) }
    }

    /// Reads an answer that is not 2xx; one that is no Kubernetes `Status` comes from something between.
    pub(super) fn from_answer(code: StatusCode, body: &[u8]) -> Self {
        let status = serde_json::from_slice::<Status>(body).unwrap_or_else(|_| {
            Status::failure(&String::from_utf8_lossy(body), "").with_code(code.as_u16())
        });
        Self::Status(code, status.boxed())
    }

    /// The same, after it was asked for this long.
    pub(super) fn after(self, tried: Duration) -> Self {
        match self {
            Self::Reach(words, _) => Self::Reach(words, tried),
            other => other,
        }
    }

    /// Asking again may help.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Reach(..) | Self::Cut(_) => true,
            Self::Status(code, _) => matches!(code.as_u16(), 429 | 500 | 502..=504),
            Self::Mint(_) | Self::Unknown | Self::Untrusted(_) | Self::Garbled(_) => false,
        }
    }

    /// The server certainly did nothing: it was not reached, or turned the request away unread.
    pub(super) fn did_nothing(&self) -> bool {
        match self {
            Self::Reach(..) | Self::Untrusted(_) => true,
            Self::Status(code, _) => *code == StatusCode::TOO_MANY_REQUESTS,
            _ => false,
        }
    }

    /// The HTTP status, where there was one.
    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Self::Status(code, _) => Some(code.as_u16()),
            _ => None,
        }
    }

    /// One clause, for "pods cannot be read since 12 s: CLAUSE".
    pub(super) fn clause(&self) -> String {
        match self {
            Self::Mint(failure) => failure.what.clone(),
            Self::Unknown => "401 twice, the second time to a new token".into(),
            Self::Reach(words, _)
            | Self::Untrusted(words)
            | Self::Cut(words)
            | Self::Garbled(words) => words.clone(),
            Self::Status(code, status) => answered(*code, status),
        }
    }

    /// As something optional that was not seen.
    pub(super) fn unseen(&self, what: &str, verb: &str) -> Unseen {
        match self {
            Self::Status(StatusCode::FORBIDDEN, _) => Unseen::new(what, format!("may not {verb}")),
            Self::Status(StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND, status) => {
                Unseen::new(what, quoted(&status.message))
            }
            other => Unseen::new(what, other.clause()),
        }
    }

    /// As the failure of something that a run needs.
    pub(super) fn failure(self, access: &Access, doing: Doing<'_>) -> Failure {
        let (cluster, who) = (&access.cluster, &access.who);
        match self {
            Self::Mint(failure) => failure,
            Self::Unknown => Failure::new(Code::Eks401, format!("`{cluster}` does not know {who}"))
                .why("401 twice, the second time to a new token"),
            Self::Reach(words, tried) => unreached(access, &words, tried),
            Self::Untrusted(words) => untrusted(access, &words),
            Self::Status(StatusCode::FORBIDDEN, status) => {
                forbidden(access, doing, &status.message)
            }
            Self::Status(code, status) => no_answer(access, doing, &answered(code, &status)),
            Self::Cut(words) | Self::Garbled(words) => no_answer(access, doing, &words),
        }
    }
}

/// 403: which verb on which resource, and the commands that grant it.
pub(super) fn forbidden(access: &Access, doing: Doing<'_>, message: &str) -> Failure {
    let Doing { right, namespace } = doing;
    let place = namespace.map_or_else(String::new, |n| format!(" in `{n}`"));
    let what = format!("{} may not {} {}{place}", access.who, right.verb, right.name());
    let failure = Failure::new(Code::Eks403, what).why(format!(
        "`{}` answered 403: {}",
        access.cluster,
        quoted(message)
    ));
    grant(access, namespace, &[right]).into_iter().fold(failure, Failure::next)
}

/// The commands that grant these rights: a role and its binding for each resource.
pub(super) fn grant(access: &Access, namespace: Option<&str>, rights: &[Right]) -> Vec<String> {
    let mut resources: Vec<String> = Vec::new();
    for right in rights {
        if !resources.contains(&right.name()) {
            resources.push(right.name());
        }
    }
    let group = access.groups.first().map_or("GROUP", String::as_str);
    let (scope, kind) = namespace.map_or((String::new(), "cluster"), |n| (format!(" -n {n}"), ""));
    let mut lines = Vec::new();
    for (index, resource) in resources.iter().enumerate() {
        let verbs: Vec<_> =
            rights.iter().filter(|r| r.name() == *resource).map(|r| r.verb).collect();
        let suffix = if index == 0 {
            String::new()
        } else {
            format!("-{}", resource.replace(['/', '.'], "-"))
        };
        let name = format!("{}{suffix}", access.short_name());
        lines.push(format!(
            "kubectl{scope} create {kind}role {name} --verb={} --resource={resource}",
            verbs.join(",")
        ));
        lines.push(format!(
            "kubectl{scope} create {kind}rolebinding {name} --{kind}role={name} --group={group}"
        ));
    }
    lines
}

fn unreached(access: &Access, words: &str, tried: Duration) -> Failure {
    let host = host(&access.endpoint);
    let tried = tried.as_secs_f32();
    let cluster = &access.cluster;
    Failure::new(Code::EksReach, format!("the API server of `{cluster}` was not reached: {words}"))
        .why(format!("its endpoint is {host}, asked for {tried:.1} s"))
        .next(format!("aws eks describe-cluster --name {cluster} --query cluster.resourcesVpcConfig"))
        .next("a private endpoint needs a runner inside its network, a public one this runner's address in publicAccessCidrs")
}

fn untrusted(access: &Access, words: &str) -> Failure {
    let (host, cluster) = (host(&access.endpoint), &access.cluster);
    Failure::new(Code::EksReach, format!("the API server of `{cluster}` was not trusted: {words}"))
        .why(format!("its endpoint is {host}; no token was sent"))
        .next(format!("aws eks describe-cluster --name {cluster} --query cluster.[endpoint,certificateAuthority]"))
        .next("if both are right, something between answers with a certificate of its own: HTTPS_PROXY?")
}

fn no_answer(access: &Access, doing: Doing<'_>, words: &str) -> Failure {
    let Doing { right, namespace } = doing;
    let place = namespace.map_or_else(String::new, |n| format!(" in `{n}`"));
    Failure::new(Code::EksAnswer, format!("`{}` gave no usable answer", access.cluster))
        .why(format!("{} {}{place}: {words}", right.verb, right.name()))
        .next("run it again: it goes on from what is already there")
}

fn answered(code: StatusCode, status: &Status) -> String {
    if status.message.trim().is_empty() {
        return format!("it answered {}", code.as_u16());
    }
    format!("it answered {}: {}", code.as_u16(), quoted(&status.message))
}

/// The host of an endpoint, without scheme and path.
pub(super) fn host(endpoint: &str) -> &str {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let this = next?;
        next = this.source();
        Some(this)
    })
    .take(16)
}

/// What an error of the connection says, if it is one of those that say something.
fn telling(error: &(dyn Error + 'static)) -> Option<String> {
    let Some(io) = error.downcast_ref::<io::Error>() else {
        return (error.to_string() == "dns error").then(|| "its name does not resolve".into());
    };
    let words = match io.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::TimedOut => "no connection in time",
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "connection reset",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no route to it",
        _ => return None,
    };
    Some(words.into())
}

/// What a TLS error says. It is wrapped in I/O errors, which leave the wrapped one out of the chain.
fn certificate(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(io) = error.downcast_ref::<io::Error>() {
        let inner: &(dyn Error + 'static) = io.get_ref()?;
        return certificate(inner);
    }
    let rustls::Error::InvalidCertificate(why) = error.downcast_ref()? else { return None };
    let words = match why {
        // Every EKS cluster's CA bears the same name, so that another one's shows as a bad signature.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is not signed by the cluster's CA"
        }
        _ => "its certificate is not valid for it",
    };
    Some(words.into())
}
