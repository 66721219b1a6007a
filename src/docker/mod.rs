//! The Docker Engine: where it is, who it is, its builders, its images, and its own push.
//!
//! [`Engine::find`] looks where Docker's own client does. Nothing here knows of registries or archives beyond
//! what the engine is told and says. Leans on bollard, and for BuildKit on its own protocol.

pub mod classic;
mod dial;
mod engine;
mod images;
mod order;
mod place;
mod push;

pub use dial::Place;
pub use engine::{Builder, Engine, Facts, Store};
pub use images::{EngineImage, Made};
pub use order::{Built, Cache, Heard, Listener, Login, Order, StepState};
pub use place::Whereabouts;
pub use push::Pushing;

/// Looks for an engine where `DOCKER_HOST` or Docker's default says, and tells what was found.
pub async fn look(host: Option<&str>) -> String {
    let host = host.filter(|host| !host.is_empty()).unwrap_or("unix:///var/run/docker.sock");
    if host.starts_with("ssh://") {
        return "DOCKER_HOST is an ssh:// address, which slipway does not use".into();
    }
    let whereabouts = Whereabouts { host: Some(host.into()), ..Whereabouts::default() };
    match Engine::find(&whereabouts).await {
        Ok(engine) => format!(
            "a {} answers at {host}, but this version does not build with it",
            engine.facts.product
        ),
        Err(_) => format!("no Docker Engine can be reached at {host}"),
    }
}

#[cfg(test)]
mod tests;
