//! Engines that are found or not, played on loopback, and real ones where there are some.

mod build;
mod failing;
mod find;
mod real;
mod server;
mod talk;
mod tls;

use crate::error::Failure;
use server::{Asked, Reply, Server};

use super::{Engine, Whereabouts};

/// What a Docker Engine 28 on the containerd store says of itself.
fn known(asked: &Asked) -> Option<Reply> {
    let reply = match asked.line.as_str() {
        "GET /_ping" => Reply {
            headers: vec![("Builder-Version", "2".into()), ("Api-Version", "1.51".into())],
            ..Reply::json(200, "OK")
        },
        "GET /version" => Reply::json(
            200,
            r#"{"Platform":{"Name":"x"},"Version":"28.5.2","ApiVersion":"1.51","Os":"linux","Arch":"amd64","Components":[{"Name":"Engine"}]}"#,
        ),
        "GET /info" => Reply::json(
            200,
            r#"{"Driver":"overlayfs","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}"#,
        ),
        _ => return None,
    };
    Some(reply)
}

async fn engine(server: &Server) -> Engine {
    Engine::find(&at(&server.address)).await.unwrap()
}

fn at(host: &str) -> Whereabouts {
    Whereabouts { host: Some(host.into()), ..Whereabouts::default() }
}

/// The whole message, with what differs from run to run replaced.
fn told(failure: Failure, replaced: &str) -> String {
    let lines = [vec![failure.code.to_string(), failure.what], failure.why, failure.next].concat();
    lines.join("\n").replace(replaced, "@@HERE@@")
}
