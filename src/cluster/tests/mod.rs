//! The shipped client against a server on loopback that plays an API server's manners and faults.

mod asking;
mod following;
mod patching;
mod server;
mod trusting;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;

use super::{Access, Cluster, EksToken, Pace, Token};
use crate::error::Failure;
use server::Server;

/// Tokens `t1`, `t2`, …, each good for this long.
fn tokens(valid_for: Duration) -> Token {
    let minted = AtomicU32::new(0);
    Arc::new(move |_| {
        let number = minted.fetch_add(1, Ordering::SeqCst) + 1;
        async move { Ok(EksToken { token: format!("t{number}").into(), valid_for }) }.boxed()
    })
}

fn access(endpoint: &str) -> Access {
    let ms = Duration::from_millis;
    Access {
        endpoint: endpoint.into(),
        ca_pem: None,
        cluster: "prod".parse().unwrap(),
        who: "role `ship`".into(),
        groups: vec!["slipway".into()],
        pace: Pace {
            connect: ms(500),
            answer: ms(400),
            window: ms(600),
            first_wait: ms(5),
            longest_wait: ms(40),
            watch: Duration::from_secs(60),
            idle: ms(300),
            trouble: ms(30),
        },
    }
}

fn connect(server: &Server) -> Cluster {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Cluster::connect(access(&server.endpoint), tokens(Duration::from_mins(14))).unwrap()
}

/// A failure as it is read, but for its first words and what runs now.
fn told(failure: &Failure) -> String {
    let lines = |name: &str, lines: &[String]| -> String {
        lines.iter().map(|line| format!("\n  {name} {line}")).collect()
    };
    format!(
        "{}: {}{}{}",
        failure.code,
        failure.what,
        lines("why: ", &failure.why),
        lines("next:", &failure.next)
    )
}
