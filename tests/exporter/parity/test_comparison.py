"""What a comparison says of answers whose differences are known."""

from __future__ import annotations

import numpy as np
import pytest

from edgetl.exporter.parity.comparison import compare, logit_error
from edgetl.runtime.decision import DecisionRule

RULE = DecisionRule(labels=("good", "scratch", "dent"), ok_labels=("good",), min_score=0.5)
# Sure good, doubtful good, sure scratch, dent taken for scratch, flat
NETWORK = np.float32([[9, 0, 0], [1.0, 0.9, -3], [0, 9, 0], [0, 3, 2.5], [0.1, 0, 0]])
TRUTHS = ["good", "good", "scratch", "dent", "good"]
NAMES = ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]


def compared(logits: np.ndarray):  # type: ignore[no-untyped-def]
    return compare(NETWORK, np.float32(logits), NAMES, TRUTHS, RULE)


def test_equal_answers_have_no_flip_and_no_error() -> None:
    found = compared(NETWORK)
    assert (found.same, found.flips, found.unsure) == (5, (), 0)
    assert (found.logit_error.max_abs, found.logit_error.snr_db) == (0.0, 200.0)
    assert found.balanced_accuracy == found.float_balanced_accuracy == pytest.approx(2 / 3)
    assert all(a == b and not changed for a, b, changed in found.margins)


def test_every_kind_of_flip_is_told_apart() -> None:
    changed = NETWORK.copy()
    changed[1] = [0.9, 1.0, -3]  # right, now wrong
    changed[3] = [0, 2.5, 3]  # wrong, now right
    found = compared(changed)
    assert [(f.picture, f.kind, f.float_said.label, f.said.label) for f in found.flips] == [
        ("b.jpg", "lost", "good", "scratch"), ("d.jpg", "gained", "scratch", "dent"),
    ]  # fmt: skip
    changed[3] = [5, 0, 0]  # wrong both times
    assert [f.kind for f in compared(changed).flips] == ["lost", "moved"]
    assert compared(changed).count("moved") == 1


def test_sureness_that_changes_is_no_flip_but_counted() -> None:
    changed = NETWORK.copy()
    changed[1] = [1.0, -3, -3]  # the same label, now sure of it
    found = compared(changed)
    assert (found.flips, found.unsure, found.same) == ((), 0, 5)
    changed[4] = [5, 0, 0]  # was UNKNOWN
    assert compared(changed).unsure == 1


def test_classes_count_what_each_found() -> None:
    changed = NETWORK.copy()
    changed[1] = [0.9, 1.0, -3]
    rows = {c.label: (c.pictures, c.found_by_float, c.found, c.flips) for c in compared(changed).by_class}
    assert rows == {"good": (3, 3, 2, 1), "scratch": (1, 1, 1, 0), "dent": (1, 0, 0, 0)}


def test_margin_below_zero_is_a_changed_label() -> None:
    changed = NETWORK + np.float32([[0, 0, 0], [0, 0.3, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]])
    found = compared(changed)
    assert found.margins[0] == (9.0, 9.0, False)
    assert found.margins[1] == (pytest.approx(0.1, abs=1e-4), pytest.approx(-0.2, abs=1e-4), True)
    below = [name for name, (_, lead, _) in zip(NAMES, found.margins, strict=True) if lead < 0]
    assert below == [flip.picture for flip in found.flips] and found.ties == 0


def test_equal_outputs_that_lose_the_label_are_ties() -> None:
    changed = NETWORK.copy()
    changed[2] = [3, 3, 0]  # the network's label is the second of two equal ones
    found = compared(changed)
    assert (len(found.flips), found.ties, found.margins[2][1:]) == (1, 1, (0.0, True))


def test_logit_error_of_a_known_difference() -> None:
    wanted = np.full((10, 2), 2.0, np.float32)
    found = wanted.copy()
    found[0, 0] += 0.2
    error = logit_error(wanted, found)
    assert (error.mean_abs, error.max_abs) == (pytest.approx(0.01), pytest.approx(0.2))
    assert error.snr_db == pytest.approx(10 * np.log10(4 / (0.04 / 20)), abs=0.01)


def test_one_label_alone_has_no_margin() -> None:
    rule = DecisionRule(labels=("good",), ok_labels=("good",))
    found = compare(np.float32([[1], [2]]), np.float32([[1], [2]]), ["a", "b"], ["good", "good"], rule)
    assert found.margins == () and found.same == 2
