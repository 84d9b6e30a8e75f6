"""A new version of a data set: the old pictures, the newly labelled ones, and where each of those came from."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from edgetl.errors import DatasetError, UsageError, storage
from edgetl.runtime.collect.record import Collected, read_collected
from edgetl.runtime.dataset import SPLIT_NAMES, hashes_of, list_pictures, sha256_of
from edgetl.runtime.files import write_file
from edgetl.runtime.timestamp import utc_now
from edgetl.trainer.review.labels import Labels
from edgetl.trainer.splits import SHARES

LINEAGE = "lineage.json"


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """One new picture: where it lies now, what a person called it, and what the line had said of it."""

    path: str
    sha256: str
    label: str
    labelled: str
    origin: Collected


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One step from a data set to the next. `base` is the digest of the pictures before it (SHA-256 over their paths
    and hashes, in order), `left_out` how many labelled pictures were in it already."""

    created: str
    base: str
    base_pictures: int
    added: tuple[Added, ...]
    left_out: int


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """All steps that led to a data set, oldest first."""

    format: int = 1
    versions: tuple[Version, ...]


def merge(base: Path, collected: Path, out: Path) -> Version:
    """Writes `out`: the pictures of `base` (linked where the file system allows, else copied) and the labelled ones
    of `collected`. Raises UsageError, DatasetError, StorageError; then there is no `out`."""
    if out.exists():
        raise UsageError(f"{out}: is there already; a version is never changed, name a new folder")
    listing = list_pictures(base)
    known = hashes_of(listing)
    labelled = list(_labelled(collected))
    if not labelled:
        raise DatasetError(f"{collected}: nothing labelled yet; answer some with: edgetl review {collected}")
    fresh = {r.sha256: (r, label, time) for r, label, time in labelled if r.sha256 not in known.values()}
    splits = tuple(name for name in SPLIT_NAMES if listing.of_split(name))
    added = tuple(_free(_added(record, label, time, splits), known) for record, label, time in fresh.values())
    version = Version(
        created=utc_now(),
        base=_digest(known), base_pictures=len(known), added=added, left_out=len(labelled) - len(fresh),
    )  # fmt: skip
    temporary = out.with_name(f".{out.name}.part")
    with storage(out):
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            for path in known:
                link(base / path, temporary / path)
            for item in added:
                link(collected / item.origin.picture, temporary / item.path)
            history = (*_history(base), version)
            write_file(temporary / LINEAGE, msgspec.json.format(msgspec.json.encode(Lineage(versions=history))))
            temporary.rename(out)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return version


def _labelled(collected: Path) -> Iterator[tuple[Collected, str, str]]:
    """Pictures with a label, whose bytes are still the ones that were kept."""
    answers = Labels(collected)
    for record in read_collected(collected):
        answer = answers.of(record.picture)
        if answer is None or answer.label is None:
            continue
        if sha256_of(collected / record.picture) == record.sha256:
            yield record, answer.label, answer.time


def _added(record: Collected, label: str, time: str, splits: tuple[str, ...]) -> Added:
    folder = f"{_split_of(record.sha256, splits)}/{label}" if splits else label
    name = f"line-{record.picture}"
    return Added(path=f"{folder}/{name}", sha256=record.sha256, label=label, labelled=time, origin=record)


def _free(item: Added, known: Collection[str]) -> Added:
    """Under another name where its own is taken, as by a picture that was retouched since it joined, or by another device's."""
    if item.path not in known:
        return item
    return msgspec.structs.replace(item, path=str(beside(Path(item.path), item.sha256)))


def _split_of(sha256: str, splits: tuple[str, ...]) -> str:
    """A split drawn by the picture's own hash, in the usual shares, so that new light is tested too."""
    draw = int(sha256[:8], 16) / 0xFFFFFFFF
    for name in ("test", "val"):
        if name in splits:
            if draw < SHARES[name]:
                return name
            draw -= SHARES[name]
    return "train" if "train" in splits else splits[0]


def _digest(hashes: dict[str, str]) -> str:
    return hashlib.sha256("".join(f"{path}\0{sha}\n" for path, sha in sorted(hashes.items())).encode()).hexdigest()


def _history(base: Path) -> tuple[Version, ...]:
    try:
        return msgspec.json.decode((base / LINEAGE).read_bytes(), type=Lineage).versions
    except FileNotFoundError:
        return ()
    except (msgspec.DecodeError, OSError) as error:
        raise DatasetError(
            f"{base / LINEAGE}: cannot be read ({error}); move it away to start a new lineage"
        ) from error


def beside(path: Path, sha256: str) -> Path:
    """Another name for a picture whose own is taken, by its hash."""
    return path.with_stem(f"{path.stem}-{sha256[:12]}")


def link(source: Path, target: Path) -> None:
    """Makes `target` another name of `source`, or a copy of it where the file system has no links. Raises OSError, also where
    there is such a file: written over, it would change whatever else that file is a name of."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)
