"""What is compared: one backbone trained in one way."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

Way = Literal["probe", "full", "scratch", "tuned"]

# Settings that a sweep searches, as flags of `edgetl train`: from, to, and whether on a logarithmic scale.
SEARCHED: dict[str, tuple[float, float, bool]] = {
    "--lr": (1e-4, 1e-2, True),
    "--weight-decay": (1e-3, 0.2, True),
    "--label-smoothing": (0.0, 0.2, False),
    "--mixup": (0.0, 0.4, False),
}


class Candidate(msgspec.Struct, frozen=True, order=True):
    """A backbone by its plain or timm's name, and how it is trained: a head alone, by `--recipe auto`, from nothing, or
    from `auto` on with `flags` that a sweep drew."""

    model: str
    way: Way
    flags: tuple[tuple[str, float], ...] = ()

    @property
    def name(self) -> str:
        """Where it lies in the comparison's folder, and how it is called in tables."""
        drawn = "".join(f",{flag.lstrip('-')}={value:.4g}" for flag, value in self.flags)
        return f"{re.sub(r'[^A-Za-z0-9._-]', '_', self.model)},{self.way}{drawn}"


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """A finished training: balanced accuracy on val, by which candidates are chosen, and its seconds."""

    candidate: Candidate
    val: float
    seconds: float
    recipe: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a candidate. Accuracies are balanced, of the int8 file, the interval at 95 %; `latency_ms` is p50 of one
    inference here, `bytes` the size of the TFLite file. `trouble` says why figures are missing."""

    candidate: Candidate
    recipe: str = ""
    val: float | None = None
    test: float | None = None
    low: float | None = None
    high: float | None = None
    pictures: int = 0
    rung: str = ""
    latency_ms: float | None = None
    interpreter: str = ""
    threads: int = 0
    bytes: int | None = None
    train_s: float | None = None
    trouble: str = ""

    @property
    def trained(self) -> bool:
        """Whether its training came to the end."""
        return self.train_s is not None

    @property
    def complete(self) -> bool:
        """Whether it can be ranked."""
        return None not in (self.val, self.latency_ms, self.bytes)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a comparison was asked. `weights`: by model, and under an empty name for all others. `finalists`: how many of the
    best probes are trained fully. `sweep`: how many settings are tried for the best of them."""

    data: str
    models: tuple[str, ...]
    weights: dict[str, str] = {}
    finalists: int = 2
    sweep: int = 0
    imgsz: int = 224
    epochs: int | None = None
    seed: int = 0
    ok: tuple[str, ...] = ()

    def weights_of(self, model: str) -> str:
        """What `--weights` takes for a model."""
        return self.weights.get(model, self.weights.get("", "auto"))

    def flags(self, candidate: Candidate) -> list[str]:
        """The flags of `edgetl train` for a candidate."""
        recipe = {"probe": "probe", "scratch": "scratch"}.get(candidate.way, "auto")
        weights = "none" if candidate.way == "scratch" else self.weights_of(candidate.model)
        flags = ["--data", self.data, "--model", candidate.model, "--weights", weights, "--recipe", recipe]
        flags += ["--imgsz", str(self.imgsz), "--seed", str(self.seed)]
        flags += [] if self.epochs is None or candidate.way == "probe" else ["--epochs", str(self.epochs)]
        flags += [word for label in self.ok for word in ("--ok", label)]
        return flags + [word for flag, value in candidate.flags for word in (flag, f"{value:.6g}")]
