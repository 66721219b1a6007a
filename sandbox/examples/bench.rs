//! The world of `benches/`: rollouts that are over at once, one deployment on amd64 nodes, and a
//! repository. `bench [REGISTRY]` runs until it is ended; its only output is the environment to use,
//! as `NAME=VALUE` lines and a last empty one. REGISTRY (`http://127.0.0.1:5000`) takes the images
//! in the sandbox's place.

use std::io::{self, Write as _};

use slipway_sandbox::kube::{Kube, Play, Speed};
use slipway_sandbox::{Image, Sandbox, World};

/// The commit that serves before.
const BEFORE: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f9012345678";
/// The commit that is shipped.
const AFTER: &str = "5e6f7a8b9c0d1e2f3041526374859607a8b9c0d1";

#[tokio::main]
async fn main() -> io::Result<()> {
    let kube = Kube::new(Speed::Instant);
    let registry = std::env::args().nth(1);
    let mut world = World { kube, registry, ..World::default() };
    let first = Image::new("linux/amd64", "before");
    world.image("demo/web", BEFORE, &first);
    world.github.line(&[BEFORE, AFTER]);
    let image = format!("{}:{BEFORE}@{}", world.repository_uri("demo/web"), first.digest());
    let sandbox = Sandbox::start(world).await?;
    let kube = sandbox.kube();
    kube.node("ip-10-0-1-12", "amd64");
    kube.node("ip-10-0-2-7", "amd64");
    kube.deployment("demo", "web", "web", &image, 3).seed();
    kube.script(|_| true, Play::Recording("good"));
    let mut out = io::stdout().lock();
    for (name, value) in sandbox.environment() {
        writeln!(out, "{name}={value}")?;
    }
    writeln!(out, "BENCH_COMMIT={AFTER}\n")?;
    out.flush()?;
    std::future::pending().await
}
