"""Builds by slipway, and by docker build and docker push of the same engine, on the testbed's real parts.

    python3 benches/build.py [RUNS] [PART-OF-A-TITLE]      "4 GB" is told only where it is asked for

Both stores of Docker Engine 28, and pushes of 20.10, which presses more slowly. Builds: a context of 100,000 small files, a Dockerfile of ten steps with
nothing in the cache, the same again unchanged. Pushes: 600 MB in six layers out of the engine. slipway runs
`ship --until push`, whose steps say their own time; docker's are timed as its users would. The runs take
turns, each with something that no cache has. The testbed has to be up.
"""

import itertools
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chain import REGISTRY, TESTBED, runner
from measure import OURS, SLIPWAY, Took, median, need, run, table

FILES = 100_000
LAYER = 100_000_000
STEPS = """FROM scratch
COPY busybox /bin/busybox
SHELL ["/bin/busybox", "sh", "-c"]
COPY salt /salt
""" + "".join(f"RUN /bin/busybox echo {n} > /{n}\n" for n in range(1, 8))
ALL = "FROM scratch\nCOPY . /srv\n"


@contextmanager
def engine(version: str, store: str) -> Iterator[None]:
    """The testbed's engine of this version with this store of images."""
    part = TESTBED / "parts" / "engine"
    env = {**os.environ, "SLIPWAY_TESTBED_ENGINE": version, "SLIPWAY_TESTBED_STORE": store}
    subprocess.run([part, "up"], check=True, env=env)
    try:
        yield
    finally:
        subprocess.run([part, "down"], check=True, env=env)


def small_files(to: Path) -> None:
    """A thousand folders of a hundred small files, as sources are."""
    rng = random.Random(7)
    for folder in range(FILES // 100):
        at = to / f"{folder:03}"
        at.mkdir()
        for file in range(100):
            (at / f"{file}.txt").write_bytes(rng.randbytes(rng.randint(50, 400)).hex().encode())


def ten_steps(to: Path) -> None:
    """A Dockerfile that copies, and runs seven times."""
    shutil.copy("/bin/busybox", to)


def large(to: Path) -> None:
    """600 MB in six layers: programs and libraries of this machine, as an image holds them."""
    found = (path for place in ("/usr/lib", "/usr/bin", "/usr/local") for path in sorted(Path(place).rglob("*")))
    files = (path for path in found if path.is_file() and not path.is_symlink())
    for layer in range(6):
        with (to / f"layer-{layer}").open("wb") as into:
            while into.tell() < LAYER:
                into.write(next(files).read_bytes())


def huge(to: Path) -> None:
    """One file of 4 GB. It presses well, or each run would leave as much in the registry."""
    piece = random.Random(7).randbytes(10_000) * 100
    with (to / "huge").open("wb") as into:
        for _ in range(4000):
            into.write(piece)


LAYERS = "FROM scratch\n" + "".join(f"COPY layer-{n} /{n}\n" for n in range(6)) + "COPY salt /salt\n"


COMMITS = itertools.count(1)


def commit() -> str:
    """A commit of its own, since a tag that is there is built no second time."""
    return f"{next(COMMITS):08x}{os.getpid():08x}".ljust(40, "b")


def steps(took: Took) -> dict[str, float]:
    """The seconds of slipway's own steps."""
    events = (json.loads(line) for line in took.out.splitlines() if line.startswith("{"))
    return {event["step"]: event["seconds"] for event in events if event["event"] == "step-done"}


def ship(context: Path, env: dict[str, str]) -> Took:
    """Builds and pushes by slipway."""
    words = ["ship", "--repository", "web", "--until", "push", "--platform", "linux/amd64", "--json"]
    words += ["--commit", commit(), "--context", str(context)]
    return run([SLIPWAY, *words], env)


def docker(context: Path, env: dict[str, str]) -> dict[str, Took]:
    """The same by docker, step by step."""
    to = f"{REGISTRY}/web:{commit()}"
    login = f"aws ecr get-login-password | docker login --username AWS --password-stdin {REGISTRY}"
    run(["/bin/bash", "-c", login], env)
    built = run(["docker", "build", "--provenance=false", "-q", "-t", to, str(context)], env)
    return {"build": built, "push": run(["docker", "push", "-q", to], env)}


def forget(env: dict[str, str], its_steps: bool) -> None:
    """As on a runner that nothing was shipped from: the engine has no image of the repository."""
    words = f"docker image ls -q {REGISTRY}/web | sort -u | xargs -r docker image rm -f"
    if its_steps:
        words += "; docker builder prune --all --force"
    run(["/bin/bash", "-c", words], env)


def salted(context: Path, salt: str) -> None:
    """What no cache has: a file, and the end of each layer."""
    (context / "salt").write_text(salt)
    for layer in context.glob("layer-*"):
        with layer.open("r+b") as into:
            into.seek(LAYER)
            into.write(salt.encode())
            into.truncate()


def scene(title: str, fill: Callable[[Path], None], dockerfile: str, is_salted: bool, runs: int) -> None:
    """Both in turns, the first of each left out. Without salt all is as it was, and the engine knows it."""
    ours, theirs = [], []
    with runner() as env, tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        context = Path(folder)
        fill(context)
        (context / "Dockerfile").write_text(dockerfile)
        for number in range(2 * runs + 2):
            salted(context, f"{os.getpid()} {number}" if is_salted else "same")
            if is_salted:
                # Else the disk would be full.
                forget(env, its_steps=fill is huge)
            if number % 2 == 0:
                ours.append(ship(context, env))
            else:
                theirs.append(docker(context, env))
    del ours[0], theirs[0]
    mine = [steps(one) for one in ours]
    for step in ("build", "push"):
        own = [Took(one[step], took.cpu, took.peak, "") for one, took in zip(mine, ours, strict=True)]
        rows = [(f"docker {step}", median([one[step] for one in theirs]))]
        rows += [(f"slipway's step {step} (CPU and peak of its whole run)", median(own))]
        table(f"{title}: {step}", rows)
    whole = [Took(sum(t.wall for t in one.values()), sum(t.cpu for t in one.values()), 0, "") for one in theirs]
    table(f"{title}: the whole run", [("docker build, docker push", median(whole)), ("slipway ship --until push", median(ours))])


SCENES: list[tuple[str, Callable[[Path], None], str, bool]] = [
    ("100,000 files", small_files, ALL, True),
    ("ten steps, cold", ten_steps, STEPS, True),
    ("ten steps, unchanged", ten_steps, STEPS, False),
    ("600 MB in six layers", large, LAYERS, True),
    ("600 MB in six layers, the registry has them", large, LAYERS, False),
]

# Minutes a run: only where its title is asked for.
LONG = ("one file of 4 GB", huge, ALL, True)


def main() -> None:
    need(**OURS)
    if subprocess.run([TESTBED / "status"], capture_output=True, check=False).returncode != 0:
        sys.exit("the testbed is not up, so nothing was measured: testbed/up")
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    wanted = sys.argv[2] if len(sys.argv) > 2 else ""
    for version, store in (("28", "classic"), ("28", "containerd"), ("20.10", "classic")):
        for title, fill, dockerfile, is_salted in [*SCENES, *([LONG] if "4 GB" in wanted else [])]:
            whole = f"{version} {store}: {title}"
            if wanted not in whole or version == "20.10" and fill is not large:
                continue
            # Its own each time: an engine that has pushed before remembers that.
            with engine(version, store):
                scene(whole, fill, dockerfile, is_salted, runs)


if __name__ == "__main__":
    main()
