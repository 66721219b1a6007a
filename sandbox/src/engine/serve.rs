//! The engine's listener and its routes, with and without a version before them.

use std::sync::Arc;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;

use super::control::Control;
use super::session::Session;
use super::{Builder, State, about, classic, images, push, save};
use crate::answer::{Answer, Broken, answer, json as json_answer, set, whole};
use crate::call::{decoded, fields, header};
use crate::world::hold;

/// Takes connections until the engine is dropped, and ends them with it.
pub(super) async fn listen(unix: UnixListener, port: TcpListener, state: Arc<State>) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = open.join_next() => {}
            Ok((wire, _)) = unix.accept() => drop(open.spawn(spoken(wire, Arc::clone(&state)))),
            Ok((wire, _)) = port.accept() => drop(open.spawn(spoken(wire, Arc::clone(&state)))),
        }
    }
}

async fn spoken(wire: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, state: Arc<State>) {
    let service = service_fn(move |request| serve(Arc::clone(&state), request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(wire), service);
    // An error here is a client that went away.
    _ = connection.with_upgrades().await;
}

async fn serve(state: Arc<State>, request: Request<Incoming>) -> Result<Answer, Broken> {
    let line = format!("{} {}", request.method(), request.uri());
    hold(&state.asked).push(line);
    let mut answer = match about::unversioned(state.kind, request.uri().path()) {
        Ok(path) => routed(&state, path, request).await?,
        Err(said) => json_answer(400, &json!({ "message": said })),
    };
    about::signed(state.kind, &mut answer);
    Ok(answer)
}

async fn routed(
    state: &Arc<State>,
    path: String,
    request: Request<Incoming>,
) -> Result<Answer, Broken> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let method = request.method().clone();
    let name = |verb: &str| {
        path.strip_prefix("/images/").and_then(|rest| rest.strip_suffix(verb)).map(decoded)
    };
    Ok(match (method.as_str(), path.as_str()) {
        ("GET" | "HEAD", "/_ping") => about::ping(&method),
        ("GET", "/version") => json_answer(200, &about::version(state.kind)),
        ("GET", "/info") => json_answer(200, &about::info(state)),
        ("GET", "/images/json") => json_answer(200, &images::list(state, &fields(&query))),
        ("GET", "/images/get") => save::answered(state, &names(&query)),
        ("POST", "/build") => classic::answered(state, request, &query).await?,
        ("POST", "/grpc" | "/session") => given(state, &path, request),
        ("GET", _) if let Some(name) = name("/json") => images::inspected(state, &name),
        ("GET", _) if let Some(name) = name("/history") => images::history(state, &name),
        ("GET", _) if let Some(name) = name("/get") => save::answered(state, &[name]),
        ("POST", _) if let Some(name) = name("/tag") => {
            images::named(state, &name, &fields(&query))
        }
        ("POST", _) if let Some(name) = name("/push") => {
            let tag = fields(&query).get("tag").cloned();
            let login = header(request.headers(), "x-registry-auth").to_owned();
            push::answered(state, &name, tag.as_deref(), &login).await
        }
        ("DELETE", _) if let Some(name) = name("") => images::removed(state, &name),
        _ if is_known(&path) => {
            let said = format!("this sandbox's engine does not play {method} {path}");
            json_answer(501, &json!({ "message": said }))
        }
        _ => json_answer(404, &json!({ "message": "page not found" })),
    })
}

/// What an engine has and this one does not play.
fn is_known(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    const KNOWN: [&str; 14] = [
        "auth",
        "build",
        "commit",
        "containers",
        "distribution",
        "events",
        "exec",
        "images",
        "networks",
        "plugins",
        "services",
        "swarm",
        "system",
        "volumes",
    ];
    KNOWN.contains(&first)
}

/// The images that a query names.
fn names(query: &str) -> Vec<String> {
    let pairs = query.split('&').filter_map(|pair| pair.strip_prefix("names="));
    pairs.map(decoded).collect()
}

/// Gives the connection away.
fn given(state: &Arc<State>, path: &str, request: Request<Incoming>) -> Answer {
    let refused = |status, said: &str| json_answer(status, &json!({ "message": said }));
    if state.kind.builder == Builder::Classic {
        return refused(501, "this sandbox's engine has no BuildKit");
    }
    if header(request.headers(), "upgrade") != "h2c" {
        return refused(500, "no upgrade proto in request");
    }
    let one = |name: &str| header(request.headers(), name).to_owned();
    let id = one("x-docker-expose-session-uuid");
    let methods = request.headers().get_all("x-docker-expose-session-grpc-method").iter();
    let methods: Vec<_> = methods.filter_map(|m| m.to_str().ok()).map(str::to_owned).collect();
    let (state, is_session) = (Arc::clone(state), path == "/session");
    if is_session && id.is_empty() {
        return refused(500, "session id is empty");
    }
    let holder = Arc::clone(&state);
    hold(&holder.given).spawn(async move {
        let Ok(wire) = hyper::upgrade::on(request).await else { return };
        if is_session {
            session(state, wire, id, methods).await;
        } else {
            control(state, wire).await;
        }
    });
    let mut answer = Response::new(whole(""));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    set(&mut answer, "connection", "Upgrade");
    set(&mut answer, "upgrade", "h2c");
    answer
}

async fn session(state: Arc<State>, wire: Upgraded, id: String, methods: Vec<String>) {
    let Ok((session, lives)) = Session::over(wire, methods).await else { return };
    let asking = session.clone();
    let checked = async {
        // An engine ends a session whose health it cannot ask for.
        if asking.is_well().await {
            hold(&state.sessions).insert(id.clone(), session);
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = lives => {}
        () = checked => {}
    }
    hold(&state.sessions).remove(&id);
}

async fn control(state: Arc<State>, wire: Upgraded) {
    let control = Control::new(state);
    let service = service_fn(move |request: Request<Incoming>| control.clone().answer(request));
    let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    server.max_concurrent_streams(100);
    _ = server.serve_connection(wire, service).await;
}

/// A body that was sent, whole.
pub(super) async fn body(request: Request<Incoming>) -> Result<bytes::Bytes, Broken> {
    Ok(request.into_body().collect().await?.to_bytes())
}

/// Lines of JSON, as builds and pushes are told.
pub(super) fn lines(all: &[serde_json::Value]) -> Answer {
    let text: String = all.iter().map(|line| format!("{line}\r\n")).collect();
    answer(200, "application/json", text)
}

/// No image of this name.
pub(super) fn missing(name: &str) -> Answer {
    let name = super::shelf::familiar(name);
    json_answer(404, &json!({ "message": format!("No such image: {name}") }))
}

/// The method, for answers without a body.
pub(super) fn is_head(method: &Method) -> bool {
    *method == Method::HEAD
}
