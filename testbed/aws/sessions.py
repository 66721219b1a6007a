"""Temporary credentials. They are sealed into their own token, so that a restart of this lab ends none of them."""

import base64
import hashlib
import secrets
import time

from . import seal
from .call import Principal, Refusal

# About as long as STS's own: clients put it into headers and addresses.
TOKEN_LENGTH = 700


def issued(lab, role, name, seconds):
    """New credentials of a role for a session of this name: as AssumeRole shows them."""
    now = time.time()
    # The lab may hand out shorter sessions than anybody can ask for.
    seconds = lab["sessions"]["seconds"] or seconds
    key = "ASIA" + base64.b32encode(secrets.token_bytes(10)).decode()
    session = {
        "key": key,
        "role": lab.arn("iam", f"role/{role}"),
        "arn": lab.arn("sts", f"assumed-role/{role.rsplit('/', 1)[-1]}/{name}"),
        "id": f"{unique('AROA', role)}:{name}",
        "issued": now,
        "expires": now + seconds,
    }
    return {
        "AssumedRoleUser": {"Arn": session["arn"], "AssumedRoleId": session["id"]},
        "Credentials": {
            "AccessKeyId": key,
            "SecretAccessKey": secret_of(lab, key),
            "SessionToken": seal.sealed(lab.secret, session, TOKEN_LENGTH),
            "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + seconds)),
        },
    }


def found(lab, key, token):
    """The secret and the principal of a key, whose session may have ended; None for a key that is unknown."""
    for name, user in lab["users"].items():
        if user["key"] == key and not token:
            arn = lab.arn("iam", f"user/{name}")
            return user["secret"], Principal(arn, arn, unique("AIDA", name)), None
    session = seal.opened(lab.secret, token)
    if not session or session["key"] != key:
        return None
    who = Principal(session["arn"], session["role"], session["id"])
    return secret_of(lab, key), who, session


def check_lasts(lab, session):
    """Refuses a session whose time is over, or that was revoked: issued before all of its kind were ended."""
    if session and (session["expires"] <= time.time() or session["issued"] < lab["sessions"]["ended_before"]):
        raise Refusal("ExpiredToken", "The security token included in the request is expired", 403)


def unique(prefix, name):
    """A unique id as IAM makes them, the same for the same name."""
    return prefix + hashlib.sha1(name.encode()).hexdigest()[:17].upper()


def secret_of(lab, key):
    """The secret access key of a temporary key."""
    return base64.b64encode(seal.mark(lab.secret, key.encode())).decode()[:40]
