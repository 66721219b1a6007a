//! The engine that is there: who it is, what it can do, and how it is spoken to.

use std::io;
use std::time::Duration;

use bollard::Docker;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Request, StatusCode};
use serde::Deserialize;

use super::dial::Place;
use super::place::{Located, Whereabouts, none, ways_on};
use crate::error::{Failure, one_line, quoted};
use crate::http::causes;
use crate::names::Platform;

/// An engine that does not answer a small question in this time is not there for us.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer to a small question.
const ANSWER: usize = 4 * 1024 * 1024;

/// bollard counts until an answer's head, which for a build is after its whole context: in seconds.
const HEAD: u64 = 12 * 60 * 60;

/// An engine that answers.
#[derive(Clone, Debug)]
pub struct Engine {
    /// Where it listens.
    pub place: Place,
    /// The same for messages: `unix:///var/run/docker.sock`.
    pub shown: String,
    /// What it says of itself.
    pub facts: Facts,
}

/// What messages call the one engine that is not Docker's.
pub(super) const PODMAN: &str = "Podman";

/// What an engine says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `Docker Engine 28.5.2`, `Podman 4.3.1`.
    pub product: String,
    /// `28.5.2`.
    pub version: String,
    /// The newest version of its API: `1.51`.
    pub api: (u32, u32),
    /// Where it keeps images.
    pub store: Store,
    /// What it builds with.
    pub builder: Builder,
    /// The Go whose gzip it pushes with; nothing for Podman, which has its own.
    pub go: Option<(u32, u32)>,
    /// What it runs without emulation.
    pub native: Platform,
}

impl Facts {
    /// Its release: 20 and 10 of `20.10.24+dfsg1`. One that was built between two calls itself 0.
    fn release(&self) -> Option<(u32, u32)> {
        let mut numbers = self.version.split('.').map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.next()??)).filter(|(first, _)| *first > 0)
    }

    /// The first release that reads heredocs in a Dockerfile by itself, if this one does not. Docker Engine's
    /// BuildKit has the frontend for them since 23, and fetches one where `# syntax=` names it.
    #[must_use]
    pub fn lacks_heredocs(&self, has_syntax: bool) -> Option<&'static str> {
        let release = self.release()?;
        match self.builder {
            _ if self.is_podman() => (release < (4, 8)).then_some("Podman 4.8"),
            Builder::BuildKit if has_syntax => None,
            Builder::BuildKit | Builder::Classic => (release.0 < 23).then_some("Docker Engine 23"),
        }
    }

    /// Whether it is Podman, whose builder is one of its own.
    #[must_use]
    pub fn is_podman(&self) -> bool {
        self.product.starts_with(PODMAN)
    }
}

/// Where an engine keeps images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// As folders: an image is exported and compressed to be pushed.
    Classic,
    /// As the blobs that a registry has.
    Containerd,
}

/// What an engine builds with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builder {
    /// BuildKit, asked directly.
    BuildKit,
    /// What was before it: one step after the other, a tar as the context.
    Classic,
}

impl Engine {
    /// Finds the engine as Docker's own client does, and asks it who it is.
    ///
    /// # Errors
    /// `SW-BUILD-ENGINE` where none can be used, `SW-INPUT-ENDPOINT` where it would be reached in plaintext,
    /// `SW-INPUT-INVALID` where its address is none.
    pub async fn find(whereabouts: &Whereabouts) -> Result<Self, Failure> {
        let located = whereabouts.locate()?;
        let asked = tokio::time::timeout(PATIENCE, facts(&located.place)).await;
        match asked {
            Ok(Ok(facts)) => Ok(Self { place: located.place, shown: located.shown, facts }),
            Ok(Err(unfit)) => Err(unfit.told(&located)),
            Err(_) => {
                Err(Unfit::Silent(format!("no answer in {} s", PATIENCE.as_secs())).told(&located))
            }
        }
    }

    /// The same engine by bollard, over our own connections.
    pub(super) fn api(&self) -> Result<Docker, Failure> {
        let place = self.place.clone();
        let transport = move |request: bollard::BollardRequest| {
            let place = place.clone();
            async move { place.send(request).await.map_err(bollard::errors::Error::from) }
        };
        let version = bollard::API_DEFAULT_VERSION;
        // The address is for bollard's URLs alone; the API is not asked for by version, so that each engine
        // answers with its own.
        Docker::connect_with_custom_transport(transport, Some("http://docker"), HEAD, version)
            .map(|docker| docker.with_request_modifier(relettered))
            .map_err(|error| none("the engine cannot be asked").why(quoted(&error.to_string())))
    }
}

/// Engines read logins in base64's letters for URLs; bollard writes the others, and a login with one of the two that
/// differ would be none.
fn relettered(mut request: bollard::BollardRequest) -> bollard::BollardRequest {
    for name in ["x-registry-auth", "x-registry-config"] {
        let Some(value) = request.headers().get(name) else { continue };
        let spelled = value.to_str().unwrap_or_default().replace('+', "-").replace('/', "_");
        if let Ok(mut spelled) = HeaderValue::from_str(&spelled) {
            spelled.set_sensitive(true);
            request.headers_mut().insert(name, spelled);
        }
    }
    request
}

/// Why what was found is no engine for us.
enum Unfit {
    /// Nobody listens, or not to us.
    Unreached(io::Error),
    Silent(String),
    /// Whoever it is, it is no engine.
    Stranger(String),
}

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Self {
        Self::Unreached(error)
    }
}

impl Unfit {
    fn told(self, at: &Located) -> Failure {
        let Located { shown, because, .. } = at;
        let failure = match self {
            Self::Unreached(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                none(format!("this user may not use the engine at `{shown}`"))
                    .why("permission denied: its socket is for root and its own group")
            }
            Self::Unreached(error) => untrusting(&causes(&error)).unwrap_or_else(|| {
                none(format!("no engine answers at `{shown}`")).why(causes(&error))
            }),
            Self::Silent(said) => none(format!("no engine answers at `{shown}`")).why(said),
            Self::Stranger(said) => {
                none(format!("what answers at `{shown}` is no Docker Engine")).why(said)
            }
        };
        ways_on(failure.why(because.clone()))
    }
}

/// TLS that one of both sides does not agree to, with the file that it hangs on.
fn untrusting(words: &str) -> Option<Failure> {
    // What comes before says only what the connection was at, which is chance.
    let begins = ["invalid peer certificate", "received fatal alert"];
    let words = begins.iter().find_map(|begin| words.find(begin).map(|at| &words[at..]))?;
    let has = |any: &[&str]| any.iter().any(|part| words.contains(part));
    let (what, why) = if has(&["UnknownIssuer", "BadSignature"]) {
        (
            "the engine's certificate is not trusted",
            "`ca.pem` of `DOCKER_CERT_PATH`, or of the context, does not vouch for it",
        )
    } else if has(&["invalid peer certificate"]) {
        (
            "the engine's certificate is not trusted",
            "it is vouched for, but not for this address, or not now",
        )
    } else if has(&["received fatal alert"]) && has(&["ertificate", "UnknownCA", "DecryptError"]) {
        (
            "the engine does not let this client in",
            "it asks for a `cert.pem` that it accepts, in `DOCKER_CERT_PATH` or the context",
        )
    } else {
        return None;
    };
    Some(none(what).why(why).why(format!("the connection: {}", quoted(words))))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    version: String,
    api_version: String,
    #[serde(default)]
    go_version: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    arch: String,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Component {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    #[serde(default)]
    driver_status: Option<Vec<Vec<String>>>,
}

async fn facts(place: &Place) -> Result<Facts, Unfit> {
    let (headers, _) = get(place, "/_ping").await?;
    let builder = headers.get("builder-version").and_then(|said| said.to_str().ok());
    let version: Version = read(place, "/version").await?;
    let info: Info = read(place, "/info").await?;
    let api = version
        .api_version
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?)));
    let Some(api) = api else {
        return Err(Unfit::Stranger(format!("its API is {}", quoted(&version.api_version))));
    };
    let is_podman = version.components.iter().any(|one| one.name.starts_with("Podman"))
        || headers.contains_key("libpod-api-version");
    let number = one_line(&version.version, 40);
    let maker = if is_podman { PODMAN } else { "Docker Engine" };
    let is_containerd = info.driver_status.iter().flatten().any(|pair| {
        matches!(pair.as_slice(), [key, value] if key == "driver-type" && value == "io.containerd.snapshotter.v1")
    });
    Ok(Facts {
        product: format!("{maker} {number}"),
        version: number,
        api,
        store: if is_containerd { Store::Containerd } else { Store::Classic },
        builder: builder_of(builder, api, is_podman),
        go: go_of(&version.go_version).filter(|_| !is_podman),
        native: Platform::new(&version.os, &version.arch, None),
    })
}

/// Engines before 23 have BuildKit and do not offer it of themselves; on later ones somebody turned it off.
fn builder_of(offered: Option<&str>, api: (u32, u32), is_podman: bool) -> Builder {
    match offered {
        _ if is_podman => Builder::Classic,
        Some("2") => Builder::BuildKit,
        _ if ((1, 39)..(1, 42)).contains(&api) => Builder::BuildKit,
        _ => Builder::Classic,
    }
}

/// `go1.27.1`, `go1.28rc1`.
fn go_of(said: &str) -> Option<(u32, u32)> {
    let (major, rest) = said.strip_prefix("go")?.split_once('.')?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    Some((major.parse().ok()?, rest[..end].parse().ok()?))
}

async fn read<T: serde::de::DeserializeOwned>(place: &Place, path: &str) -> Result<T, Unfit> {
    let (_, body) = get(place, path).await?;
    serde_json::from_slice(&body)
        .map_err(|_| Unfit::Stranger(format!("{path} answered {}", quoted(&words(&body)))))
}

async fn get(place: &Place, path: &str) -> Result<(HeaderMap, Bytes), Unfit> {
    let request = Request::get(path).body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
    let response = place.send(request).await?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER).collect().await;
    let body = body.map_err(|error| Unfit::Stranger(format!("{path}: {error}")))?.to_bytes();
    if head.status != StatusCode::OK {
        let said = quoted(&words(&body));
        return Err(Unfit::Stranger(format!("{path} answered {}: {said}", head.status.as_u16())));
    }
    Ok((head.headers, body))
}

fn words(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(400)]).into_owned()
}
