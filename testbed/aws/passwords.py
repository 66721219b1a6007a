"""The password of the registry: it stands for the principal that asked for it, until it ends."""

import base64
import json
import time
from dataclasses import asdict

from . import seal
from .call import Principal

LENGTH = 1000


def made(lab, who, ends):
    """A password, wrapped as ECR wraps its own."""
    payload = seal.sealed(lab.secret, {"who": asdict(who), "made": time.time(), "ends": ends}, LENGTH)
    wrapped = {"payload": payload, "version": "2", "type": "DATA_KEY", "expiration": int(ends)}
    return base64.b64encode(json.dumps(wrapped).encode()).decode()


def owner(lab, authorization):
    """Whom the password of an Authorization header was given to, and whether it still counts."""
    try:
        user, _, password = base64.b64decode(authorization.partition(" ")[2]).decode().partition(":")
        given = seal.opened(lab.secret, json.loads(base64.b64decode(password))["payload"])
    except (ValueError, KeyError, TypeError):
        return None, False
    if user != "AWS" or not given:
        return None, False
    lasts = time.time() < given["ends"] and given["made"] >= lab["registry"]["ended_before"]
    return Principal(**given["who"]), lasts
