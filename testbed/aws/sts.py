"""STS: who calls, and the two ways to become a role."""

import re
from urllib.parse import parse_qsl

from . import answers, identity_token, policy, sessions, signature
from .call import Refusal

WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"


def answered(lab, call):
    text = call.body().decode() if call.method == "POST" else call.query
    given = dict(parse_qsl(text, keep_blank_values=True))
    action = given.get("Action", "")
    call.action = f"sts:{action}"
    try:
        return answers.sts(call, action, result(lab, call, action, given))
    except Refusal as refusal:
        call.code = refusal.code
        return answers.sts_error(call, refusal)


def result(lab, call, action, given):
    if action == "AssumeRoleWithWebIdentity":
        return by_web_identity(lab, call, given)
    who = signature.caller(lab, call, "sts")
    if action == "GetCallerIdentity":
        # It needs no permission, and cannot be denied.
        policy.strike(lab, call.action)
        return {"Arn": who.arn, "UserId": who.id, "Account": lab["account"]}
    if action == "AssumeRole":
        return by_trust(lab, call, who, given)
    raise Refusal("InvalidAction", f"Could not find operation {action} for version 2011-06-15")


def by_trust(lab, call, who, given):
    """AssumeRole. A trust policy that names a user of its own account is enough by itself; one that names the
    account needs the user's own policy too.
    """
    arn = given.get("RoleArn", "")
    said = f"User: {who.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
    found = policy.effects(lab, who, call.action, arn)
    if "Deny" in found:
        said += " with an explicit deny in an identity-based policy"
        raise Refusal("AccessDenied", said, 403)
    name, role = role_of(lab, arn)
    trusted = [
        principal
        for statement in role["trust"]
        if statement["Action"] == call.action and statement["Effect"] == "Allow"
        for principal in as_list(statement["Principal"].get("AWS", []))
    ]
    by_name = who.source in trusted or who.arn in trusted
    by_account = lab.arn("iam", "root") in trusted and "Allow" in found
    if not (by_name or by_account):
        raise Refusal("AccessDenied", said, 403)
    policy.strike(lab, call.action)
    return become(lab, name, role, given)


def by_web_identity(lab, call, given):
    """AssumeRoleWithWebIdentity: the token first, then the role's trust policy."""
    claims, provider = identity_token.verified(lab, given.get("WebIdentityToken", ""))
    call.who = claims.get("sub", "")
    name, role = role_of(lab, given.get("RoleArn", ""))
    federated = lab.arn("iam", f"oidc-provider/{provider}")
    statements = [s for s in role["trust"] if s["Effect"] == "Allow" and s["Action"] == WEB_IDENTITY]
    suits = (
        s["Principal"].get("Federated") == federated and all_hold(s.get("Condition", {}), provider, claims)
        for s in statements
    )
    if not any(suits):
        raise Refusal("AccessDenied", f"Not authorized to perform {WEB_IDENTITY}", 403)
    policy.strike(lab, call.action)
    return become(lab, name, role, given) | {
        "Provider": federated,
        "Audience": claims["aud"],
        "SubjectFromWebIdentityToken": claims["sub"],
    }


def role_of(lab, arn):
    """The name of a role and what it is; one that is not there trusts nobody, and STS says no more."""
    name = arn.partition(":role/")[2]
    role = lab["roles"].get(name) if arn == lab.arn("iam", f"role/{name}") else None
    return name, role or {"trust": []}


def all_hold(condition, provider, claims):
    """Whether a token fulfils a condition; an operator that is not known here is never fulfilled."""
    tests = {
        "StringEquals": lambda wanted, value: value in as_list(wanted),
        "StringLike": policy.matches,
    }
    return all(
        operator in tests and tests[operator](wanted, str(claims.get(key.removeprefix(f"{provider}:"), "")))
        for operator, pairs in condition.items()
        for key, wanted in pairs.items()
    )


def become(lab, name, role, given):
    session = given.get("RoleSessionName", "")
    if not re.fullmatch(r"[\w+=,.@-]{2,64}", session, re.ASCII):
        raise invalid(
            f"1 validation error detected: Value '{session}' at 'roleSessionName' failed to satisfy"
            " constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*"
        )
    seconds = int(given.get("DurationSeconds", 3600))
    if seconds < 900:
        raise invalid(
            f"1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy"
            " constraint: Member must have value greater than or equal to 900"
        )
    if seconds > role.get("max_seconds", 3600):
        raise invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    return sessions.issued(lab, name, session, seconds)


def invalid(said):
    return Refusal("ValidationError", said)


def as_list(value):
    return [value] if isinstance(value, str) else value
