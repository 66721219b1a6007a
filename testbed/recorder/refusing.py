"""Leads the node to ECR's front as somebody who may log in and not pull: what it sees when its role lacks the right.

containerd reads the hosts file of a registry at each pull, so the node is led there and back without a restart.
"""

import base64
import pathlib
import subprocess

from .cluster import STATE

REGISTRY = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com"
HOSTS = pathlib.Path(STATE, "node/hosts", REGISTRY, "hosts.toml")
TESTBED = pathlib.Path(__file__).parents[1]
LED_THERE = """server = "https://{registry}"

[host."https://{registry}"]
  capabilities = ["pull", "resolve"]
  ca = "{state}/authority/ca.crt"
  [host."https://{registry}".header]
    authorization = "Basic {login}"
"""


def password():
    """ECR's password for the guest, who may log in and has rights on another repository only."""
    command = [TESTBED / "as", "guest", "aws", "ecr", "get-login-password"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


class Refusing:
    """Begins and ends it, around one recording."""

    def begin(self, _cluster, _namespace):
        self.before = HOSTS.read_text()
        login = base64.b64encode(b"AWS:" + password().strip()).decode()
        HOSTS.write_text(LED_THERE.format(registry=REGISTRY, state=STATE, login=login))

    def end(self, _cluster, _namespace):
        HOSTS.write_text(self.before)
