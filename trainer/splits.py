"""Divides a data set into train, val and test: disjoint, stratified, seeded, near-duplicates together; and says which pictures of
train calibrate too."""

from __future__ import annotations

import math
import random
from collections import defaultdict

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.errors import DatasetError
from edgetl.trainer.films import stretches

# calibration where a folder is called so; else pictures of train calibrate.
SPLITS = ("train", "val", "calibration", "test")
SHARES = {"val": 0.12, "test": 0.15}
CALIBRATING = 0.11  # of a class's training pictures
LEAST_CALIBRATING = 32  # pictures in all, where there are so many: ranges from fewer are those of single parts
FINGERPRINT_SIDE = 16
NEAR = 2.0  # grey levels of mean difference between 16×16 thumbnails; JPEG copies of one picture stay below 1
_ROUNDING = 1e-3  # grey levels
MAX_CALIBRATION = 400  # pictures in all; ranges have long settled by then


class Sample(msgspec.Struct, frozen=True):
    """One readable picture as the splitter sees it. `fixed` is the split that its folder named, if any."""

    path: str
    label: str
    sha256: str
    fixed: str | None


def contradictions(samples: list[Sample]) -> dict[str, str]:
    """Why pictures must be left out whose very bytes lie in two classes: by path."""
    by_hash: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_hash[sample.sha256].append(sample)
    found = {}
    for same in by_hash.values():
        for sample in same:
            if other := next((s for s in same if s.label != sample.label), None):
                found[sample.path] = f"the same picture is {other.path}, in class {other.label}; keep the right one"
    return found


def near_duplicate_groups(samples: list[Sample], fingerprints: NDArray[np.uint8], *, films: bool = True) -> list[int]:
    """A group number for each sample: equal bytes, or thumbnails (n×256 uint8) closer than NEAR within one class, or, with
    `films`, one stretch of a film.

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
        for group in _joined_in_films(found, samples, fingerprints) if films else found:
            for i in group:
                groups[i] = group[0]
    return groups


def _joined_in_films(found: list[list[int]], samples: list[Sample], fingerprints: NDArray[np.uint8]) -> list[list[int]]:
    """A class's groups, those of one stretch of a film as one. Each folder is looked at by itself: the test pictures may be
    the end of the film that trains."""
    by_folder: dict[tuple[str | None, str], list[list[int]]] = defaultdict(list)
    for group in found:
        by_folder[samples[group[0]].fixed, samples[group[0]].path.rpartition("/")[0]].append(group)
    joined: list[list[int]] = []
    for inside in by_folder.values():
        firsts = [group[0] for group in inside]
        parts = stretches([samples[i].path for i in firsts], fingerprints[firsts])
        if parts is None:
            joined += inside
            continue
        by_stretch: dict[int, list[int]] = defaultdict(list)
        for part, group in zip(parts, inside, strict=True):
            by_stretch[part] += group
        joined += [sorted(group) for group in by_stretch.values()]
    return joined


def _linked(
    members: list[int], samples: list[Sample], fingerprints: NDArray[np.uint8], distance: float
) -> list[list[int]]:
    """Connected components among `members` by equal bytes or near thumbnails."""
    near = _Near(fingerprints[members], distance)
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
            for other in {
                *near.to(here, free).tolist(),
                *(j for j in copies[samples[members[here]].sha256] if free[j]),
            }:
                free[other] = False
                stack.append(other)
        components.append(sorted(component))
    return components


class _Near:
    """Finds near thumbnails (n×256 uint8) without comparing all of each pair: neither the means of two thumbnails nor those of
    their 4×4 parts can be farther apart than the thumbnails are."""

    def __init__(self, prints: NDArray[np.uint8], distance: float) -> None:
        self._prints = prints
        self._distance = distance
        side, part = FINGERPRINT_SIDE // 4, 4
        self._parts = (
            prints.reshape(-1, side, part, side, part).mean(axis=(2, 4), dtype=np.float32).reshape(-1, side * side)
        )
        means = self._parts.mean(axis=1)
        self._order = np.argsort(means, kind="stable")
        self._means = means[self._order]

    def to(self, here: int, free: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The free ones that are nearer than the distance to one of them."""
        mean, reach = self._parts[here].mean(), self._distance + _ROUNDING
        low, high = np.searchsorted(self._means, (mean - reach, mean + reach))
        near = self._order[low:high]
        near = near[free[near]]
        near = near[np.abs(self._parts[near] - self._parts[here]).mean(axis=1) < reach]
        apart = np.abs(self._prints[near].astype(np.float32) - self._prints[here])
        found: NDArray[np.int64] = near[apart.mean(axis=1) < self._distance]
        return found


def divide(samples: list[Sample], groups: list[int], seed: int) -> list[str]:
    """The split of each sample. Folders named train, val and test are respected; what they lack comes from train, a
    class that is missing from val too.

    Raises DatasetError where a class has too few pictures to be in every split that must be drawn.
    """
    splits = [s.fixed or "train" for s in samples]
    by_label: dict[str, list[int]] = defaultdict(list)
    for i, sample in enumerate(samples):
        if splits[i] == "train":
            by_label[sample.label].append(i)
    tested = [] if any(s.fixed for s in samples) else ["test"]
    judged = {s.label for s in samples if s.fixed == "val"}
    labels = {s.label for s in samples}
    if untrained := sorted(labels - by_label.keys()):
        where = sorted({s.fixed for s in samples if s.fixed and s.label in untrained})
        raise DatasetError(
            f"class {', '.join(untrained)} has pictures in {' and '.join(where)} alone; training needs some in the folder train"
        )
    for label in sorted(labels):
        wanted = tested if label in judged else [*tested, "val"]
        for i, split in _draw(label, by_label[label], groups, wanted, seed).items():
            splits[i] = split
    return splits


def carry_over(samples: list[Sample], groups: list[int], known: dict[str, str], seed: int) -> list[str]:
    """The split of each sample where some were divided before (`known`: SHA-256 to split).

    Those stay where they were, and near-duplicates of theirs join them: what trained must never test. The others go
    where their folder says, or are drawn in the usual shares, but first to where their class has none: val, then train.
    """
    of_group = {groups[i]: known[s.sha256] for i, s in enumerate(samples) if s.sha256 in known}
    splits = [known.get(s.sha256) or of_group.get(groups[i]) or s.fixed for i, s in enumerate(samples)]
    fresh: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, sample in enumerate(samples):
        if splits[i] is None:
            fresh[sample.label][groups[i]].append(i)
    for label in sorted({s.label for s in samples}):
        by_group = fresh[label]
        order = sorted(by_group)
        random.Random(f"{seed} {label} later").shuffle(order)
        there = {split for s, split in zip(samples, splits, strict=True) if s.label == label}
        lacking = [split for split in ("val", "train") if split not in there]
        total, placed = sum(map(len, by_group.values())), 0
        for n, group in enumerate(order):
            split = lacking[n] if n < len(lacking) else _by_share((placed + 0.5) / total)
            placed += len(by_group[group])
            for i in by_group[group]:
                splits[i] = split
    return [split or "train" for split in splits]


def require_train_and_val(samples: list[Sample], splits: list[str]) -> None:
    """Raises DatasetError where a class has no picture to learn from, or none to judge by while it learns."""
    there = {(s.label, split) for s, split in zip(samples, splits, strict=True)}
    for label in sorted({s.label for s in samples}):
        for split in ("train", "val"):
            if (label, split) not in there:
                raise DatasetError(
                    f"class {label!r} has no picture in {split}: the earlier run had its pictures elsewhere, and there they stay; add new ones"
                )


def _by_share(place: float) -> str:
    """The split at a place from 0 to 1 among the drawn ones."""
    for split, share in SHARES.items():
        if place < share:
            return split
        place -= share
    return "train"


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
        taken = 0
        while taken < wanted and len(order) > len(drawn) - position:
            for i in by_group[order.pop()]:
                chosen[i] = split
                taken += 1
    return chosen


def calibrating(samples: list[Sample], groups: list[int], splits: list[str], seed: int) -> list[bool]:
    """Which pictures of train calibrate too: a share of each class, drawn, as different as there are. None of a class that a
    folder named calibration has pictures of."""
    apart = {s.label for s, split in zip(samples, splits, strict=True) if split == "calibration"}
    trained: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, sample in enumerate(samples):
        if splits[i] == "train" and sample.label not in apart:
            trained[sample.label][groups[i]].append(i)
    chosen: set[int] = set()
    for label, by_group in trained.items():
        members = sum(map(len, by_group.values()))
        wanted = max(round(CALIBRATING * members), math.ceil(LEAST_CALIBRATING / len(trained)))
        most = math.ceil(MAX_CALIBRATION / len(trained))
        order = _in_turns(list(by_group.values()), random.Random(f"{seed} {label} calibrating"))
        chosen.update(order[: min(wanted, most)])
    return [i in chosen for i in range(len(samples))]


def _in_turns(groups: list[list[int]], draw: random.Random) -> list[int]:
    """One of each group, then a second of each that has so many, and so on."""
    mixed = [draw.sample(group, len(group)) for group in draw.sample(groups, len(groups))]
    return [group[turn] for turn in range(max(map(len, groups))) for group in mixed if turn < len(group)]
