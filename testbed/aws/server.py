"""The way in: which service a host name is, and a line for each call."""

import http.client
import json
import os
import threading
import time

from werkzeug.serving import WSGIRequestHandler, run_simple

from . import answers, ecr, eks, oidc, registry, sts
from .call import Call
from .lab import Lab


class Server:
    """A WSGI application for all of the hosts."""

    def __init__(self, path):
        self._lab = lab = Lab(path)
        self._key = key = oidc.key(os.path.dirname(path))
        self._writing = threading.Lock()
        region = lab["region"]
        self._hosts = {
            f"sts.{region}.amazonaws.com": lambda call: sts.answered(lab, call),
            f"api.ecr.{region}.amazonaws.com": lambda call: ecr.answered(lab, call),
            f"eks.{region}.amazonaws.com": lambda call: eks.answered(lab, call),
            registry.bucket_host(lab): lambda call: registry.bucket(lab, call),
            oidc.ISSUER: lambda call: oidc.issuer(key, call),
            oidc.RUNNER: lambda call: oidc.runner(lab, key, call),
        }
        ecr.make_repositories(lab)

    def __call__(self, environ, start):
        began, call = time.time(), Call(environ)
        answer = self._answer(call)
        # Whoever is still sending has to be heard out before it reads a refusal.
        for _ in call.pieces():
            pass
        self._log(call, answer, began)
        headers = answer.headers
        if isinstance(answer.body, bytes) and call.method != "HEAD":
            headers = [*headers, ("Content-Length", str(len(answer.body)))]
        start(f"{answer.status} {http.client.responses.get(answer.status, 'Unknown')}", headers)
        return [answer.body] if isinstance(answer.body, bytes) else answer.body

    def _answer(self, call):
        if ".dkr.ecr." in call.host:
            return registry.answered(self._lab, call)
        host = self._hosts.get(call.host)
        return host(call) if host else answers.answer(404, "text/plain", "no such host in the testbed\n")

    def _log(self, call, answer, began):
        line = {
            "at": round(began, 3),
            "ms": round((time.time() - began) * 1000, 1),
            "status": answer.status,
            "host": call.host,
            "action": call.action,
            "who": call.who,
            "code": call.code,
            "method": call.method,
            "path": call.path,
            "agent": call.header("user-agent")[:80],
        }
        with self._writing, open(self._lab["log"], "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class Quiet(WSGIRequestHandler):
    """The calls have a log of their own."""

    def log_request(self, *_):
        pass


def serve(port, path):
    run_simple("127.0.0.1", port, Server(path), threaded=True, request_handler=Quiet)
