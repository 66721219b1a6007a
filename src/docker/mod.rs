//! The Docker Engine, as far as this version goes: whether one answers, and where it was looked for.
//!
//! It builds nothing and takes nothing from the engine; it only makes the refusal of a commit without
//! an image say what is there. Leans on bollard.

mod buildkit;
mod dial;
mod order;

use std::time::Duration;

use bollard::Docker;

pub use buildkit::{build, platforms};
pub use dial::Place;
pub use order::{Built, Cache, Heard, Listener, Login, Order, StepState};

/// An engine that does not answer at once is not there for us.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where Docker's own client looks if nothing is said.
const USUAL: &str = "unix:///var/run/docker.sock";

/// Looks for an engine where `DOCKER_HOST` or Docker's default says, and tells what was found.
pub async fn look(host: Option<&str>) -> String {
    let host = host.filter(|host| !host.is_empty()).unwrap_or(USUAL);
    if host.starts_with("ssh://") {
        return "DOCKER_HOST is an ssh:// address, which slipway does not use".into();
    }
    let Ok(engine) = Docker::connect_with_host(host) else {
        return format!("no Docker Engine can be reached at {host}");
    };
    match tokio::time::timeout(PATIENCE, engine.version()).await {
        Ok(Ok(version)) => format!(
            "a Docker Engine {} answers at {host}, but this version does not build with it",
            version.version.unwrap_or_default()
        ),
        _ => format!("no Docker Engine answers at {host}"),
    }
}

#[cfg(test)]
mod building;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_looked_for_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let socket = format!("unix://{}/docker.sock", folder.path().display());
        assert!(look(Some(&socket)).await.contains(&socket));
        assert_eq!(
            look(Some("ssh://build")).await,
            "DOCKER_HOST is an ssh:// address, which slipway does not use"
        );
    }
}
