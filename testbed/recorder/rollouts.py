"""The rollouts that are recorded: what is there before, what the patch changes, what happens meanwhile."""

import dataclasses
from typing import Callable

from .admission import no_rule, rule
from .refusing import allow, refuse

REPOSITORY = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/recorded"
CONTAINER = "/spec/template/spec/containers/0"


def nothing(_cluster, _namespace):
    pass


@dataclasses.dataclass
class Rollout:
    """A Deployment of three pods that serve, and one patch of it."""

    tag: str
    seconds: int
    spec: dict = dataclasses.field(default_factory=dict)
    changes: list = dataclasses.field(default_factory=list)
    prepare: Callable = nothing
    restore: Callable = nothing
    # (seconds after the patch, what is done then)
    meanwhile: list = dataclasses.field(default_factory=list)
    replicas: int = 3

    def deployment(self, namespace):
        probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "failureThreshold": 2}
        container = {"name": "web", "image": f"{REPOSITORY}:v1", "readinessProbe": probe}
        pod = {"terminationGracePeriodSeconds": 1, "dnsPolicy": "Default", "containers": [container]}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {
                "replicas": self.replicas,
                "progressDeadlineSeconds": 40,
                "selector": {"matchLabels": {"app": "web"}},
                **self.spec,
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod},
            },
        }

    def patch(self):
        image = f"{REPOSITORY}:{self.tag}"
        return [
            {"op": "test", "path": f"{CONTAINER}/name", "value": "web"},
            {"op": "replace", "path": f"{CONTAINER}/image", "value": image},
            *self.changes,
        ]


def add(path, value):
    return {"op": "add", "path": path, "value": value}


def put_back(manager):
    """Sets the first image again, as `manager`."""

    def write(cluster, namespace):
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web?fieldManager={manager}"
        image = {"op": "replace", "path": f"{CONTAINER}/image", "value": f"{REPOSITORY}:v1"}
        cluster.must("PATCH", path, [image], 200)

    return write


def quota(cluster, namespace):
    """No room for a fourth pod."""
    body = {"metadata": {"name": "pods"}, "spec": {"hard": {"pods": "3"}}}
    cluster.must("POST", f"/api/v1/namespaces/{namespace}/resourcequotas", body, 201)
    path = f"/api/v1/namespaces/{namespace}/resourcequotas/pods"
    cluster.until(path, lambda quota: quota.get("status", {}).get("used", {}).get("pods") == "3")


MISSING_VOLUME = [
    add("/spec/template/spec/volumes", [{"name": "settings", "configMap": {"name": "missing"}}]),
    add(f"{CONTAINER}/volumeMounts", [{"name": "settings", "mountPath": "/settings"}]),
]
MIGRATION = {"name": "migrate", "image": f"{REPOSITORY}:crash"}
STRICT = {"strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}
HOOK = {"postStart": {"exec": {"command": ["/bin/busybox", "false"]}}}
LIVENESS = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "failureThreshold": 2}

ROLLOUTS = {
    "good": Rollout("v2", 6),
    "crash": Rollout("crash", 50),
    "crash-after-ready": Rollout("late", 40),
    "crash-then-rollback": Rollout("crash", 9, meanwhile=[(5, put_back("recorder"))]),
    "taken-over": Rollout("idle", 5, meanwhile=[(2, put_back("argocd-controller"))]),
    "init-fails": Rollout("v2", 58, changes=[add("/spec/template/spec/initContainers", [MIGRATION])]),
    "missing-secret": Rollout(
        "v2", 41, changes=[add(f"{CONTAINER}/envFrom", [{"secretRef": {"name": "missing"}}])]
    ),
    "missing-volume": Rollout("v2", 41, changes=MISSING_VOLUME),
    "never-ready": Rollout("idle", 41),
    "never-alive": Rollout("idle", 41, changes=[add(f"{CONTAINER}/livenessProbe", LIVENESS)]),
    "never-started": Rollout("idle", 41, changes=[add(f"{CONTAINER}/startupProbe", LIVENESS)]),
    "hook-fails": Rollout("v2", 41, changes=[add(f"{CONTAINER}/lifecycle", HOOK)]),
    "no-such-command": Rollout(
        "v2", 41, changes=[add(f"{CONTAINER}/command", ["/bin/none"])]
    ),
    "not-root": Rollout(
        "v2", 41, changes=[add(f"{CONTAINER}/securityContext", {"runAsNonRoot": True})]
    ),
    "no-platform-in-index": Rollout("arm64-index", 41),
    # One manifest for another platform: nothing refuses it before its program is run.
    "wrong-platform": Rollout("arm64", 46),
    # It says that it is for this platform, and its program is not.
    "wrong-architecture": Rollout("lying", 46),
    "no-format": Rollout("no-format", 46),
    "out-of-memory": Rollout(
        "memory", 48, changes=[add(f"{CONTAINER}/resources", {"limits": {"memory": "16Mi"}})]
    ),
    "pull-denied": Rollout("denied", 61, prepare=refuse, restore=allow),
    "tag-not-found": Rollout("none", 61),
    "quota": Rollout("v2", 41, spec=STRICT, prepare=quota),
    # The patch passes, its pods do not.
    "webhook-silent": Rollout("v2", 41, spec=STRICT, prepare=rule("silent"), restore=no_rule),
    "webhook-denies": Rollout("v2", 41, spec=STRICT, prepare=rule("denies"), restore=no_rule),
    "policy-denies": Rollout("v2", 41, spec=STRICT, prepare=rule("policy"), restore=no_rule),
    "unschedulable": Rollout(
        "v2", 41, changes=[add(f"{CONTAINER}/resources", {"requests": {"cpu": "64"}})]
    ),
}
