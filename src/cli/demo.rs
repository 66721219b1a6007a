//! `slipway demo` and `slipway sandbox`: the shipped line against the sandbox in this process. The
//! demo runs two stories and tells them short; the sandbox stays up for other shells.

mod short;
mod stories;

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
        .next("slipway sandbox with another port, or TMPDIR set to a folder that can be written")
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
    let scene = stories::Scene;
    let world = scene.world();
    let sandbox = match port {
        Some(port) => Sandbox::start_at(world, port).await,
        None => Sandbox::start(world).await,
    }
    .map_err(|error| not_started(&error))?;
    scene.seed(&sandbox);
    let folder = tempfile::tempdir().map_err(|error| not_started(&error))?;
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, sandbox.kubeconfig()).map_err(|error| not_started(&error))?;
    let image = folder.path().join("image");
    stories::new_image().layout(&image).map_err(|error| not_started(&error))?;
    let crashing = folder.path().join("image-that-crashes");
    stories::bad_image().layout(&crashing).map_err(|error| not_started(&error))?;
    let mut text = String::from(
        "# a sandbox of STS, ECR, EKS, a registry, GitHub's API and a Kubernetes API, until Ctrl-C; for another shell:\n",
    );
    for (name, value) in sandbox.environment() {
        text.push_str(&format!("export {name}='{value}'\n"));
    }
    text.push_str(&format!("export KUBECONFIG='{}'\n", kubeconfig.display()));
    text.push_str(&format!(
        "# then, for example:\n#   aws ecr describe-repositories; kubectl -n demo get pods\n#   slipway ship --repository demo/web --cluster demo --namespace demo --workload deployment/web \\\n#     --commit {} --image {} --bake 1s\n# and one whose program stops:\n#   --commit {} --image {}\n",
        stories::GOOD,
        image.display(),
        stories::BAD,
        crashing.display()
    ));
    let _ = voice.data(&text);
    let cancel = cancel::of_this_process().map_err(|error| not_started(&error))?;
    cancel.raised().await;
    Ok(0)
}
