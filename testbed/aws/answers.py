"""The form in which each service answers, and the form of its errors."""

import json
import uuid
from xml.sax.saxutils import escape

from .call import Answer

STS_NAMES = "https://sts.amazonaws.com/doc/2011-06-15/"
# What the JSON services call the errors that STS has other names for. They answer 400 to all of them,
# and EKS, which speaks REST, with the status that STS has.
JSON_CODES = {
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "ExpiredToken": "ExpiredTokenException",
    "AccessDenied": "AccessDeniedException",
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "IncompleteSignature": "IncompleteSignatureException",
}


def answer(status, media_type, body, *headers, identity=None):
    """A whole answer, with the request id that every service gives."""
    if isinstance(body, str):
        body = body.encode()
    named = ("x-amzn-RequestId", identity or str(uuid.uuid4()))
    return Answer(status, [("Content-Type", media_type), named, *headers], body)


def sts(call, action, result):
    """STS: XML, or JSON for those who ask for it."""
    identity = str(uuid.uuid4())
    content = {f"{action}Result": result, "ResponseMetadata": {"RequestId": identity}}
    root = f"{action}Response"
    return sts_document(call, 200, root, content, {root: content}, identity)


def sts_error(call, refusal):
    identity = str(uuid.uuid4())
    error = {"Type": "Sender", "Code": refusal.code, "Message": refusal.message}
    content = {"Error": error, "RequestId": identity}
    return sts_document(call, refusal.status, "ErrorResponse", content, content, identity)


def sts_document(call, status, root, content, plain, identity):
    if call.header("accept").startswith("application/json"):
        return answer(status, "application/json", json.dumps(plain), identity=identity)
    text = f'<{root} xmlns="{STS_NAMES}">{xml(content)}</{root}>\n'
    return answer(status, "text/xml", text, identity=identity)


def xml(value):
    """Nested fields as elements."""
    if isinstance(value, dict):
        return "".join(f"<{name}>{xml(content)}</{name}>" for name, content in value.items())
    return escape(str(value))


def ecr(result):
    return answer(200, "application/x-amz-json-1.1", json.dumps(result))


def ecr_error(refusal):
    status = 400 if refusal.code in JSON_CODES else refusal.status
    body = {"__type": JSON_CODES.get(refusal.code, refusal.code), "message": refusal.message}
    return answer(status, "application/x-amz-json-1.1", json.dumps(body))


def eks(result):
    return answer(200, "application/json", json.dumps(result))


def eks_error(refusal):
    code = JSON_CODES.get(refusal.code, refusal.code)
    body = json.dumps({"message": refusal.message})
    return answer(refusal.status, "application/json", body, ("x-amzn-ErrorType", code))


VERSION = ("Docker-Distribution-Api-Version", "registry/2.0")


def registry_error(status, code, message):
    body = json.dumps({"errors": [{"code": code, "message": message}]}) + "\n"
    return answer(status, "application/json; charset=utf-8", body, VERSION)


def bucket_error(refusal):
    body = f"<Error><Code>{refusal.code}</Code><Message>{escape(refusal.message)}</Message></Error>"
    return answer(refusal.status, "application/xml", body)
