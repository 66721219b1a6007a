"""ECR's API. Repositories and their settings are moto's, in this process; images are the registry's."""

import base64
import io
import json
import time

from moto.ecr.models import ecr_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.test import EnvironBuilder

from . import answers, images, passwords, policy, signature
from .call import Answer, Refusal

_moto = DomainDispatcherApplication(create_backend_app)


def answered(lab, call):
    operation = call.header("x-amz-target").rpartition(".")[2]
    call.action = f"ecr:{operation}"
    try:
        given = allowed(lab, call, operation)
        if operation in OWN:
            return answers.ecr(OWN[operation](lab, given))
        return by_moto(lab, call, operation, given)
    except Refusal as refusal:
        call.code = refusal.code
        return answers.ecr_error(refusal)


def allowed(lab, call, operation):
    """What was asked for, once it is known who asks and that they may."""
    who = signature.caller(lab, call, "ecr")
    given = json.loads(call.body() or b"{}")
    name = given.get("repositoryName") or next(iter(given.get("repositoryNames") or []), "*")
    resource = "*" if operation == "GetAuthorizationToken" else lab.arn("ecr", f"repository/{name}")
    policy.allow(lab, call, who, call.action, resource)
    return given | {"who": who}


def repository(lab, name):
    """A repository as moto keeps it."""
    found = ecr_backends[lab["account"]][lab["region"]].repositories.get(name)
    if not found:
        said = f"The repository with name '{name}' does not exist in the registry with id '{lab['account']}'"
        raise Refusal("RepositoryNotFoundException", said)
    return found


def make_repositories(lab):
    """The repositories that the settings name, for moto forgets them at every start."""
    known = ecr_backends[lab["account"]][lab["region"]].repositories
    for name, mutability in lab["repositories"].items():
        if name not in known:
            body = json.dumps({"repositoryName": name, "imageTagMutability": mutability}).encode()
            ask_moto(environ_of(lab, "CreateRepository", body))


def environ_of(lab, operation, body):
    """A call of ECR's API as moto's server takes it."""
    headers = {
        "Host": f"api.ecr.{lab['region']}.amazonaws.com",
        "X-Amz-Target": f"AmazonEC2ContainerRegistry_V20150921.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": f"AWS4-HMAC-SHA256 Credential=testbed/20260101/{lab['region']}/ecr/aws4_request",
    }
    return EnvironBuilder(method="POST", headers=headers, data=body).get_environ()


def ask_moto(environ):
    """moto's status, headers and body."""
    got = {}

    def start(status, headers, _error=None):
        got["status"], got["headers"] = int(status.split()[0]), headers

    body = b"".join(_moto(environ, start))
    return got["status"], got["headers"], body


def by_moto(lab, call, operation, given):
    """The settings: moto answers. It knows no images, so what depends on them is looked at first."""
    name = given.get("repositoryName", "")
    if operation == "DeleteRepository":
        repository(lab, name)
        if images.of(lab, name) and not given.get("force"):
            raise Refusal(
                "RepositoryNotEmptyException",
                f"The repository with name '{name}' in registry with id '{lab['account']}' cannot be deleted"
                " because it still contains images",
            )
        images.forget(lab, name)
    status, headers, body = ask_moto(environ_of(lab, operation, call.body()))
    if status >= 400:
        call.code = json.loads(body).get("__type", str(status))
    keep = [(k, v) for k, v in headers if k.lower() in ("content-type", "x-amzn-requestid", "x-amzn-errortype")]
    return Answer(status, keep, body)


def token(lab, given):
    """GetAuthorizationToken."""
    ends = time.time() + lab["registry"]["password_seconds"]
    login = f"AWS:{passwords.made(lab, given['who'], ends)}".encode()
    return {"authorizationData": [{
        "authorizationToken": base64.b64encode(login).decode(),
        "expiresAt": round(ends, 3),
        "proxyEndpoint": f"https://{lab['account']}.dkr.ecr.{lab['region']}.amazonaws.com",
    }]}


def held(lab, given):
    """The images of the repository that was asked for."""
    repository(lab, given.get("repositoryName"))
    return images.of(lab, given["repositoryName"])


def get_images(lab, given):
    """BatchGetImage."""
    have, found, missing = held(lab, given), [], []
    for wanted in given["imageIds"]:
        image = images.find(have, wanted)
        if not image:
            missing.append(not_found(wanted))
            continue
        named = {"imageTag": wanted["imageTag"]} if wanted.get("imageTag") else {}
        found.append({
            "registryId": lab["account"],
            "repositoryName": given["repositoryName"],
            "imageId": {"imageDigest": image.digest, **named},
            "imageManifest": image.raw.decode(),
            "imageManifestMediaType": image.media_type,
        })
    return {"images": found, "failures": missing}


def not_found(wanted):
    return {"imageId": wanted, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"}


def list_images(lab, given):
    """ListImages."""
    chosen = [image for image in held(lab, given) if is_wanted(image, given)]
    return {"imageIds": [name for image in chosen for name in image.ids()]}


def is_wanted(image, given):
    status = given.get("filter", {}).get("tagStatus", "ANY")
    return status in ("ANY", "TAGGED" if image.tags else "UNTAGGED")


def describe_images(lab, given):
    """DescribeImages."""
    have = held(lab, given)
    if not given.get("imageIds"):
        return {"imageDetails": [detail(lab, given, image) for image in have if is_wanted(image, given)]}
    chosen = []
    for wanted in given["imageIds"]:
        image = images.find(have, wanted)
        if not image:
            digest, tag = wanted.get("imageDigest", "null"), wanted.get("imageTag", "null")
            raise Refusal(
                "ImageNotFoundException",
                f"The image with imageId {{imageDigest:'{digest}', imageTag:'{tag}'}} does not exist within the"
                f" repository with name '{given['repositoryName']}' in the registry with id '{lab['account']}'",
            )
        chosen.append(detail(lab, given, image))
    return {"imageDetails": chosen}


def detail(lab, given, image):
    document = image.document()
    shown = {
        "registryId": lab["account"],
        "repositoryName": given["repositoryName"],
        "imageDigest": image.digest,
        "imageSizeInBytes": images.size(lab, document),
        "imagePushedAt": round(image.pushed, 3),
        "imageManifestMediaType": image.media_type,
    }
    if "config" in document:
        shown["artifactMediaType"] = document["config"]["mediaType"]
    if image.tags:
        shown["imageTags"] = image.tags
    return shown


def delete_images(lab, given):
    """BatchDeleteImage: a tag goes alone while others name the image; a digest takes its tags along."""
    have, gone, missing = held(lab, given), [], []
    name = given["repositoryName"]
    for wanted in given["imageIds"]:
        image = images.find(have, wanted)
        if not image:
            missing.append(not_found(wanted))
            continue
        one = wanted.get("imageTag")
        going = [one] if one else image.tags
        gone += [i for i in image.ids() if i.get("imageTag") in (going or [None])]
        for tag in going:
            images.untag(lab, name, tag)
        image.tags = [tag for tag in image.tags if tag not in going]
        if not image.tags:
            images.drop(lab, name, image.digest)
            have.remove(image)
    return {"imageIds": gone, "failures": missing}


def by_registry_only(_lab, _given):
    said = "the testbed moves images by the registry's protocol only"
    raise Refusal("UnsupportedOperation", said)


# What is answered here; all other operations are about settings.
OWN = {
    "GetAuthorizationToken": token,
    "BatchGetImage": get_images,
    "ListImages": list_images,
    "DescribeImages": describe_images,
    "BatchDeleteImage": delete_images,
} | dict.fromkeys(
    ("PutImage", "InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "GetDownloadUrlForLayer",
     "BatchCheckLayerAvailability"),
    by_registry_only,
)
