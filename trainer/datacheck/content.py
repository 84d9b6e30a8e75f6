"""Findings that need no model: unreadable files, copies, leakage, imbalance, odd ones out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from edgetl.trainer.datacheck.facts import PictureFacts
from edgetl.trainer.datacheck.finding import Finding

FEW = 20  # pictures of a class; below, its recall on a 15 % test split has an interval wider than 50 points
LOPSIDED = 5.0  # times as many pictures in the largest class as in the smallest
ODD = 6.0  # robust standard deviations from the median; for a normal distribution one in 500 million

_SPREAD = {"brightness": "brightness", "contrast": "contrast", "sharpness": "sharpness"}


def unreadable(passed_over: dict[str, str]) -> Iterator[Finding]:
    """Files that training passes over."""
    if passed_over:
        first = next(iter(passed_over.items()))
        yield Finding(
            kind="unreadable", severity="warning",
            message=f"{len(passed_over)} files cannot be used, first {first[0]}: {first[1]}",
            advice="replace or remove them; training passes them over",
            pictures=tuple(passed_over),
        )  # fmt: skip


def copies(facts: list[PictureFacts]) -> Iterator[Finding]:
    """Equal files: under two labels they contradict each other, in two splits they leak, else they only count twice."""
    by_hash: dict[str, list[PictureFacts]] = defaultdict(list)
    for fact in facts:
        by_hash[fact.sha256].append(fact)
    groups = [group for group in by_hash.values() if len(group) > 1]
    contradicting = [g for g in groups if len({f.label for f in g}) > 1]
    leaking = [g for g in groups if len({f.split for f in g}) > 1 and g not in contradicting]
    plain = [g for g in groups if g not in contradicting and g not in leaking]
    if contradicting:
        yield _grouped(
            "contradicting-labels", "error", contradicting, "pictures lie in two classes",
            "decide which class is right and remove the other copy",
        )  # fmt: skip
    if leaking:
        yield _grouped(
            "leakage", "error", leaking, "pictures lie in more than one split",
            "keep them in one: accuracy on a picture that trained says nothing",
        )  # fmt: skip
    if plain:
        yield _grouped("copies", "note", plain, "pictures have exact copies", "remove the copies; they only weigh more")


def near_copies(facts: list[PictureFacts], groups: list[int]) -> Iterator[Finding]:
    """Near-duplicates (`groups` as the splitter finds them) that the data set's own folders put on two sides."""
    together: dict[int, list[PictureFacts]] = defaultdict(list)
    for fact, group in zip(facts, groups, strict=True):
        together[group].append(fact)
    apart = [g for g in together.values() if len({f.split for f in g}) > 1 and len({f.sha256 for f in g}) == len(g) > 1]
    if apart:
        yield _grouped(
            "near-leakage", "warning", apart, "pictures have a near-duplicate in another split",
            "split by part, by film or by day, so that neighbours stay together",
        )  # fmt: skip


def near_contradictions(facts: list[PictureFacts], near: list[list[int]]) -> Iterator[Finding]:
    """Near copies that lie in two classes; `near`: sets of numbers of pictures."""
    if near:
        yield _grouped(
            "near-contradiction", "warning", [[facts[i] for i in group] for group in near],
            "pictures have a near copy in another class",
            "look at them: if they show the same part, decide which class is right and remove the other copy",
        )  # fmt: skip


def _grouped(kind: str, severity: str, groups: list[list[PictureFacts]], what: str, advice: str) -> Finding:
    listed = tuple(tuple(f.path for f in group) for group in groups)
    return Finding(
        kind=kind, severity=severity, advice=advice,  # type: ignore[arg-type]
        message=f"{len(listed)} {what}, first {' = '.join(listed[0][:2])}",
        pictures=tuple(path for group in listed for path in group),
        groups=listed,
    )  # fmt: skip


def balance(facts: list[PictureFacts]) -> Iterator[Finding]:
    """Classes with too few pictures, and a lopsided set."""
    counts = Counter(f.label for f in facts)
    few = [f"{label} ({n})" for label, n in sorted(counts.items()) if n < FEW]
    if few:
        yield Finding(
            kind="few-pictures", severity="warning",
            message=f"fewer than {FEW} pictures: {', '.join(few)}",
            advice="collect more; a recall measured on so few has an interval too wide to decide on",
        )  # fmt: skip
    most, least = max(counts, key=lambda k: counts[k]), min(counts, key=lambda k: counts[k])
    if counts[most] > LOPSIDED * counts[least]:
        yield Finding(
            kind="imbalance", severity="note",
            message=f"{most} has {counts[most]} pictures, {least} has {counts[least]}",
            advice="training weighs classes alike, so this costs nothing but certainty about the small class",
        )  # fmt: skip


def odd_ones(facts: list[PictureFacts]) -> Iterator[Finding]:
    """Pictures far from the rest of their class in brightness, contrast or sharpness, and mixed picture sizes."""
    for name, word in _SPREAD.items():
        far = _far(facts, name)
        if far:
            yield Finding(
                kind=f"odd-{name}", severity="note",
                message=f"{len(far)} pictures are far from their class in {word}",
                advice="look at them: a covered lens, a missed exposure, another camera",
                pictures=tuple(far),
            )  # fmt: skip
    shapes = Counter((f.width, f.height) for f in facts)
    if len(shapes) > 1:
        listed = ", ".join(f"{w}×{h} ({n})" for (w, h), n in shapes.most_common(4))
        yield Finding(
            kind="sizes", severity="note", message=f"{len(shapes)} picture sizes: {listed}",
            advice="a line has one camera; pictures of other shapes are squashed differently",
        )  # fmt: skip


def _far(facts: list[PictureFacts], name: str) -> list[str]:
    found: list[tuple[float, str]] = []
    for label in sorted({f.label for f in facts}):
        members = [f for f in facts if f.label == label]
        # Sharpness is a variance: its logarithm is what spreads evenly.
        values = np.array([np.log1p(f.figures[name]) if name == "sharpness" else f.figures[name] for f in members])
        middle = np.median(values)
        width = 1.4826 * np.median(np.abs(values - middle))  # of a normal distribution, this is its deviation
        for value, fact in zip(values, members, strict=True):
            if width > 0 and abs(value - middle) / width > ODD:
                found.append((abs(value - middle) / width, fact.path))
    return [path for _, path in sorted(found, reverse=True)]
