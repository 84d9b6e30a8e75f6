"""Divides a data set into train, val, calibration and test: disjoint, stratified, seeded, near-duplicates together."""

from __future__ import annotations

import random
from collections import defaultdict

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.errors import DatasetError

SPLITS = ("train", "val", "calibration", "test")
SHARES = {"val": 0.12, "calibration": 0.08, "test": 0.15}
FINGERPRINT_SIDE = 16
NEAR = 2.0  # grey levels of mean difference between 16×16 thumbnails; JPEG copies of one picture stay below 1
MAX_CALIBRATION = 400  # pictures; ranges have long settled by then


class Sample(msgspec.Struct, frozen=True):
    """One readable picture as the splitter sees it. `fixed` is the split that its folder named, if any."""

    path: str
    label: str
    sha256: str
    fixed: str | None


def near_duplicate_groups(samples: list[Sample], fingerprints: NDArray[np.uint8]) -> list[int]:
    """A group number for each sample: equal bytes, or thumbnails (n×256 uint8) closer than NEAR within one class.

    The distance shrinks until no group holds more than a fifth of its class: pictures of one fixture are all
    alike without being copies, and one giant group could not be divided.
    """
    groups = list(range(len(samples)))
    by_label: dict[str, list[int]] = defaultdict(list)
    for i, sample in enumerate(samples):
        by_label[sample.label].append(i)
    for members in by_label.values():
        for distance in (NEAR, NEAR / 2, NEAR / 4, 0.0):
            found = _linked(members, samples, fingerprints, distance)
            if distance == 0.0 or max(len(g) for g in found) <= max(2, len(members) / 5):
                break
        for group in found:
            for i in group:
                groups[i] = group[0]
    return groups


def _linked(
    members: list[int], samples: list[Sample], fingerprints: NDArray[np.uint8], distance: float
) -> list[list[int]]:
    """Connected components among `members` by equal bytes or near thumbnails."""
    prints = fingerprints[members].astype(np.float32)
    copies: dict[str, list[int]] = defaultdict(list)
    for position, member in enumerate(members):
        copies[samples[member].sha256].append(position)
    free = np.ones(len(members), bool)
    components: list[list[int]] = []
    for first in range(len(members)):
        if not free[first]:
            continue
        free[first] = False
        stack, component = [first], []
        while stack:
            here = stack.pop()
            component.append(members[here])
            rest = np.flatnonzero(free)
            near = rest[np.abs(prints[rest] - prints[here]).mean(axis=1) < distance]
            for other in {*near.tolist(), *(j for j in copies[samples[members[here]].sha256] if free[j])}:
                free[other] = False
                stack.append(other)
        components.append(sorted(component))
    return components


def divide(samples: list[Sample], groups: list[int], seed: int) -> list[str]:
    """The split of each sample. Folders named train, val and test are respected; what they lack comes from train.

    Raises DatasetError where a class has too few pictures to be in every split that must be drawn.
    """
    named = {s.fixed for s in samples if s.fixed}
    drawn = [split for split in ("test", "val", "calibration") if split not in named]
    if named:
        drawn = [split for split in drawn if split != "test"]
    splits = [s.fixed or "train" for s in samples]
    by_label: dict[str, list[int]] = defaultdict(list)
    for i, sample in enumerate(samples):
        if splits[i] == "train":
            by_label[sample.label].append(i)
    for label in sorted({s.label for s in samples}):
        for i, split in _draw(label, by_label[label], groups, drawn, seed).items():
            splits[i] = split
    return splits


def _draw(label: str, members: list[int], groups: list[int], drawn: list[str], seed: int) -> dict[int, str]:
    """Draws whole groups of one class into the splits that are to be drawn; the rest stays in train."""
    needed = len(drawn) + 1
    by_group: dict[int, list[int]] = defaultdict(list)
    for i in members:
        by_group[groups[i]].append(i)
    if len(by_group) < needed:
        raise DatasetError(
            f"class {label!r} has {len(members)} pictures ({len(by_group)} distinct); training needs at least {needed}, "
            f"one each for train, {', '.join(drawn)}"
        )
    order = sorted(by_group)
    random.Random(f"{seed} {label}").shuffle(order)
    chosen: dict[int, str] = {}
    for position, split in enumerate(drawn):
        wanted = max(1, round(len(members) * SHARES[split]))
        if split == "calibration":
            wanted = min(wanted, MAX_CALIBRATION)
        taken = 0
        while taken < wanted and len(order) > len(drawn) - position:
            for i in by_group[order.pop()]:
                chosen[i] = split
                taken += 1
    return chosen
