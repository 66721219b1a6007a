//! Files as a receiver gets them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use bollard_buildkit_proto::health::HealthCheckRequest;
use bollard_buildkit_proto::health::health_client::HealthClient;
use bollard_buildkit_proto::moby::filesync::packet::file_sync_client::FileSyncClient;
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use prost::Message as _;
use tempfile::TempDir;
use tonic::{Request, Status};

use super::{Pipe, order, origin};
use crate::docker::buildkit::tasks::Tasks;

/// What a receiver ends up with.
#[derive(Debug, Default)]
struct Received {
    stats: Vec<Stat>,
    contents: BTreeMap<String, Vec<u8>>,
    /// What the sender gave up with.
    error: Option<String>,
    finished: bool,
}

impl Received {
    fn names(&self) -> Vec<&str> {
        self.stats.iter().map(|stat| stat.path.as_str()).collect()
    }

    fn stat(&self, path: &str) -> &Stat {
        self.stats.iter().find(|stat| stat.path == path).unwrap()
    }
}

fn packet(kind: PacketType, id: u32) -> Packet {
    Packet { r#type: kind.into(), id, ..Packet::default() }
}

/// Takes everything there is, as fsutil does; `between` runs when all is told and nothing is asked for.
async fn receive(
    pipe: &Pipe,
    keys: &[(&'static str, &str)],
    between: impl FnOnce(),
) -> Result<Received, Status> {
    let (say, says) = tokio::sync::mpsc::unbounded_channel::<Packet>();
    let says = futures_util::stream::unfold(says, |mut says| async move {
        says.recv().await.map(|packet| (packet, says))
    });
    let mut request = Request::new(says);
    for (key, value) in keys {
        request.metadata_mut().append(*key, value.parse().unwrap());
    }
    let mut client = FileSyncClient::with_origin(pipe.channel.clone(), origin());
    let mut stream = client.diff_copy(request).await?.into_inner();
    let mut received = Received::default();
    let mut open = 0;
    let mut between = Some(between);
    while let Some(come) = stream.message().await? {
        match PacketType::try_from(come.r#type).unwrap() {
            PacketType::PacketStat => match come.stat {
                Some(stat) => received.stats.push(stat),
                None => {
                    between.take().unwrap()();
                    for (id, stat) in received.stats.iter().enumerate() {
                        // Go's bits of all that is no ordinary file.
                        if stat.mode & 0x8f28_0000 == 0 {
                            let id = u32::try_from(id).unwrap();
                            say.send(packet(PacketType::PacketReq, id)).unwrap();
                            open += 1;
                        }
                    }
                }
            },
            PacketType::PacketData => {
                let path = received.stats[come.id as usize].path.clone();
                let content = received.contents.entry(path).or_default();
                content.extend_from_slice(&come.data);
                open -= u32::from(come.data.is_empty());
            }
            PacketType::PacketFin => received.finished = true,
            PacketType::PacketErr => {
                received.error = Some(String::from_utf8(come.data).unwrap());
                return Ok(received);
            }
            PacketType::PacketReq => panic!("a sender asks for nothing"),
        }
        if between.is_none() && open == 0 && !received.finished {
            say.send(packet(PacketType::PacketFin, 0)).unwrap();
        }
    }
    Ok(received)
}

const CONTEXT: &[(&str, &str)] = &[("dir-name", "context")];

fn write(root: &Path, name: &str, bytes: &[u8], mode: u32) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn files_arrive_as_they_are() {
    let folder = TempDir::new().unwrap();
    let large: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    write(folder.path(), "a/run", b"#!/bin/sh\n", 0o4755);
    write(folder.path(), "a.txt", b"", 0o600);
    write(folder.path(), "large", &large, 0o644);
    symlink("a/run", folder.path().join("link")).unwrap();
    let pipe = Pipe::open(folder.path(), &order()).await;

    let received = receive(&pipe, CONTEXT, || {}).await.unwrap();
    assert!(received.finished, "{received:?}");
    // A folder's files come before what is sorted after the folder's name and a slash.
    assert_eq!(received.names(), ["a", "a/run", "a.txt", "large", "link"]);
    let contents: Vec<_> = received.contents.iter().map(|(n, c)| (n.as_str(), c.len())).collect();
    assert_eq!(contents, [("a.txt", 0), ("a/run", 10), ("large", 1_200_000)]);
    assert_eq!(received.contents["large"], large);
    assert_eq!(received.stat("a").mode >> 31, 1);
    assert_eq!(received.stat("a/run").mode, 0o755 | 1 << 23);
    assert_eq!(received.stat("a/run").size, 10);
    assert_eq!(received.stat("link").mode & 1 << 27, 1 << 27);
    assert_eq!(received.stat("link").linkname, "a/run");
    let owners = received.stats.iter().map(|stat| (stat.uid, stat.gid));
    assert!(owners.into_iter().all(|owner| owner == (0, 0)));
    let changed = fs::metadata(folder.path().join("large")).unwrap().modified().unwrap();
    let changed = changed.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    assert_eq!(u128::try_from(received.stat("large").mod_time).unwrap(), changed);
}

#[tokio::test]
async fn many_files_arrive_whole_and_in_order() {
    let folder = TempDir::new().unwrap();
    for number in 0..3000 {
        write(folder.path(), &format!("{:02}/{number:04}", number % 20), &[7; 40], 0o644);
    }
    let pipe = Pipe::open(folder.path(), &order()).await;
    let received = receive(&pipe, CONTEXT, || {}).await.unwrap();
    assert_eq!(received.stats.len(), 3020);
    assert!(received.contents.values().all(|content| content == &[7; 40]));
    assert!(received.finished);
}

#[tokio::test]
async fn patterns_are_read_as_they_are_sent() {
    let folder = TempDir::new().unwrap();
    for name in ["café", "a b", "kept"] {
        write(folder.path(), name, b"x", 0o644);
    }
    let pipe = Pipe::open(folder.path(), &order()).await;
    let plain =
        [("dir-name", "context"), ("exclude-patterns", "kept"), ("exclude-patterns", "a b")];
    assert_eq!(receive(&pipe, &plain, || {}).await.unwrap().names(), ["café"]);
    let encoded = [
        ("dir-name", "context"),
        ("exclude-patterns", "caf%C3%A9"),
        ("exclude-patterns", "a+b"),
        ("exclude-patterns-encoded", "1"),
    ];
    assert_eq!(receive(&pipe, &encoded, || {}).await.unwrap().names(), ["kept"]);
}

#[tokio::test]
async fn a_file_that_changes_its_length_ends() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "grows", b"12345", 0o644);
    write(folder.path(), "shrinks", b"12345", 0o644);
    let pipe = Pipe::open(folder.path(), &order()).await;
    let change = || {
        write(folder.path(), "grows", b"123456789", 0o644);
        write(folder.path(), "shrinks", b"12", 0o644);
    };
    let received = receive(&pipe, CONTEXT, change).await.unwrap();
    assert_eq!(received.contents["grows"], b"12345");
    assert_eq!(received.contents["shrinks"], b"12");
    assert!(received.finished);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "here", b"x", 0o644);
    write(folder.path(), "goes", b"x", 0o644);
    let pipe = Pipe::open(folder.path(), &order()).await;
    let gone = folder.path().join("goes");
    let received = receive(&pipe, CONTEXT, || fs::remove_file(&gone).unwrap()).await.unwrap();
    let what = format!("`{}` cannot be read", gone.display());
    assert_eq!(received.error.as_ref(), Some(&what));
    let failure = pipe.services.folders.trouble.lock().unwrap().take().unwrap();
    assert_eq!(failure.code, crate::error::Code::BuildContext);
    assert_eq!(failure.what, what);
    assert_eq!(failure.why, ["it was there when the build began, and then it was gone"]);
    assert_eq!(failure.next, ["let nothing change the context while it is built"]);
}

#[tokio::test]
async fn a_folder_that_is_not_offered_is_not_sent() {
    let folder = TempDir::new().unwrap();
    let pipe = Pipe::open(folder.path(), &order()).await;
    let status = receive(&pipe, &[("dir-name", "home")], || {}).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
}

/// An engine under load asks faster than it is answered, in a frame for each file.
#[tokio::test]
async fn a_builder_that_asks_for_much_at_once_is_not_hung_up_on() {
    let folder = TempDir::new().unwrap();
    let mut pipe = Pipe::open(folder.path(), &order()).await;
    let asked = packet(PacketType::PacketReq, 70_000).encode_to_vec();
    let mut frame = vec![0, 0, 0, 0, u8::try_from(asked.len()).unwrap()];
    frame.extend(asked);
    let frame = || Ok::<_, Status>(Frame::data(bytes::Bytes::from(frame.clone())));
    let frames = futures_util::stream::iter((0..20_000).map(|_| frame()).collect::<Vec<_>>());
    let request = http::Request::post("http://session/moby.filesync.v1.FileSync/DiffCopy")
        .header("dir-name", "context")
        .body(tonic::body::Body::new(http_body_util::StreamBody::new(frames)))
        .unwrap();
    let answer = pipe.channel.0.send_request(request).await.unwrap();
    // All of it was read, to where the builder stopped.
    let said = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&said).contains("the builder went away"));
    let mut health = HealthClient::with_origin(pipe.channel.clone(), origin());
    health.check(HealthCheckRequest::default()).await.unwrap();
}

/// Whoever waits for files that nobody will ask for would keep the program from ending.
#[test]
fn nobody_is_left_behind_by_a_build_that_is_given_up() {
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = TempDir::new().unwrap();
            write(folder.path(), "file", &[1; 100_000], 0o644);
            let pipe = Pipe::open(folder.path(), &order()).await;
            let request = http::Request::builder().header("dir-name", "context");
            let request = request.body(http_body_util::Empty::<bytes::Bytes>::new());
            // Its owner is gone before its first task begins.
            let starter = Tasks::default().starter();
            drop(pipe.services.folders.answer(request.unwrap(), &starter));
        });
        drop(runtime);
        done.send(()).unwrap();
    });
    is_done.recv_timeout(Duration::from_secs(20)).unwrap();
}
