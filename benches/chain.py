"""The chain that users have today, and slipway, on the same real parts: the testbed's.

    python3 benches/chain.py [RUNS]

aws sts, aws ecr and docker login, docker build, tag and push, aws eks, kubectl set image and rollout
status, all unmodified and by true host names; beside `slipway ship --bake 0s` of an image that the same
engine built, from a folder. The testbed has to be up. Each run starts without logins and kubeconfig, as
a fresh runner does; a first run of both warms everything up and is left out.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from line import by_step, medians, whole
from measure import OURS, ROOT, SLIPWAY, Took, median, need, run, table
from places import clean

TESTBED = ROOT / "testbed"
REGISTRY = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com"
DOCKERFILE = """FROM scratch
COPY busybox /bin/busybox
COPY www /www
CMD ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]
"""
# What each program does of the same work; the chain looks at nothing before it writes.
PAIRS = {
    "who, logins, what is there": ("survey", ("sts", "login", "kubeconfig")),
    "the push": ("push", ("tag", "push")),
    "the write": ("clear deploy", ("set image",)),
    "the rollout": ("watch", ("rollout status",)),
}


@contextmanager
def engine() -> Iterator[None]:
    """The testbed's engine, for as long as this is needed."""
    part = TESTBED / "parts" / "engine"
    subprocess.run([part, "up"], check=True)
    try:
        yield
    finally:
        subprocess.run([part, "down"], check=True)


@contextmanager
def runner() -> Iterator[dict[str, str]]:
    """The environment of a fresh runner: the keys of `ship`, and a home with nothing in it but buildx."""
    # Where the testbed is, if it is not where it usually is.
    where = {name: value for name, value in os.environ.items() if name.startswith("SLIPWAY_TESTBED_")}
    told = subprocess.run([TESTBED / "as", "ship", "env", "-0"], env=clean() | where, check=True, capture_output=True)
    pairs = (pair.split("=", 1) for pair in told.stdout.decode().split("\0") if pair)
    env = dict(pairs)
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as home:
        plugins = Path(home, "docker", "cli-plugins")
        plugins.mkdir(parents=True)
        # Without it `docker build` would be the old builder, which no hosted runner has.
        buildx = Path(shutil.which("docker", path=env["PATH"])).parent.parent / "libexec/docker/cli-plugins/docker-buildx"
        (plugins / "docker-buildx").symlink_to(buildx)
        yield {**env, "HOME": home, "DOCKER_CONFIG": f"{home}/docker", "KUBECONFIG": f"{home}/kubeconfig"}


def context(env: dict[str, str]) -> Path:
    """What is built: a program that no run changes, and a megabyte that every run does."""
    folder = Path(env["HOME"], "context")
    (folder / "www").mkdir(parents=True)
    shutil.copy("/bin/busybox", folder)
    (folder / "www" / "index.html").write_bytes(os.urandom(1_000_000))
    (folder / "Dockerfile").write_text(DOCKERFILE)
    return folder


def chain(commit: str) -> dict[str, Took]:
    """The line by the chain, each step on its own."""
    to = f"{REGISTRY}/web:{commit}"
    with runner() as env:
        steps = {
            "sts": "aws sts get-caller-identity",
            "login": f"aws ecr get-login-password | docker login --username AWS --password-stdin {REGISTRY}",
            "build": f"docker build -t web {context(env)}",
            "tag": f"docker tag web {to}",
            "push": f"docker push {to}",
            "kubeconfig": "aws eks update-kubeconfig --name prod",
            "set image": f"kubectl -n shop set image deployment/web app={to}",
            "rollout status": "kubectl -n shop rollout status deployment/web --timeout 60s",
        }
        return {name: run(["/bin/bash", "-euo", "pipefail", "-c", command], env) for name, command in steps.items()}


def built(env: dict[str, str]) -> Path:
    """An image by the same engine, as the layout folder that `docker save` writes into its tar."""
    folder = Path(env["HOME"], "image")
    run(["docker", "build", "-t", "web", str(context(env))], env)
    run(["docker", "save", "-o", f"{folder}.tar", "web"], env)
    with tarfile.open(f"{folder}.tar") as tar:
        tar.extractall(folder)
    return folder


def ship(commit: str) -> Took:
    """The line by slipway, without the build."""
    with runner() as env:
        image = built(env)
        words = ["ship", "--repository", "web", "--cluster", "prod", "--namespace", "shop"]
        words += ["--workload", "deployment/web", "--commit", commit, "--bake", "0s"]
        words += ["--image", str(image), "--context", str(image), "--json"]
        return run([SLIPWAY, *words], env)


def serve() -> None:
    """The workload as its administrator made it."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([TESTBED / "images" / "page", f"{folder}/old", "old"], check=True)
        subprocess.run([TESTBED / "serve", f"{folder}/old", "0ld0ld0"], check=True)


def pairs(ships: list[Took], chains: list[dict[str, Took]]) -> None:
    """slipway : chain, for what both do."""
    ours = medians(ships)
    print("\n| part of the work | slipway : chain |\n|---|---|")
    for name, (steps, theirs) in PAIRS.items():
        mine = sum(ours.get(step, 0) for step in steps.split())
        other = statistics.median(sum(one[step].wall for step in theirs) for one in chains)
        print(f"| {name} | 1 : {other / mine:.1f} |" if mine else f"| {name} | slipway has no such step |")


def without_build(taken: dict[str, Took]) -> Took:
    """A chain whose image is there already."""
    return whole({name: took for name, took in taken.items() if name != "build"})


def main() -> None:
    need(**OURS)
    if subprocess.run([TESTBED / "status"], capture_output=True, check=False).returncode != 0:
        sys.exit("the testbed is not up, so nothing was measured: testbed/up")
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    ships, chains = [], []
    with engine():
        serve()
        for number in range(runs + 1):
            ships.append(ship(f"{number:02x}" + "5" * 38))
            chains.append(chain(f"{number:02x}" + "c" * 38))
    del ships[0], chains[0]
    rows = [("slipway ship", median(ships))]
    rows += [("the chain without build", median([without_build(one) for one in chains]))]
    rows += [("the chain", median([whole(one) for one in chains]))]
    rows += [(f"- {name}", median([one[name] for one in chains])) for name in chains[0]]
    table(f"the whole line on the testbed, median of {runs}", rows)
    pairs(ships, chains)
    print("\nslipway by step, seconds:", by_step(ships))


if __name__ == "__main__":
    main()
