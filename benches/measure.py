"""Runs a command and says what it took: wall clock, CPU seconds, peak memory of its largest process.

It must not time anything but the command: servers, logins and fresh storage are made before. Leans on
GNU time for the peak (a child of Python would be charged with Python's own memory).
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILT = ROOT / "target" / "x86_64-unknown-linux-musl" / "dist"


def tool(name: str, default: object) -> str:
    """A program to run: the variable of its name in capitals, or the usual place."""
    return os.environ.get(name.upper().replace("-", "_"), str(default))


SLIPWAY = tool("slipway", BUILT / "slipway")
WORLD = tool("bench-world", BUILT / "examples" / "bench")
CRANE, SKOPEO = tool("crane", "crane"), tool("skopeo", "skopeo")
AWS, KUBECTL = tool("aws", "aws"), tool("kubectl", "kubectl")


def need(**programs: str) -> None:
    """Ends the bench before it measures anything, naming every program that is not there and where to get it."""
    missing = [f"  {name}: {origin}" for name, origin in programs.items() if not there(name)]
    if missing:
        sys.exit("\n".join(["not there, so nothing was measured:", *missing]))


def there(name: str) -> bool:
    """Whether a program can be found; GNU time is called by its path, as the shell's own is another."""
    known = {"slipway": SLIPWAY, "bench_world": WORLD, "crane": CRANE, "skopeo": SKOPEO}
    known |= {"aws": AWS, "kubectl": KUBECTL, "time": "/usr/bin/time"}
    return shutil.which(known.get(name, name)) is not None


# Where each comes from.
BUILD = "see benches/README.md for how it is built, or name another in SLIPWAY or BENCH_WORLD"
OURS = {"slipway": BUILD, "time": "apt-get install time"}
SERVER = {"bench_world": BUILD}
PUSHERS = {"crane": "apt-get install crane, or CRANE", "skopeo": "apt-get install skopeo, or SKOPEO"}
CLOUD = {"aws": "apt-get install awscli, or AWS", "kubectl": "https://kubernetes.io/docs/tasks/tools, or KUBECTL"}


@dataclass
class Took:
    """What one run took."""

    wall: float
    cpu: float
    peak: float  # MiB
    out: str


def run(command: list[str], env: dict[str, str]) -> Took:
    """Runs a command to its end. One that fails ends the bench: a failure is no figure."""
    with tempfile.NamedTemporaryFile("r") as peak, tempfile.TemporaryFile("w+") as out:
        timed = ["/usr/bin/time", "-q", "-f", "%M %U %S", "-o", peak.name, *command]
        begun = time.perf_counter()
        child = subprocess.run(timed, env=env, stdout=out, stderr=subprocess.STDOUT, check=False)
        wall = time.perf_counter() - begun
        out.seek(0)
        said = out.read()
        if child.returncode != 0:
            sys.exit(f"{' '.join(command)}\nended {child.returncode}:\n{said}")
        kib, user, system = peak.read().split()
    return Took(wall, float(user) + float(system), int(kib) / 1024, said)


def median(runs: list[Took]) -> Took:
    """The medians of wall and CPU, and the highest peak."""
    return Took(
        statistics.median(one.wall for one in runs),
        statistics.median(one.cpu for one in runs),
        max(one.peak for one in runs),
        "",
    )


def table(title: str, rows: list[tuple[str, Took]]) -> None:
    """A Markdown table whose ratios are to the first row."""
    first = rows[0][1]
    print(f"\n{title}\n\n| what | wall s | ratio | CPU s | peak MiB |\n|---|---|---|---|---|")
    for name, took in rows:
        ratio = took.wall / first.wall
        print(f"| {name} | {took.wall:.2f} | {ratio:.1f}x | {took.cpu:.2f} | {took.peak:.0f} |")
    sys.stdout.flush()
