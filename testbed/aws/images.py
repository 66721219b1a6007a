"""What the registry holds, read from its own storage folder: manifests, tags, times."""

import json
import os
import shutil
from dataclasses import dataclass

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass
class Image:
    """A manifest or an index."""

    digest: str
    tags: list
    pushed: float
    raw: bytes
    media_type: str

    def document(self):
        return json.loads(self.raw)

    def ids(self):
        """Every name of it, as ECR lists them."""
        tagged = [{"imageDigest": self.digest, "imageTag": tag} for tag in self.tags]
        return tagged or [{"imageDigest": self.digest}]

    def is_called(self, wanted):
        digest, tag = wanted.get("imageDigest"), wanted.get("imageTag")
        return (not digest or digest == self.digest) and (not tag or tag in self.tags)


def of(lab, repository):
    """The images of a repository, oldest first."""
    base = folder(lab, repository, "_manifests")
    tags = tags_by_digest(os.path.join(base, "tags"))
    found = []
    for name in listed(os.path.join(base, "revisions/sha256")):
        link = os.path.join(base, "revisions/sha256", name, "link")
        # What was deleted leaves its folder behind.
        if not os.path.exists(link):
            continue
        raw = blob(lab, f"sha256:{name}")
        document = json.loads(raw)
        media_type = document.get("mediaType") or (INDEX if "manifests" in document else MANIFEST)
        digest = f"sha256:{name}"
        found.append(Image(digest, sorted(tags.get(digest, [])), os.stat(link).st_mtime, raw, media_type))
    return sorted(found, key=lambda image: image.pushed)


def find(images, wanted):
    """The image that an image id of ECR's API names, or None."""
    return next((image for image in images if image.is_called(wanted)), None)


def tags_by_digest(base):
    found = {}
    for tag in listed(base):
        try:
            with open(os.path.join(base, tag, "current/link"), encoding="utf-8") as link:
                found.setdefault(link.read(), []).append(tag)
        except FileNotFoundError:
            continue
    return found


def size(lab, document):
    """The bytes of the layers; of an index, those of its images."""
    layers = sum(layer["size"] for layer in document.get("layers", []))
    children = (json.loads(blob(lab, child["digest"])) for child in document.get("manifests", []))
    return layers + sum(size(lab, child) for child in children)


def has_layer(lab, repository, digest):
    return os.path.exists(folder(lab, repository, "_layers/sha256", digest.partition(":")[2], "link"))


def blob(lab, digest):
    with open(blob_path(lab, digest), "rb") as file:
        return file.read()


def blob_path(lab, digest):
    name = digest.partition(":")[2]
    return os.path.join(lab["registry"]["storage"], "blobs/sha256", name[:2], name, "data")


def untag(lab, repository, tag):
    shutil.rmtree(folder(lab, repository, "_manifests/tags", tag))


def drop(lab, repository, digest):
    """Takes a manifest out of a repository, as the registry's own DELETE does."""
    os.remove(folder(lab, repository, "_manifests/revisions/sha256", digest.partition(":")[2], "link"))


def forget(lab, repository):
    """Takes a repository out of the storage, so that another of its name begins empty."""
    shutil.rmtree(folder(lab, repository), ignore_errors=True)


def folder(lab, repository, *below):
    return os.path.join(lab["registry"]["storage"], "repositories", repository, *below)


def listed(path):
    return os.listdir(path) if os.path.isdir(path) else []
