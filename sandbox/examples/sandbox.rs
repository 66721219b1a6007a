//! Runs a sandbox until Ctrl-C, to try `aws`, `curl`, `kubectl` and `docker` on it by hand:
//! `cargo run --example sandbox -- 8123 > env.sh &`, then `. ./env.sh` sets the environment and
//! writes `kubeconfig.yaml`. A second word brings an engine up with it: `28`, `28-containerd`,
//! `28-classic-builder` or `20.10`. At the end it says what was asked of both.

use std::io::{self, Write as _};

use slipway_sandbox::engine::{Builder, Engine, Kind, Store, Version};
use slipway_sandbox::{Image, Sandbox, World};

#[tokio::main]
async fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    let mut world = World { loopback_uris: true, mounting: true, ..World::default() };
    world.image("demo/web", "5e6f7a8", &Image::new("linux/arm64", "one"));
    world.github.line(&["a".repeat(40).as_str(), "b".repeat(40).as_str()]);
    let image = format!("{}:5e6f7a8", world.repository_uri("demo/web"));
    world.kube.node("ip-10-0-1-12", "arm64");
    world.kube.node("ip-10-0-2-7", "arm64");
    world.kube.deployment("demo", "web", "web", &image, 3).seed();
    let sandbox = Sandbox::start_at(world, port).await?;
    let folder = tempfile::tempdir()?;
    let engine = match std::env::args().nth(2) {
        None => None,
        Some(word) => Some(Engine::start(folder.path(), kind(&word), &sandbox.url()).await?),
    };
    let mut out = io::stdout().lock();
    if let Some(engine) = &engine {
        writeln!(out, "export DOCKER_HOST='{}'", engine.host())?;
    }
    for (name, value) in sandbox.environment() {
        writeln!(out, "export {name}='{value}'")?;
    }
    writeln!(out, "cat > kubeconfig.yaml <<'END'\n{}END", sandbox.kubeconfig())?;
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    if let Some(engine) = &engine {
        engine.asked().iter().try_for_each(|line| writeln!(out, "# {line}"))?;
        for build in engine.builds() {
            writeln!(out, "# {} {}: {} files", build.builder, build.file, build.files.len())?;
        }
    }
    for request in sandbox.log() {
        let action = request.action.unwrap_or_default();
        let mark = if request.wrote { "wrote" } else { "read" };
        writeln!(out, "# {} {} {action} {mark} {}", request.method, request.path, request.status)?;
    }
    Ok(())
}

fn kind(word: &str) -> Kind {
    let kind = Kind::default();
    match word {
        "20.10" => Kind { version: Version::V20, ..kind },
        "28-containerd" => Kind { store: Store::Containerd, emulated: &["linux/arm64"], ..kind },
        "28-classic-builder" => Kind { builder: Builder::Classic, ..kind },
        _ => kind,
    }
}
