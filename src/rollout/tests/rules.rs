//! The rules of success and of the end: generation, replicas, digests, deadlines, changes, the
//! bake.

use serde_json::json;

use super::made::*;
use super::*;

fn ready_proof(pods: usize, second: u64) -> Verdict {
    let ready_at = Duration::from_secs(second);
    Verdict::Ready(super::super::Proof { pods, unseen: 0, ready_at, restarts: 0 })
}

#[test]
fn old_numbers_under_a_new_generation_are_no_success() {
    let mut status = all(2);
    status["observedGeneration"] = json!(1);
    let seen = vec![
        (0, workload(2, status, json!({}))),
        (0, set("new", json!([]))),
        (1, ready("a")),
        (1, ready("b")),
        (99, Seen::Tick),
    ];
    let mut memory = Memory::new(patched(), PATIENCE, Grace::default());
    assert_eq!(judged_by(&mut memory, seen), Verdict::Waiting);
    assert_eq!(memory.progress().baking_since, None);
}

#[test]
fn an_older_word_about_a_pod_does_not_replace_a_newer_one() {
    let version = |n: &str| json!({ "metadata": { "resourceVersion": n } });
    let crashed = |n: &str| pod("new", "a", ended(1, 2), version(n));
    let seen = |n: &str| {
        vec![
            (1, workload(2, under_way(), json!({}))),
            (1, set("new", json!([]))),
            (2, pod("new", "a", json!({}), version("10"))),
            (3, crashed(n)),
        ]
    };
    assert_eq!(judged(seen("9")), Verdict::Waiting);
    assert!(matches!(judged(seen("11")), Verdict::Failed(_)));
}

#[test]
fn success_needs_the_bake_to_pass_without_an_exit() {
    let mut memory = Memory::new(patched(), PATIENCE, Grace::default());
    let seen = vec![
        (1, workload(2, all(2), json!({}))),
        (1, set("new", json!([]))),
        (2, ready("a")),
        (5, ready("b")),
        (34, Seen::Tick),
    ];
    assert_eq!(judged_by(&mut memory, seen), Verdict::Waiting);
    assert_eq!(memory.progress().baking_since, Some(Duration::from_secs(5)));
    assert_eq!(judged_by(&mut memory, vec![(35, Seen::Tick)]), ready_proof(2, 5));
}

#[test]
fn what_only_time_brings_about_waits_until_everything_was_read_anew() {
    let at = |second, seen| Observation { at: Duration::from_secs(second), seen };
    let fresh = || Memory::new(patched(), PATIENCE, Grace::default());
    let seen = || vec![(1, workload(1, all(1), json!({}))), (1, set("new", json!([])))];

    let mut baked = fresh();
    judged_by(&mut baked, seen().into_iter().chain([(2, ready("a"))]).collect());
    assert_eq!(judge(&mut baked, &at(32, Seen::Tick)), Verdict::Waiting);
    assert!(baked.doubts());
    let mut blind = baked.clone();
    assert_eq!(judge(&mut baked, &at(33, Seen::Confirmed)), ready_proof(1, 2));

    // It had fallen, and the watch that should have told was dead.
    let again = json!({ "ready": true, "restartCount": 1, "lastState": ended(1, 1)["state"] });
    let verdict = judge(&mut blind, &at(33, pod("new", "a", again, json!({}))));
    assert!(matches!(verdict, Verdict::Failed(_)), "{verdict:?}");

    let mut late = fresh();
    judged_by(&mut late, seen());
    assert_eq!(judge(&mut late, &at(600, Seen::Tick)), Verdict::Waiting);
    // It was ready long since: now the bake begins, and it gets its time.
    assert_eq!(judge(&mut late, &at(601, ready("a"))), Verdict::Waiting);
    assert_eq!(judge(&mut late, &at(601, Seen::Confirmed)), Verdict::Waiting);
    assert_eq!(judge(&mut late, &at(631, Seen::Confirmed)), ready_proof(1, 601));
}

#[test]
fn an_exit_in_the_bake_fails_the_rollout_at_once() {
    let seen = vec![
        (1, workload(1, all(1), json!({}))),
        (1, set("new", json!([]))),
        (2, ready("a")),
        (20, pod("new", "a", ended(1, 1), json!({}))),
    ];
    let cause = cause(judged(seen)).unwrap();
    assert!(cause.was_ready);
    assert_eq!(cause.at, Duration::from_secs(20));
}

#[test]
fn the_pods_words_count_as_much_as_the_controllers_numbers() {
    let seen = vec![
        (1, workload(2, all(2), json!({}))),
        (1, set("new", json!([]))),
        (2, ready("a")),
        (599, Seen::Tick),
    ];
    assert_eq!(judged(seen), Verdict::Waiting);
}

#[test]
fn an_autoscaler_moves_the_goal() {
    let seen = vec![
        (1, workload(2, under_way(), json!({}))),
        (1, set("new", json!([]))),
        (2, ready("a")),
        (2, ready("b")),
        (3, workload(3, all(3), json!({}))),
        (40, ready("c")),
        (70, Seen::Tick),
    ];
    assert_eq!(judged(seen), ready_proof(3, 40));
}

#[test]
fn an_autoscaler_in_the_bake_does_not_hold_it_up() {
    let mut more = all(2);
    more["replicas"] = json!(5);
    more["updatedReplicas"] = json!(5);
    let seen = vec![
        (1, workload(2, all(2), json!({}))),
        (1, set("new", json!([]))),
        (2, ready("a")),
        (2, ready("b")),
        (20, workload(5, more, json!({ "metadata": { "generation": 3 } }))),
        (32, Seen::Tick),
    ];
    // Generation 3 is not observed yet: numbers of generation 2 prove nothing about it.
    assert_eq!(judged(seen.clone()), Verdict::Waiting);
    let mut more = all(2);
    more["observedGeneration"] = json!(3);
    let observed = workload(5, more, json!({ "metadata": { "generation": 3 } }));
    let seen = seen.into_iter().chain([(33, observed)]).collect();
    assert_eq!(judged(seen), ready_proof(2, 2));
}

#[test]
fn no_replicas_are_ready_at_once_with_no_pods() {
    let seen = vec![(1, workload(0, all(0), json!({}))), (2, set("new", json!([])))];
    assert_eq!(judged(seen), ready_proof(0, 1));
}

#[test]
fn a_pod_that_reports_another_digest_is_never_success() {
    let other = json!({ "ready": true, "imageID": format!("web@{OTHER}") });
    let seen = vec![
        (1, workload(1, all(1), json!({}))),
        (1, set("new", json!([]))),
        (2, pod("new", "a", other, json!({}))),
        (599, Seen::Tick),
    ];
    assert_eq!(judged(seen.clone()), Verdict::Waiting);
    let late = judged(seen.into_iter().chain([(600, Seen::Tick)]).collect());
    let trouble = super::super::Trouble::OtherImage { runs: OTHER.into() };
    assert_eq!(cause(late).unwrap().trouble, trouble);
}

/// A rollout whose one pod asks for our image by its digest and reports another one.
fn strange(kin: Option<super::super::Kin>) -> Verdict {
    reporting(OTHER, kin)
}

fn reporting(digest: &str, kin: Option<super::super::Kin>) -> Verdict {
    let mut status = json!({ "ready": true, "imageID": format!("web@{digest}") });
    status["image"] = json!("web");
    let mut asking = pod("new", "a", status, json!({}));
    let Seen::Pod(pod) = &mut asking else { panic!("it is a pod") };
    let container =
        json!({ "name": "app", "image": format!("web@{}", patched().digests["app"][0]) });
    pod.spec = Some(serde_json::from_value(json!({ "containers": [container] })).unwrap());
    let stranger = super::super::Stranger { container: "app".into(), digest: digest.into() };
    let mut seen =
        vec![(1, workload(1, all(1), json!({}))), (1, set("new", json!([]))), (2, asking)];
    seen.extend(kin.map(|kin| (2, Seen::Met(stranger, kin))));
    seen.extend([(32, Seen::Tick), (600, Seen::Tick)]);
    judged(seen)
}

#[test]
fn a_digest_is_ours_by_another_name_where_the_registry_says_so() {
    use super::super::Kin;
    assert_eq!(strange(Some(Kin::Same)), ready_proof(1, 2));
    let Verdict::Late(cause) = strange(Some(Kin::Other)) else { panic!("another program is ours") };
    assert_eq!(cause.trouble, super::super::Trouble::OtherImage { runs: OTHER.into() });
    for unknown in [Some(Kin::Unknown), None] {
        let Verdict::Ready(proof) = strange(unknown) else { panic!("it asks for ours by digest") };
        assert_eq!((proof.pods, proof.unseen), (1, 1));
    }
}

#[test]
fn a_digest_that_we_cannot_read_is_not_taken_for_ours() {
    let Verdict::Ready(proof) = reporting("sha512:0123", None) else { panic!("it asks for ours") };
    assert_eq!((proof.pods, proof.unseen), (1, 1));
    let other = json!({ "ready": true, "imageID": "web@sha512:0123" });
    let seen = vec![
        (1, workload(1, all(1), json!({}))),
        (1, set("new", json!([]))),
        (2, pod("new", "a", other, json!({}))),
        (600, Seen::Tick),
    ];
    let trouble = super::super::Trouble::OtherImage { runs: "sha512:0123".into() };
    assert_eq!(cause(judged(seen)).unwrap().trouble, trouble);
}

#[test]
fn an_index_that_shares_one_of_its_programs_with_ours_proves_nothing() {
    use super::super::Kin;
    let digest = |letter: char| crate::names::Digest::of(&[letter as u8]);
    let of = |letters: &str| letters.chars().map(digest).collect::<Vec<_>>();
    for (theirs, ours, kin) in [
        ("a", "a", Kin::Same),
        ("a", "ab", Kin::Same),
        ("ab", "ab", Kin::Same),
        ("ac", "ab", Kin::Unknown),
        ("c", "ab", Kin::Other),
        ("", "ab", Kin::Unknown),
        ("a", "", Kin::Unknown),
    ] {
        assert_eq!(Kin::by_configurations(&of(theirs), &of(ours)), kin, "{theirs} beside {ours}");
    }
}

#[test]
fn a_ready_pod_that_does_not_say_what_it_runs_is_counted_apart() {
    // Nothing at all, and the id of a configuration.
    for silent in ["", "sha256:0123"] {
        let seen = vec![
            (1, workload(2, all(2), json!({}))),
            (1, set("new", json!([]))),
            (2, ready("a")),
            (2, pod("new", "b", json!({ "ready": true, "imageID": silent }), json!({}))),
            (32, Seen::Tick),
        ];
        let Verdict::Ready(proof) = judged(seen) else { panic!("it is ready") };
        assert_eq!((proof.pods, proof.unseen), (2, 1));
    }
}

fn exceeded(at: &str, set: &str) -> Seen {
    let mut status = under_way();
    status["conditions"] = json!([{
        "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
        "lastUpdateTime": at,
        "message": format!("ReplicaSet \"web-{set}\" has timed out progressing."),
    }]);
    workload(3, status, json!({ "spec": { "progressDeadlineSeconds": 60 } }))
}

#[test]
fn a_stale_deadline_of_the_workload_is_not_believed() {
    let table = [
        ("2026-11-21T08:59:00Z", "new", 70, false),
        ("2026-11-21T09:01:01Z", "old", 70, false),
        ("2026-11-21T09:00:30Z", "new", 31, false),
        ("2026-11-21T09:01:01Z", "new", 61, true),
    ];
    for (updated, name, second, believed) in table {
        let seen = vec![(0, set("new", json!([]))), (second, exceeded(updated, name))];
        assert_eq!(cause(judged(seen)).is_some(), believed, "{updated} {name}");
    }
}

#[test]
fn another_image_is_a_change_and_another_replica_count_is_none() {
    let scaled = workload(9, under_way(), json!({ "metadata": { "generation": 3 } }));
    assert_eq!(judged(vec![(1, scaled)]), Verdict::Waiting);
    let image = json!([{ "name": "app", "image": "web:elsewhere" }]);
    let moved = json!({
        "metadata": { "generation": 3 },
        "spec": { "template": { "spec": { "containers": image } } },
    });
    let verdict = judged(vec![(1, workload(3, under_way(), moved))]);
    let Verdict::Changed(change) = verdict else { panic!("it was changed") };
    assert_eq!((change.generation, change.images["app"].as_str()), (3, "web:elsewhere"));
}

#[test]
fn the_annotation_of_another_run_is_a_change() {
    let by = |run: &str| json!({ "metadata": { "annotations": { "slipway.dev/run": run } } });
    assert_eq!(judged(vec![(1, workload(3, under_way(), by("4711/1")))]), Verdict::Waiting);
    let other = judged(vec![(1, workload(3, under_way(), by("4713/1")))]);
    assert!(matches!(other, Verdict::Changed(_)));
}

#[test]
fn a_webhook_that_rewrote_our_image_on_the_way_in_is_no_change() {
    let mirror = json!([{ "name": "app", "image": "mirror.local/web:new" }]);
    let spec = json!({ "template": { "spec": { "containers": mirror } } });
    let later = json!({ "metadata": { "generation": 3 }, "spec": spec });
    let seen = vec![
        (1, workload(3, under_way(), json!({ "spec": spec }))),
        (2, workload(3, under_way(), later)),
    ];
    assert_eq!(judged(seen), Verdict::Waiting);
}

#[test]
fn a_deleted_or_recreated_workload_is_gone() {
    let again = workload(3, under_way(), json!({ "metadata": { "uid": "u-other" } }));
    assert_eq!(judged(vec![(1, again)]), Verdict::Gone);
    assert_eq!(judged(vec![(1, Seen::WorkloadGone), (2, Seen::Tick)]), Verdict::Gone);
    let deleted = json!({ "metadata": { "deletionTimestamp": "2026-11-21T09:00:02Z" } });
    assert_eq!(judged(vec![(1, workload(3, under_way(), deleted))]), Verdict::Gone);
}

#[test]
fn a_late_word_about_a_pod_that_is_gone_does_not_bring_it_back() {
    let mut memory = Memory::new(patched(), PATIENCE, Grace::default());
    let seen = vec![
        (1, workload(1, all(1), json!({}))),
        (1, set("new", json!([]))),
        (2, Seen::PodGone("p-a".into())),
        (3, pod("new", "a", ended(1, 2), json!({}))),
        (4, ready("b")),
        (34, Seen::Tick),
    ];
    assert_eq!(judged_by(&mut memory, seen), ready_proof(1, 4));
}

#[test]
fn patience_that_ends_without_any_trouble_says_so() {
    let seen = vec![(1, workload(3, under_way(), json!({}))), (600, Seen::Tick)];
    assert_eq!(cause(judged(seen)).unwrap().trouble, super::super::Trouble::Nothing);
}

#[test]
fn a_container_that_its_node_lost_sight_of_is_no_exit_in_the_bake() {
    let mut lost = ended(137, 1);
    lost["state"]["terminated"]["reason"] = json!("ContainerStatusUnknown");
    let seen = vec![
        (1, workload(1, all(1), json!({}))),
        (1, set("new", json!([]))),
        (2, ready("a")),
        (20, pod("new", "a", lost, json!({}))),
        (25, ready("a")),
        (32, Seen::Tick),
    ];
    assert_eq!(judged(seen), ready_proof(1, 2));
}

/// Between servers of two versions a template may differ in defaults that nobody wrote.
#[test]
fn a_set_with_other_defaults_is_ours_by_its_revision() {
    let revision = |n: &str| json!({ "deployment.kubernetes.io/revision": n });
    let Seen::ReplicaSet(mut other) = set("new", json!([])) else { panic!("a set") };
    let template = other.spec.as_mut().and_then(|s| s.template.as_mut()).unwrap();
    template.spec.as_mut().unwrap().scheduler_name = Some("default-scheduler".into());
    other.metadata.annotations = serde_json::from_value(revision("7")).unwrap();
    let judged_at = |n: &str| {
        let more = json!({ "metadata": { "annotations": revision(n) } });
        let seen = vec![
            (1, workload(1, all(1), more)),
            (1, Seen::ReplicaSet(other.clone())),
            (2, ready("a")),
            (32, Seen::Tick),
        ];
        judged(seen)
    };
    assert_eq!(judged_at("7"), ready_proof(1, 2));
    assert_eq!(judged_at("8"), Verdict::Waiting);
}
