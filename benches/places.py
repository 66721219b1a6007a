"""The places that images go to: the sandbox in a process of its own, and a docker-registry.

Each is fresh for each run, so that nothing is there already, and keeps what it is given in memory
(/dev/shm), so that no disk is measured.
"""

import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measure import AWS, WORLD

STORE = os.environ.get("BENCH_STORE", "/dev/shm")


@contextmanager
def folder() -> Iterator[Path]:
    """A folder in memory, gone at the end."""
    path = Path(tempfile.mkdtemp(prefix="slipway-bench-", dir=STORE))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def world(registry: str | None = None) -> Iterator[dict[str, str]]:
    """A sandbox: yields the environment of its clients."""
    with folder() as kept:
        command = [WORLD, *([registry] if registry else [])]
        # Where uploads are kept; the clients' own temporary files stay on the disk.
        env = {**os.environ, "TMPDIR": str(kept)}
        server = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        try:
            lines = iter(server.stdout.readline, "\n")
            said = dict(line.rstrip("\n").split("=", 1) for line in lines)
            yield {**clean(), **said, "HOME": str(kept), "DOCKER_CONFIG": str(kept)}
        finally:
            server.terminate()
            server.wait()


def clean() -> dict[str, str]:
    """This environment, without what would tell slipway or aws about another account or run."""
    names = ("AWS_", "INPUT_", "GITHUB_", "SLIPWAY_", "ACTIONS_", "CI")
    return {name: value for name, value in os.environ.items() if not name.startswith(names)}


def host(env: dict[str, str]) -> str:
    """Where the sandbox's registry listens."""
    return env["AWS_ENDPOINT_URL"].removeprefix("http://")


def login(env: dict[str, str], to: str) -> Path:
    """Writes what crane and skopeo need to push to this host."""
    asked = [AWS, "ecr", "get-login-password"]
    password = subprocess.run(asked, env=env, check=True, capture_output=True, text=True)
    auth = base64.b64encode(f"AWS:{password.stdout.strip()}".encode()).decode()
    path = Path(env["DOCKER_CONFIG"]) / "config.json"
    path.write_text(json.dumps({"auths": {to: {"auth": auth}}}))
    return path


@contextmanager
def docker_registry() -> Iterator[str]:
    """Debian's docker-registry on a free port: yields its host."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        at = f"127.0.0.1:{free.getsockname()[1]}"
    with folder() as kept:
        config = {
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(kept / "data")}},
            "http": {"addr": at},
        }
        (kept / "config.yml").write_text(json.dumps(config))
        command = ["docker-registry", "serve", str(kept / "config.yml")]
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            await_port(at)
            yield at
        finally:
            server.terminate()
            server.wait()


def await_port(at: str) -> None:
    """Waits until somebody listens."""
    name, port = at.split(":")
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex((name, int(port))) == 0:
                return
        time.sleep(0.01)
    raise SystemExit(f"nobody listens at {at}")
