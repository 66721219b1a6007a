"""Pushes images by slipway, crane and skopeo, in turns, to the sandbox and to docker-registry.

    python3 benches/push.py [RUNS] [MEGABYTES]...

slipway also reads who it is, the repository and the tag, and reads the result back: all of that is in
its time. The others only push. Nothing is over a network, and nothing is encrypted.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import images
from measure import CLOUD, CRANE, OURS, PUSHERS, SERVER, SKOPEO, SLIPWAY, Took, median, need, run, table
from places import docker_registry, host, login, world

KEPT = Path(os.environ.get("BENCH_IMAGES", "/tmp/slipway-bench-images"))


@contextmanager
def place(which: str) -> Iterator[tuple[dict[str, str], str]]:
    """A fresh place: the environment of its clients, and the registry's host."""
    if which == "sandbox":
        with world() as env:
            login(env, host(env))
            yield env, host(env)
        return
    with docker_registry() as at, world(f"http://{at}") as env:
        login(env, at)
        yield env, at


def commands(image: Path, at: str, env: dict[str, str]) -> dict[str, list[str]]:
    """What each tool is asked."""
    is_archive = image.suffix == ".tar"
    commit = env["BENCH_COMMIT"]
    to = f"{at}/demo/web:{commit}"
    source = f"docker-archive:{image}" if is_archive else f"oci:{image}:bench"
    auth = f"{env['DOCKER_CONFIG']}/config.json"
    ship = [SLIPWAY, "ship", "--until", "push", "--repository", "demo/web", "--image", str(image)]
    ship += ["--commit", commit, "--platform", "linux/amd64", "--context", env["HOME"]]
    copy = [SKOPEO, "copy", "--insecure-policy", "--dest-tls-verify=false", "--dest-authfile", auth]
    return {
        "slipway ship --until push": ship,
        "crane push": [CRANE, "push", "--insecure", str(image), to],
        f"skopeo copy {source.split(':')[0]}:": [*copy, source, f"docker://{to}"],
    }


def compare(image: Path, which: str, runs: int) -> None:
    """One table: each tool in turn, so that what else the machine does meets all alike."""
    taken: dict[str, list[Took]] = {}
    for _ in range(runs):
        for number in range(3):
            with place(which) as (env, at):
                name, command = list(commands(image, at, env).items())[number]
                taken.setdefault(name, []).append(run(command, env))
    rows = [(name, median(all_of)) for name, all_of in taken.items()]
    table(f"{image.name} to {which}, median of {runs}", rows)


def main() -> None:
    registry = {"docker-registry": "apt-get install docker-registry"}
    need(**OURS, **SERVER, **PUSHERS, aws=CLOUD["aws"], **registry)
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    sizes = [int(size) for size in sys.argv[2:]] or [500, 4000]
    KEPT.mkdir(parents=True, exist_ok=True)
    made = [images.layout(KEPT, size, 8) for size in sizes]
    made.append(images.archive(KEPT, min(sizes), 8))
    for image in made:
        for which in ("sandbox", "docker-registry"):
            compare(image, which, runs)


if __name__ == "__main__":
    main()
