//! What an engine is asked for its images, and what it says meanwhile.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use futures_util::StreamExt as _;
use secrecy::SecretString;

use super::{Asked, Reply, Server, at, engine, known, told};
use crate::docker::{Cache, Engine, Heard, Login, Order, Pushing, StepState, classic};
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
async fn answering(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> (Server, Engine) {
    let server = Server::start(move |asked| known(asked).unwrap_or_else(|| answer(asked))).await;
    let engine = engine(&server).await;
    (server, engine)
}

fn inspected(platform: &str) -> String {
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

fn login() -> Login {
    let password = SecretString::from("~~~???>>>");
    Login { host: NAME.split('/').next().unwrap().into(), user: "AWS".into(), password }
}

async fn pushed(
    reply: impl Fn(usize) -> Reply + Send + Sync + 'static,
) -> (Server, Result<Digest, Failure>, usize) {
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
            &last,
        ])
    })
    .await;
    assert_eq!(pushed.unwrap(), digest);
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
        assert_eq!((done.unwrap(), again), (digest.clone(), 1), "{words}");
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

pub(super) fn order() -> Order {
    Order {
        context: "/src".into(),
        file: "/src/Dockerfile".into(),
        platforms: vec!["linux/amd64".parse().unwrap()],
        target: Some("app".into()),
        args: BTreeMap::from([("A".into(), "b".into())]),
        labels: BTreeMap::new(),
        secrets: BTreeMap::new(),
        logins: vec![Login {
            host: "docker.io".into(),
            user: "me".into(),
            password: "word".into(),
        }],
        cache_from: Vec::new(),
        cache_to: Vec::new(),
        no_cache: false,
        pull: true,
        epoch: None,
        name: Some("web:v1".into()),
    }
}

/// The order, built by an engine that says this.
async fn built(order: &Order, reply: Reply) -> (Server, Result<String, Failure>, Vec<Heard>) {
    let (server, engine) = answering(move |asked| match asked.line.as_str() {
        line if line.starts_with("POST /build") => reply.clone(),
        line if line.ends_with("/history") => Reply::json(200, "[]"),
        line if line.contains("arm") => Reply::json(200, &inspected("arm64")),
        _ => Reply::json(200, &inspected("amd64")),
    })
    .await;
    let heard = Mutex::new(Vec::new());
    let hear = |one: Heard| heard.lock().unwrap().push(one);
    let tar = futures_util::stream::iter([
        Ok(Bytes::from_static(b"con")),
        Ok(Bytes::from_static(b"text")),
    ]);
    let built = classic::build(&engine, order, "Dockerfile", tar, &hear).await;
    let heard = heard.into_inner().unwrap();
    (server, built.map(|built| built.id), heard)
}

/// What was heard, one line each, without how long it took.
fn lines(heard: &[Heard]) -> String {
    let line = |heard: &Heard| match heard {
        Heard::Step { number, name, state } => {
            let state = match state {
                StepState::Done(_) => "done".to_owned(),
                other => format!("{other:?}"),
            };
            format!("{number} {name} {state}")
        }
        Heard::Line { number, text } => format!("{number} > {text}"),
        Heard::Warning { text } => format!("! {text}"),
    };
    heard.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn steps_are_heard_and_the_image_is_named() {
    let id = Digest::of(b"image");
    let aux = format!(r#"{{"aux":{{"ID":"{id}"}}}}"#);
    let reply = Reply::lines(&[
        r#"{"stream":"Step 1/3 : FROM scratch"}"#,
        r#"{"stream":"\n"}"#,
        r#"{"stream":" ---\u003e \n"}"#,
        r#"{"stream":"Step 2/3 : COPY a /a\n ---\u003e Using cache\n ---\u003e 0123\n"}"#,
        r#"{"stream":"Step 3/3 : RUN make\n ---\u003e Running in 4567\nhalf a "}"#,
        r#"{"stream":"line\nSuccess"}"#,
        r#"{"stream":"\n[Warning] One or more build-args [X] were not consumed\n"}"#,
        &aux,
        r#"{"stream":"Successfully built 89ab\n"}"#,
    ]);
    let order = Order { epoch: Some(1), ..order() };
    let (server, built, heard) = built(&order, reply).await;
    assert_eq!(built.unwrap(), id.to_string());
    insta::assert_snapshot!(lines(&heard), @"
    ! this builder does not set the image's time: SOURCE_DATE_EPOCH has no effect
    1 [1/3] FROM scratch Begun
    1 [1/3] FROM scratch done
    2 [2/3] COPY a /a Begun
    2 [2/3] COPY a /a Cached
    3 [3/3] RUN make Begun
    3 > half a line
    3 > Success
    ! One or more build-args [X] were not consumed
    3 [3/3] RUN make done
    ");
    let asked = server.asked.lock().unwrap();
    let build = asked.iter().find(|asked| asked.line.starts_with("POST /build")).unwrap();
    assert_eq!(build.body, b"context");
    for part in
        ["platform=linux%2Famd64", "target=app", "pull=1", "rm=true", "forcerm=true", "t=web%3Av1"]
    {
        assert!(build.line.contains(part), "{part}: {}", build.line);
    }
    assert!(build.line.contains("buildargs=%7B%22A%22%3A%22b%22%7D"), "{}", build.line);
    let logins = base64::engine::general_purpose::URL_SAFE
        .decode(build.header("x-registry-config"))
        .unwrap();
    assert!(String::from_utf8(logins).unwrap().contains("https://index.docker.io/v1/"));
}

#[tokio::test]
async fn podman_says_the_same_in_words_of_its_own() {
    let id = Digest::of(b"image");
    let aux = format!(r#"{{"aux":{{"ID":"{id}"}}}}"#);
    let reply = Reply::lines(&[
        r#"{"stream":"STEP 1/2: FROM scratch\n"}"#,
        r#"{"stream":"--\u003e Using cache a5b9b7f974de\n--\u003e a5b9b7f974d\n"}"#,
        r#"{"stream":"STEP 2/2: RUN echo a : b\na : b\nCOMMIT web:v1\n"}"#,
        &aux,
    ]);
    let (_, built, heard) = built(&order(), reply).await;
    assert_eq!(built.unwrap(), id.to_string());
    insta::assert_snapshot!(lines(&heard), @"
    1 [1/2] FROM scratch Begun
    1 [1/2] FROM scratch Cached
    2 [2/2] RUN echo a : b Begun
    2 > a : b
    2 [2/2] RUN echo a : b done
    ");
}

#[tokio::test]
async fn a_failing_build_is_told_by_what_failed() {
    let mut all = String::new();
    let steps = r#"{"stream":"Step 1/2 : FROM scratch\nStep 2/2 : RUN make\n1\n2\n3\n4\nno rule\nlast words"}"#;
    for lines in [
        vec![
            steps,
            r#"{"errorDetail":{"code":2,"message":"The command '/bin/sh -c make' returned a non-zero code: 2"}}"#,
        ],
        vec![
            r#"{"stream":"Step 1/2 : FROM gone:v1\n"}"#,
            r#"{"errorDetail":{"message":"pull access denied for gone"}}"#,
        ],
        vec![
            steps,
            r#"{"errorDetail":{"message":"the --mount option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/"}}"#,
        ],
        vec![
            steps,
            r#"{"errorDetail":{"message":"image with reference base was found but does not match the specified platform"}}"#,
        ],
        vec![
            r#"{"errorDetail":{"message":"dockerfile parse error line 3: unknown instruction: RUM"}}"#,
        ],
    ] {
        let (server, built, heard) = built(&order(), Reply::lines(&lines)).await;
        if lines[0] == steps {
            let last = heard.last().unwrap();
            assert!(matches!(last, Heard::Step { number: 2, state: StepState::Failed, .. }));
        }
        all.push_str(&told(built.unwrap_err(), &server.address));
        all.push_str("\n\n");
    }
    insta::assert_snapshot!(all, @r#"
    SW-BUILD-STEP
    step 2/2 failed: `RUN make`
    it wrote: "2"
    it wrote: "3"
    it wrote: "4"
    it wrote: "no rule"
    it wrote: "last words"
    Docker Engine 28.5.2 said: "The command '/bin/sh -c make' returned a non-zero code: 2"
    mend that step; alone: docker build --target, up to `RUN make`

    SW-BUILD-BASE
    the base image did not come: `FROM gone:v1`
    Docker Engine 28.5.2 said: "pull access denied for gone"
    see that the name is right, and give a login for its registry if it needs one

    SW-BUILD-FEATURE
    this Dockerfile needs BuildKit
    Docker Engine 28.5.2 said: "the --mount option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/"
    use a Docker Engine with BuildKit: every one since 18.09 has it

    SW-BUILD-PLATFORM
    the base is of another platform
    Docker Engine 28.5.2 said: "image with reference base was found but does not match the specified platform"
    name a base image that has this platform, and build with `pull`

    SW-BUILD-FILE
    the build did not begin
    Docker Engine 28.5.2 said: "dockerfile parse error line 3: unknown instruction: RUM"
    correct the Dockerfile
    "#);
}

#[tokio::test]
async fn a_build_that_ends_without_an_image_is_none() {
    let refused = Reply::json(400, r#"{"message":"dockerfile parse error line 1"}"#);
    let (_, failed, _) = built(&order(), refused).await;
    assert_eq!(failed.unwrap_err().code, Code::BuildFile);
    let cut = Reply { cut: true, ..Reply::lines(&[r#"{"stream":"Step 1/2 : FROM scratch\n"}"#]) };
    let (_, failed, _) = built(&order(), cut).await;
    assert_eq!(failed.unwrap_err().code, Code::BuildEngine);
    let (_, failed, _) =
        built(&order(), Reply::lines(&[r#"{"stream":"Step 1/1 : FROM x\n"}"#])).await;
    let failure = failed.unwrap_err();
    assert!(failure.why[0].contains("no image's ID"), "{failure:?}");
}

#[tokio::test]
async fn what_the_old_builder_lacks_is_refused_before_anything_is_sent() {
    let cache = || Cache { kind: "registry".into(), attributes: BTreeMap::new() };
    let secret = BTreeMap::from([("token".to_owned(), SecretString::from("hush"))]);
    let platforms = |list: &[&str]| list.iter().map(|p| p.parse().unwrap()).collect::<Vec<_>>();
    let mut all = String::new();
    for order in [
        Order { secrets: secret, ..order() },
        Order { cache_to: vec![cache()], ..order() },
        Order { platforms: platforms(&["linux/amd64", "linux/arm64"]), ..order() },
        Order { platforms: platforms(&["linux/arm64"]), ..order() },
    ] {
        let (server, built, _) = built(&order, Reply::json(500, "")).await;
        assert_eq!(server.count("POST"), 0);
        let text = told(built.unwrap_err(), &server.address);
        assert!(!text.contains("hush"));
        all.push_str(&text);
        all.push_str("\n\n");
    }
    insta::assert_snapshot!(all, @"
    SW-BUILD-FEATURE
    Docker Engine 28.5.2 cannot build with secret `token`
    it has no BuildKit: its builder is the one before it
    use a Docker Engine with BuildKit: every one since 18.09 has it

    SW-BUILD-FEATURE
    Docker Engine 28.5.2 cannot build with a cache of type `registry`
    it has no BuildKit: its builder is the one before it
    leave the cache out: the engine keeps its own steps

    SW-BUILD-FEATURE
    Docker Engine 28.5.2 cannot build with several platforms at once
    it has no BuildKit: its builder is the one before it
    build each platform on its own, and join them: slipway index

    SW-BUILD-FEATURE
    Docker Engine 28.5.2 cannot build with platform linux/arm64 on linux/amd64
    it has no BuildKit: its builder is the one before it
    use a Docker Engine with BuildKit: every one since 18.09 has it
    ");
}

#[tokio::test]
async fn another_architecture_than_was_asked_for_is_found_out() {
    let reply = Reply::lines(&[r#"{"aux":{"ID":"sha256:arm"}}"#]);
    let (server, built, _) = built(&order(), reply).await;
    insta::assert_snapshot!(told(built.unwrap_err(), &server.address), @"
    SW-BUILD-PLATFORM
    the engine built for linux/arm64, not for linux/amd64
    Docker Engine 28.5.2 says so of sha256:6105d6cc76af
    build it again with `no-cache`, or on a runner of that platform
    ");
}

#[tokio::test]
async fn a_context_that_cannot_be_read_is_the_cause() {
    let (_server, engine) =
        answering(|_| Reply::json(500, r#"{"message":"unexpected EOF"}"#)).await;
    let cause = Failure::new(Code::BuildContext, "`big` was changed while it was read");
    let tar = futures_util::stream::iter([Ok(Bytes::from_static(b"con")), Err(cause.clone())]);
    let built = classic::build(&engine, &order(), "Dockerfile", tar, &|_| {}).await;
    assert_eq!(built.unwrap_err(), cause);
    assert!(Engine::find(&at("unix:///nowhere")).await.is_err());
}
