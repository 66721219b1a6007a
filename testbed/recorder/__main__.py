"""Records rollouts of the testbed's node: what the API server says from the moment of a patch on.

usage: testbed/record FOLDER [ROLLOUT]...      (all of them when none is named)

Each becomes FOLDER/NAME.jsonl, one JSON line an event: {"t": milliseconds since the patch, "kind", "type",
"object"}, and FOLDER/NAME.logs.json, what the log endpoint answered at the end.
"""

import json
import pathlib
import queue
import sys
import threading
import time

from .cluster import Cluster
from .rollouts import ROLLOUTS

KINDS = {
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets",
    "Pod": "/api/v1/namespaces/{}/pods",
    "Event": "/api/v1/namespaces/{}/events",
}


def without_managed_fields(kind, thing):
    """Who set which field matters on the Deployment only, and is most of an object's bytes."""
    if kind != "Deployment":
        thing.get("metadata", {}).pop("managedFields", None)
    return thing


def follow(cluster, kind, path, heard):
    for line in cluster.watch(path):
        heard.put((time.monotonic(), kind, json.loads(line)))


def in_order(rows):
    """The rows in the order in which they were stored: each kind has a watch of its own, and on a busy
    machine these arrive out of step. A row's time is never before that of the row it follows."""
    before = [row for row in rows if row["t"] < 0]
    after = [row for row in rows if row["t"] >= 0]
    after.sort(key=lambda row: int(row["object"]["metadata"]["resourceVersion"]))
    latest = 0
    for row in after:
        latest = row["t"] = max(latest, row["t"])
    return before + after


def logs(cluster, namespace):
    """What each container of each pod had written, and its run before that."""
    answers = {}
    pods = f"/api/v1/namespaces/{namespace}/pods"
    for pod in cluster.call("GET", pods)[1]["items"]:
        name, spec = pod["metadata"]["name"], pod["spec"]
        for container in spec.get("initContainers", []) + spec["containers"]:
            for previous in ("false", "true"):
                path = f"{pods}/{name}/log?container={container['name']}&previous={previous}"
                status, body = cluster.text("GET", path)
                key = f"{name}/{container['name']}?previous={previous}"
                answers[key] = {"status": status, "body": body[:2000]}
    return answers


def record(cluster, name, rollout, folder):
    namespace = f"t-{name}"
    cluster.create_namespace(namespace)
    deployments = KINDS["Deployment"].format(namespace)
    cluster.must("POST", deployments, rollout.deployment(namespace), 201)
    cluster.until_ready(f"{deployments}/web", rollout.replicas)
    rollout.prepare(cluster, namespace)

    heard = queue.Queue()
    for kind, path in KINDS.items():
        path = path.format(namespace)
        threading.Thread(target=follow, args=(cluster, kind, path, heard), daemon=True).start()
    time.sleep(1.5)
    patched = time.monotonic()
    answer = cluster.must("PATCH", f"{deployments}/web", rollout.patch(), 200)
    print(f"{name}: generation {answer['metadata']['generation']}", file=sys.stderr)

    rows, meanwhile = [], iter(rollout.meanwhile)
    next_step = next(meanwhile, None)
    while time.monotonic() < patched + rollout.seconds:
        try:
            rows.append(heard.get(timeout=0.1))
        except queue.Empty:
            pass
        if next_step and time.monotonic() >= patched + next_step[0]:
            next_step[1](cluster, namespace)
            next_step = next(meanwhile, None)

    rows = [
        {
            "t": round((at - patched) * 1000),
            "kind": kind,
            "type": event["type"],
            "object": without_managed_fields(kind, event["object"]),
        }
        for at, kind, event in rows
    ]
    with open(folder / f"{name}.jsonl", "w") as file:
        for row in in_order(rows):
            file.write(json.dumps(row, separators=(",", ":")) + "\n")
    (folder / f"{name}.logs.json").write_text(json.dumps(logs(cluster, namespace), indent=1) + "\n")
    print(f"{name}: {len(rows)} events", file=sys.stderr)
    rollout.restore(cluster, namespace)
    cluster.call("DELETE", f"/api/v1/namespaces/{namespace}")


def main():
    folder = pathlib.Path(sys.argv[1])
    unknown = [name for name in sys.argv[2:] if name not in ROLLOUTS]
    if unknown:
        sys.exit(f"no such rollout: {', '.join(unknown)}; there are: {', '.join(ROLLOUTS)}")
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster()
    for name in sys.argv[2:] or ROLLOUTS:
        record(cluster, name, ROLLOUTS[name], folder)


main()
