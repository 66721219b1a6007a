//! `slipway demo` and `slipway sandbox`: the shipped line against the sandbox in this process. The
//! demo runs two stories and tells them short; the sandbox stays up for other shells.

mod short;
mod stories;

use std::path::Path;
use std::sync::Arc;

use slipway_sandbox::Sandbox;

use super::voice::Voice;
use crate::cancel;
use crate::error::{Code, Ending, Failure};
use crate::inputs::raw::Environment;
use crate::inputs::table::Command;

/// Runs one of the two commands.
pub fn main(command: Command, words: &[String], environment: &Environment, voice: Voice) -> u8 {
    let report = Arc::new(voice.reporter(environment, false));
    super::with_runtime(&report, async {
        let done = match command {
            Command::Sandbox => stay(words, voice).await,
            _ => stories::tell(voice).await,
        };
        match done {
            Ok(exit) => exit,
            Err(failure) => super::conclude(
                crate::pipeline::journey::told_outcome(
                    Ending::BadInput,
                    failure,
                    "not looked at",
                    &report,
                ),
                &report,
            ),
        }
    })
}

/// What could not be started, as a failure.
fn not_started(error: &std::io::Error) -> Failure {
    Failure::new(Code::InputInvalid, "the sandbox could not be started")
        .why(crate::error::one_line(&error.to_string(), 200))
        .next("set TMPDIR to a folder that can be written, or name another port: slipway sandbox 4566")
}

/// A listener that could not be had: most often the port is another program's.
fn no_port(error: &std::io::Error, port: Option<u16>) -> Failure {
    match (error.kind(), port) {
        (std::io::ErrorKind::AddrInUse, Some(port)) => {
            Failure::new(Code::InputInvalid, "the sandbox could not be started")
                .why(format!("another program listens on port {port}"))
                .next("slipway sandbox   takes a free port")
        }
        _ => not_started(error),
    }
}

/// Keeps a sandbox up until a signal, and says how other shells use it.
async fn stay(words: &[String], voice: Voice) -> Result<u8, Failure> {
    let port = match words.first() {
        None => None,
        Some(word) => Some(word.parse::<u16>().map_err(|_| {
            Failure::new(Code::InputInvalid, format!("`{word}` is no port"))
                .next("slipway sandbox 4566")
        })?),
    };
    // Heard before there is anything to clean up.
    let cancel = cancel::of_this_process().map_err(|error| not_started(&error))?;
    let scene = stories::Scene;
    let world = scene.world();
    let sandbox = match port {
        Some(port) => Sandbox::start_at(world, port).await,
        None => Sandbox::start(world).await,
    }
    .map_err(|error| no_port(&error, port))?;
    scene.seed(&sandbox);
    let folder = tempfile::tempdir().map_err(|error| not_started(&error))?;
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, sandbox.kubeconfig()).map_err(|error| not_started(&error))?;
    let (image, broken) = (folder.path().join("image"), folder.path().join("broken"));
    stories::new_image().layout(&image).map_err(|error| not_started(&error))?;
    stories::bad_image().layout(&broken).map_err(|error| not_started(&error))?;
    let mut text = String::from(
        "# a sandbox of STS, ECR, EKS, a registry, GitHub's API and a Kubernetes API, until Ctrl-C; for another shell:\n",
    );
    for (name, value) in sandbox.environment() {
        text.push_str(&format!("export {name}='{value}'\n"));
    }
    text.push_str(&format!("export KUBECONFIG='{}'\n", kubeconfig.display()));
    text.push_str(&examples(&image, &broken));
    let _ = voice.data(&text);
    cancel.raised().await;
    Ok(0)
}

/// What to type in the other shell: a good commit, one whose program stops, and the way back.
fn examples(image: &Path, broken: &Path) -> String {
    let place = "--repository demo/web --cluster demo --namespace demo --workload deployment/web";
    let ship = |commit: &str, image: &Path| {
        format!(
            "#   slipway ship {place} \\\n#     --commit {commit} --image {} --bake 1s\n",
            image.display()
        )
    };
    format!(
        "# then, for example:\n#   aws ecr describe-repositories; kubectl -n demo get pods\n{}# a commit whose program stops, and is rolled back:\n{}# what serves, and back to the first commit:\n#   slipway status {place}\n#   slipway rollback {place} \\\n#     --to {} --bake 1s\n",
        ship(stories::GOOD, image),
        ship(stories::BAD, broken),
        &stories::FIRST[..7],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sandbox_names_a_good_and_a_broken_ship_and_the_way_back() {
        insta::assert_snapshot!(examples(Path::new("/tmp/x/image"), Path::new("/tmp/x/broken")), @r"
        # then, for example:
        #   aws ecr describe-repositories; kubectl -n demo get pods
        #   slipway ship --repository demo/web --cluster demo --namespace demo --workload deployment/web \
        #     --commit 5e6f7a8b9c0d1e2f3041526374859607a8b9c0d1 --image /tmp/x/image --bake 1s
        # a commit whose program stops, and is rolled back:
        #   slipway ship --repository demo/web --cluster demo --namespace demo --workload deployment/web \
        #     --commit 9c0d1e2f30415263748596a7b8c9d0e1f2a3b4c5 --image /tmp/x/broken --bake 1s
        # what serves, and back to the first commit:
        #   slipway status --repository demo/web --cluster demo --namespace demo --workload deployment/web
        #   slipway rollback --repository demo/web --cluster demo --namespace demo --workload deployment/web \
        #     --to a1b2c3d --bake 1s
        ");
    }

    #[test]
    fn a_port_that_is_taken_is_told_as_that() {
        let taken = std::io::Error::from(std::io::ErrorKind::AddrInUse);
        let failure = no_port(&taken, Some(4566));
        insta::assert_snapshot!(format!("{} | {} | {}", failure.what, failure.why.join(" / "), failure.next.join(" / ")), @"the sandbox could not be started | another program listens on port 4566 | slipway sandbox   takes a free port");
    }
}
