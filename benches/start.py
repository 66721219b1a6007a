"""What starting costs: `--version` and `ship -h` by hyperfine, `demo` as a whole, and the size.

    python3 benches/start.py [RUNS]
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import AWS, CLOUD, CRANE, KUBECTL, OURS, PUSHERS, SLIPWAY, median, need, run
from places import clean


def started(commands: list[list[str]]) -> list[dict[str, float]]:
    """Seconds by hyperfine, without a shell between; a crane without build information exits 1."""
    with tempfile.NamedTemporaryFile("r") as said:
        words = ["hyperfine", "-N", "-i", "--warmup", "5", "--min-runs", "30", "--export-json", said.name]
        words += [" ".join(command) for command in commands]
        subprocess.run(words, check=True, capture_output=True)
        return json.load(said)["results"]


def main() -> None:
    need(**OURS, **CLOUD, hyperfine="apt-get install hyperfine", crane=PUSHERS["crane"])
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    asked = [[SLIPWAY, "--version"], [SLIPWAY, "ship", "-h"], [CRANE, "version"]]
    asked += [[KUBECTL, "version", "--client"], [AWS, "--version"]]
    print("| start | median ms | least ms |\n|---|---|---|")
    for command, found in zip(asked, started(asked), strict=True):
        name = " ".join([Path(command[0]).name, *command[1:]])
        print(f"| {name} | {found['median'] * 1000:.1f} | {found['min'] * 1000:.1f} |")
    demo = median([run([SLIPWAY, "demo"], clean()) for _ in range(runs)])
    print(f"\nslipway demo, median of {runs}: {demo.wall:.2f} s, {demo.peak:.0f} MiB at most")
    print(f"size: {Path(SLIPWAY).stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
