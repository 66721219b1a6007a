//! Builds in engines that we did not write: `testbed/building` runs them with each engine and store.
//!
//! Nothing can be pulled there, so an image begins with nothing and holds busybox.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bollard::Docker;
use futures_util::StreamExt as _;
use tempfile::TempDir;

use super::buildkit::{build, platforms};
use super::*;
use crate::error::{Code, Failure};

const BASE: &str = "FROM scratch\nCOPY busybox /bin/sh\n";

/// An engine, and a folder to build from.
struct Ground {
    folder: TempDir,
    order: Order,
    engine: Docker,
    place: Place,
    heard: Mutex<Vec<Heard>>,
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: use testbed/building"))
}

fn is_containerd() -> bool {
    variable("SLIPWAY_TESTBED_STORE") == "containerd"
}

fn is_old() -> bool {
    variable("SLIPWAY_TESTBED_ENGINE") == "20.10"
}

impl Ground {
    fn new(name: &str, dockerfile: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let context = folder.path().join("context");
        fs::create_dir(&context).unwrap();
        fs::copy("/bin/busybox", context.join("busybox")).unwrap();
        fs::write(context.join("Dockerfile"), dockerfile).unwrap();
        let host = variable("DOCKER_HOST");
        let socket = PathBuf::from(host.strip_prefix("unix://").unwrap());
        let order = Order {
            file: context.join("Dockerfile"),
            context,
            name: Some(format!("building:{name}")),
            ..Order::default()
        };
        let engine = Docker::connect_with_host(&host).unwrap();
        Self { folder, order, engine, place: Place::Unix(socket), heard: Mutex::default() }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.order.context.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    async fn build(&self) -> Result<Built, Failure> {
        self.heard.lock().unwrap().clear();
        let hear = |heard| self.heard.lock().unwrap().push(heard);
        build(&self.place, is_containerd(), &self.order, &hear).await
    }

    async fn fails(&self) -> Failure {
        self.build().await.unwrap_err()
    }

    /// How the step went whose name has this in it.
    fn states(&self, part: &str) -> Vec<StepState> {
        let heard = self.heard.lock().unwrap();
        let steps = heard.iter().filter_map(|heard| match heard {
            Heard::Step { state: StepState::Rests, .. } => None,
            Heard::Step { name, state, .. } if name.contains(part) => Some(*state),
            _ => None,
        });
        steps.collect()
    }

    async fn inspect(&self, id: &str) -> bollard::models::ImageInspect {
        self.engine.inspect_image(id).await.unwrap()
    }

    /// Every byte that the engine keeps of the image, layers unpacked, and its history.
    async fn bytes(&self, id: &str) -> Vec<u8> {
        let mut archive = Vec::new();
        let mut stream = self.engine.export_image(id);
        while let Some(piece) = stream.next().await {
            archive.extend_from_slice(&piece.unwrap());
        }
        let mut all = format!("{:?}", self.engine.image_history(id).await.unwrap()).into_bytes();
        for entry in tar::Archive::new(archive.as_slice()).entries().unwrap() {
            let mut bytes = Vec::new();
            entry.unwrap().read_to_end(&mut bytes).unwrap();
            if bytes.starts_with(&[0x1f, 0x8b]) {
                flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut all).unwrap();
            } else {
                all.extend(bytes);
            }
        }
        all
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
#[ignore = "needs an engine of the testbed"]
async fn what_is_asked_for_is_built_and_kept() {
    let text = format!(
        "{BASE}ARG word\nRUN echo \"$word\" >/word; cat /word\nFROM scratch AS late\nCOPY --from=0 /word /late\nFROM scratch AS later\n"
    );
    let mut ground =
        Ground::new("kept", &text.replace("FROM scratch\n", "FROM scratch AS first\n"));
    ground.order.target = Some("late".into());
    ground.order.args.insert("word".into(), "hello".into());
    ground.order.labels.insert("org.example".into(), "a b".into());
    ground.order.no_cache = true;
    let built = ground.build().await.unwrap();
    let by_id = ground.inspect(&built.id).await;
    let by_name = ground.inspect("building:kept").await;
    assert_eq!(by_id.id, by_name.id);
    assert_eq!(by_id.id.as_ref(), Some(&built.id));
    let labels = by_id.config.unwrap().labels.unwrap();
    assert_eq!(labels["org.example"], "a b");
    assert!(holds(&ground.bytes(&built.id).await, "hello\n"));
    {
        let heard = ground.heard.lock().unwrap();
        assert!(heard.iter().any(|h| matches!(h, Heard::Line { text, .. } if text == "hello")));
    }
    let ran = ground.states(">/word; cat /word");
    assert!(matches!(ran[..], [StepState::Begun, StepState::Done(_)]), "{ran:?}");

    ground.order.no_cache = false;
    let again = ground.build().await.unwrap();
    // The old engine writes when it was made into each.
    assert!(is_old() || again == built);
    // A busy engine says that it begins before it finds it.
    assert_eq!(ground.states("COPY --from=0 /word /late").last(), Some(&StepState::Cached));
    assert!(platforms(&ground.place).await.unwrap().contains(&"linux/amd64".parse().unwrap()));
}

#[tokio::test]
#[ignore = "needs an engine of the testbed"]
async fn another_platform_is_built_where_nothing_has_to_be_run() {
    let mut ground = Ground::new("arm", "FROM scratch\nCOPY busybox /x\n");
    ground.order.platforms = vec!["linux/arm64".parse().unwrap()];
    let built = ground.build().await.unwrap();
    let found = ground.inspect(&built.id).await;
    assert_eq!(found.architecture.as_deref(), Some("arm64"));

    ground.order.platforms.push("linux/amd64".parse().unwrap());
    match ground.build().await {
        Ok(built) => {
            assert!(is_containerd());
            assert!(holds(&ground.bytes(&built.id).await, "\"architecture\":\"arm64\""));
        }
        Err(failure) => {
            assert!(!is_containerd());
            assert!(failure.why[0].contains("multiple references"), "{failure:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs an engine of the testbed"]
async fn the_ignore_file_beside_a_dockerfile_elsewhere_wins() {
    let mut ground = Ground::new("ignore", "");
    let elsewhere = ground.folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let text = format!("{BASE}COPY . /all\nRUN [ -e /all/two ] && [ ! -e /all/one ]\n");
    fs::write(elsewhere.join("Image.file"), text).unwrap();
    fs::write(elsewhere.join("Image.file.dockerignore"), "one\n").unwrap();
    ground.write(".dockerignore", "two\n");
    ground.write("one", "1");
    ground.write("two", "2");
    ground.order.file = elsewhere.join("Image.file");
    ground.build().await.unwrap();
    fs::remove_file(elsewhere.join("Image.file.dockerignore")).unwrap();
    let failure = ground.fails().await;
    assert_eq!(failure.code, Code::BuildStep);
    assert!(failure.why[0].contains("line 4"), "{failure:?}");
}

#[tokio::test]
#[ignore = "needs an engine of the testbed"]
async fn links_modes_and_times_are_kept() {
    let check = "RUN cd /all && [ \"$(readlink link)\" = run ] && [ \"$(stat -c %a.%u.%g.%Y run)\" = 4751.0.0.1000000000 ] && [ \"$(stat -c %a folder)\" = 700 ]";
    let ground = Ground::new("modes", &format!("{BASE}COPY . /all\n{check}\n"));
    ground.write("run", "#!/bin/sh\n");
    ground.write("folder/file", "");
    let at = |name: &str| ground.order.context.join(name);
    fs::set_permissions(at("run"), fs::Permissions::from_mode(0o4751)).unwrap();
    fs::set_permissions(at("folder"), fs::Permissions::from_mode(0o700)).unwrap();
    let time = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::open(at("run")).unwrap().set_modified(time).unwrap();
    symlink("run", at("link")).unwrap();
    ground.build().await.unwrap();
}

#[tokio::test]
#[ignore = "needs an engine of the testbed"]
async fn a_secret_is_used_and_kept_nowhere() {
    let text = format!("{BASE}RUN --mount=type=secret,id=token cat /run/secrets/token\n");
    let mut ground = Ground::new("secret", &text);
    ground.order.secrets.insert("token".into(), "s3cr3t-of-ours".into());
    ground.order.no_cache = true;
    let built = ground.build().await.unwrap();
    let bytes = ground.bytes(&built.id).await;
    assert!(holds(&bytes, "run/secrets/token") && !holds(&bytes, "s3cr3t-of-ours"));
    let heard = format!("{:?} {:?}", ground.heard.lock().unwrap(), ground.order);
    assert!(heard.contains("***") && !heard.contains("s3cr3t-of-ours"), "{heard}");

    ground.order.secrets.clear();
    let failure = ground.fails().await;
    let said = "it may have looked for secret `token`, which is not in `build-secrets`";
    assert!(failure.why.iter().any(|why| why == said), "{failure:?}");
}

#[tokio::test]
#[ignore = "needs an engine of the testbed"]
async fn each_way_to_fail_is_named() {
    let run = format!("{BASE}RUN echo one; echo two >&2; exit 3\n");
    let table: &[(&str, Code, &str)] = &[
        (&run, Code::BuildStep, "step 2/2 of `Dockerfile` exits with code 3"),
        (
            "FROM scratch\nCOPY no.txt /\n",
            Code::BuildContext,
            "step 1/1 of `Dockerfile` finds no `no.txt` in the context",
        ),
        (
            "FROM 127.0.0.1:1/no:1\n",
            Code::BuildBase,
            "base image `127.0.0.1:1/no:1` cannot be pulled",
        ),
        ("FROM scratch\nRUNN x\n", Code::BuildFile, "`Dockerfile` line 2 cannot be used"),
        ("", Code::BuildFile, "`Dockerfile` is empty"),
        (
            "FROM scratch\nCOPY busybox /x\nRUN x\n",
            Code::BuildStep,
            "step 2/2 of `Dockerfile` cannot start `/bin/sh`: it is not in its image",
        ),
    ];
    for (text, code, what) in table {
        let ground = Ground::new("fails", text);
        let failure = ground.fails().await;
        assert_eq!((failure.code, failure.what.as_str()), (*code, *what), "{failure:?}");
        assert_eq!(failure.next.len(), 1);
    }
    let ground = Ground::new("fails", &run);
    let failure = ground.fails().await;
    assert_eq!(failure.why[0], "`Dockerfile` line 3: \"RUN echo one; echo two >&2; exit 3\"");
    let mut last = failure.why[2..].to_vec();
    // Two streams arrive in no order.
    last.sort();
    assert_eq!(last, ["\"one\"", "\"two\""]);
}

#[tokio::test]
#[ignore = "needs an engine of the testbed"]
async fn a_program_of_another_machine_needs_emulation() {
    let mut ground = Ground::new("format", "FROM scratch\nCOPY program /bin/sh\nRUN true\n");
    ground.order.platforms = vec!["linux/arm64".parse().unwrap()];
    // Busybox, if it says that it is for arm64.
    let mut program = fs::read("/bin/busybox").unwrap();
    program[18] = 183;
    fs::write(ground.order.context.join("program"), program).unwrap();
    fs::set_permissions(ground.order.context.join("program"), fs::Permissions::from_mode(0o755))
        .unwrap();
    let failure = ground.fails().await;
    assert_eq!(failure.code, Code::PlatformEmulation, "{failure:?}");
}

/// Whether a process with these words on its command line is there.
fn runs(words: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.into_iter().any(|line| holds(&line, words))
}

#[tokio::test]
#[ignore = "needs an engine of the testbed"]
async fn a_build_that_is_given_up_leaves_nothing_running() {
    let ground = Ground::new("given-up", &format!("{BASE}RUN sleep 86399\n"));
    tokio::select! {
        ended = ground.build() => panic!("{ended:?}"),
        () = async { while !runs("sleep\x0086399") { tokio::time::sleep(Duration::from_millis(20)).await } } => {}
    }
    let since = Instant::now();
    while runs("sleep\x0086399") {
        assert!(since.elapsed() < Duration::from_secs(5), "it still runs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("ended after {:?}", since.elapsed());
    let metrics = tokio::runtime::Handle::current().metrics();
    assert_eq!(metrics.num_alive_tasks(), 0);
}

#[tokio::test]
#[ignore = "needs an engine of the testbed"]
async fn an_image_says_the_time_that_it_is_told() {
    let mut ground = Ground::new("epoch", "FROM scratch\nCOPY busybox /x\n");
    ground.order.epoch = Some(1_000_000_000);
    let built = ground.build().await.unwrap();
    let created = ground.inspect(&built.id).await.created.unwrap();
    // The old engine does not know of it.
    assert_eq!(created.to_string().starts_with("2001-09-09T01:46:40"), !is_old(), "{created}");
}

#[tokio::test]
#[ignore = "needs an engine of the testbed"]
async fn a_large_file_is_sent_in_little_memory() {
    let ground = Ground::new("large", "FROM scratch\nCOPY large /large\n");
    let large = fs::File::create(ground.order.context.join("large")).unwrap();
    large.set_len(600_000_000).unwrap();
    let peak = || {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    let before = peak();
    ground.build().await.unwrap();
    assert!(peak() < before + 24, "{before} MiB before, {} after", peak());
}
