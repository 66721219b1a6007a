//! A Docker Engine that people run, wherever `DOCKER_HOST` says it is; images from nothing and `/bin/busybox`.

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::at;
use crate::docker::{ByEngine, Engine, Heard, Login, Order, StepState, Store, classic};

async fn engine() -> Engine {
    let host = std::env::var("DOCKER_HOST").unwrap();
    Engine::find(&at(&host)).await.unwrap()
}

fn context(
    dockerfile: &str,
) -> impl futures_util::Stream<Item = Result<Bytes, crate::error::Failure>> {
    let busybox = std::fs::read("/bin/busybox").unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes, mode) in
        [("Dockerfile", dockerfile.as_bytes(), 0o644), ("busybox", &busybox, 0o755)]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(mode);
        tar.append_data(&mut header, path, bytes).unwrap();
    }
    let bytes = Bytes::from(tar.into_inner().unwrap());
    let pieces: Vec<_> = (0..bytes.len())
        .step_by(65536)
        .map(|at| bytes.slice(at..bytes.len().min(at + 65536)))
        .collect();
    futures_util::stream::iter(pieces.into_iter().map(Ok))
}

fn order(engine: &Engine) -> Order {
    Order {
        platforms: vec![engine.facts.native.clone()],
        target: None,
        args: Default::default(),
        logins: Vec::new(),
        pull: false,
        name: Some("slipway-real:v1".into()),
        ..super::build::order()
    }
}

#[tokio::test]
#[ignore = "needs a Docker Engine at DOCKER_HOST, and /bin/busybox"]
async fn the_old_builder_builds_and_its_image_comes_out() {
    let engine = engine().await;
    let heard = std::sync::Mutex::new(Vec::new());
    let hear = |one: Heard| heard.lock().unwrap().push(one);
    let recipe = "FROM scratch\nCOPY busybox /bin/busybox\nENV A=b\nLABEL k=v\n";
    let order = order(&engine);
    let built = classic::build(&engine, &order, "Dockerfile", context(recipe), &hear);
    let id = built.await.unwrap().id;
    let steps = heard
        .lock()
        .unwrap()
        .iter()
        .filter(|h| matches!(h, Heard::Step { state: StepState::Begun, .. }))
        .count();
    assert_eq!(steps, 4, "{heard:?}");
    let image = engine.inspect("slipway-real:v1").await.unwrap().unwrap();
    assert_eq!((image.id.as_str(), &image.platform), (id.as_str(), &engine.facts.native));
    assert!(image.labels["k"] == "v" && image.env.contains(&"A=b".to_owned()), "{image:?}");
    let short = &image.id.hex()[..12];
    assert_eq!(engine.inspect(short).await.unwrap().unwrap().id, image.id);
    engine.tag(&image.id, "slipway-real:v2").await.unwrap();
    assert!(engine.untag("slipway-real:v2").await.unwrap());
    assert!(!engine.untag("slipway-real:v1").await.unwrap());
    let mut bytes = 0;
    let mut pieces = engine.save(&image.id);
    while let Some(piece) = pieces.next().await {
        bytes += piece.unwrap().len();
    }
    let busybox = std::fs::metadata("/bin/busybox").unwrap().len();
    assert!(engine.facts.store == Store::Containerd || bytes as u64 > busybox, "{bytes}");
}

#[tokio::test]
#[ignore = "needs a Docker Engine at DOCKER_HOST, and /bin/busybox"]
async fn a_step_that_fails_is_told_with_what_it_wrote() {
    let engine = engine().await;
    let recipe =
        "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"ls\", \"/nowhere\"]\n";
    let order = Order { name: None, ..order(&engine) };
    let failure =
        classic::build(&engine, &order, "Dockerfile", context(recipe), &|_| {}).await.unwrap_err();
    assert_eq!(failure.code, crate::error::Code::BuildStep, "{failure:?}");
    assert!(failure.why.iter().any(|line| line.contains("/nowhere: No such file")), "{failure:?}");
}

/// How many containers the engine runs: each step of the older builder is one.
async fn running(engine: &Engine) -> usize {
    engine.api().unwrap().list_containers(None).await.unwrap().len()
}

#[tokio::test]
#[ignore = "needs a Docker Engine at DOCKER_HOST, and /bin/busybox"]
async fn a_build_that_is_given_up_leaves_nothing_running() {
    let engine = engine().await;
    let recipe =
        "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"sleep\", \"600\"]\n";
    let order = Order { name: None, no_cache: true, ..order(&engine) };
    let before = running(&engine).await;
    let until = async |count: usize| {
        for _ in 0..500 {
            if running(&engine).await == count {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("{count} containers never ran");
    };
    tokio::select! {
        ended = classic::build(&engine, &order, "Dockerfile", context(recipe), &|_| {}) => panic!("{ended:?}"),
        () = until(before + 1) => {}
    }
    until(before).await;
}

#[tokio::test]
#[ignore = "needs a Docker Engine at DOCKER_HOST, and a registry on its loopback at SLIPWAY_REAL_REGISTRY"]
async fn the_engine_pushes_and_says_what_stands_in_the_way() {
    let engine = engine().await;
    let order = order(&engine);
    let recipe = "FROM scratch\nCOPY busybox /bin/busybox\nLABEL pushed=yes\n";
    let built = classic::build(&engine, &order, "Dockerfile", context(recipe), &|_| {}).await;
    let id = built.unwrap().id.parse().unwrap();
    let host = std::env::var("SLIPWAY_REAL_REGISTRY").unwrap();
    let login = Login {
        host: host.clone(),
        user: "AWS".into(),
        password: "~~~???>>>".into(),
        is_ours: true,
    };
    let name = format!("{host}/real/web:v1");
    engine.tag(&id, &name).await.unwrap();
    let push = |name: String| {
        let (engine, login) = (&engine, &login);
        async move { engine.push(&name, login, super::talk::QUICK, &|_| {}).await }
    };
    let first = push(name.clone()).await.unwrap();
    assert_eq!((first.new, first.reused), (1, 0));
    assert_eq!(push(name.clone()).await.unwrap(), ByEngine { new: 0, reused: 1, ..first.clone() });
    let named =
        engine.inspect(&format!("{host}/real/web@{}", first.digest)).await.unwrap().unwrap();
    assert_eq!(named.id, id);
    let closed = "127.0.0.1:9/real/web:v1";
    engine.tag(&id, closed).await.unwrap();
    let failure = push(closed.into()).await.unwrap_err();
    assert_eq!(failure.code, crate::error::Code::EcrReach, "{failure:?}");
    for name in [name.as_str(), closed] {
        assert!(engine.untag(name).await.unwrap());
    }
}
