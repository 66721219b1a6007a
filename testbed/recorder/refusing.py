"""Leads the node to ECR's front as somebody who may log in and not pull: what it sees when its role lacks the right.

containerd reads the hosts file of a registry at each pull, so the node is led there and back without a restart.
"""

import base64
import os
import pathlib
import subprocess

from .cluster import STATE

REGISTRY = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com"
HOSTS = pathlib.Path(STATE, "node/hosts", REGISTRY, "hosts.toml")
AUTHORITY = os.environ.get("SLIPWAY_TESTBED_AUTHORITY", f"{STATE}/authority")
LED_THERE = """server = "https://{registry}"

[host."https://{registry}"]
  capabilities = ["pull", "resolve"]
  ca = "{authority}/ca.crt"
  [host."https://{registry}".header]
    authorization = "Basic {login}"
"""


def password():
    """ECR's password for the guest, by AWS's own client."""
    guest = {
        "AWS_ACCESS_KEY_ID": "AKIATESTBEDSHIP00000",
        "AWS_SECRET_ACCESS_KEY": "ship/secret+of/the+testbed/00000000000000",
        "AWS_CA_BUNDLE": f"{AUTHORITY}/all.pem",
        "AWS_DEFAULT_REGION": "ap-northeast-2",
    }
    command = ["aws", "ecr", "get-login-password"]
    return subprocess.run(command, env=os.environ | guest, check=True, stdout=subprocess.PIPE).stdout


class Refusing:
    """Begins and ends it, around one recording."""

    def begin(self, _cluster, _namespace):
        self.before = HOSTS.read_text()
        login = base64.b64encode(b"AWS:" + password().strip()).decode()
        HOSTS.write_text(LED_THERE.format(registry=REGISTRY, authority=AUTHORITY, login=login))

    def end(self, _cluster, _namespace):
        HOSTS.write_text(self.before)
