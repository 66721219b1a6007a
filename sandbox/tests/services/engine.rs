//! The engine by its plain HTTP: what it is, its older builder, its images and its push. What BuildKit's
//! callers see is told by the stories that build.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use slipway_sandbox::engine::{Builder, Ended, Engine, Kind, Store, Version};
use slipway_sandbox::{Sandbox, World};
use tokio::net::UnixStream;

use crate::client::{Reply, Signer};

struct Scene {
    sandbox: Sandbox,
    engine: Engine,
    _folder: tempfile::TempDir,
}

async fn scene(kind: Kind) -> Scene {
    let sandbox = Sandbox::start(World::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::start(folder.path(), kind, &sandbox.url()).await.unwrap();
    Scene { sandbox, engine, _folder: folder }
}

impl Scene {
    async fn ask(&self, method: &str, path: &str, login: &str, body: Vec<u8>) -> Reply {
        let host = self.engine.host();
        let wire = UnixStream::connect(host.trim_start_matches("unix://")).await.unwrap();
        let (mut sender, connection) = handshake(TokioIo::new(wire)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::builder().method(method).uri(path).header("host", "docker");
        let request = request.header("x-registry-auth", login).body(Full::new(Bytes::from(body)));
        let (head, body) = sender.send_request(request.unwrap()).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply { status: head.status.as_u16(), headers: head.headers, body }
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, "", Vec::new()).await
    }

    /// Builds by the older builder: the lines of its answer.
    async fn build(&self, query: &str, file: &str) -> Vec<Value> {
        let mut archive = tar::Builder::new(Vec::new());
        let parts = [("Dockerfile", file), ("busybox", "never run"), ("page", "hello")];
        for (name, text) in parts {
            let mut header = tar::Header::new_ustar();
            header.set_size(text.len() as u64);
            header.set_mode(0o755);
            archive.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        let path = format!("/v1.41/build?{query}");
        let reply = self.ask("POST", &path, "", archive.into_inner().unwrap()).await;
        let lines = reply.text();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

const GOOD: &str = "FROM scratch\nCOPY busybox /bin/busybox\nCOPY page /www/\n\
                    ENTRYPOINT [\"/bin/busybox\"]\n";

fn old() -> Kind {
    Kind { version: Version::V20, ..Kind::default() }
}

fn containerd() -> Kind {
    Kind { store: Store::Containerd, ..Kind::default() }
}

#[tokio::test]
async fn an_engine_says_what_it_is() {
    let scene = scene(Kind::default()).await;
    let ping = scene.get("/v1.44/_ping").await;
    assert_eq!(
        ["api-version", "builder-version", "ostype"].map(|n| ping.header(n)),
        ["1.51", "2", "linux"]
    );
    assert_eq!(ping.text(), "OK");
    assert_eq!(scene.get("/version").await.json()["Version"], "28.5.2+dfsg4");
    let newer = scene.get("/v1.99/version").await;
    let said = "client version 1.99 is too new. Maximum supported API version is 1.51";
    assert_eq!((newer.status, newer.json()["message"].as_str()), (400, Some(said)));
    assert_eq!(self::scene(old()).await.get("/_ping").await.header("builder-version"), "");
    let info = self::scene(containerd()).await.get("/info").await.json();
    assert_eq!(info["DriverStatus"], json!([["driver-type", "io.containerd.snapshotter.v1"]]));
}

#[tokio::test]
async fn what_is_not_played_is_refused() {
    let scene = scene(Kind { builder: Builder::Classic, ..Kind::default() }).await;
    for (method, path) in
        [("GET", "/containers/json"), ("POST", "/grpc"), ("POST", "/build?squash=1")]
    {
        let reply = scene.ask(method, path, "", Vec::new()).await;
        assert_eq!(reply.status, 501, "{path}");
        assert!(reply.text().contains("this sandbox's engine"), "{}", reply.text());
    }
    assert_eq!(scene.get("/nowhere").await.status, 404);
    let lines = scene
        .build(
            "t=web",
            "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"reboot\"]\n",
        )
        .await;
    let said = "this sandbox's engine does not play the command `/bin/busybox reboot`";
    assert_eq!(lines.last().unwrap()["error"], said);
}

#[tokio::test]
async fn an_image_is_found_by_its_name_and_its_id_until_it_is_removed() {
    let scene = scene(old()).await;
    let lines = scene.build("t=web:one", GOOD).await;
    assert_eq!(lines.last().unwrap()["stream"], "Successfully tagged web:one\n");
    let id = scene.get("/images/web:one/json").await.json()["Id"].as_str().unwrap().to_owned();
    for name in [&id, &id[7..19], "docker.io/library/web:one"] {
        assert_eq!(scene.get(&format!("/images/{name}/json")).await.json()["Id"], id.as_str());
    }
    assert_eq!(
        scene.ask("POST", "/images/web:one/tag?repo=shop/web&tag=x", "", vec![]).await.status,
        201
    );
    let removed = scene.ask("DELETE", "/images/web:one", "", vec![]).await;
    assert_eq!(removed.json(), json!([{ "Untagged": "web:one" }]));
    let removed = scene.ask("DELETE", "/images/shop/web:x", "", vec![]).await;
    assert_eq!(removed.json(), json!([{ "Untagged": "shop/web:x" }, { "Deleted": id }]));
    let gone = scene.get("/images/web:one/json").await;
    let said = "no such image: web:one: No such image: web:one";
    assert_eq!((gone.status, gone.json()["message"].as_str()), (404, Some(said)));
}

#[tokio::test]
async fn a_second_build_is_the_same_image() {
    let scene = scene(Kind::default()).await;
    scene.build("t=web:one", GOOD).await;
    let lines = scene.build("t=web:two", GOOD).await;
    assert!(lines.iter().any(|line| line["stream"] == " ---> Using cache\n"));
    assert_eq!(scene.engine.images().len(), 1);
    assert_eq!(scene.engine.names().len(), 2);
    assert_eq!(scene.engine.builds()[1].ended, Some(Ended::Built));
}

#[tokio::test]
async fn a_failed_step_says_how_it_ended() {
    let scene = scene(Kind::default()).await;
    let file = "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"sh\", \"-c\", \
                \"echo compiling >&2; echo 'error: no such module' >&2; exit 1\"]\n";
    let lines = scene.build("t=web", file).await;
    let said = "The command '/bin/busybox sh -c echo compiling >&2; echo 'error: no such module' >&2; exit 1' \
                returned a non-zero code: 1";
    assert_eq!(lines.last().unwrap()["errorDetail"], json!({ "code": 1, "message": said }));
    assert_eq!(scene.engine.builds()[0].ended, Some(Ended::Failed(said.into())));
    assert_eq!(scene.engine.images().len(), 0);
}

/// The names in an archive.
fn names(archive: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap();
    entries.map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
}

#[tokio::test]
async fn an_image_is_saved_in_the_form_of_its_engine() {
    let forms = [
        (old(), "layer.tar", "repositories"),
        (Kind::default(), "oci-layout", "repositories"),
        (containerd(), "blobs/sha256/", "oci-layout"),
    ];
    for (kind, has, last) in forms {
        let scene = scene(kind).await;
        scene.build("t=web:one", GOOD).await;
        let saved = scene.get("/images/web:one/get").await;
        let names = names(&saved.body);
        assert!(names.iter().any(|name| name.contains(has)), "{names:?}");
        assert_eq!(names.last().unwrap(), last);
        assert!(names.contains(&"manifest.json".to_owned()));
    }
}

#[tokio::test]
async fn a_push_really_arrives_and_needs_a_login() {
    let scene = scene(containerd()).await;
    let name = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/demo/web";
    scene.build(&format!("t={name}:new"), GOOD).await;
    let refused = scene.ask("POST", &format!("/images/{name}/push?tag=new"), "e30=", vec![]).await;
    assert!(refused.text().contains("401 Unauthorized"), "{}", refused.text());
    let token =
        Signer::of(&scene.sandbox).ecr(&scene.sandbox, "GetAuthorizationToken", &json!({})).await;
    let token =
        token.json()["authorizationData"][0]["authorizationToken"].as_str().unwrap().to_owned();
    let login = base64::prelude::BASE64_STANDARD.decode(token).unwrap();
    let login = String::from_utf8(login).unwrap();
    let (user, password) = login.split_once(':').unwrap();
    let login = json!({ "username": user, "password": password }).to_string();
    let login = BASE64_URL_SAFE.encode(login);
    let pushed = scene.ask("POST", &format!("/images/{name}/push?tag=new"), &login, vec![]).await;
    let digest = scene.sandbox.tags("demo/web")["new"].clone();
    assert_eq!(scene.engine.images(), std::slice::from_ref(&digest));
    assert!(pushed.text().contains(&format!("new: digest: {digest} size: ")), "{}", pushed.text());
    let again = scene.ask("POST", &format!("/images/{name}/push?tag=new"), &login, vec![]).await;
    assert!(again.text().contains("cannot be overwritten"), "{}", again.text());
}
