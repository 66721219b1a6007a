"""The whole line without build, against the sandbox with a rollout that is over at once.

    python3 benches/line.py [RUNS]

`slipway ship --bake 0s` beside the chain that a workflow would have: aws sts, aws ecr, crane push,
aws eks, kubectl set image, kubectl rollout status. Each run has a fresh sandbox.
"""

import json
import shlex
import statistics
import sys
from pathlib import Path

import images
from measure import AWS, CLOUD, CRANE, KUBECTL, OURS, PUSHERS, SERVER, SLIPWAY, Took, median, need, run, table
from places import host, world
from push import KEPT


def ship(image: Path) -> Took:
    """The line by slipway."""
    with world() as env:
        words = ["ship", "--repository", "demo/web", "--cluster", "demo", "--namespace", "demo"]
        words += ["--workload", "deployment/web", "--commit", env["BENCH_COMMIT"], "--bake", "0s"]
        words += ["--image", str(image), "--context", str(image), "--json"]
        return run([SLIPWAY, *words], env)


def steps(env: dict[str, str], image: Path) -> dict[str, str]:
    """The chain's commands, by what they do."""
    to, commit = host(env), env["BENCH_COMMIT"]
    uri = f"123456789012.dkr.ecr.{env['AWS_REGION']}.amazonaws.com/demo/web:{commit}"
    password = f"{AWS} ecr get-login-password"
    return {
        "aws sts get-caller-identity": f"{AWS} sts get-caller-identity",
        "aws ecr get-login-password, crane auth login": f"{password} | {CRANE} auth login -u AWS --password-stdin {to}",
        "crane push": f"{CRANE} push --insecure {shlex.quote(str(image))} {to}/demo/web:{commit}",
        "aws eks update-kubeconfig": f"{AWS} eks update-kubeconfig --name demo",
        "kubectl set image": f"{KUBECTL} -n demo set image deployment/web web={uri}",
        "kubectl rollout status": f"{KUBECTL} -n demo rollout status deployment/web --timeout 60s",
    }


def chain(image: Path) -> dict[str, Took]:
    """The line by the chain, each step on its own."""
    with world() as env:
        env["PATH"] = f"{Path(AWS).parent}:{env['PATH']}"
        asked = steps(env, image)
        return {name: run(["/bin/sh", "-ec", command], env) for name, command in asked.items()}


def whole(taken: dict[str, Took]) -> Took:
    """The sum of a chain's steps."""
    every = taken.values()
    peak = max(one.peak for one in every)
    return Took(sum(one.wall for one in every), sum(one.cpu for one in every), peak, "")


def main() -> None:
    need(**OURS, **SERVER, **CLOUD, crane=PUSHERS["crane"])
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    image = images.layout(KEPT, 2, 2)
    ships, chains = [], []
    for _ in range(runs):
        ships.append(ship(image))
        chains.append(chain(image))
    rows = [("slipway ship", median(ships)), ("the chain", median([whole(one) for one in chains]))]
    rows += [(f"- {name}", median([one[name] for one in chains])) for name in chains[0]]
    table(f"the line without build, median of {runs}", rows)
    print("\nslipway by step, seconds:", by_step(ships))


# Events that end a step, by name: the step, and the field with its seconds.
ENDS = {"surveyed": ("survey", "seconds"), "step-done": (None, "seconds"), "baked": ("watch", "since_patch")}


def medians(ships: list[Took]) -> dict[str, float]:
    """The medians of slipway's own step times, in seconds, from its JSON lines."""
    taken: dict[str, list[float]] = {}
    for one in ships:
        events = [json.loads(line) for line in one.out.splitlines() if line.startswith("{")]
        for event in events:
            if event["event"] in ENDS:
                step, field = ENDS[event["event"]]
                taken.setdefault(step or event["step"], []).append(event[field])
    return {step: statistics.median(all_of) for step, all_of in taken.items()}


def by_step(ships: list[Took]) -> str:
    """The same in words."""
    return ", ".join(f"{step} {seconds:.3f}" for step, seconds in medians(ships).items())


if __name__ == "__main__":
    main()
