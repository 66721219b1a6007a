"""Leads the node to ECR's front as somebody whom it refuses: what a node sees whose role lacks the right."""

import pathlib
import subprocess

TESTBED = pathlib.Path(__file__).parents[1]


def refuse(_cluster, _namespace):
    subprocess.run([TESTBED / "pulls", "refused"], check=True)


def allow(_cluster, _namespace):
    subprocess.run([TESTBED / "pulls", "allowed"], check=True)
