"""The front of the registry: who may, in ECR's words and with ECR's manners. The registry behind it moves the bytes."""

import http.client
import re
import threading
import time

from . import answers, ecr, images, passwords, policy, seal
from .call import PIECE, Answer, Refusal

# What a request is about, and the right that ECR wants for it.
RIGHTS = [
    ("GET HEAD", r"/v2/(.+)/manifests/([^/]+)", "BatchGetImage"),
    ("PUT", r"/v2/(.+)/manifests/([^/]+)", "PutImage"),
    ("HEAD", r"/v2/(.+)/blobs/(sha256:[0-9a-f]+)", "BatchCheckLayerAvailability"),
    ("GET", r"/v2/(.+)/blobs/(sha256:[0-9a-f]+)", "GetDownloadUrlForLayer"),
    ("GET", r"/v2/(.+)/tags/(list)", "ListImages"),
    ("POST", r"/v2/(.+)/blobs/(uploads)/?", "InitiateLayerUpload"),
    ("PATCH GET", r"/v2/(.+)/blobs/uploads/([^/]+)", "UploadLayerPart"),
    ("PUT DELETE", r"/v2/(.+)/blobs/uploads/([^/]+)", "CompleteLayerUpload"),
]
# Layers are not in the registry's own host: ECR sends there, and it wants no credentials beside its signature.
BUCKET_LIFE = 3600
# Two pushes of one immutable tag must not both pass.
_putting = threading.Lock()


def answered(lab, call):
    who, ended = authenticated(lab, call)
    if ended:
        return ended
    try:
        right, repository, reference = admitted(lab, call, who)
        return moved(lab, call, right, repository, reference)
    except Refusal as refusal:
        call.code = refusal.code
        return answers.registry_error(refusal.status, refusal.code, refusal.message)


def authenticated(lab, call):
    """The principal, or the answer without one: ECR asks for a password, answers a bare 400 to a wrong one, and
    403 to one that has ended.
    """
    if not call.header("authorization").lower().startswith("basic "):
        realm = f'Basic realm="https://{call.host}/",service="ecr.amazonaws.com"'
        plain = "text/plain; charset=utf-8"
        asked = answers.answer(401, plain, "Not Authorized\n", answers.VERSION, ("Www-Authenticate", realm))
        return None, asked
    who, lasts = passwords.owner(lab, call.header("authorization"))
    if not who:
        return None, Answer(400, [answers.VERSION])
    call.who = who.arn
    if not lasts:
        call.code = "DENIED"
        said = "Your authorization token has expired. Reauthenticate and try again."
        return None, answers.registry_error(403, "DENIED", said)
    return who, None


def admitted(lab, call, who):
    """The right that the call has, its repository and its reference."""
    if call.path in ("/v2/", "/v2"):
        call.action = "ecr:Ping"
        policy.strike(lab, call.action)
        return "Ping", "", ""
    right, found = needed(call)
    repository, reference = found.groups()
    account = call.host.split(".")[0]
    arn = f"arn:aws:ecr:{lab['region']}:{account}:repository/{repository}"
    try:
        policy.allow(lab, call, who, f"ecr:{right}", arn)
        if account != lab["account"]:
            said = f"The repository with name '{repository}' does not exist in the registry with id '{account}'"
            raise Refusal("RepositoryNotFoundException", said)
        ecr.repository(lab, repository)
    except Refusal as refusal:
        codes = {
            "RepositoryNotFoundException": ("NAME_UNKNOWN", 404),
            "AccessDenied": ("DENIED", 403),
            "ThrottlingException": ("TOOMANYREQUESTS", 429),
        }
        code, status = codes.get(refusal.code, (refusal.code, refusal.status))
        raise Refusal(code, refusal.message, status) from refusal
    return right, repository, reference


def needed(call):
    for methods, path, right in RIGHTS:
        found = re.fullmatch(path, call.path)
        if found and call.method in methods.split():
            return right, found
    raise Refusal("UNSUPPORTED", "The operation is unsupported.", 405)


def moved(lab, call, right, repository, reference):
    if right == "Ping":
        return Answer(200, [answers.VERSION])
    if right == "GetDownloadUrlForLayer":
        if not images.has_layer(lab, repository, reference):
            said = f"The layer with digest '{reference}' does not exist in the repository with name '{repository}'"
            raise Refusal("BLOB_UNKNOWN", said, 404)
        return Answer(307, [answers.VERSION, ("Location", address(lab, call.path))])
    if right == "PutImage":
        with _putting:
            check_tag(lab, repository, reference)
            return passed_on(lab, call)
    # ECR mounts no layer of another repository unless the account asks for it.
    query = "" if right == "InitiateLayerUpload" else call.query
    answer = passed_on(lab, call, query)
    if call.method == "PATCH" and answer.status == 202:
        # The specification says 202; ECR says 201, and clients have fallen over it.
        answer.status = 201
    return answer


def check_tag(lab, repository, tag):
    """An immutable tag is not set again, not even to the same digest."""
    mutability = str(ecr.repository(lab, repository).image_tag_mutability)
    if "IMMUTABLE" not in mutability or tag.startswith("sha256:"):
        return
    if images.find(images.of(lab, repository), {"imageTag": tag}):
        said = (
            f"The image tag '{tag}' already exists in the '{repository}' repository and cannot be overwritten"
            " because the tag is immutable."
        )
        raise Refusal("TAG_INVALID", said)


def passed_on(lab, call, query=None):
    """The answer of the registry behind, as it comes."""
    behind = http.client.HTTPConnection(lab["registry"]["address"], timeout=600)
    headers = {name: call.headers[name] for name in ("accept", "content-type", "content-range") if name in call.headers}
    headers |= {"Host": call.host, "X-Forwarded-Proto": "https"}
    query = call.query if query is None else query
    path = call.path + (f"?{query}" if query else "")
    if "content-length" in call.headers:
        headers["Content-Length"] = call.headers["content-length"]
    streams = call.method in ("PATCH", "PUT", "POST")
    behind.request(call.method, path, call.pieces() if streams else None, headers)
    answer = behind.getresponse()
    left_out = ("connection", "date", "transfer-encoding")
    kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in left_out]
    return Answer(answer.status, kept, whole(answer))


def whole(answer):
    """The body in pieces, for a layer may be larger than the memory."""
    while piece := answer.read(PIECE):
        yield piece


def bucket_host(lab):
    return f"prod-{lab['region']}-starport-layer-bucket.s3.{lab['region']}.amazonaws.com"


def address(lab, path):
    """Where a layer is, for an hour."""
    signature = seal.sealed(lab.secret, {"path": path, "ends": int(time.time()) + BUCKET_LIFE})
    signature = signature.replace("+", "-").replace("/", "_").replace("=", "%3D")
    return f"https://{bucket_host(lab)}{path}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={signature}"


def bucket(lab, call):
    """The bucket behind the registry: it takes a signed address, and nothing beside it."""
    call.action = "s3:GetObject"
    try:
        if call.header("authorization"):
            raise Refusal(
                "InvalidArgument",
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query"
                " string parameter or the Authorization header should be specified",
            )
        signature = call.fields().get("X-Amz-Signature", "").replace("-", "+").replace("_", "/")
        given = seal.opened(lab.secret, signature)
        if not given or given["path"] != call.path or given["ends"] <= time.time():
            raise Refusal("AccessDenied", "Request has expired", 403)
        policy.strike(lab, call.action)
        return passed_on(lab, call, "")
    except Refusal as refusal:
        call.code = refusal.code
        return answers.bucket_error(refusal)
