"""The API server as its administrator, with the standard library alone: the recording is what it says,
not what a client library makes of it."""

import http.client
import json
import os
import ssl
import time

STATE = os.environ.get("SLIPWAY_TESTBED_STATE", "/tmp/slipway-testbed")
HOST = "0123456789ABCDEF0123456789ABCDEF.gr7.ap-northeast-2.eks.amazonaws.com"


class Cluster:
    """Connects anew for each call: a watch is a connection of its own."""

    def __init__(self):
        keys = f"{STATE}/authority"
        self.tls = ssl.create_default_context(cafile=f"{keys}/ca.crt")
        self.tls.load_cert_chain(f"{keys}/admin.crt", f"{keys}/admin.key")

    def _ask(self, method, path, body=None, kind="application/json", timeout=60):
        connection = http.client.HTTPSConnection(HOST, context=self.tls, timeout=timeout)
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": kind})
        return connection.getresponse()

    def text(self, method, path):
        answer = self._ask(method, path)
        return answer.status, answer.read().decode(errors="replace")

    def call(self, method, path, body=None):
        kind = "application/json-patch+json" if method == "PATCH" else "application/json"
        answer = self._ask(method, path, body, kind)
        return answer.status, json.loads(answer.read() or b"{}")

    def must(self, method, path, body, status):
        got, answer = self.call(method, path, body)
        if got != status:
            raise SystemExit(f"{method} {path}: {got} {answer.get('message', answer)}")
        return answer

    def watch(self, path):
        """The lines of a watch of everything there, from the beginning."""
        answer = self._ask("GET", f"{path}?watch=1&resourceVersion=0", timeout=300)
        while line := answer.readline():
            yield line

    def create_namespace(self, name):
        self.must("POST", "/api/v1/namespaces", {"metadata": {"name": name}}, 201)
        self.until(f"/api/v1/namespaces/{name}/serviceaccounts/default", lambda account: account)

    def until_ready(self, path, replicas):
        def is_ready(deployment):
            status = deployment.get("status", {})
            counts = ("readyReplicas", "updatedReplicas", "replicas")
            return all(status.get(count) == replicas for count in counts)

        self.until(path, is_ready)

    def until(self, path, holds, seconds=60):
        for _ in range(seconds * 10):
            status, answer = self.call("GET", path)
            if status == 200 and holds(answer):
                return
            time.sleep(0.1)
        raise SystemExit(f"{path}: not so after {seconds} s")
