"""GitHub's issuer of identity tokens, and the endpoint where a runner asks for one."""

import json
import os
import time
import uuid

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

from . import answers, policy
from .call import Refusal

ISSUER = "token.actions.githubusercontent.com"
RUNNER = "pipelines.actions.githubusercontent.com"
# A job whose claims nobody chose.
JOB = {
    "repository": "acme/shop",
    "ref": "refs/heads/main",
    "sha": "a" * 40,
    "event_name": "push",
    "actor": "octocat",
    "workflow": "deploy",
    "run_id": "1",
    "run_number": "1",
    "run_attempt": "1",
}


def key(folder):
    """The issuer's key, made once."""
    path = os.path.join(folder, "github.key.json")
    if not os.path.exists(path):
        made = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": uuid.uuid4().hex})
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
            json.dump(made.as_dict(private=True), file)
    with open(path, encoding="utf-8") as file:
        return RSAKey.import_key(json.load(file))


def claims(given, audience):
    """What GitHub says of a job. Any claim can be given, `ttl` is the life in seconds."""
    job = JOB | given
    now, owner = int(time.time()), job["repository"].split("/")[0]
    file = f"{job['repository']}/.github/workflows/{job['workflow']}.yml@{job['ref']}"
    written = {
        "jti": str(uuid.uuid4()),
        "sub": f"repo:{job['repository']}:{context(job)}",
        "aud": audience or f"https://github.com/{owner}",
        "repository_owner": owner,
        "repository_owner_id": "4242",
        "repository_id": "880055",
        "repository_visibility": "private",
        "actor_id": "12",
        "head_ref": "",
        "base_ref": "",
        "ref_protected": "false",
        "ref_type": "tag" if job["ref"].startswith("refs/tags/") else "branch",
        "workflow_ref": file,
        "workflow_sha": job["sha"],
        "job_workflow_ref": file,
        "job_workflow_sha": job["sha"],
        "runner_environment": "github-hosted",
        "iss": f"https://{ISSUER}",
        "nbf": now - 300,
        "iat": now,
        "exp": now + int(job.pop("ttl", 300)),
    }
    return written | job


def context(job):
    """The last part of the subject."""
    if job.get("environment"):
        return f"environment:{job['environment']}"
    if job["event_name"] == "pull_request":
        return "pull_request"
    return f"ref:{job['ref']}"


def minted(signer, said):
    header = {"typ": "JWT", "alg": "RS256", "kid": signer.kid, "x5t": signer.kid}
    return jwt.encode(header, said, signer, algorithms=["RS256"])


def signer_of(signer, given):
    """Who signs for this job: the issuer, unless `key` is among what is given: `unpublished` for a key that GitHub
    does not show, another word for a foreign one under the name of the issuer's own. The rest of what is given.
    """
    rest = dict(given)
    which = rest.pop("key", "")
    if not which:
        return signer, rest
    kid = uuid.uuid4().hex if which == "unpublished" else signer.kid
    return RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": kid}), rest


def job_variables(signer, given):
    """The two variables by which a job asks for its tokens. They say the job, so the server remembers none."""
    plan, job = uuid.uuid4(), uuid.uuid4()
    path = f"{uuid.uuid4().hex}/_apis/distributedtask/hubs/Actions/plans/{plan}/jobs/{job}/idtoken"
    runtime = {"aud": "actions-runtime", "exp": int(time.time()) + 6 * 3600, "job": given}
    return {
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"https://{RUNNER}/{path}?api-version=2.0",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": minted(signer, runtime),
    }


def issuer(signer, call):
    """What everybody may read: where the keys are, and the keys."""
    if call.path == "/.well-known/openid-configuration":
        call.action = "github:OpenIdConfiguration"
        return sent(200, {
            "issuer": f"https://{ISSUER}",
            "jwks_uri": f"https://{ISSUER}/.well-known/jwks",
            "subject_types_supported": ["public", "pairwise"],
            "response_types_supported": ["id_token"],
            "claims_supported": sorted(claims({}, "x")),
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid"],
        })
    if call.path == "/.well-known/jwks":
        call.action = "github:Keys"
        return sent(200, KeySet([signer]).as_dict(private=False))
    return sent(404, {"message": "Not Found"})


def runner(lab, signer, call):
    """The endpoint of a runner: a token for the job whose runtime token is shown, for any audience."""
    call.action = "github:IdToken"
    try:
        shown = jwt.decode(call.header("authorization").partition(" ")[2], signer, algorithms=["RS256"]).claims
        lasts = shown.get("aud") == "actions-runtime" and shown["exp"] > time.time()
    except (JoseError, ValueError):
        lasts = False
    if not lasts or not call.path.endswith("/idtoken"):
        return sent(401, {"message": "The runtime token is not valid"})
    try:
        policy.strike(lab, call.action)
    except Refusal as refusal:
        return sent(refusal.status, {"message": refusal.message})
    signs, job = signer_of(signer, shown["job"])
    said = claims(job, call.fields().get("audience"))
    call.who = said["sub"]
    return sent(200, {"count": 1, "value": minted(signs, said)})


def sent(status, body):
    return answers.answer(status, "application/json; charset=utf-8", json.dumps(body))
