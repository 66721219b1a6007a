"""What a principal may do, as IAM reads identity policies, and the faults that strike a call that is allowed.

Conditions are not evaluated: a statement with one is refused, so that no story rests on a right that AWS
would not give.
"""

import re
import time

from .call import Refusal


def matches(pattern, value, case=True):
    """Whether one of the patterns fits: `*` for anything, `?` for one character."""
    patterns = [pattern] if isinstance(pattern, str) else pattern
    flags = 0 if case else re.IGNORECASE
    return any(re.fullmatch(expression(one), value, flags) for one in patterns)


def expression(pattern):
    return re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")


def effects(lab, who, action, resource):
    """The effects of the statements that speak of this."""
    statements = lab["policies"].get(who.source.partition(f":{lab['account']}:")[2], [])
    for statement in statements:
        if "Condition" in statement:
            raise Refusal("ValidationError", "the testbed evaluates no conditions of identity policies", 500)
    return {
        statement["Effect"]
        for statement in statements
        if matches(statement["Action"], action, case=False) and matches(statement["Resource"], resource)
    }


def allow(lab, call, who, action, resource):
    """Refuses what is not allowed: an explicit Deny wins, then one Allow is needed."""
    call.action, call.who = action, who.arn
    found = effects(lab, who, action, resource)
    said = f"User: {who.arn} is not authorized to perform: {action} on resource: {resource} "
    if "Deny" in found:
        raise Refusal("AccessDenied", said + "with an explicit deny in an identity-based policy", 403)
    if "Allow" not in found:
        said += f"because no identity-based policy allows the {action} action"
        raise Refusal("AccessDenied", said, 403)
    strike(lab, action)


def strike(lab, action):
    """A fault of the settings, if it is its turn: a pause, an error, or both."""
    fault = lab.fault(lambda pattern: matches(pattern, action, case=False))
    if not fault:
        return
    time.sleep(fault.get("delay", 0))
    if "code" in fault:
        raise Refusal(fault["code"], fault.get("message", "Rate exceeded"), fault.get("status", 400))
