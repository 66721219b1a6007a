//! When a trouble is believed: what ends a rollout early, what only patience ends, and what never
//! does.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::made::*;
use super::*;
use crate::rollout::Trouble;

/// The first second at which pods in these states end the rollout, within ten minutes.
fn fails_at(pods: Vec<Seen>) -> Option<u64> {
    let names = pods.iter().filter_map(|seen| match seen {
        Seen::Pod(pod) => pod.metadata.name.clone(),
        _ => None,
    });
    let count = names.filter(|n| n.starts_with("web-new")).collect::<BTreeSet<_>>().len();
    let set = set_of("new", i32::try_from(count).unwrap(), json!([]));
    fails_with(workload(3, under_way(), json!({})), set, pods)
}

fn fails_with(workload: Seen, set: Seen, pods: Vec<Seen>) -> Option<u64> {
    let mut memory = Memory::new(patched(), PATIENCE, Grace::default());
    let mut seen = vec![(0, workload), (0, set)];
    seen.extend(pods.into_iter().map(|pod| (1, pod)));
    let first = judged_by(&mut memory, seen);
    let ticks = (1..600).map(|second| (second, judged_by(&mut memory, vec![(second, Seen::Tick)])));
    let mut verdicts = std::iter::once((1, first)).chain(ticks);
    verdicts.find(|(_, verdict)| matches!(verdict, Verdict::Failed(_))).map(|(second, _)| second)
}

fn one(container: Value) -> Vec<Seen> {
    vec![pod("new", "a", container, json!({}))]
}

#[test]
fn two_exits_are_proof_and_one_is_not() {
    assert_eq!(fails_at(one(ended(1, 1))), None);
    assert_eq!(fails_at(one(ended(1, 2))), Some(1));
    let mut third_try = ended(1, 3);
    third_try["lastState"] = third_try["state"].take();
    third_try["state"] = json!({ "running": {} });
    assert_eq!(fails_at(one(third_try)), None, "a third try that runs is not disproved");
}

#[test]
fn one_crash_and_then_fine_is_fine() {
    let again = json!({ "restartCount": 1, "ready": true });
    let seen = vec![
        (1, workload(1, all(1), json!({}))),
        (1, set("new", json!([]))),
        (2, pod("new", "a", ended(1, 1), json!({}))),
        (4, pod("new", "a", again, json!({}))),
        (34, Seen::Tick),
    ];
    assert!(matches!(judged(seen), Verdict::Ready(_)));
}

#[test]
fn once_a_new_pod_was_ready_all_must_be_doomed() {
    let crashed = || pod("new", "a", ended(1, 2), json!({}));
    assert_eq!(fails_at(vec![ready("b"), crashed()]), None);
    let running = || pod("new", "c", json!({}), json!({}));
    assert_eq!(fails_at(vec![running(), crashed()]), Some(1), "none was ever ready");
}

#[test]
fn pulls_are_believed_by_their_words() {
    let table = [
        ("ErrImagePull", "web:new: not found", Some(1)),
        ("ErrImagePull", "no match for platform in manifest sha256:1: not found", Some(1)),
        ("InvalidImageName", "couldn't parse image name", Some(1)),
        ("ErrImagePull", "unexpected status: 403 Forbidden", Some(61)),
        ("ErrImagePull", "no basic auth credentials", Some(61)),
        ("ErrImagePull", "dial tcp 10.0.0.1:443: i/o timeout", Some(121)),
        ("ErrImagePull", "toomanyrequests: Rate exceeded", None),
        ("ErrImagePull", "something nobody has seen", None),
        ("ImagePullBackOff", "Back-off pulling image \"web:new\"", None),
        ("ImagePullBackOff", "Back-off pulling image \"w\": ErrImagePull: w: not found", Some(1)),
    ];
    for (reason, message, second) in table {
        assert_eq!(fails_at(one(waiting(reason, message))), second, "{message}");
    }
}

#[test]
fn the_pull_error_before_the_back_off_is_remembered() {
    let back_off =
        || pod("new", "a", waiting("ImagePullBackOff", "Back-off pulling image"), json!({}));
    let error = pod("new", "a", waiting("ErrImagePull", "status: 403 Forbidden"), json!({}));
    assert_eq!(fails_at(vec![error, back_off()]), Some(61));
    let said = event("a", "Failed", "Failed to pull image \"web:new\": web:new: not found");
    assert_eq!(fails_at(vec![said, back_off()]), Some(1), "the event has the words");
}

#[test]
fn an_event_alone_decides_nothing() {
    let said = event("a", "Failed", "Failed to pull image \"web:new\": web:new: not found");
    let begins = pod(
        "new",
        "a",
        json!({ "state": { "waiting": { "reason": "ContainerCreating" } } }),
        json!({}),
    );
    assert_eq!(fails_at(vec![begins, said]), None);
}

#[test]
fn one_pod_that_cannot_pull_among_others_is_no_failure() {
    let doomed = || pod("new", "a", waiting("ErrImagePull", "web: not found"), json!({}));
    let running = pod("new", "b", json!({}), json!({}));
    assert_eq!(fails_at(vec![doomed(), running]), None);
    let nowhere = json!({ "status": { "conditions": [
        { "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2" },
    ] } });
    let pending = pod("new", "b", json!({}), nowhere);
    assert_eq!(fails_at(vec![doomed(), pending]), Some(1), "one without a node decides nothing");
}

#[test]
fn configuration_gets_half_a_minute_unless_it_is_the_image() {
    let table = [
        ("secret \"web-env\" not found", Some(31)),
        ("couldn't find key DB in Secret shop/web-env", Some(31)),
        ("failed to sync secret cache: timed out waiting for the condition", None),
        ("container has runAsNonRoot and image will run as root", Some(1)),
    ];
    for (message, second) in table {
        let state = waiting("CreateContainerConfigError", message);
        assert_eq!(fails_at(one(state)), second, "{message}");
    }
}

#[test]
fn a_runtime_in_trouble_is_waited_for_and_a_missing_program_is_not() {
    let state = |message: &str| {
        let end = json!({ "exitCode": 128, "reason": "StartError", "message": message });
        json!({
            "restartCount": 1, "lastState": { "terminated": end },
            "state": { "waiting": { "reason": "RunContainerError", "message": message } },
        })
    };
    let missing = "runc create failed: exec: \"/app\": stat /app: no such file or directory";
    assert_eq!(fails_at(one(state(missing))), Some(1));
    assert_eq!(fails_at(one(state("ttrpc: closed: unknown"))), None);
}

#[test]
fn a_pod_without_a_node_waits_for_the_autoscaler_until_patience_ends() {
    let nowhere = json!({ "spec": { "nodeName": null }, "status": { "containerStatuses": [], "conditions": [
        { "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
          "message": "0/2 nodes are available: 2 Insufficient memory." },
    ] } });
    let mut memory = Memory::new(patched(), PATIENCE, Grace::default());
    let seen = vec![
        (0, workload(3, under_way(), json!({}))),
        (0, set("new", json!([]))),
        (1, pod("new", "a", json!({}), nowhere)),
        (2, event("a", "TriggeredScaleUp", "pod triggered scale-up")),
        (599, Seen::Tick),
    ];
    assert_eq!(judged_by(&mut memory, seen), Verdict::Waiting);
    assert_eq!(memory.progress().note.as_deref(), Some("a has no node, one is being added"));
    let late = judged_by(&mut memory, vec![(600, Seen::Tick)]);
    assert!(matches!(
        cause(late).unwrap().trouble,
        Trouble::Unschedulable { autoscaler: Some(_), .. }
    ));
}

fn refused(message: &str) -> Seen {
    set_of(
        "new",
        0,
        json!([{
            "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message,
        }]),
    )
}

#[test]
fn refusals_are_believed_where_nothing_can_make_room() {
    let quota = "pods \"web-new-a\" is forbidden: exceeded quota: q, requested: pods=1";
    let old = || vec![pod("old", "z", json!({ "ready": true }), json!({}))];
    let tight = || workload(3, under_way(), json!({}));
    let loose = || {
        let one_less = json!({ "maxSurge": 1, "maxUnavailable": 1 });
        workload(3, under_way(), json!({ "spec": { "strategy": { "rollingUpdate": one_less } } }))
    };
    assert_eq!(fails_with(tight(), refused(quota), old()), Some(10));
    assert_eq!(fails_with(loose(), refused(quota), old()), None, "old pods go first");
    let policy = "admission webhook \"p.example\" denied the request: no latest";
    assert_eq!(fails_with(loose(), refused(policy), old()), Some(1));
    let security =
        "pods \"w\" is forbidden: violates PodSecurity \"restricted:latest\": runAsNonRoot";
    assert_eq!(fails_with(tight(), refused(security), old()), Some(1));
    let down = "Internal error occurred: failed calling webhook \"p\": context deadline exceeded";
    assert_eq!(fails_with(tight(), refused(down), old()), None);
}

#[test]
fn the_trouble_of_old_evicted_and_leaving_pods_is_not_ours() {
    let crashed = |more: Value| pod("new", "a", ended(1, 5), more);
    assert_eq!(fails_at(vec![pod("old", "z", ended(1, 5), json!({}))]), None);
    assert_eq!(
        fails_at(vec![crashed(json!({ "status": { "phase": "Failed", "reason": "Evicted" } }))]),
        None
    );
    let leaving = json!({ "metadata": { "deletionTimestamp": "2026-11-21T09:00:30Z" } });
    assert_eq!(fails_at(vec![crashed(leaving)]), None);
}

#[test]
fn a_sidecar_that_runs_is_not_initialising_and_an_init_container_that_fails_twice_is_doomed() {
    let init = |always: bool, state: Value| {
        let policy = if always { json!("Always") } else { json!(null) };
        let mut status = json!({
            "name": "mesh", "image": "m", "imageID": "", "ready": false, "restartCount": 0,
        });
        status.as_object_mut().unwrap().extend(state.as_object().unwrap().clone());
        json!({
            "spec": { "initContainers": [{ "name": "mesh", "restartPolicy": policy }] },
            "status": { "initContainerStatuses": [status] },
        })
    };
    let waits = || json!({ "state": { "waiting": { "reason": "PodInitializing" } } });
    let failed = pod("new", "a", waits(), init(false, ended(3, 2)));
    assert_eq!(fails_at(vec![failed]), Some(1));
    let done = json!({ "state": { "terminated": { "exitCode": 0 } }, "ready": true });
    assert_eq!(fails_at(vec![pod("new", "a", json!({}), init(false, done))]), None);
    let sidecar = init(true, json!({ "state": { "running": {} }, "ready": true }));
    let mut memory = Memory::new(patched(), PATIENCE, Grace::default());
    let seen = vec![
        (1, workload(1, all(1), json!({}))),
        (1, set("new", json!([]))),
        (2, pod("new", "a", json!({ "ready": true }), sidecar)),
        (32, Seen::Tick),
    ];
    assert!(matches!(judged_by(&mut memory, seen), Verdict::Ready(_)));
}

#[test]
fn a_kill_after_a_failed_liveness_probe_is_the_probes() {
    let said = event("a", "Unhealthy", "Liveness probe failed: connection refused");
    let seen = vec![
        (0, workload(3, under_way(), json!({}))),
        (0, set("new", json!([]))),
        (1, said),
        (2, pod("new", "a", ended(137, 2), json!({}))),
    ];
    let message = "Liveness probe failed: connection refused".into();
    let expected = Trouble::Killed { probe: "liveness".into(), message, times: 2 };
    assert_eq!(cause(judged(seen)).unwrap().trouble, expected);
}

/// A word of the kubelet about a pod, first said at 09:00:02 and last so many seconds later.
fn says(pod: &str, reason: &str, message: &str, seconds: i64) -> Seen {
    let Seen::Event(mut said) = event(pod, reason, message) else { panic!("an event") };
    let first: jiff::Timestamp = "2026-11-21T09:00:02Z".parse().unwrap();
    let at = |time| Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(time));
    said.metadata.name = Some(format!("{pod}.{reason}.{}", message.len()));
    said.first_timestamp = at(first);
    said.last_timestamp = at(first + jiff::SignedDuration::from_secs(seconds));
    Seen::Event(said)
}

const NO_CONF: &str =
    "MountVolume.SetUp failed for volume \"conf\" : configmap \"web-conf\" not found";
const NO_SECRET: &str =
    "MountVolume.SetUp failed for volume \"tls\" : secret \"web-tls\" not found";
const NO_ADDRESS: &str = "Failed to create pod sandbox: plugin type=\"aws-cni\" failed (add): add cmd: failed to assign an IP address to container";

fn creating(name: &str) -> Seen {
    pod("new", name, waiting("ContainerCreating", ""), json!({ "status": { "phase": "Pending" } }))
}

#[test]
fn what_only_events_say_is_believed_when_the_kubelet_says_so_after_the_grace() {
    let table = [
        ("FailedMount", NO_CONF, 63, true),
        ("FailedMount", NO_SECRET, 63, true),
        // It is tried again at 63 s: until then somebody may have created it.
        ("FailedMount", NO_CONF, 31, false),
        ("FailedMount", "MountVolume.SetUp failed: rpc error: timed out", 300, false),
        ("FailedCreatePodSandBox", NO_ADDRESS, 130, true),
        ("FailedCreatePodSandBox", NO_ADDRESS, 100, false),
        ("FailedCreatePodSandBox", "Failed to create pod sandbox: rpc error", 300, false),
    ];
    for (reason, message, seconds, believed) in table {
        let pods = vec![creating("a"), says("a", reason, message, seconds)];
        assert_eq!(fails_at(pods).is_some(), believed, "{message} for {seconds}");
    }
}

#[test]
fn a_missing_volume_ends_a_rollout_only_where_every_new_pod_has_it() {
    let doomed = || vec![creating("a"), says("a", "FailedMount", NO_CONF, 63)];
    let with = |more: Vec<Seen>| fails_at(doomed().into_iter().chain(more).collect());
    assert_eq!(with(vec![creating("b")]), None);
    assert_eq!(with(vec![creating("b"), says("b", "FailedMount", NO_CONF, 63)]), Some(1));
    assert_eq!(with(vec![ready("b")]), None);
}

#[test]
fn a_volume_that_came_late_is_no_trouble_any_more() {
    let doomed = || vec![creating("a"), says("a", "FailedMount", NO_CONF, 63)];
    let after = |more: Seen| fails_at([more].into_iter().chain(doomed()).collect());
    let Seen::Event(mut pulling) = says("a", "Pulling", "Pulling image", 70) else { panic!() };
    pulling.type_ = Some("Normal".into());
    assert_eq!(after(Seen::Event(pulling)), None);
    let condition = json!([{ "type": "PodReadyToStartContainers", "status": "True" }]);
    let more = json!({ "status": { "conditions": condition, "phase": "Pending" } });
    let begun = pod("new", "a", waiting("ContainerCreating", ""), more);
    assert_eq!(fails_at(vec![begun, says("a", "FailedMount", NO_CONF, 63)]), None);
}

#[test]
fn the_words_that_name_the_volume_stay_when_the_kubelet_tires() {
    let tired = "Unable to attach or mount volumes: unmounted volumes=[conf]: timed out";
    let seen = vec![
        (1, workload(3, under_way(), json!({}))),
        (1, set("new", json!([]))),
        (2, creating("a")),
        (64, says("a", "FailedMount", tired, 120)),
        (65, says("a", "FailedMount", NO_CONF, 63)),
    ];
    let cause = cause(judged(seen)).unwrap();
    assert_eq!(cause.trouble, Trouble::Mount { message: NO_CONF.into() });
}
