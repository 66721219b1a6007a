//! Runs a sandbox until Ctrl-C and writes its environment as shell lines, to try `aws`, `curl`,
//! `kubectl` and `docker` on it by hand: `eval "$(cargo run --example sandbox 2>&1 | head -20)"`
//! would wait, so give it a file: `cargo run --example sandbox -- 8123 > env.sh &`.

use std::io::{self, Write as _};

use slipway_sandbox::{Image, Sandbox, World};

#[tokio::main]
async fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    let mut world = World { loopback_uris: true, mounting: true, ..World::default() };
    world.image("demo/web", "5e6f7a8", &Image::new("linux/arm64", "one"));
    world.github.line(&["a".repeat(40).as_str(), "b".repeat(40).as_str()]);
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
