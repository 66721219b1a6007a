"""Makes images to push: OCI layouts whose layers are gzip'd tars, and a docker-archive of plain ones.

Half of the bytes are random, half are text that compresses to about a third. Everything is valid:
digests, diffIDs, tars. Made once and kept: the same size gives the same image.
"""

import hashlib
import json
import math
import random
import shutil
import tarfile
import zlib
from io import BytesIO
from pathlib import Path

MIB = 1 << 20
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def piece(seed: int, text: bool) -> bytes:
    """One MiB: noise, or words as logs and sources have them."""
    rng = random.Random(seed)
    if not text:
        return rng.randbytes(MIB)
    words = [rng.randbytes(5).hex()[: rng.randint(3, 10)] for _ in range(4000)]
    line = " ".join(rng.choices(words, k=MIB // 4))
    return line.encode()[:MIB].ljust(MIB)


def member(data: bytes) -> bytes:
    """A gzip member: several in a row are one gzip file."""
    made = zlib.compressobj(6, zlib.DEFLATED, 31)
    return made.compress(data) + made.flush()


def header(name: str, size: int) -> bytes:
    """The head of a tar with one file."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf()


def layer(number: int, size: int, text: bool, packed: bool, to: Path) -> tuple[Path, str, str]:
    """Writes a layer of `size` bytes or a little more as stored: its file, its digest and its diffID."""
    several = 8 if size >= 8 * MIB else 1
    plain = [piece(number * 100 + n, text) for n in range(several)]
    stored = [member(one) for one in plain] if packed else plain
    times = math.ceil(size / sum(map(len, stored)))
    end = bytes(10240)
    start = header(f"srv/{number}", times * several * MIB)
    ends = (member(start), member(end)) if packed else (start, end)
    digest, diff = hashlib.sha256(), hashlib.sha256()
    path = to / f"layer-{number}"
    with path.open("wb") as file:
        body = zip(stored * times, plain * times, strict=True)
        for as_stored, as_plain in [(ends[0], start), *body, (ends[1], end)]:
            file.write(as_stored)
            digest.update(as_stored)
            diff.update(as_plain)
    return path, f"sha256:{digest.hexdigest()}", f"sha256:{diff.hexdigest()}"


def config(diffs: list[str]) -> bytes:
    """The config of an amd64 image with these layers."""
    rootfs = {"type": "layers", "diff_ids": diffs}
    said = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/srv/0"]}, "rootfs": rootfs}
    return json.dumps(said).encode()


def layout(to: Path, megabytes: int, layers: int) -> Path:
    """An OCI layout of this size as stored, made unless it is there."""
    path = to / f"layout-{megabytes}"
    if (path / "index.json").exists():
        return path
    shutil.rmtree(path, ignore_errors=True)
    blobs = path / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def keep(data: bytes) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    described, diffs = [], []
    for number in range(layers):
        size = megabytes * 1_000_000 // layers
        made, digest, diff = layer(number, size, number % 2 == 1, True, path)
        stored = made.rename(blobs / digest.removeprefix("sha256:"))
        described.append({"mediaType": LAYER, "digest": digest, "size": stored.stat().st_size})
        diffs.append(diff)
    about = {"mediaType": CONFIG, **keep(config(diffs))}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": about, "layers": described}
    named = {"mediaType": MANIFEST, **keep(json.dumps(manifest).encode())}
    named["platform"] = {"os": "linux", "architecture": "amd64"}
    named["annotations"] = {"org.opencontainers.image.ref.name": "bench"}
    (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    return path


def archive(to: Path, megabytes: int, layers: int) -> Path:
    """What `docker save` writes for an image of this size, made unless it is there."""
    path = to / f"archive-{megabytes}.tar"
    if path.exists():
        return path
    names, diffs = [], []
    unfinished = path.with_suffix(".part")
    with tarfile.open(unfinished, "w") as tar:
        for number in range(layers):
            size = megabytes * 1_000_000 // layers
            made, _, diff = layer(number, size, number % 2 == 1, False, to)
            names.append(f"{diff.removeprefix('sha256:')}/layer.tar")
            diffs.append(diff)
            tar.add(made, names[-1])
            made.unlink()
        about = config(diffs)
        named = f"{hashlib.sha256(about).hexdigest()}.json"
        add(tar, named, about)
        said = [{"Config": named, "RepoTags": ["web:bench"], "Layers": names}]
        add(tar, "manifest.json", json.dumps(said).encode())
    return unfinished.rename(path)


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """Adds a small file."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, BytesIO(data))
