"""Rules of admission against the pods of a rollout: a webhook without a service, one that says no, a policy."""

import pathlib
import subprocess

TESTBED = pathlib.Path(__file__).parents[1]


def rule(kind):
    def prepare(_cluster, namespace):
        subprocess.run([TESTBED / "rule", kind, "pods", namespace], check=True)

    return prepare


def no_rule(_cluster, _namespace):
    subprocess.run([TESTBED / "rule", "none"], check=True)
