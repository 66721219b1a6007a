//! Builds by the builder before BuildKit: what is heard, what fails and how, what it lacks.

use std::collections::BTreeMap;
use std::sync::Mutex;

use base64::Engine as _;
use bytes::Bytes;
use secrecy::SecretString;

use super::talk::{answering, inspected};
use super::{Reply, Server, at, told};
use crate::docker::{Cache, Engine, Heard, Login, Order, StepState, classic};
use crate::error::{Code, Failure};
use crate::names::Digest;

pub(super) fn order() -> Order {
    Order {
        context: "/src".into(),
        file: "/src/Dockerfile".into(),
        platforms: vec!["linux/amd64".parse().unwrap()],
        target: Some("app".into()),
        args: BTreeMap::from([("A".into(), "b".into())]),
        logins: vec![Login {
            host: "docker.io".into(),
            user: "me".into(),
            password: "pass-of-me".into(),
            is_ours: false,
        }],
        pull: true,
        name: Some("web:v1".into()),
        ..Order::default()
    }
}

/// The order, built by an engine that says this.
pub(super) async fn built(
    order: &Order,
    reply: Reply,
) -> (Server, Result<String, Failure>, Vec<Heard>) {
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
    let (server, built, heard) = built(&order(), reply).await;
    assert_eq!(built.unwrap(), id.to_string());
    insta::assert_snapshot!(lines(&heard), @"
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
        Order { epoch: Some(1), ..order() },
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
    Docker Engine 28.5.2 cannot build with a time of its own: SOURCE_DATE_EPOCH
    it has no BuildKit: its builder is the one before it
    use a Docker Engine with BuildKit: every one since 18.09 has it

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
