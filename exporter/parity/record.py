"""What a parity report says, as it stands in parity.json."""

from __future__ import annotations

import msgspec

from edgetl.exporter.targets import Fit
from edgetl.runtime.answers import Machine
from edgetl.runtime.metrics import Interval
from edgetl.runtime.proof import Proof

HERE = "here"


class Said(msgspec.Struct, frozen=True):
    """A decision with its score."""

    verdict: str
    label: str
    score: float


class Flip(msgspec.Struct, frozen=True, kw_only=True):
    """A picture on which a model's label is not the network's. `kind`: `lost` (right, now wrong), `gained` (wrong, now
    right) or `moved` (wrong both times)."""

    picture: str
    truth: str
    float_said: Said
    said: Said
    kind: str


class LogitError(msgspec.Struct, frozen=True):
    """Differences to the network's logits. `snr_db`: ten times the logarithm of the network's power over theirs."""

    mean_abs: float
    p99_abs: float
    max_abs: float
    snr_db: float


class ClassParity(msgspec.Struct, frozen=True):
    """One class: its pictures, how many each found, and how many labels changed."""

    label: str
    pictures: int
    found_by_float: int
    found: int
    flips: int


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One model's answers beside the network's, on the same pictures. `unsure`: same label, but one of the two
    decisions is UNKNOWN. `expected_percent`: changed labels if any picture met the rounding of any other, None where the count
    tells or there are no logits. `ties`: changed labels whose two best outputs are equal. `margins`: for each picture the
    network's lead of its best label over the second, and the lead of the same label in the model's answer, and whether the label
    changed (at a lead of zero, outputs tie)."""

    pictures: int
    same: int
    same_interval: Interval
    unsure: int
    expected_percent: float | None = None
    balanced_accuracy: float
    float_balanced_accuracy: float
    logit_error: LogitError
    by_class: tuple[ClassParity, ...]
    flips: tuple[Flip, ...]
    ties: int
    margins: tuple[tuple[float, float, bool], ...]

    def count(self, kind: str) -> int:
        """How many flips are of that kind."""
        return sum(flip.kind == kind for flip in self.flips)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One model in one library on one machine. `ships`: this is what edgetl runs on a device."""

    model: str
    interpreter: str
    version: str
    kernels: str
    machine: str
    ships: bool
    median_ms: float
    comparison: Comparison | None
    error: str | None = None


class Equality(msgspec.Struct, frozen=True, kw_only=True):
    """One model's stored outputs in two places. `equal` of `outputs` agree to the bit, the others differ by at most
    `max_step`; `decisions_differ` counts pictures."""

    model: str
    kernels: str
    first: str
    second: str
    pictures: int
    outputs: int
    equal: int
    max_step: float
    decisions_differ: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in a parity report. `notes` are findings in words; `failures` are what made it fail, if anything."""

    bundle: str
    name: str
    run: str
    backbone: str
    created: str
    splits: dict[str, int]
    labels: tuple[str, ...]
    max_flips: float
    machines: dict[str, Machine]
    rows: tuple[Row, ...]
    equalities: tuple[Equality, ...]
    proofs: tuple[Proof, ...]
    fits: tuple[Fit, ...]
    notes: tuple[str, ...]
    failures: tuple[str, ...]
    tools: dict[str, str]
