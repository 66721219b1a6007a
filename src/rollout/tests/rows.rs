//! The diagnosis, row by row: what a user reads for each kind of trouble, from hand-made evidence.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::*;
use crate::rollout::Trouble;

/// Evidence about container `app` of the only new pod of `shop/web`, on an amd64 node.
fn evidence(trouble: Trouble) -> Evidence {
    let cause = Cause {
        trouble,
        pod: Some("web-6c9f7d5b8-x2kqp".into()),
        container: Some("app".into()),
        init: false,
        node: Some("ip-10-0-1-12.ap-northeast-2.compute.internal".into()),
        affected: 1,
        new_pods: 1,
        was_ready: false,
        lasted: Duration::ZERO,
        at: Duration::from_secs(3),
    };
    let host = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com";
    Evidence {
        cause,
        namespace: "shop".into(),
        workload: "web".into(),
        logs: None,
        node_platform: Some("linux/amd64".parse().unwrap()),
        image_platforms: vec!["linux/amd64".parse().unwrap()],
        image: format!("{host}/web:9f2c1e4a9f2c1e4a9f2c1e4a9f2c1e4a9f2c1e4a@{}", super::made::NEW),
        same_account: None,
        pod: None,
        warnings: Vec::new(),
        node_role: None,
    }
}

fn with_log(mut evidence: Evidence, log: &str) -> Evidence {
    evidence.logs = Some(Logs {
        pod: "web-6c9f7d5b8-x2kqp".into(),
        container: "app".into(),
        previous: true,
        lines: log.lines().map(Into::into).collect(),
    });
    evidence
}

fn with_container(mut evidence: Evidence, container: Value) -> Evidence {
    let mut spec = json!({ "name": "app" });
    spec.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
    let pod = json!({ "metadata": {}, "spec": { "containers": [spec] } });
    evidence.pod = Some(serde_json::from_value(pod).unwrap());
    evidence
}

fn all(rows: impl IntoIterator<Item = Evidence>) -> String {
    rows.into_iter().map(|row| told(&diagnose(&row)) + "\n").collect()
}

fn pull(message: &str) -> Evidence {
    evidence(Trouble::Pull { reason: "ErrImagePull".into(), message: message.into() })
}

fn exit(code: i32) -> Evidence {
    let signal = (code > 128).then_some(code - 128);
    evidence(Trouble::Exit { code, signal, reason: "Error".into(), times: 2 })
}

fn start(message: &str) -> Evidence {
    evidence(Trouble::Start { reason: "StartError".into(), message: message.into() })
}

#[test]
fn a_refused_pull_names_the_right_and_who_lacks_it() {
    let refused = "failed to resolve reference: unexpected status: 403 Forbidden";
    let mut own = pull(refused);
    own.same_account = Some(true);
    own.cause.lasted = Duration::from_secs(60);
    own.node_role = Some("arn:aws:iam::123456789012:role/nodes/eks-node".into());
    let mut other = pull(refused);
    other.same_account = Some(false);
    other.node_role = own.node_role.clone();
    assert_snapshot!(all([own, other, pull("AccessDeniedException: kms:Decrypt")]), @r#"
    SW-PULL-403: the nodes may not pull from ECR `web`
      why:  kubelet on ip-10-0-1-12, for 60s: "failed to resolve reference: unexpected status: 403 Forbidden"; one account for image and cluster
      next: aws iam attach-role-policy --role-name eks-node \
      next:   --policy-arn arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly
    SW-PULL-403: the nodes may not pull from ECR `web`
      why:  kubelet on ip-10-0-1-12: "failed to resolve reference: unexpected status: 403 Forbidden"; image and cluster are in different accounts
      next: in the policy of ECR `web`, allow role arn:aws:iam::123456789012:role/nodes/eks-node:
      next:   ecr:BatchGetImage, ecr:GetDownloadUrlForLayer, ecr:BatchCheckLayerAvailability
    SW-PULL-403: the key of ECR `web` does not let the nodes decrypt
      why:  kubelet on ip-10-0-1-12: "AccessDeniedException: kms:Decrypt"
      next: in the key's policy, allow role NODE-ROLE kms:Decrypt
    "#);
}

#[test]
fn a_failed_pull_says_what_the_registry_said() {
    let mut docker =
        pull("toomanyrequests: You have reached your pull rate limit as 'jo': dckr_1.");
    docker.image = "docker.io/library/nginx:1.24.0".into();
    let mut name = pull("couldn't parse image name");
    name.cause.trouble =
        Trouble::Pull { reason: "InvalidImageName".into(), message: String::new() };
    name.image = "Web:new".into();
    let rows = [
        pull("web: not found"),
        pull("pull access denied: authorization failed: no basic auth credentials"),
        pull("authorization token has expired"),
        pull("dial tcp 10.0.0.1:443: i/o timeout"),
        pull("x509: certificate signed by unknown authority"),
        pull("write /var/lib: no space left on device"),
        pull("rpc error: code = Unknown desc = nobody knows"),
        docker,
        name,
    ];
    assert_snapshot!(all(rows), @r#"
    SW-PULL-MISSING: image `web:9f2c1e4` is not in ECR `web`
      why:  kubelet on ip-10-0-1-12: "web: not found"
      next: aws ecr describe-images --repository-name web --image-ids imageDigest=sha256:1111111111111111111111111111111111111111111111111111111111111111
    SW-PULL-LOGIN: the nodes have no login for ECR `web`
      why:  kubelet on ip-10-0-1-12: "pull access denied: authorization failed: no basic auth credentials"
      next: check the ECR credential provider of kubelet on ip-10-0-1-12.ap-northeast-2.compute.internal
    SW-PULL-LOGIN: the pull secret for ECR `web` has expired
      why:  kubelet on ip-10-0-1-12: "authorization token has expired"
      next: remove `imagePullSecrets`: an ECR token lives 12 hours, the node's role needs none
    SW-PULL-REACH: the nodes cannot reach ECR `web`
      why:  kubelet on ip-10-0-1-12: "dial tcp 10.0.0.1:443: i/o timeout"
      next: give their subnets a NAT gateway, or VPC endpoints for ecr.api, ecr.dkr and s3
      next: with port 443 open from the nodes
    SW-PULL-OTHER: the nodes do not trust the certificate of ECR `web`
      why:  kubelet on ip-10-0-1-12: "x509: certificate signed by unknown authority"
      next: install the registry's or the proxy's CA on the nodes
    SW-PULL-OTHER: the disk of ip-10-0-1-12 is full
      why:  kubelet on ip-10-0-1-12: "write /var/lib: no space left on device"
      next: give the nodes larger volumes, or make the image smaller
    SW-PULL-OTHER: image `web:9f2c1e4` could not be pulled
      why:  kubelet on ip-10-0-1-12: "nobody knows"
      next: kubectl -n shop get events --field-selector reason=Failed
    SW-PULL-OTHER: `docker.io/library/nginx` slows its pulls down
      why:  kubelet on ip-10-0-1-12: "toomanyrequests: You have reached your pull rate limit as ***"
      next: ship again later; for Docker Hub use a pull-through cache in ECR
    SW-PULL-NAME: `Web:new` is no image reference
      why:  kubelet on ip-10-0-1-12: InvalidImageName
      next: write it as HOST/REPOSITORY:TAG, the repository in lower case
    "#);
}

#[test]
fn exec_format_error_is_judged_by_the_platforms_and_not_by_the_exit_code() {
    let words = "exec /app/server: exec format error";
    let mut other = with_log(exit(255), words);
    other.image_platforms = vec!["linux/arm64".parse().unwrap()];
    let mut unknown = with_log(exit(1), words);
    unknown.node_platform = None;
    assert_snapshot!(all([other, with_log(exit(1), words), unknown]), @r#"
    SW-START-PLATFORM: container `app` cannot start on these nodes
      why:  "exec /app/server: exec format error" on ip-10-0-1-12 (linux/amd64); the image is linux/arm64
      next: build it for linux/amd64 too, or leave out `platform`: the nodes decide
    SW-START-FORMAT: the program of container `app` cannot be executed
      why:  "exec /app/server: exec format error"
      why:  image and node both say linux/amd64
      next: if it is a script, begin it with a line like `#!/bin/sh`; if it is a binary, it was
      next: built for another platform than the image says: build it for linux/amd64
    SW-START-FORMAT: the program of container `app` cannot be executed
      why:  "exec /app/server: exec format error"
      why:  the platforms of image and node were not both seen
      next: if it is a script, begin it with a line like `#!/bin/sh`; if not, compare
      next: docker buildx imagetools inspect IMAGE   with   kubectl get nodes -L kubernetes.io/arch
    "#);
}

#[test]
fn a_program_that_cannot_be_started_is_named() {
    let runc = "runc create failed: unable to start container process: exec: ";
    let rows = [
        start(&format!("{runc}\"server\": executable file not found in $PATH")),
        start(&format!("{runc}\"/app/server\": stat /app/server: no such file or directory")),
        start(&format!("{runc}\"/app/server\": permission denied")),
        start("ttrpc: closed: unknown"),
        with_log(exit(255), "exec /app/run.sh: no such file or directory"),
        with_log(exit(127), "sh: jaav: not found"),
        start("no command specified"),
        evidence(Trouble::Start {
            reason: "PostStartHookError".into(),
            message: "command 'warm' exited with 1".into(),
        }),
    ];
    assert_snapshot!(all(rows), @r#"
    SW-START-COMMAND: container `app` has no program `server`
      why:  "exec: "server": executable file not found in $PATH"
      next: check ENTRYPOINT and COPY in the Dockerfile, `command` in the workload
    SW-START-COMMAND: container `app` has no program `/app/server`
      why:  "exec: "/app/server": stat /app/server: no such file or directory"
      next: check ENTRYPOINT and COPY in the Dockerfile, `command` in the workload
    SW-START-DENIED: container `app` may not execute its program `/app/server`
      why:  "exec: "/app/server": permission denied"
      next: make it executable in the Dockerfile: COPY --chmod=755
    SW-START-OTHER: its node could not start container `app`
      why:  kubelet on ip-10-0-1-12: StartError: "ttrpc: closed: unknown"
      next: often it passes: ship again; if it stays, kubectl describe node ip-10-0-1-12.ap-northeast-2.compute.internal
    SW-START-COMMAND: container `app` cannot run `/app/run.sh`
      why:  "exec /app/run.sh: no such file or directory"
      next: if `/app/run.sh` is in the image, its interpreter or loader is not: check the `#!`
      next: line and its line ends, or link the program statically
    SW-START-COMMAND: the command of container `app` was not found
      why:  "sh: jaav: not found"
      next: check ENTRYPOINT and COPY in the Dockerfile, `command` in the workload
    SW-START-COMMAND: container `app` has no command
      why:  kubelet on ip-10-0-1-12: "no command specified"
      next: set ENTRYPOINT or CMD in the Dockerfile
    SW-START-HOOK: the postStart hook of container `app` fails
      why:  kubelet on ip-10-0-1-12: "command 'warm' exited with 1"
      next: correct `lifecycle.postStart` in the workload, or what it calls
    "#);
}

#[test]
fn a_container_that_cannot_be_put_together_says_what_is_missing() {
    let config = |message: &str| {
        let reason = "CreateContainerConfigError".into();
        evidence(Trouble::Config { reason, message: message.into() })
    };
    let rows = [
        config("configmap \"web-settings\" not found"),
        config("couldn't find key DB_HOST in Secret shop/web-env"),
        config(
            "container has runAsNonRoot and image will run as root (pod: \"x\", container: app)",
        ),
        config(
            "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root",
        ),
        config("something else"),
    ];
    assert_snapshot!(all(rows), @r#"
    SW-START-CONFIG: ConfigMap `web-settings` does not exist in `shop`
      why:  kubelet on ip-10-0-1-12: "configmap "web-settings" not found"
      next: create ConfigMap `web-settings` in `shop`, or take it out of the workload, then ship again
    SW-START-CONFIG: Secret `web-env` in `shop` lacks key `DB_HOST`
      why:  kubelet on ip-10-0-1-12: "couldn't find key DB_HOST in Secret shop/web-env"
      next: add key `DB_HOST` to Secret `web-env`, then ship again
    SW-START-ROOT: container `app` would run as root, which its pod forbids
      why:  kubelet on ip-10-0-1-12: "container has runAsNonRoot and image will run as root (pod: "x", container: app)"
      next: write USER with a number in the Dockerfile: USER 10001
    SW-START-ROOT: the user of container `app` is a name, and its pod wants proof that it is not root
      why:  kubelet on ip-10-0-1-12: "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root"
      next: write USER with a number in the Dockerfile: USER 10001
    SW-START-CONFIG: container `app` could not be put together
      why:  kubelet on ip-10-0-1-12: "something else"
      next: kubectl -n shop get events --field-selector reason=Failed
    "#);
}

#[test]
fn a_program_that_ends_is_told_by_its_last_line_and_its_environment() {
    let secret = json!({ "envFrom": [{ "secretRef": { "name": "web-env" } }] });
    let with_secret = with_log(with_container(exit(1), secret), "start\nDB_HOST is not set\n");
    let mut memory =
        with_container(exit(137), json!({ "resources": { "limits": { "memory": "64Mi" } } }));
    memory.cause.trouble =
        Trouble::Exit { code: 137, signal: Some(9), reason: "OOMKilled".into(), times: 3 };
    let unlimited = Evidence { ..with_container(memory.clone(), json!({})) };
    let leaky = with_log(exit(1), "cannot open postgres://app:hunter2@db/shop");
    let rows = [with_secret, memory, unlimited, exit(0), exit(139), exit(143), leaky];
    assert_snapshot!(all(rows), @r#"
    SW-CRASH-EXIT: container `app` exits with code 1
      why:  its last line: "DB_HOST is not set"; 1/1 new pods, 2 exits
      next: check Secret `web-env` (its environment, not restored by a rollback), push a fix
    SW-CRASH-MEMORY: container `app` uses more memory than its limit of 64Mi
      why:  OOMKilled; 1/1 new pods, 3 exits; its log was not seen
      next: raise `resources.limits.memory` of container `app`, or let the program use less
    SW-CRASH-MEMORY: container `app` ran out of its node's memory
      why:  it has no memory limit of its own
      why:  OOMKilled; 1/1 new pods, 3 exits; its log was not seen
      next: set `resources.requests.memory` of container `app` to what it needs
    SW-CRASH-DONE: container `app` ends by itself, with code 0
      why:  its log was not seen; 1/1 new pods, 2 exits
      next: run the program in the foreground; what is meant to end belongs in a Job
    SW-CRASH-SIGNAL: container `app` is ended by SIGSEGV
      why:  its log was not seen; 1/1 new pods, 2 exits
      next: check its native libraries: built for this libc and this platform
    SW-CRASH-SIGNAL: container `app` is ended by SIGTERM
      why:  its log was not seen; 1/1 new pods, 2 exits
      next: find what ends it: a probe, its own supervisor, or the node
    SW-CRASH-EXIT: container `app` exits with code 1
      why:  its last line: "cannot open postgres://***@db/shop"; 1/1 new pods, 2 exits
      next: push a fix
    "#);
}

#[test]
fn a_probe_is_quoted_with_what_it_asks() {
    let get = json!({ "httpGet": { "path": "/health", "port": 8080 }, "periodSeconds": 5 });
    let ready = |message: &str| {
        let trouble = Trouble::NotReady { message: Some(message.into()), gate: None };
        with_container(evidence(trouble), json!({ "readinessProbe": get }))
    };
    let killed = |probe: &str, message: &str| {
        let (probe, message) = (probe.to_owned(), message.to_owned());
        let trouble = Trouble::Killed { probe, message, times: 2 };
        with_container(evidence(trouble), json!({ "livenessProbe": get, "startupProbe": get }))
    };
    let gate = Some("target-health.elbv2.k8s.aws/k8s-shop-web".into());
    let rows = [
        ready("Readiness probe failed: dial tcp 10.0.0.9:8080: connect: connection refused"),
        ready("Readiness probe failed: HTTP probe failed with statuscode: 503"),
        ready("Readiness probe failed: context deadline exceeded"),
        evidence(Trouble::NotReady { message: None, gate: None }),
        evidence(Trouble::NotReady { message: Some("Target.FailedHealthChecks".into()), gate }),
        killed("liveness", "Liveness probe failed: HTTP probe failed with statuscode: 500"),
        killed("startup", "Startup probe failed: connection refused"),
    ];
    assert_snapshot!(all(rows), @r#"
    SW-PROBE-READY: container `app` runs, but its readiness probe does not pass
      why:  kubelet on ip-10-0-1-12: "Readiness probe failed: dial tcp 10.0.0.9:8080: connect: connection refused"; 1/1 new pods
      next: let it listen on all addresses for GET /health on 8080, or correct the probe
    SW-PROBE-READY: container `app` runs, but its readiness probe does not pass
      why:  kubelet on ip-10-0-1-12: "Readiness probe failed: HTTP probe failed with statuscode: 503"; 1/1 new pods
      next: make GET /health on 8080 answer 200 once it is ready, now it answers 503
    SW-PROBE-READY: container `app` runs, but its readiness probe does not pass
      why:  kubelet on ip-10-0-1-12: "Readiness probe failed: context deadline exceeded"; 1/1 new pods
      next: make GET /health on 8080 answer sooner, or raise `timeoutSeconds`
    SW-PROBE-READY: container `app` runs, but is not ready
      why:  1/1 new pods; what its probe says was not seen
      next: check the readiness probe of container `app`
    SW-PROBE-GATE: readiness gate `target-health.elbv2.k8s.aws/k8s-shop-web` of its pods stays closed
      why:  its containers are ready; the gate: "Target.FailedHealthChecks"; 1/1 new pods
      next: check the target group: its health-check path, and the security group to the pods
    SW-PROBE-LIVE: container `app` is ended by its liveness probe
      why:  kubelet on ip-10-0-1-12: "Liveness probe failed: HTTP probe failed with statuscode: 500"; 1/1 new pods, 2 times
      next: give it longer than 15s (3 x 5s) now, or make GET /health on 8080 answer sooner
    SW-PROBE-STARTUP: container `app` does not start in the time of its startup probe
      why:  kubelet on ip-10-0-1-12: "Startup probe failed: connection refused"; 1/1 new pods, 2 times
      next: give it longer than 15s (3 x 5s) now, or make GET /health on 8080 answer sooner
    "#);
}

#[test]
fn the_scheduler_is_quoted_and_its_most_useful_reason_taken() {
    let sched = |message: &str| {
        let message = message.to_owned();
        evidence(Trouble::Unschedulable { message, autoscaler: None })
    };
    let requests = json!({ "resources": { "requests": { "memory": "2Gi" } } });
    let scaled = evidence(Trouble::Unschedulable {
        message: "0/2 nodes are available: 2 Too many pods.".into(),
        autoscaler: Some("NotTriggerScaleUp: pod didn't trigger scale-up".into()),
    });
    let rows = [
        with_container(
            sched("0/2 nodes are available: 2 Insufficient memory. preemption: 0/2 nodes"),
            requests,
        ),
        scaled,
        sched(
            "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes",
        ),
        sched("0/1 nodes are available: 1 Insufficient nvidia.com/gpu."),
        sched("0/2 nodes are available: 2 node(s) had untolerated taint {dedicated: gpu}."),
        sched("0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."),
        sched("0/2 nodes are available: 2 node(s) had volume node affinity conflict."),
        sched("persistentvolumeclaim \"data\" not found"),
        sched(
            "0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports.",
        ),
    ];
    assert_snapshot!(all(rows), @r#"
    SW-SCHED-ROOM: its new pod found no node
      why:  scheduler: "0/2 nodes are available: 2 Insufficient memory"; it asks for 2Gi memory; no autoscaler event seen
      next: lower `resources.requests.memory`, or add a node
    SW-SCHED-ROOM: its new pod found no node
      why:  scheduler: "0/2 nodes are available: 2 Too many pods"; autoscaler: "NotTriggerScaleUp: pod didn't trigger scale-up"
      next: add a node, or let the nodes take more pods (prefix delegation)
    SW-SCHED-ROOM: its new pod found no node
      why:  scheduler: "0/1 nodes are available: 1 Insufficient cpu"; no autoscaler event seen
      next: lower `resources.requests.cpu`, or add a node
    SW-SCHED-ROOM: its new pod found no node
      why:  scheduler: "0/1 nodes are available: 1 Insufficient nvidia.com/gpu"; no autoscaler event seen
      next: lower `resources.requests.nvidia.com/gpu`, or add a node
    SW-SCHED-TAINT: its new pod found no node
      why:  scheduler: "0/2 nodes are available: 2 node(s) had untolerated taint {dedicated: gpu}"; no autoscaler event seen
      next: add a toleration for `dedicated: gpu`, or a node without it
    SW-SCHED-LABELS: its new pod found no node
      why:  scheduler: "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector"; no autoscaler event seen
      next: label a node as its `nodeSelector` or affinity asks, or correct that
    SW-SCHED-OTHER: its new pod found no node
      why:  scheduler: "0/2 nodes are available: 2 node(s) had volume node affinity conflict"
      next: its volume is in another zone: add a node in the volume's zone
    SW-MOUNT-MISSING: volume claim `data` does not exist in `shop`
      why:  scheduler: "persistentvolumeclaim "data" not found"
      next: create PersistentVolumeClaim `data` in `shop`
    SW-SCHED-OTHER: its new pod found no node
      why:  scheduler: "0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports"; no autoscaler event seen
      next: drop `hostPort`, or set `maxSurge: 0`: one pod a node has the port
    "#);
}

#[test]
fn a_refused_pod_names_who_refused_it() {
    let admit = |message: &str| {
        let mut evidence = evidence(Trouble::NotCreated { message: message.into() });
        evidence.cause.pod = None;
        evidence
    };
    let rows = [
        admit(
            "pods \"web-1\" is forbidden: violates PodSecurity \"restricted:latest\": runAsNonRoot != true",
        ),
        admit("admission webhook \"policy.example.com\" denied the request: no `latest` here"),
        admit(
            "Internal error occurred: failed calling webhook \"mesh.example.com\": no endpoints available",
        ),
        admit(
            "pods \"web-1\" is forbidden: error looking up service account shop/runner: serviceaccount \"runner\" not found",
        ),
        admit("Pod \"web-1\" is invalid: spec.containers[0].resources: Invalid value"),
    ];
    assert_snapshot!(all(rows), @r#"
    SW-ADMIT-POLICY: Pod Security refuses its pods
      why:  API server: "violates PodSecurity "restricted:latest": runAsNonRoot != true"
      next: correct `securityContext` in the workload: the fields are named above
    SW-ADMIT-POLICY: policy `policy.example.com` refuses its pods
      why:  API server: "admission webhook "policy.example.com" denied the request: no `latest` here"
      next: change the workload as the policy says above
    SW-ADMIT-WEBHOOK: no pod can be created: webhook `mesh.example.com` does not answer
      why:  API server: "Internal error occurred: failed calling webhook "mesh.example.com": no endpoints available"
      next: kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations
      next: and repair the service it names: the image is not the cause
    SW-ADMIT-ACCOUNT: service account `runner` does not exist in `shop`
      why:  API server: "error looking up service account shop/runner: serviceaccount "runner" not found"
      next: kubectl -n shop create serviceaccount runner
    SW-ADMIT-OTHER: no pod can be created
      why:  API server: "Pod "web-1" is invalid: spec.containers[0].resources: Invalid value"
      next: kubectl -n shop describe replicaset
    "#);
}

#[test]
fn volumes_nodes_and_the_rest_say_who_said_it() {
    let mount = |message: &str| evidence(Trouble::Mount { message: message.into() });
    let node = |reason: &str, message: &str| {
        let (reason, message) = (reason.to_owned(), message.to_owned());
        evidence(Trouble::Node { reason, message })
    };
    let rows = [
        mount("MountVolume.SetUp failed for volume \"certs\" : secret \"web-tls\" not found"),
        mount("Multi-Attach error for volume \"pvc-1\" Volume is already used by pod(s) web-0"),
        mount("driver name ebs.csi.aws.com not found in the list of registered CSI drivers"),
        node(
            "FailedCreatePodSandBox",
            "plugin failed: failed to assign an IP address to container",
        ),
        node("Evicted", "The node was low on resource: memory."),
        evidence(Trouble::OtherImage { runs: super::made::OTHER.into() }),
        evidence(Trouble::Nothing),
    ];
    assert_snapshot!(all(rows), @r#"
    SW-MOUNT-MISSING: Secret `web-tls`, which its pods mount, does not exist in `shop`
      why:  kubelet on ip-10-0-1-12: "MountVolume.SetUp failed for volume "certs" : secret "web-tls" not found"; 1/1 new pods
      next: create Secret `web-tls` in `shop`, then ship again
    SW-MOUNT-OTHER: its volume is still attached to an old pod's node
      why:  kubelet on ip-10-0-1-12: "Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) web-0"; 1/1 new pods
      next: a volume for one node at a time needs `strategy: Recreate`
    SW-MOUNT-OTHER: volume driver `ebs.csi.aws.com` is not on its node
      why:  kubelet on ip-10-0-1-12: "driver name ebs.csi.aws.com not found in the list of registered CSI drivers"; 1/1 new pods
      next: install the add-on of that driver on the cluster
    SW-NODE-NETWORK: ip-10-0-1-12 has no free address for its pod
      why:  kubelet on ip-10-0-1-12: FailedCreatePodSandBox: "plugin failed: failed to assign an IP address to container"
      next: use larger subnets or prefix delegation: slipway explain SW-NODE-NETWORK
    SW-NODE-LOST: its new pod was evicted from ip-10-0-1-12
      why:  kubelet on ip-10-0-1-12: Evicted: "The node was low on resource: memory."
      next: set `resources.requests` to what it needs, or free the node
    SW-PULL-DIGEST: container `app` runs another image
      why:  its image id is sha256:222222222222, none of the digests that were shipped; 1/1 new pods
      next: look for a webhook or a registry mirror that replaces images on their way to the node
    SW-RUN-DEADLINE: not all of its pods became available in time
      why:  no pod in trouble and no warning was seen
      next: raise `timeout` if its pods need longer to start
    "#);
}
