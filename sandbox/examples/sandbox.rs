//! Runs a sandbox until Ctrl-C, to try `aws`, `curl`, `kubectl` and `docker` on it by hand:
//! `cargo run --example sandbox -- 8123 > env.sh &`, then `. ./env.sh` sets the environment and
//! writes `kubeconfig.yaml`. At the end it says what was asked of it.

use std::io::{self, Write as _};

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
    let mut out = io::stdout().lock();
    for (name, value) in sandbox.environment() {
        writeln!(out, "export {name}='{value}'")?;
    }
    writeln!(out, "cat > kubeconfig.yaml <<'END'\n{}END", sandbox.kubeconfig())?;
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    for request in sandbox.log() {
        let action = request.action.unwrap_or_default();
        let mark = if request.wrote { "wrote" } else { "read" };
        writeln!(out, "# {} {} {action} {mark} {}", request.method, request.path, request.status)?;
    }
    Ok(())
}
