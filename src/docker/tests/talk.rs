//! What an engine is asked for its images and its push, and what it says meanwhile.

use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use futures_util::StreamExt as _;
use secrecy::SecretString;

use super::{Asked, Reply, Server, engine, known, told};
use crate::docker::{ByEngine, Engine, Login, Pushing};
use crate::error::{Code, Failure};
use crate::http::retry::Patience;
use crate::names::Digest;

pub(super) const QUICK: Patience = Patience {
    attempts: 3,
    first: Duration::from_millis(2),
    most: Duration::from_millis(5),
    asked: Duration::from_secs(1),
    overall: Duration::from_secs(5),
};

const NAME: &str = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/shop/web:v1";

/// An engine that answers this to everything but who it is.
pub(super) async fn answering(
    answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
) -> (Server, Engine) {
    let server = Server::start(move |asked| known(asked).unwrap_or_else(|| answer(asked))).await;
    let engine = engine(&server).await;
    (server, engine)
}

pub(super) fn inspected(platform: &str) -> String {
    format!(
        r#"{{"Id":"{}","RepoTags":["web:v1","web:v2"],"RepoDigests":[],"Architecture":"{platform}","Os":"linux","Size":12,"RootFS":{{"Type":"layers","Layers":["{}"]}},"Config":{{"Env":["A=b"],"Labels":{{"k":"v"}}}}}}"#,
        Digest::of(b"image"),
        Digest::of(b"layer"),
    )
}

const HISTORY: &str = r#"[{"Id":"x","Created":2,"CreatedBy":"RUN two","Tags":null,"Size":5,"Comment":"c"},{"Id":"<missing>","Created":1,"CreatedBy":"COPY one","Tags":null,"Size":7,"Comment":""}]"#;

#[tokio::test]
async fn an_image_is_looked_at_by_its_name() {
    let (server, engine) = answering(|asked| match asked.line.as_str() {
        "GET /images/shop/web:v1/json" => Reply::json(200, &inspected("amd64")),
        "GET /images/shop/web:v1/history" => Reply::json(200, HISTORY),
        "GET /images/bare/json" => Reply::json(200, &inspected("amd64")),
        "GET /images/bare/history" => Reply::json(200, "null"),
        "GET /images/broken/json" => Reply::json(500, r#"{"message":"no space left"}"#),
        _ => Reply::json(404, r#"{"message":"No such image"}"#),
    })
    .await;
    let image = engine.inspect("shop/web:v1").await.unwrap().unwrap();
    assert_eq!(image.id, Digest::of(b"image"));
    assert_eq!((image.platform.to_string(), image.size), ("linux/amd64".into(), 12));
    assert_eq!((image.labels["k"].as_str(), image.env.as_slice()), ("v", &["A=b".to_owned()][..]));
    assert_eq!(image.diff_ids, [Digest::of(b"layer")]);
    let made: Vec<_> = image.history.iter().map(|step| (step.by.as_str(), step.size)).collect();
    assert_eq!(made, [("COPY one", 7), ("RUN two", 5)]);
    assert_eq!(engine.inspect("bare").await.unwrap().unwrap().history, []);
    assert_eq!(engine.inspect("nothing").await.unwrap(), None);
    // None of these reaches the engine: they would ask for something else.
    let asked = server.count("GET");
    for name in ["../info", "web?all=1", "a//b", "", "web#x", "a/../../info", "we b"] {
        assert_eq!(engine.inspect(name).await.unwrap(), None, "{name}");
    }
    assert_eq!(server.count("GET"), asked);
    let failure = engine.inspect("broken").await.unwrap_err();
    insta::assert_snapshot!(told(failure, &server.address), @r#"
    SW-BUILD-ENGINE
    `broken` could not be looked at
    Docker Engine 28.5.2 answered 500: "no space left"
    see whether the engine at `@@HERE@@` still runs, and run it again
    "#);
}

#[tokio::test]
async fn a_tar_comes_in_pieces_and_a_cut_is_told() {
    let id = Digest::of(b"image");
    let path = format!("GET /images/{id}/get");
    let (_server, engine) = answering(move |asked| match asked.line == path {
        true => Reply {
            status: 200,
            chunks: vec![vec![1; 9], vec![2; 9]],
            cut: true,
            ..Reply::default()
        },
        false => Reply::json(404, r#"{"message":"No such image"}"#),
    })
    .await;
    let pieces: Vec<_> = engine.save(&id).collect().await;
    let bytes: Vec<u8> = pieces.iter().filter_map(|p| p.as_ref().ok()).flatten().copied().collect();
    assert_eq!(bytes, [[1; 9], [2; 9]].concat());
    let failure = pieces.last().unwrap().clone().unwrap_err();
    assert_eq!(failure.code, Code::BuildEngine);
    assert_eq!(failure.what, format!("image {} did not come out of the engine", id.short()));
    let gone: Vec<_> = engine.save(&Digest::of(b"gone")).collect().await;
    let [Err(failure)] = gone.as_slice() else { panic!("{gone:?}") };
    assert_eq!(failure.why[0], "Docker Engine 28.5.2 answered 404: \"No such image\"");
}

#[tokio::test]
async fn a_name_is_given_and_taken_but_never_the_last_one() {
    let (server, engine) = answering(|asked| match asked.line.as_str() {
        "GET /images/web:v1/json" => Reply::json(200, &inspected("amd64")),
        "GET /images/only:v1/json" => Reply::json(
            200,
            &inspected("amd64").replace("web:v1", "only:v1").replace(",\"web:v2\"", ""),
        ),
        line if line.ends_with("/history") => Reply::json(200, "[]"),
        line if line.starts_with("DELETE") => Reply::json(200, r#"[{"Untagged":"web:v1"}]"#),
        line if line.starts_with("POST") => Reply { status: 201, ..Reply::default() },
        _ => Reply::json(404, r#"{"message":"No such image"}"#),
    })
    .await;
    engine.tag(&Digest::of(b"image"), "host:5000/web:v9").await.unwrap();
    let path = format!("POST /images/{}/tag?repo=host%3A5000%2Fweb&tag=v9", Digest::of(b"image"));
    assert_eq!(server.count(&path), 1);
    assert!(engine.untag("web:v1").await.unwrap());
    assert_eq!(server.count("DELETE /images/web:v1?"), 1);
    assert!(!engine.untag("only:v1").await.unwrap());
    assert!(!engine.untag("gone:v1").await.unwrap());
    assert_eq!(server.count("DELETE"), 1);
}

#[tokio::test]
async fn an_engine_pushes_by_itself_where_that_is_the_shorter_way() {
    const HERE: &str = "h.example/shop/web:v1";
    let classic = |made: &str| {
        format!(r#"{{"Version":"28.0.4","ApiVersion":"1.48",{made}"Os":"linux","Arch":"amd64"}}"#)
    };
    let podman = r#""GoVersion":"go1.27.1","Components":[{"Name":"Podman Engine"}],"#;
    let own = Digest::of(b"image").to_string();
    let listed = |id: &str| {
        format!(
            r#"[{{"Id":"{id}","ParentId":"","RepoTags":["h.example/shop/web:x"],"RepoDigests":[],"Created":1,"Size":1,"SharedSize":-1,"Labels":{{}},"Containers":0}}]"#
        )
    };
    let (none, itself, earlier) = ("[]".to_owned(), listed(&own), listed("sha256:00"));
    for (made, images, best) in [
        (r#""GoVersion":"go1.27.1","#, &none, true),
        (r#""GoVersion":"go1.28rc1","#, &none, true),
        (r#""GoVersion":"go2.0","#, &none, true),
        (r#""GoVersion":"go1.26.8","#, &none, false),
        // What is to be pushed is no sign of a push before.
        (r#""GoVersion":"go1.26.8","#, &itself, false),
        (r#""GoVersion":"go1.26.8","#, &earlier, true),
        (r#""GoVersion":"go1.26.8","#, &"no list".to_owned(), false),
        (r#""GoVersion":"devel","#, &earlier, false),
        ("", &none, false),
        (podman, &earlier, false),
    ] {
        let (version, images) = (classic(made), images.clone());
        let server = Server::start(move |asked| match asked.line.split('?').next() {
            Some("GET /_ping") => Reply::json(200, "OK"),
            Some("GET /version") => Reply::json(200, &version),
            Some("GET /info") => Reply::json(200, r#"{"DriverStatus":null}"#),
            Some("GET /images/json") => {
                let filter = "filters=%7B%22reference%22%3A%5B%22h.example%2Fshop%2Fweb%22%5D%7D";
                assert!(asked.line.contains(filter), "{}", asked.line);
                Reply::json(200, &images)
            }
            _ => Reply::json(200, &inspected("amd64")),
        })
        .await;
        let engine = engine(&server).await;
        assert_eq!(engine.pushes_best(&Digest::of(b"image"), HERE).await, best, "{made} {best}");
    }
    let (server, engine) = answering(|_| Reply::json(404, "{}")).await;
    assert!(engine.pushes_best(&Digest::of(b"image"), HERE).await, "the containerd store");
    assert_eq!(server.count("GET /images/json"), 0);
}

fn login() -> Login {
    let password = SecretString::from("~~~???>>>");
    Login {
        host: NAME.split('/').next().unwrap().into(),
        user: "AWS".into(),
        password,
        is_ours: true,
    }
}

async fn pushed(
    reply: impl Fn(usize) -> Reply + Send + Sync + 'static,
) -> (Server, Result<ByEngine, Failure>, usize) {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let (server, engine) =
        answering(move |_| reply(count.fetch_add(1, std::sync::atomic::Ordering::SeqCst))).await;
    let again = Mutex::new(0);
    let hear = |pushing: Pushing<'_>| {
        if let Pushing::Again { .. } = pushing {
            *again.lock().unwrap() += 1;
        }
    };
    let pushed = engine.push(NAME, &login(), QUICK, &hear).await;
    let again = again.into_inner().unwrap();
    (server, pushed, again)
}

#[tokio::test]
async fn the_engine_pushes_with_a_login_in_memory_and_says_the_digest() {
    let digest = Digest::of(b"manifest");
    let last = format!(r#"{{"status":"v1: digest: {digest} size: 946"}}"#);
    let (server, pushed, _) = pushed(move |_| {
        Reply::lines(&[
            r#"{"status":"Pushing","progressDetail":{"current":5,"total":9},"id":"x"}"#,
            r#"{"status":"Pushed","progressDetail":{},"id":"x"}"#,
            r#"{"status":"Layer already exists","progressDetail":{},"id":"y"}"#,
            r#"{"status":"Mounted from shop/base","progressDetail":{},"id":"z"}"#,
            &last,
        ])
    })
    .await;
    assert_eq!(pushed.unwrap(), ByEngine { digest, new: 1, reused: 2 });
    let asked = server.asked.lock().unwrap().last().unwrap().clone();
    let host = NAME.split('/').next().unwrap();
    assert!(
        asked.line.starts_with(&format!("POST /images/{host}/shop/web/push?")),
        "{}",
        asked.line
    );
    assert!(asked.line.contains("tag=v1"));
    // In the letters of URLs, which is what engines read.
    let auth = asked.header("x-registry-auth");
    let auth = base64::engine::general_purpose::URL_SAFE.decode(auth).unwrap();
    let auth: serde_json::Value = serde_json::from_slice(&auth).unwrap();
    assert_eq!((&auth["username"], &auth["password"]), (&"AWS".into(), &"~~~???>>>".into()));
    assert_eq!(auth["serveraddress"], host);
}

#[tokio::test]
async fn what_the_registry_refuses_is_told_by_its_code_and_tried_once() {
    let mut all = String::new();
    for words in [
        "tag invalid: The image tag 'v1' already exists in the 'shop/web' repository and cannot be overwritten because the tag is immutable.",
        "denied: User: arn:aws:iam::1:user/x is not authorized to perform: ecr:InitiateLayerUpload on resource: arn:aws:ecr:x",
        "no basic auth credentials",
        "unexpected status from HEAD request to https://h/v2/web/manifests/v1: 401 Unauthorized",
        "name unknown: The repository with name 'shop/web' does not exist in the registry with id '1'",
        "Get \"https://h/v2/\": dial tcp: lookup h: no such host",
        "failed to do request: Head \"https://h/v2/\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "something new",
    ] {
        let line = serde_json::json!({ "errorDetail": { "message": words }, "error": words });
        let (_, pushed, again) = pushed(move |_| Reply::lines(&[&line.to_string()])).await;
        assert_eq!(again, 0, "{words}");
        let text = told(pushed.unwrap_err(), NAME.split('/').next().unwrap());
        assert!(!text.contains("~~~"));
        all.push_str(&text);
        all.push_str("\n\n");
    }
    insta::assert_snapshot!(all, @r#"
    SW-IMAGE-CONFLICT
    immutable tag v1 holds another image
    the engine pushed, and quotes: "tag invalid: The image tag 'v1' already exists in the 'shop/web' repository and cannot be overwritten because the tag is immutable."
    leave out `image` to deploy the one in ECR, or ship a new commit

    SW-ECR-403
    these credentials may not push to ECR `shop/web`
    the engine pushed, and quotes: "denied: User: arn:aws:iam::1:user/x is not authorized to perform: ecr:InitiateLayerUpload on resource: arn:aws:ecr:x"
    let the policy of the role or user allow all that a push needs: slipway explain SW-ECR-403

    SW-ECR-403
    `@@HERE@@` does not accept the login for `shop/web`
    the engine pushed, and quotes: "no basic auth credentials"
    check that credentials, region and repository belong to one account

    SW-ECR-403
    `@@HERE@@` does not accept the login for `shop/web`
    the engine pushed, and quotes: "unexpected status from HEAD request to https://h/v2/web/manifests/v1: 401 Unauthorized"
    check that credentials, region and repository belong to one account

    SW-ECR-MISSING
    repository `shop/web` is not in this registry
    the engine pushed, and quotes: "name unknown: The repository with name 'shop/web' does not exist in the registry with id '1'"
    aws ecr create-repository --repository-name shop/web

    SW-ECR-REACH
    the engine did not reach `@@HERE@@`
    the engine pushed, and quotes: "Get "https://h/v2/": dial tcp: lookup h: no such host"
    curl -sSI https://@@HERE@@/v2/ where the engine runs; 401 is a good answer

    SW-ECR-REACH
    the engine does not trust the certificate of `@@HERE@@`
    the engine pushed, and quotes: "failed to do request: Head "https://h/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority"
    give the engine's machine the authority of `@@HERE@@`, and start the engine again

    SW-ECR-UPLOAD
    ECR repository `shop/web` does not take this image
    the engine pushed, and quotes: "something new"
    "#);
}

#[tokio::test]
async fn what_passes_is_tried_again_and_told_when_it_does_not() {
    let digest = Digest::of(b"manifest");
    for words in [
        "toomanyrequests: Rate exceeded",
        "received unexpected HTTP status: 503 Service Unavailable",
        "Put \"http://h/v2/web/blobs/uploads/1\": read tcp 1->2: connection reset by peer",
        "Get \"http://h/v2/\": dial tcp 127.0.0.1:5000: connect: connection refused",
    ] {
        let line = serde_json::json!({ "errorDetail": { "message": words } }).to_string();
        let last = format!(r#"{{"status":"v1: digest: {digest} size: 946"}}"#);
        let (_, done, again) =
            pushed(move |at| Reply::lines(&[if at == 0 { &line } else { &last }])).await;
        assert_eq!((done.unwrap().digest, again), (digest.clone(), 1), "{words}");
    }
    let busy = r#"{"errorDetail":{"message":"toomanyrequests: Rate exceeded"}}"#;
    let (_, failed, again) = pushed(move |_| Reply::lines(&[busy])).await;
    assert_eq!(again, 2);
    insta::assert_snapshot!(told(failed.unwrap_err(), NAME.split('/').next().unwrap()), @r#"
    SW-ECR-429
    `@@HERE@@` takes no more requests for now
    tried 3 times; at last the engine pushed, and quotes: "toomanyrequests: Rate exceeded"
    ECR counts requests of a whole account and region, 10 manifests a second
    run it again later, or ask for a higher ECR quota
    "#);
    // An engine that goes away in the middle.
    let cut = || Reply { cut: true, ..Reply::lines(&[r#"{"status":"Preparing"}"#]) };
    let (_, failed, again) = pushed(move |_| cut()).await;
    assert_eq!((failed.unwrap_err().code, again), (Code::EcrUpload, 2));
    let (_, failed, _) = pushed(|_| Reply::lines(&[r#"{"status":"Preparing"}"#])).await;
    assert!(failed.unwrap_err().why[0].contains("without a digest"));
}
