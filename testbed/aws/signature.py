"""Who signed a call: SigV4, recomputed with botocore's own signer, in the header and in the presigned form."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from . import sessions
from .call import Refusal

# The headers that are handed to the signer are those that the client says it signed, all of them.
botocore.auth.SIGNED_HEADERS_BLACKLIST = []

STAMP = "%Y%m%dT%H%M%SZ"
# STS takes a presigned address this long, whatever its X-Amz-Expires says: clients of EKS write 60 or 0.
LIFE = timedelta(minutes=15)
AHEAD = timedelta(minutes=5)
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret"
    " Access Key and signing method. Consult the service documentation for details."
)


@dataclass
class Claim:
    """What a signature says of itself."""

    credential: str
    headers: list
    signature: str
    date: str
    token: str
    query: str
    """The query that was signed."""


def caller(lab, call, service):
    """The principal that signed this call for this service."""
    claim = claimed(call)
    key, _, scope = claim.credential.partition("/")
    known = sessions.found(lab, key, claim.token)
    if not known:
        raise Refusal("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
    secret, who, session = known
    call.who = who.arn
    check_scope(lab, claim, scope.split("/"), service)
    expected = recomputed(lab, call, claim, Credentials(key, secret), service)
    if not (hmac.compare_digest(expected, claim.signature) and "host" in claim.headers and is_whole(call)):
        raise mismatch(MISMATCH)
    check_time(claim)
    sessions.check_lasts(lab, session)
    return who


def mismatch(said):
    return Refusal("SignatureDoesNotMatch", said, 403)


def claimed(call):
    """The claim, from the query or from the header."""
    query, head = call.fields(), call.header("authorization")
    if "X-Amz-Signature" in query:
        rest = "&".join(p for p in call.query.split("&") if not p.startswith("X-Amz-Signature="))
        fields = {name[6:]: value for name, value in query.items() if name.startswith("X-Amz-")}
        date, token = fields.get("Date"), fields.get("Security-Token", "")
    elif head.startswith("AWS4-HMAC-SHA256"):
        rest = call.query
        pairs = head.removeprefix("AWS4-HMAC-SHA256").split(",")
        fields = dict(pair.strip().split("=", 1) for pair in pairs if "=" in pair)
        date, token = call.headers.get("x-amz-date"), call.header("x-amz-security-token")
    else:
        raise Refusal("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
    if not (date and all(fields.get(name) for name in ("Credential", "SignedHeaders", "Signature"))):
        raise Refusal(
            "IncompleteSignature",
            "Authorization header requires 'Credential', 'SignedHeaders', 'Signature' parameters and"
            " existence of either a 'X-Amz-Date' or a 'Date' header.",
        )
    signed = fields["SignedHeaders"].split(";")
    return Claim(fields["Credential"], signed, fields["Signature"], date, token, rest)


def check_scope(lab, claim, scope, service):
    """Refuses a signature for another region, service or day."""
    if len(scope) != 4:
        raise Refusal("IncompleteSignature", f"Credential must have 5 elements, got '{claim.credential}'")
    day, region, signed_for, end = scope
    if region != lab["region"]:
        raise mismatch(f"Credential should be scoped to a valid region, not '{region}'. ")
    if signed_for != service:
        raise mismatch(f"Credential should be scoped to correct service: '{service}'. ")
    if end != "aws4_request" or not claim.date.startswith(day):
        raise mismatch(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP"
        )


def recomputed(lab, call, claim, credentials, service):
    """The signature that this call has to carry."""
    signer = botocore.auth.SigV4Auth(credentials, service, lab["region"])
    address = f"https://{call.host}{call.path}" + (f"?{claim.query}" if claim.query else "")
    headers = {name: call.header(name) for name in claim.headers}
    request = AWSRequest(call.method, address, data=call.body(), headers=headers)
    request.context["timestamp"] = claim.date
    canonical = signer.canonical_request(request)
    return signer.signature(signer.string_to_sign(request, canonical), request)


def is_whole(call):
    """Whether the body is the one that the client says it signed."""
    claimed_hash = call.headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    return claimed_hash in ("UNSIGNED-PAYLOAD", hashlib.sha256(call.body()).hexdigest())


def check_time(claim):
    """Fifteen minutes back and five ahead."""
    try:
        signed = datetime.strptime(claim.date, STAMP).replace(tzinfo=timezone.utc)
    except ValueError as wrong:
        said = f"Date must be in ISO-8601 'basic format'. Got '{claim.date}'."
        raise Refusal("IncompleteSignature", said) from wrong
    now = datetime.now(timezone.utc)
    oldest, newest = now - LIFE, now + AHEAD
    if signed < oldest:
        raise mismatch(
            f"Signature expired: {claim.date} is now earlier than {oldest.strftime(STAMP)}"
            f" ({now.strftime(STAMP)} - 15 min.)"
        )
    if signed > newest:
        raise mismatch(
            f"Signature not yet current: {claim.date} is still later than {newest.strftime(STAMP)}"
            f" ({now.strftime(STAMP)} + 5 min.)"
        )
