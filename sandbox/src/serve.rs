//! The listener: takes connections, puts faults over the services, notes every request, and sends
//! each to its service. A connection ends with the sandbox.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::answer::{self, Answer, Broken, json as json_answer, set, whole};
use crate::call::{self, Call, header};
use crate::faults::Fault;
use crate::sandbox::State;
use crate::world::hold;
use crate::{cluster, ecr, eks, github, log, oidc, registry, sts};

/// Takes connections until the sandbox is dropped, and ends them with it.
pub(crate) async fn listen(socket: TcpListener, state: Arc<State>) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = open.join_next() => {}
            taken = socket.accept() => match taken {
                Ok((stream, _)) => drop(open.spawn(connection(stream, Arc::clone(&state)))),
                // Too many open files is the usual reason; it passes.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
        }
    }
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    // Small answers must not wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| serve(Arc::clone(&state), request));
    // An error here is a client that went away, or a fault that cut the connection.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn serve(state: Arc<State>, request: Request<Incoming>) -> Result<Answer, Broken> {
    let mut noted = log::Request {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        action: None,
        status: 0,
        from: header(request.headers(), "user-agent").to_owned(),
        wrote: false,
    };
    let line = format!("{} {}", noted.method, request.uri());
    let (call, asking) = call::read(request).await?;
    noted.action = asking.action;
    let fault = state.faults.strike(&line, noted.action.as_deref());
    let number = state.log.arrived(noted);
    let writes = asking.writes.then_some(number);
    let mut answer = struck(&state, call, fault, writes).await?;
    dated(&state, &mut answer);
    state.log.answered(number, answer.status().as_u16());
    Ok(answer)
}

/// The services' clock, where it is not this machine's, shows in the date as well.
fn dated(state: &State, answer: &mut Answer) {
    let now = hold(&state.world).now();
    if let Ok(date) = DateTimePrinter::new().timestamp_to_rfc9110_string(&now) {
        set(answer, "date", &date);
    }
}

/// Lets a fault strike, if there is one.
async fn struck(
    state: &State,
    call: Call,
    fault: Option<Fault>,
    writes: Option<usize>,
) -> Result<Answer, Broken> {
    match fault {
        None => applied(state, call, None, writes).await,
        Some(Fault::Status { code, headers, body }) => {
            let mut answer = answer::answer(code, "", body);
            headers.iter().for_each(|(name, value)| set(&mut answer, name, value));
            Ok(answer)
        }
        Some(Fault::Delay(time)) => {
            tokio::time::sleep(time).await;
            applied(state, call, None, writes).await
        }
        Some(Fault::CutRequest { after }) => match call {
            Call::Registry(_) => applied(state, call, Some(after), None).await,
            Call::Kube(request) => Err(read_and_dropped(request, after).await),
            _ => Err("cut by a fault".into()),
        },
        Some(Fault::CutAnswer { after }) => {
            Ok(answer::cut(applied(state, call, None, writes).await?, after))
        }
        Some(Fault::StallAnswer { after }) => {
            Ok(answer::stalled(applied(state, call, None, writes).await?, after))
        }
        Some(Fault::WrongBody(body)) => {
            let mut answer = applied(state, call, None, writes).await?;
            answer.headers_mut().remove("content-length");
            Ok(answer.map(|_| whole(body)))
        }
        Some(Fault::DropAnswer) => {
            applied(state, call, None, writes).await?;
            Err("the answer was dropped by a fault".into())
        }
        Some(Fault::Stall) => std::future::pending().await,
    }
}

async fn read_and_dropped(mut request: Request<Incoming>, after: u64) -> Broken {
    let mut seen = 0;
    while seen < after {
        let Some(Ok(frame)) = request.body_mut().frame().await else { break };
        seen += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
    "cut by a fault".into()
}

/// Sends a request to its service. `cut` ends an upload after so many bytes.
async fn applied(
    state: &State,
    call: Call,
    cut: Option<u64>,
    writes: Option<usize>,
) -> Result<Answer, Broken> {
    let answer = match call {
        Call::Sts(asked, given) => sts::answered(state, &asked, &given),
        Call::Ecr(asked, operation) => ecr::answered(state, &asked, &operation),
        Call::Eks(asked) => eks::answered(state, &asked),
        Call::GitHub(asked) => github::answered(state, &asked),
        Call::Oidc(asked) => oidc::answered(state, &asked),
        Call::Bucket(asked) => registry::bucket(state, &asked)?,
        Call::Registry(request) => registry::answered(state, request, cut).await?,
        Call::Kube(request) => cluster::answered(state, request).await,
        Call::Nobody(asked) => {
            let said = format!("this sandbox has no service for {} {}", asked.method, asked.path);
            json_answer(404, &json!({ "message": said }))
        }
    };
    if let Some(number) = writes.filter(|_| answer.status().is_success()) {
        state.log.wrote(number);
    }
    Ok(answer)
}

/// A request id in the form that AWS uses.
pub(crate) fn request_id(state: &State) -> String {
    let digits = crate::access::random(state, "request");
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    format!("{}-{}-4{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}
