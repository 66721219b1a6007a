//! The feed: what it says, and what it survives.

use std::time::{Duration, Instant};

use insta::assert_snapshot;
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::server::{Heard, Say, Server, Then, ok, status};
use super::{connect, told};
use crate::cluster::live::tests::deployment;
use crate::cluster::{Fed, Feed};
use crate::rollout::Seen;

const PODS: &str = "/api/v1/namespaces/shop/pods";
const WORKLOADS: &str = "/apis/apps/v1/namespaces/shop/deployments";

fn patched() -> Deployment {
    serde_json::from_value(deployment()).unwrap()
}

fn pod(uid: &str, version: u32) -> Value {
    json!({"metadata": {"name": uid, "uid": uid, "resourceVersion": version.to_string()}})
}

fn line(kind: &str, object: &Value) -> String {
    json!({"type": kind, "object": object}).to_string()
}

fn list(version: &str, items: &[Value]) -> Say {
    ok(&json!({"metadata": {"resourceVersion": version}, "items": items}))
}

/// Everything is there and silent: what a test does not play itself.
fn quiet(heard: &Heard) -> Say {
    match heard.is_watch() {
        true => Say::Lines(vec![], Then::Stay),
        false if heard.path() == WORKLOADS => list("100", &[deployment()]),
        false => list("1", &[]),
    }
}

/// Plays the pods, all else is quiet.
async fn pods(play: impl Fn(&Heard, usize) -> Say + Send + Sync + 'static) -> Server {
    Server::start(
        move |heard, before| if heard.path() == PODS { play(heard, before) } else { quiet(heard) },
    )
    .await
}

fn words(fed: &Fed) -> String {
    match fed {
        Fed::Seen(Seen::Pod(pod)) => {
            format!("pod {}", pod.metadata.resource_version.clone().unwrap())
        }
        Fed::Seen(Seen::PodGone(uid)) => format!("pod {uid} gone"),
        Fed::Seen(Seen::ReplicaSet(set)) => format!("set {}", set.metadata.name.clone().unwrap()),
        Fed::Seen(Seen::Workload(workload)) => {
            format!("workload {}", workload.metadata.generation.unwrap())
        }
        Fed::Seen(Seen::WorkloadGone) => "workload gone".into(),
        Fed::Seen(Seen::Event(event)) => format!("event {}", event.reason.clone().unwrap()),
        Fed::Seen(other) => format!("{other:?}"),
        Fed::Lost { text, .. } => format!("lost: {text}"),
        Fed::Found(what) => format!("found: {what}"),
        Fed::Confirmed => "confirmed".into(),
        Fed::Trouble(text) => format!("trouble: {text}"),
        Fed::Again(what) => format!("again: {what}"),
        Fed::Unseen(unseen) => unseen.to_string(),
        Fed::Ended(failure) => format!("ended: {}", failure.what),
    }
}

/// The next `count` things that are said, or as many as come in 5 s.
async fn next(feed: &mut Feed, count: usize) -> Vec<String> {
    let mut said = Vec::new();
    while said.len() < count {
        match timeout(Duration::from_secs(5), feed.next()).await {
            Ok(Some(fed)) => said.push(words(&fed)),
            Ok(None) | Err(_) => break,
        }
    }
    said
}

#[tokio::test]
async fn the_workload_is_watched_from_the_patch_on_without_a_list() {
    let server = Server::start(|heard, _| match (heard.path(), heard.is_watch()) {
        (WORKLOADS, true) => {
            let mut newer = deployment();
            newer["metadata"]["generation"] = json!(5);
            Say::Lines(vec![line("MODIFIED", &newer), line("DELETED", &newer)], Then::Stay)
        }
        _ => quiet(heard),
    })
    .await;
    let mut feed = connect(&server).watch(&patched());
    assert_eq!(next(&mut feed, 2).await, ["workload 5", "workload gone"]);
    let asked: Vec<_> = server.heard().into_iter().filter(|h| h.path() == WORKLOADS).collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (asked[0].query("resourceVersion"), asked[0].query("timeoutSeconds")),
        (Some("100"), Some("60"))
    );
    assert_eq!(asked[0].query("fieldSelector"), Some("metadata.name%3Dweb"));
}

#[tokio::test]
async fn replica_sets_pods_and_warnings_are_listed_then_watched() {
    let server = Server::start(|heard, _| {
        let watch = heard.is_watch();
        match heard.path() {
            PODS if watch => Say::Lines(vec![line("BOOKMARK", &pod("", 8)), line("ADDED", &pod("b", 9))], Then::Stay),
            PODS => list("7", &[pod("a", 3)]),
            "/apis/apps/v1/namespaces/shop/replicasets" if !watch => list("7", &[pod("web-1", 4)]),
            "/api/v1/namespaces/shop/events" if watch => {
                let ordinary = heard.query("fieldSelector") == Some("type%3DNormal");
                let reason = if ordinary { "Killing" } else { "Failed" };
                let event = json!({"metadata": {"uid": "e", "resourceVersion": "9"}, "involvedObject": {}, "reason": reason});
                Say::Lines(vec![line("ADDED", &event), line("DELETED", &event)], Then::Stay)
            }
            _ => quiet(heard),
        }
    })
    .await;
    let mut feed = connect(&server).watch(&patched());
    let mut said = next(&mut feed, 5).await;
    said.sort();
    assert_eq!(said, ["event Failed", "event Killing", "pod 3", "pod 9", "set web-1"]);
    assert_eq!(server.watches_of("pods")[0].query("resourceVersion"), Some("7"));
    assert_eq!(server.watches_of("pods")[0].query("labelSelector"), Some("app%3Dweb"));
    // Warnings of before may explain; of ordinary events only those from the PATCH on are read.
    let events = server.watches_of("events");
    let from = |kind: &str| {
        let watch = events.iter().find(|watch| watch.query("fieldSelector") == Some(kind));
        watch.and_then(|watch| watch.query("resourceVersion").map(str::to_owned))
    };
    assert_eq!(from("type%3DNormal").as_deref(), Some("100"));
    assert!(from("type%21%3DNormal").is_some_and(|version| version != "100"));
}

#[tokio::test]
async fn an_old_version_is_listed_again_and_what_vanished_is_told() {
    let server = pods(|heard, before| match (heard.is_watch(), before) {
        (false, 0) => list("5", &[pod("a", 1), pod("b", 2)]),
        (true, 0) => Say::Lines(
            vec![
                line("ADDED", &pod("c", 6)),
                line("ERROR", &json!({"code": 410, "reason": "Expired", "message": "too old"})),
            ],
            Then::End,
        ),
        (false, 1) => list("20", &[pod("b", 2), pod("d", 18)]),
        (true, 1) => status(410, "Expired", "too old resource version"),
        (false, _) => list("30", &[pod("d", 18)]),
        (true, _) => Say::Lines(vec![], Then::Stay),
    })
    .await;
    let mut feed = connect(&server).watch(&patched());
    let expected = ["pod 1", "pod 2", "pod 6", "pod a gone", "pod c gone", "pod 18", "pod b gone"];
    assert_eq!(next(&mut feed, expected.len()).await, expected);
    let from: Vec<_> = server
        .watches_of("pods")
        .iter()
        .map(|w| w.query("resourceVersion").unwrap().to_owned())
        .collect();
    assert_eq!(from[..2], ["5", "20"]);
}

#[tokio::test]
async fn a_cut_or_garbled_line_is_asked_for_again_and_nothing_is_lost() {
    let whole = line("MODIFIED", &pod("a", 7));
    let half = whole[..whole.len() / 2].to_owned();
    let server = pods(move |heard, before| match (heard.is_watch(), before) {
        (false, _) => list("5", &[]),
        (_, 0) => Say::Lines(vec![line("ADDED", &pod("a", 6))], Then::Cut(half.clone())),
        (_, 1) => Say::Lines(
            vec![
                whole.clone(),
                "{\"type\":\"ADDED\",\"obj".into(),
                line("ADDED", &pod("never", 99)),
            ],
            Then::Stay,
        ),
        (_, 2) => Say::Lines(vec![line("ADDED", &pod("b", 8))], Then::End),
        _ => Say::Lines(vec![], Then::Stay),
    })
    .await;
    let mut feed = connect(&server).watch(&patched());
    assert_eq!(next(&mut feed, 3).await, ["pod 6", "pod 7", "pod 8"]);
    let from: Vec<_> = server
        .watches_of("pods")
        .iter()
        .map(|w| w.query("resourceVersion").unwrap().to_owned())
        .collect();
    assert_eq!(from[..3], ["5", "6", "7"]);
}

#[tokio::test]
async fn a_line_that_stays_garbled_is_replaced_by_a_list() {
    let server = pods(|heard, before| match (heard.is_watch(), before) {
        (false, 0) => list("5", &[]),
        (true, 0 | 1) => Say::Lines(vec!["not JSON".into()], Then::Stay),
        (false, _) => list("9", &[pod("a", 8)]),
        _ => Say::Lines(vec![], Then::Stay),
    })
    .await;
    let mut feed = connect(&server).watch(&patched());
    let lost = "lost: pods cannot be read: a line of its answer cannot be read";
    assert_eq!(next(&mut feed, 3).await, [lost, "pod 8", "found: pods"]);
}

#[tokio::test]
async fn a_silent_stream_is_left_and_opened_again() {
    let server = pods(|heard, before| match (heard.is_watch(), before) {
        (false, _) => list("5", &[]),
        (_, 0) => Say::Lines(vec![], Then::Stay),
        _ => Say::Lines(vec![line("ADDED", &pod("a", 6))], Then::Stay),
    })
    .await;
    let mut feed = connect(&server).watch(&patched());
    assert_eq!(next(&mut feed, 1).await, ["pod 6"]);
    assert_eq!(server.watches_of("pods").len(), 2);
}

#[tokio::test]
async fn a_token_that_expires_while_watching_is_renewed() {
    let server = pods(|heard, before| match (heard.is_watch(), before) {
        (false, _) => list("5", &[]),
        (_, 0) => Say::Lines(vec![line("ADDED", &pod("a", 6))], Then::End),
        (_, 1) => status(401, "Unauthorized", "Unauthorized"),
        _ => Say::Lines(vec![line("MODIFIED", &pod("a", 7))], Then::Stay),
    })
    .await;
    let mut feed = connect(&server).watch(&patched());
    assert_eq!(next(&mut feed, 2).await, ["pod 6", "pod 7"]);
    let used: Vec<_> = server.watches_of("pods").into_iter().map(|w| w.token).collect();
    assert_eq!(used[..3], ["Bearer t1", "Bearer t1", "Bearer t2"]);
}

#[tokio::test]
async fn what_can_never_be_read_again_ends_with_its_failure() {
    for (code, reason) in [(401, "Unauthorized"), (403, "Forbidden")] {
        let server =
            pods(
                move |heard, _| {
                    if heard.is_watch() { status(code, reason, "no") } else { list("5", &[]) }
                },
            )
            .await;
        let mut feed = connect(&server).watch(&patched());
        let Some(Fed::Ended(failure)) = timeout(Duration::from_secs(5), feed.next()).await.unwrap()
        else {
            panic!("{code}")
        };
        let text = told(&failure);
        if code == 401 {
            assert_snapshot!(text, @"
            SW-EKS-401: `prod` does not know role `ship`
              why:  401 twice, the second time to a new token
            ");
        } else {
            assert_snapshot!(text, @r#"
            SW-EKS-403: role `ship` may not watch pods in `shop`
              why:  `prod` answered 403: "no"
              next: kubectl -n shop create role ship --verb=watch --resource=pods
              next: kubectl -n shop create rolebinding ship --role=ship --group=slipway
            "#);
        }
    }
}

#[tokio::test]
async fn events_that_may_not_be_read_are_unseen_and_the_rest_goes_on() {
    let server = Server::start(|heard, _| match (heard.path(), heard.is_watch()) {
        ("/api/v1/namespaces/shop/events", _) => status(403, "Forbidden", "events is forbidden"),
        (PODS, true) => Say::Lines(vec![line("ADDED", &pod("a", 6))], Then::Stay),
        _ => quiet(heard),
    })
    .await;
    let mut feed = connect(&server).watch(&patched());
    let mut said = next(&mut feed, 3).await;
    said.sort();
    // Once for warnings and once for the ordinary ones: who tells it tells it once.
    let unseen = "not seen: events (may not watch)";
    assert_eq!(said, [unseen, unseen, "pod 6"]);
}

#[tokio::test]
async fn an_outage_is_told_and_its_end_too() {
    let server = pods(|heard, before| match (heard.is_watch(), before) {
        (false, _) => list("5", &[]),
        (true, 0..=8) => status(503, "ServiceUnavailable", "apiserver is shutting down"),
        _ => Say::Lines(vec![line("ADDED", &pod("a", 6))], Then::Stay),
    })
    .await;
    let mut feed = connect(&server).watch(&patched());
    let mut said = next(&mut feed, 1).await;
    while said.last().is_some_and(|last| last != "pod 6") && said.len() < 20 {
        said.extend(next(&mut feed, 1).await);
    }
    let cause = "it answered 503: \"apiserver is shutting down\"";
    assert_eq!(said[0], format!("lost: pods cannot be read: {cause}"));
    let talk = |text: &&String| text.starts_with("trouble");
    assert_eq!(
        said.iter().find(talk),
        Some(&format!("trouble: pods cannot be read since 0 s: {cause}"))
    );
    assert_eq!(said[said.len() - 3..], ["found: pods", "again: pods", "pod 6"]);
}

#[tokio::test]
async fn an_outage_that_is_too_short_to_tell_is_counted_from_its_first_moment() {
    let server = pods(|heard, before| match (heard.is_watch(), before) {
        (false, 0) => list("5", &[pod("a", 3)]),
        (true, 0) => Say::Lines(vec![], Then::End),
        (true, 1) => Say::Close,
        (false, _) => list("9", &[pod("a", 8)]),
        _ => Say::Lines(vec![], Then::Stay),
    })
    .await;
    let mut feed = connect(&server).watch(&patched());
    let said = next(&mut feed, 4).await;
    assert_eq!(said[0], "pod 3");
    assert!(said[1].starts_with("lost: pods cannot be read: "), "{said:?}");
    // What happened meanwhile is told before it is well again, and nobody is bothered with it.
    assert_eq!(said[2..], ["pod 8", "found: pods"]);
}

#[tokio::test]
async fn a_quiet_stream_is_checked_and_nothing_is_said() {
    let server = Server::start(|heard, _| quiet(heard)).await;
    let mut feed = connect(&server).watch(&patched());
    let said = timeout(Duration::from_secs(1), feed.next()).await;
    assert!(said.is_err(), "{said:?}");
    let lists = server.heard().iter().filter(|h| h.path() == PODS && !h.is_watch()).count();
    assert!(lists >= 2, "{lists}");
}

#[tokio::test]
async fn a_stream_that_was_dead_is_known_by_what_it_did_not_say() {
    let server = pods(|heard, before| match (heard.is_watch(), before) {
        (false, 0) => list("5", &[pod("a", 3), pod("b", 4)]),
        (false, _) => list("9", &[pod("a", 8)]),
        _ => Say::Lines(vec![], Then::Stay),
    })
    .await;
    let began = Instant::now();
    let mut feed = connect(&server).watch(&patched());
    assert_eq!(next(&mut feed, 2).await, ["pod 3", "pod 4"]);
    let Some(Fed::Lost { what, since, .. }) = feed.next().await else { panic!("not lost") };
    assert_eq!(what, "pods");
    assert!(since.duration_since(began) < Duration::from_millis(250), "since it was heard last");
    let text = "trouble: pods were not heard for 0 s: their watch was dead";
    let rest = ["pod b gone", "pod 8", "found: pods", "again: pods"];
    assert_eq!(next(&mut feed, 5).await, [&[text][..], &rest].concat());
}

#[tokio::test]
async fn what_is_asked_for_is_read_anew_and_its_news_told_before() {
    let server = pods(|heard, before| match (heard.is_watch(), before) {
        (false, 0) => list("5", &[pod("a", 3)]),
        (false, _) => list("9", &[pod("a", 8)]),
        _ => Say::Lines(vec![], Then::Stay),
    })
    .await;
    let mut feed = connect(&server).watch(&patched());
    assert_eq!(next(&mut feed, 1).await, ["pod 3"]);
    feed.ask();
    assert_eq!(next(&mut feed, 2).await, ["pod 8", "confirmed"]);
    for path in [PODS, WORKLOADS, "/apis/apps/v1/namespaces/shop/replicasets"] {
        let lists = server.heard().iter().filter(|h| h.path() == path && !h.is_watch()).count();
        assert!(lists >= 1, "{path}");
    }
}

#[tokio::test]
async fn dropping_the_feed_ends_its_requests() {
    let server = pods(|heard, _| match heard.is_watch() {
        true => Say::Lines(vec![line("ADDED", &pod("a", 6))], Then::Stay),
        false => list("5", &[]),
    })
    .await;
    let mut feed = connect(&server).watch(&patched());
    assert_eq!(next(&mut feed, 1).await, ["pod 6"]);
    drop(feed);
    timeout(Duration::from_secs(5), server.until_left(1)).await.unwrap();
}
