"""Class folders as a data set: which pictures there are, of which class, in which split.

Two layouts: `DIR/{train,val,calibration,test}/<class>/…` and `DIR/<class>/…`. Unreadable entries are passed over and reported,
two classes that differ only in case are refused, since one of them would be lost on another file system.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from pathlib import Path

import msgspec

from edgetl.errors import DatasetError, PictureError
from edgetl.runtime.picture import SUFFIXES, read_bytes

SPLIT_NAMES = ("train", "val", "test")
CALIBRATION = "calibration"  # beside the others alone: a class may be called so
_ALSO_CALLED = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}


class Picture(msgspec.Struct, frozen=True):
    """One labelled picture file, relative to the data set's folder; `split` is None in an unsplit folder."""

    path: str
    label: str
    split: str | None


class Listing(msgspec.Struct, frozen=True):
    """What a data set's folder holds. `passed_over` maps a path to the reason why it is not used."""

    root: str
    labels: tuple[str, ...]
    pictures: tuple[Picture, ...]
    passed_over: dict[str, str]

    def of_split(self, split: str) -> tuple[Picture, ...]:
        """The pictures of one split, in a fixed order."""
        return tuple(p for p in self.pictures if p.split == split)


def list_pictures(root: Path) -> Listing:
    """Lists a data set's folder without opening a picture. Raises DatasetError."""
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; name a folder with one sub-folder of pictures per class")
    splits = [name for name in SPLIT_NAMES if (root / name).is_dir()]
    if splits and (root / CALIBRATION).is_dir():
        splits.append(CALIBRATION)
    _check_layout(root, bool(splits))
    pictures: list[Picture] = []
    passed_over = {
        folder.name: f"beside {splits[0]}, and none of {', '.join((*SPLIT_NAMES, CALIBRATION))}"
        for folder in _class_folders(root)
        if splits and folder.name not in splits and _holds_pictures(folder)
    }
    folders: set[str] = set()
    for split in splits or [""]:
        for folder in _class_folders(root / split):
            label = unicodedata.normalize("NFC", folder.name)
            folders.add(label)
            for path in _files(folder, root, passed_over):
                pictures.append(Picture(path, label, split or None))
    labels = tuple(sorted({p.label for p in pictures}))
    _check_labels(root, labels)
    if empty := sorted(folders - set(labels)):
        raise DatasetError(f"{root}: class {', '.join(empty)} has no usable picture; add some or remove the folder")
    return Listing(str(root), labels, tuple(sorted(pictures, key=lambda p: p.path)), passed_over)


def pictures_below(root: Path) -> tuple[list[Picture], dict[str, str]]:
    """All pictures below a folder, whether it has class folders or not, by path; each one's label is the name of the folder
    that it lies in. And why other files are passed over. Raises DatasetError."""
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; name one with pictures")
    passed_over: dict[str, str] = {}
    paths = sorted(_files(root, root, passed_over))
    if not paths:
        raise DatasetError(f"{root}: no pictures found ({', '.join(sorted(SUFFIXES))})")
    folders = [unicodedata.normalize("NFC", (root / path).parent.name) for path in paths]
    return [Picture(path, label, None) for path, label in zip(paths, folders, strict=True)], passed_over


def sha256_of(path: Path) -> str:
    """SHA-256 of a picture file's bytes, as hex. Raises PictureError."""
    return hashlib.sha256(read_bytes(path)).hexdigest()


def _class_folders(folder: Path) -> list[Path]:
    found = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if odd := next((p for p in found if not _is_text(p.name)), None):
        raise DatasetError(f"{_shown(odd)}: its name is not UTF-8, as of an archive from another system; rename it")
    return found


def _is_text(name: str) -> bool:
    """Whether a file's name can be written down; bytes that are no UTF-8 come as halves of characters."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _shown(path: str | Path) -> str:
    return os.fsencode(path).decode(errors="replace")


def _holds_pictures(folder: Path) -> bool:
    return any(Path(name).suffix.lower() in SUFFIXES for _, _, names in os.walk(folder) for name in names)


def _check_layout(root: Path, divided: bool) -> None:
    """Refuses folders that would be taken for classes, or not be looked at, though somebody meant splits."""
    for folder in _class_folders(root):
        name = folder.name.casefold()
        meant = _ALSO_CALLED.get(name, name)
        if meant in SPLIT_NAMES and folder.name != meant and _holds_only_folders(folder):
            raise DatasetError(f"{folder}: looks like a split under another name; call it {meant}")
        if not divided and (folder / "train").is_dir():
            raise DatasetError(
                f"{folder}: divided into splits itself; name this folder where it is the data set, "
                f"else lay classes into splits: {root}/train/{folder.name}/*.jpg"
            )


def _holds_only_folders(folder: Path) -> bool:
    within = [p for p in folder.iterdir() if not p.name.startswith(".")]
    return any(p.is_dir() for p in within) and not any(p.suffix.lower() in SUFFIXES for p in within)


def _files(folder: Path, root: Path, passed_over: dict[str, str]) -> list[str]:
    """Files below a class folder that may be pictures by their name; others are noted in `passed_over`."""
    found: list[str] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = (Path(parent) / name).relative_to(root).as_posix()
            reason = _unusable(Path(parent) / name) if _is_text(path) else "its name is not UTF-8; rename it"
            if reason is None:
                found.append(path)
            elif not name.startswith("."):
                passed_over[_shown(path)] = reason
    return found


def _unusable(path: Path) -> str | None:
    if path.suffix.lower() not in SUFFIXES:
        return f"not a picture by its name ({', '.join(sorted(SUFFIXES))})"
    if not path.is_file():  # follows links; false for a FIFO, a device, a dangling link
        return "not a regular file"
    if not os.access(path, os.R_OK):
        return "no permission to read it"
    return "the file is empty" if path.stat().st_size == 0 else None


def _check_labels(root: Path, labels: tuple[str, ...]) -> None:
    if not labels:
        raise DatasetError(f"{root}: no pictures found; expected {root}/<class>/*.jpg or {root}/train/<class>/*.jpg")
    by_folded: dict[str, str] = {}
    for label in labels:
        other = by_folded.setdefault(label.casefold(), label)
        if other != label:
            raise DatasetError(f"{root}: classes {other!r} and {label!r} differ only in case; rename or merge one")


def hashes_of(listing: Listing) -> dict[str, str]:
    """SHA-256 by path for every picture that can be read; the others are left out."""
    hashes: dict[str, str] = {}
    for picture in listing.pictures:
        try:
            hashes[picture.path] = sha256_of(Path(listing.root) / picture.path)
        except PictureError:
            continue
    return hashes
