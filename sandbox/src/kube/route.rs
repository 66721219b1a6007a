//! From a request to its answer: paths, verbs, rights and bodies.
//! It must not do the work: reads, writes, watches and logs are rooms of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;

use super::access::Asked;
use super::kinds::{self, Kind};
use super::status::Refused;
use super::table::{self, Include};
use super::write::{self, Writer};
use super::{Body, Caller, Inner, State, discovery, logs, protobuf, read, watch};

/// The parameters of a request.
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    fn read(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(key, value)| (decoded(key), decoded(value)))
                .collect(),
        )
    }

    /// A parameter, or the empty text.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, hex) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 2;
            }
            (b'+', _) => decoded.push(b' '),
            (byte, _) => decoded.push(*byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Where a path leads.
struct Place {
    kind: Kind,
    namespace: String,
    name: String,
    subresource: String,
}

impl Place {
    fn read(path: &str) -> Option<Self> {
        let parts: Vec<String> = path
            .trim_matches('/')
            .split('/')
            .map(|part| decoded(&part.replace('+', "%2B")))
            .collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, plural, rest) = match rest {
            ["namespaces", namespace, plural, rest @ ..] => (*namespace, *plural, rest),
            [plural, rest @ ..] => ("", *plural, rest),
            [] => return None,
        };
        let kind = kinds::by_path(group, version, plural)?;
        let (name, subresource) = match rest {
            [] => ("", ""),
            [name] => (*name, ""),
            [name, subresource] => (*name, *subresource),
            _ => return None,
        };
        if kind.namespaced && namespace.is_empty() && !name.is_empty() {
            return None;
        }
        let owned = str::to_owned;
        let (namespace, name) = (owned(namespace), owned(name));
        Some(Self { kind, namespace, name, subresource: owned(subresource) })
    }
}

/// Answers a request.
pub(super) async fn answer<B>(cluster: &Arc<Inner>, request: Request<B>) -> Response<Body>
where
    B: hyper::body::Body<Data = Bytes>,
{
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return refusal(&Refused::bad_request("the body of the request could not be read"));
    };
    let body = body.to_bytes();
    let path = parts.uri.path();
    if matches!(path, "/healthz" | "/readyz" | "/livez") {
        return plain(StatusCode::OK, "ok".to_owned());
    }
    if let Some(found) = discovery::answer(path.trim_end_matches('/')) {
        return json(StatusCode::OK, &found);
    }
    let caller = parts.extensions.get::<Caller>().cloned().unwrap_or_default();
    let header = |name| parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if let Some(review) = path.strip_prefix("/apis/authorization.k8s.io/v1/") {
        let media = header(CONTENT_TYPE);
        return reviewed(&cluster.lock(), review, &parts.method, (media, &body))
            .unwrap_or_else(|refused| refusal(&refused));
    }
    let Some(place) = Place::read(path) else {
        return plain(StatusCode::NOT_FOUND, "404 page not found\n".to_owned());
    };
    let query = Query::read(parts.uri.query().unwrap_or_default());
    let table = table::is_asked(header(ACCEPT)).then(|| Include::read(query.get("includeObject")));
    let call = Call {
        query,
        table,
        method: parts.method.clone(),
        media: header(CONTENT_TYPE).to_owned(),
        agent: header(USER_AGENT).to_owned(),
        caller,
        place,
        body,
    };
    call.answer(cluster).unwrap_or_else(|refused| refusal(&refused))
}

struct Call {
    query: Query,
    /// Asked for as a table, with this beside the cells.
    table: Option<Include>,
    method: Method,
    media: String,
    agent: String,
    caller: Caller,
    place: Place,
    body: Bytes,
}

impl Call {
    fn verb(&self) -> Result<&'static str, Refused> {
        let watching = matches!(self.query.get("watch"), "true" | "1");
        Ok(match (&self.method, self.place.name.is_empty()) {
            (&Method::GET, _) if watching => "watch",
            (&Method::GET, true) => "list",
            (&Method::GET, false) => "get",
            (&Method::POST, true) => "create",
            (&Method::PUT, false) => "update",
            (&Method::PATCH, false) => "patch",
            (&Method::DELETE, false) => "delete",
            _ => return Err(Refused::method()),
        })
    }

    fn answer(&self, cluster: &Arc<Inner>) -> Result<Response<Body>, Refused> {
        let Place { kind, namespace, name, subresource } = &self.place;
        let verb = self.verb()?;
        let asked = Asked { kind, namespace, name, subresource };
        cluster.lock().rules.check(&self.caller, verb, &asked)?;
        if kind.kind == "Pod" && subresource == "log" && verb == "get" {
            let log = logs::answer(&cluster.lock(), namespace, name, &self.query)?;
            return Ok(log.map_or_else(
                || plain(StatusCode::NO_CONTENT, String::new()),
                |log| plain(StatusCode::OK, log),
            ));
        }
        if !subresource.is_empty() {
            return Err(Refused::no_path());
        }
        match verb {
            "watch" => {
                let watched = watch::open(cluster, kind, namespace, &self.query, self.table)?;
                let mut answer = Response::new(watched);
                typed(&mut answer, "application/json");
                Ok(answer)
            }
            "list" => {
                let state = cluster.lock();
                let found = read::list(&state.store, kind, namespace, &self.query)?;
                Ok(json(StatusCode::OK, &self.shown(found, &state)))
            }
            "get" => {
                let state = cluster.lock();
                let found = read::get(&state.store, kind, namespace, name)?;
                Ok(json(StatusCode::OK, &self.shown(found, &state)))
            }
            _ => self.write(&mut cluster.lock(), verb),
        }
    }

    /// What was read, as a table if that was asked for and the kind has one.
    fn shown(&self, found: Value, state: &State) -> Value {
        let table = |include| table::of(self.place.kind, &found, include, state.clock.wall());
        self.table.and_then(table).unwrap_or(found)
    }

    fn write(&self, state: &mut State, verb: &str) -> Result<Response<Body>, Refused> {
        let Place { kind, namespace, name, .. } = &self.place;
        let dry = match self.query.get("dryRun") {
            "" => false,
            "All" => true,
            other => {
                let why = format!("invalid dry-run option: unsupported value: \"{other}\"");
                return Err(Refused::bad_request(why));
            }
        };
        let agent = self.agent.split('/').next().filter(|agent| !agent.is_empty());
        let manager = match self.query.get("fieldManager") {
            "" => agent.unwrap_or("unknown"),
            manager => manager,
        };
        let writer = Writer { manager, dry };
        let at = (namespace.as_str(), name.as_str());
        let done = match verb {
            "create" => {
                let made = write::create(state, kind, namespace, self.object()?, &writer)?;
                return Ok(json(StatusCode::CREATED, &made));
            }
            "update" => write::update(state, kind, at, self.object()?, &writer)?,
            "patch" => write::patch(state, kind, at, (&self.media, &self.body), &writer)?,
            _ => {
                let options = if self.body.is_empty() { Value::Null } else { self.object()? };
                write::delete(state, kind, namespace, name, &options, dry)?
            }
        };
        Ok(json(StatusCode::OK, &done))
    }

    fn object(&self) -> Result<Value, Refused> {
        object(&self.media, &self.body)
    }
}

/// Reads the body; of the formats that the real server takes, only JSON.
fn object(media: &str, body: &[u8]) -> Result<Value, Refused> {
    if !media.is_empty() && !media.starts_with("application/json") {
        return Err(Refused::media_type("application/json"));
    }
    serde_json::from_slice(body)
        .map_err(|e| Refused::bad_request(format!("the object provided is unrecognized: {e}")))
}

fn reviewed(
    state: &State,
    review: &str,
    method: &Method,
    (media, body): (&str, &[u8]),
) -> Result<Response<Body>, Refused> {
    if method != Method::POST {
        return Err(Refused::method());
    }
    let asked = if media.starts_with(protobuf::MEDIA) {
        let unread = || Refused::bad_request("the object provided is unrecognized");
        protobuf::review(body).ok_or_else(unread)?
    } else {
        object(media, body)?
    };
    Ok(match review {
        "selfsubjectaccessreviews" => json(StatusCode::CREATED, &state.rules.access(asked)),
        "selfsubjectrulesreviews" => json(StatusCode::CREATED, &state.rules.rules(asked)),
        _ => plain(StatusCode::NOT_FOUND, "404 page not found\n".to_owned()),
    })
}

fn refusal(refused: &Refused) -> Response<Body> {
    json(refused.code, &refused.status())
}

fn json(code: StatusCode, value: &Value) -> Response<Body> {
    let mut answer = plain(code, value.to_string());
    typed(&mut answer, "application/json");
    answer
}

fn plain(code: StatusCode, text: String) -> Response<Body> {
    let mut answer = Response::new(Full::new(Bytes::from(text)).boxed());
    *answer.status_mut() = code;
    typed(&mut answer, "text/plain; charset=utf-8");
    answer
}

fn typed(answer: &mut Response<Body>, media: &'static str) {
    answer.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(media));
}
