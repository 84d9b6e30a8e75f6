"""Checks a bundle where it will run: integrity, preprocessing to the bit, and the golden set."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.golden import Replay, golden_inputs, read_golden, replay_all


class Verification(msgspec.Struct, kw_only=True):
    """What was checked. `changed_inputs`: golden pictures that this machine preprocesses differently."""

    bundle: str
    name: str
    labels: tuple[str, ...]
    files: int
    golden_pictures: int
    changed_inputs: list[str]
    replays: list[Replay]
    passed: bool
    reason: str | None


def verify(path: Path) -> Verification:
    """Opens a bundle (which checks names, sizes and hashes) and replays its golden set. Raises BundleError."""
    with open_bundle(path) as bundle:
        golden = read_golden(bundle)
        images, changed = golden_inputs(bundle, golden)
        replays = replay_all(bundle, golden, images)
        reason = _reason(changed, replays)
        return Verification(
            bundle=str(path),
            name=bundle.manifest.name,
            labels=bundle.manifest.rule.labels,
            files=len(bundle.manifest.files) + 1,
            golden_pictures=len(golden.pictures),
            changed_inputs=changed,
            replays=replays,
            passed=reason is None,
            reason=reason,
        )


def _reason(changed: list[str], replays: list[Replay]) -> str | None:
    if changed:
        return f"{len(changed)} golden pictures are preprocessed differently here, first {changed[0]}"
    if not replays:
        return "no interpreter is installed to replay the golden set; run: pip install 'edgetl[device]'"
    for item in replays:
        if not item.passed:
            detail = item.flips[0] if item.flips else f"outputs differ by up to {item.max_step:g} steps"
            return f"{item.model} in {item.interpreter} ({item.kernels} kernels): {detail}"
    return None
