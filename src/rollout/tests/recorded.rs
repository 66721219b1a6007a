//! Every recording: its verdict, when it comes, and what is said.

use std::path::Path;

use insta::assert_snapshot;

use super::*;

const SHORT: Patience =
    Patience { timeout: Duration::from_secs(600), bake: Duration::from_secs(2) };

#[test]
fn a_good_rollout_is_proven_when_its_bake_is_over() {
    assert_snapshot!(Recording::of("good").told(SHORT), @r#"
    5.6s: 3 ready since 3.5s
    "#);
    assert_eq!(
        Recording::of("good").told(PATIENCE),
        "6.5s: waiting",
        "30s of bake are not recorded"
    );
}

#[test]
fn the_way_back_is_judged_as_a_rollout_of_its_own() {
    let bake = Duration::from_millis(200);
    let back = Recording::of_patch(folder(), "crash-then-rollback", 2);
    let told = back.told(Patience { bake, ..PATIENCE });
    assert_snapshot!(told, @r#"
    0.4s: 3 ready since 0.0s
    "#);
}

#[test]
fn the_watch_says_little_and_what_matters() {
    let mut memory = Recording::of("crash").memory(PATIENCE);
    let notes = Recording::of("crash").play(&mut memory).notes;
    assert_snapshot!(notes[3..].join("\n"), @r#"
    0/3 new, 3 old, 0 leave
    0/3 new, 3 old, 0 leave; cnshh starts on node-1
    0/3 new, 3 old, 0 leave; cnshh exited 3
    0/3 new, 3 old, 0 leave; cnshh exited 3, twice: no new pod can become ready
    "#);
    let mut memory = Recording::of("good").memory(SHORT);
    let notes = Recording::of("good").play(&mut memory).notes;
    assert_snapshot!(notes[3..].join("\n"), @r#"
    0/3 new, 3 old, 0 leave
    0/3 new, 3 old, 0 leave; 2dbnc starts on node-1
    1/3 new, 3 old, 0 leave
    1/3 new, 2 old, 1 leave
    2/3 new, 2 old, 1 leave
    2/3 new, 1 old, 2 leave
    3/3 new, 1 old, 2 leave
    3/3 new, 0 old, 3 leave
    3/3 new, 0 old, 3 leave
    3/3 new, 0 old, 2 leave
    3/3 new, 0 old, 1 leave
    3/3 new, 0 old, 0 leave
    "#);
}

/// The verdict's word and the code of its cause.
fn gist(told: &str) -> (Option<&str>, Option<&str>) {
    let verdict = told.split_once(": ").and_then(|(_, rest)| rest.split([' ', '\n']).next());
    (verdict, told.lines().nth(1))
}

/// A relist says everything again, and an overtaken answer says something older.
#[test]
fn repeated_and_overtaken_words_change_nothing() {
    for name in NAMES {
        let mut recording = Recording::of(name);
        let plain = recording.told(SHORT);
        let mut noisy = Vec::new();
        for pair in recording.seen.windows(2) {
            let overtaken = Observation { at: pair[1].at, seen: pair[0].seen.clone() };
            noisy.extend([pair[1].clone(), overtaken, pair[1].clone()]);
        }
        recording.seen = noisy;
        assert_eq!(recording.told(SHORT), plain, "{name}");
    }
}

/// Watches of different kinds are not in step with each other.
#[test]
fn the_order_between_kinds_changes_no_cause() {
    for name in NAMES {
        let mut recording = Recording::of(name);
        let plain = recording.told(SHORT);
        let in_step = recording.seen.clone();
        for lagging in 0..4 {
            recording.seen.clone_from(&in_step);
            for observation in &mut recording.seen {
                let kind = match observation.seen {
                    Seen::Workload(_) => 0,
                    Seen::ReplicaSet(_) => 1,
                    Seen::Pod(_) => 2,
                    _ => 3,
                };
                let lag = if kind == lagging { 700 } else { 0 };
                observation.at += Duration::from_millis(lag);
            }
            recording.seen.sort_by_key(|observation| observation.at);
            assert_eq!(gist(&recording.told(SHORT)), gist(&plain), "{name}, {lagging} late");
        }
    }
}

const NAMES: [&str; 24] = [
    "good",
    "crash",
    "permission-denied",
    "wrong-platform",
    "wrong-architecture",
    "no-format",
    "pull-denied",
    "missing-volume",
    "never-alive",
    "hook-fails",
    "no-platform-in-index",
    "tag-not-found",
    "never-ready",
    "out-of-memory",
    "missing-secret",
    "unschedulable",
    "init-fails",
    "crash-after-ready",
    "quota",
    "webhook-silent",
    "webhook-denies",
    "policy-denies",
    "crash-then-rollback",
    "taken-over",
];

/// The names of the recordings in a folder.
fn recorded(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let names = entries.map(|name| name.into_string().unwrap());
    let mut names: Vec<_> =
        names.filter_map(|name| Some(name.strip_suffix(".jsonl")?.to_owned())).collect();
    names.sort();
    names
}

/// A recording of another version, and ours of the same rollout if there is one: `crash-1.33`, `crash`.
fn ours(name: &str) -> Option<&'static str> {
    NAMES
        .into_iter()
        .find(|ours| name.strip_prefix(ours).is_some_and(|v| v.is_empty() || v.starts_with("-1.")))
}

/// Those kept for their words, and all of a folder that was recorded anew (SLIPWAY_RECORDINGS).
#[test]
fn other_versions_are_told_as_ours() {
    let mut others: Vec<_> = recorded(&folder()).into_iter().map(|name| (folder(), name)).collect();
    others.retain(|(_, name)| !NAMES.contains(&name.as_str()));
    assert!(!others.is_empty(), "no other version is kept");
    assert!(others.iter().all(|(_, name)| ours(name).is_some()), "no test tells one of {others:?}");
    if let Some(anew) = std::env::var_os("SLIPWAY_RECORDINGS").map(PathBuf::from) {
        others.extend(recorded(&anew).into_iter().map(|name| (anew.clone(), name)));
    }
    let code = |told: &str| {
        let (verdict, cause) = gist(told);
        let code = cause.and_then(|cause| cause.split_once(": ")).map(|(code, _)| code.to_owned());
        (verdict.map(str::to_owned), code)
    };
    for (folder, name) in others {
        let told = Recording::of_patch(folder, &name, 1).told(SHORT);
        match ours(&name) {
            Some(ours) => {
                assert_eq!(code(&told), code(&Recording::of(ours).told(SHORT)), "{name}: {told}")
            }
            None => assert!(code(&told).1.is_some(), "{name}: {told}"),
        }
    }
}

#[test]
fn a_program_that_stops_is_known_at_its_second_exit() {
    assert_snapshot!(Recording::of("crash").told(PATIENCE), @r#"
    2.4s: failed
    SW-CRASH-EXIT: container `web` exits with code 3
      why:  its last line: "boom: cannot connect to db"; 1/1 new pods, 2 exits
      next: push a fix
    "#);
}

#[test]
fn an_image_for_another_platform_is_known_at_its_second_start() {
    assert_snapshot!(Recording::of("wrong-platform").told(PATIENCE), @r#"
    2.3s: failed
    SW-START-PLATFORM: container `web` cannot start on these nodes
      why:  "exec /bin/busybox: exec format error" on node-1 (linux/amd64); the image is linux/arm64
      next: build it for linux/amd64 too, or leave out `platform`: the nodes decide
    "#);
}

#[test]
fn a_binary_that_its_image_gives_another_platform_is_known_at_its_second_start() {
    assert_snapshot!(Recording::of("wrong-architecture").told(PATIENCE), @r#"
    3.5s: failed
    SW-START-FORMAT: the program of container `web` cannot be executed
      why:  "exec /bin/busybox: exec format error"
      why:  image and node both say linux/amd64
      next: if it is a script, begin it with a line like `#!/bin/sh`; if it is a binary, it was
      next: built for another platform than the image says: build it for linux/amd64
    "#);
}

#[test]
fn a_script_without_an_interpreter_is_known_at_its_second_start() {
    assert_snapshot!(Recording::of("no-format").told(PATIENCE), @r#"
    2.5s: failed
    SW-START-FORMAT: the program of container `web` cannot be executed
      why:  "exec /bin/start: exec format error"
      why:  image and node both say linux/amd64
      next: if it is a script, begin it with a line like `#!/bin/sh`; if it is a binary, it was
      next: built for another platform than the image says: build it for linux/amd64
    "#);
}

#[test]
fn a_pull_that_is_refused_names_the_right_that_is_missing() {
    assert_snapshot!(Recording::of("pull-denied").told(PATIENCE), @r#"
    40.9s: late
    SW-PULL-403: the nodes may not pull from ECR `recorded`
      why:  kubelet on node-1, for 39s: "...to resolve image: unexpected status from HEAD request to https://123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/v2/recorded/manifests/denied: 403 Forbidden"; one account for image and cluster
      next: aws iam attach-role-policy --role-name NODE-ROLE \
      next:   --policy-arn arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly
    "#);
}

#[test]
fn a_liveness_probe_that_fails_is_told_as_the_reason_of_the_restarts() {
    assert_snapshot!(Recording::of("never-alive").told(PATIENCE), @r#"
    16.4s: failed
    SW-PROBE-LIVE: container `web` is ended by its liveness probe
      why:  kubelet on node-1, for 10s: "Liveness probe failed: Get "http://10.244.0.24:8080/": dial tcp 10.244.0.24:8080: connect: connection refused"; 1/1 new pods, 3 times
      next: give it longer than 2s (2 x 1s) now, or make GET / on 8080 answer sooner
    "#);
}

#[test]
fn a_hook_that_fails_is_named() {
    assert_snapshot!(Recording::of("hook-fails").told(PATIENCE), @r#"
    6.5s: failed
    SW-START-HOOK: the postStart hook of container `web` fails
      why:  kubelet on node-1, for 3s: "Exec lifecycle hook ([/bin/busybox false]) failed: command '/bin/busybox false' exited with 1: , message: """
      next: correct `lifecycle.postStart` in the workload, or what it calls
    "#);
}

#[test]
fn a_program_that_may_not_be_run_on_another_platform_is_told_as_that() {
    assert_snapshot!(Recording::of("permission-denied").told(PATIENCE), @r#"
    2.4s: failed
    SW-START-PLATFORM: container `web` cannot start on these nodes
      why:  "exec: "/bin/busybox": permission denied" on node-1 (linux/amd64); the image is linux/arm64
      next: build it for linux/amd64 too, or leave out `platform`: the nodes decide
    "#);
}

#[test]
fn an_index_without_the_platform_is_known_when_the_pull_says_so() {
    assert_snapshot!(Recording::of("no-platform-in-index").told(PATIENCE), @r#"
    1.4s: failed
    SW-PULL-PLATFORM: image `case:armonly` has nothing for linux/amd64
      why:  kubelet on node-1: "get image config descriptor: no match for platform in manifest sha256:d35bffbeab9aa37e0c4e24dba3edb64ef9fa44618e08ba0d37276440452d051a: not found"
      why:  it has linux/arm64
      next: build it for linux/amd64 too, or leave out `platform`: the nodes decide
    "#);
}

#[test]
fn a_missing_tag_is_known_when_the_pull_says_so() {
    assert_snapshot!(Recording::of("tag-not-found").told(PATIENCE), @r#"
    0.5s: failed
    SW-PULL-MISSING: image `case:none` is not in ECR `case`
      why:  kubelet on node-1: "..."123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/case:none": failed to resolve image: 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/case:none: not found"
      next: aws ecr describe-images --repository-name case --image-ids imageTag=none
    "#);
}

#[test]
fn a_probe_that_never_passes_waits_for_the_deadline() {
    assert_snapshot!(Recording::of("never-ready").told(PATIENCE), @r#"
    40.1s: late
    SW-PROBE-READY: container `web` runs, but its readiness probe does not pass
      why:  kubelet on node-1, for 38s: "Readiness probe failed: Get "http://10.244.0.77:8080/": dial tcp 10.244.0.77:8080: connect: connection refused"; 1/1 new pods
      next: let it listen on all addresses for GET / on 8080, or correct the probe
    "#);
}

#[test]
fn a_program_over_its_memory_limit_is_known_at_its_second_end() {
    assert_snapshot!(Recording::of("out-of-memory").told(PATIENCE), @r#"
    2.4s: failed
    SW-CRASH-MEMORY: container `web` uses more memory than its limit of 16Mi
      why:  OOMKilled; 1/1 new pods, 2 exits; it logged nothing
      next: raise `resources.limits.memory` of container `web`, or let the program use less
    "#);
}

#[test]
fn a_missing_secret_gets_its_half_minute() {
    assert_snapshot!(Recording::of("missing-secret").told(PATIENCE), @r#"
    31.5s: failed
    SW-START-CONFIG: Secret `missing` does not exist in `t-missing-secret`
      why:  kubelet on node-1, for 30s: "secret "missing" not found"
      next: create Secret `missing` in `t-missing-secret`, or take it out of the workload, then ship again
    "#);
}

#[test]
fn a_pod_without_a_node_waits_for_the_deadline() {
    assert_snapshot!(Recording::of("unschedulable").told(PATIENCE), @r#"
    40.1s: late
    SW-SCHED-ROOM: its new pod found no node
      why:  scheduler: "0/1 nodes are available: 1 Insufficient cpu"; it asks for 64 cpu; no autoscaler event seen
      next: lower `resources.requests.cpu`, or add a node
    "#);
}

#[test]
fn a_crash_on_another_version_is_told_as_ours() {
    assert_snapshot!(Recording::of("crash-1.35").told(PATIENCE), @r#"
    2.7s: failed
    SW-CRASH-EXIT: container `web` exits with code 3
      why:  its last line: "boom: cannot connect to db"; 1/1 new pods, 2 exits
      next: push a fix
    "#);
}

#[test]
fn the_scheduler_of_another_version_is_quoted_as_ours() {
    assert_snapshot!(Recording::of("unschedulable-1.33").told(PATIENCE), @r#"
    41.0s: late
    SW-SCHED-ROOM: its new pod found no node
      why:  scheduler: "0/1 nodes are available: 1 Insufficient cpu"; it asks for 64 cpu; no autoscaler event seen
      next: lower `resources.requests.cpu`, or add a node
    "#);
}

#[test]
fn an_init_container_that_fails_is_named() {
    assert_snapshot!(Recording::of("init-fails").told(PATIENCE), @r#"
    2.4s: failed
    SW-CRASH-EXIT: init container `migrate` exits with code 3
      why:  its last line: "boom: cannot connect to db"; 1/1 new pods, 2 exits
      next: push a fix
    "#);
}

#[test]
fn a_crash_after_ready_is_caught_by_the_bake() {
    assert_snapshot!(Recording::of("crash-after-ready").told(PATIENCE), @r#"
    7.4s: failed
    SW-CRASH-EXIT: container `web` exits with code 1
      why:  its last line: "lost the database"; 1/3 new pods, 1 exit, after it was ready
      next: push a fix
    "#);
}

#[test]
fn a_full_quota_is_known_when_no_old_pod_makes_room() {
    assert_snapshot!(Recording::of("quota").told(PATIENCE), @r#"
    10.2s: failed
    SW-ADMIT-QUOTA: quota `q` leaves no room for a new pod
      why:  API server: "exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3"
      next: raise quota `q` in `t-quota`, or let old pods go first: `maxUnavailable: 1`
    "#);
}

#[test]
fn a_webhook_that_does_not_answer_may_be_back_at_any_time() {
    assert_snapshot!(Recording::of("webhook-silent").told(SHORT), @r#"
    40.5s: late
    SW-ADMIT-WEBHOOK: no pod can be created: webhook `policy.example.com` does not answer
      why:  API server: "Internal error occurred: failed calling webhook "policy.example.com": failed to call webhook: Post "https://policy.policy.svc:443/?timeout=5s": service "policy" not found"
      next: kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations
      next: and repair the service it names: the image is not the cause
    "#);
}

#[test]
fn pods_that_a_webhook_denies_never_come() {
    assert_snapshot!(Recording::of("webhook-denies").told(PATIENCE), @r#"
    0.0s: failed
    SW-ADMIT-POLICY: policy `policy.example.com` refuses its pods
      why:  API server: "admission webhook "policy.example.com" denied the request: image must be signed"
      next: change the workload as the policy says above
    "#);
}

#[test]
fn pods_that_a_policy_denies_never_come() {
    assert_snapshot!(Recording::of("policy-denies").told(PATIENCE), @r#"
    0.0s: failed
    SW-ADMIT-POLICY: policy `story` refuses its pods
      why:  API server: "ValidatingAdmissionPolicy 'story' with binding 'story' denied request: image must be signed"
      next: change the workload as the policy says above
    "#);
}

#[test]
fn a_crash_whose_log_is_gone_is_said_without_it() {
    assert_snapshot!(Recording::of("crash-then-rollback").told(PATIENCE), @r#"
    2.5s: failed
    SW-CRASH-EXIT: container `web` exits with code 3
      why:  its log was not seen; 1/1 new pods, 2 exits
      next: push a fix
    "#);
}

#[test]
fn who_took_the_workload_over_is_named() {
    assert_snapshot!(Recording::of("taken-over").told(PATIENCE), @r#"
    1.1s: changed by argocd-controller in generation 3
    "#);
}

#[test]
fn before_any_pod_is_listed_the_workload_counts_those_that_serve() {
    let mut recording = Recording::of("good");
    let ours = Some(recording.ours.generation);
    recording
        .seen
        .retain(|o| matches!(&o.seen, Seen::Workload(web) if web.metadata.generation == ours));
    recording.seen.truncate(1);
    let mut memory = recording.memory(PATIENCE);
    recording.play(&mut memory);
    assert_eq!((memory.progress().new_ready, memory.progress().old_ready), (0, 3));
}
