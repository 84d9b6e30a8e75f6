"""Checks a bundle where it will run: integrity, preprocessing to the bit, and the golden set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from edgetl.errors import BundleFormatError
from edgetl.runtime.bundle import Bundle, open_bundle
from edgetl.runtime.golden import Replay, golden_inputs, read_golden, replay_all
from edgetl.runtime.proof import Proof, prove, read_proofs, refusal


class Verification(msgspec.Struct, kw_only=True):
    """What was checked. `changed_inputs`: golden pictures that this machine preprocesses differently; `proofs`: what
    the int8 models say of themselves, read again from their bytes."""

    bundle: str
    name: str
    labels: tuple[str, ...]
    files: int
    golden_pictures: int
    proofs: list[Proof]
    changed_inputs: list[str]
    replays: list[Replay]
    passed: bool
    reason: str | None


def verify(path: Path) -> Verification:
    """Opens a bundle (which checks names, sizes and hashes) and replays its golden set. Raises BundleError."""
    with open_bundle(path) as bundle:
        proofs = check_proofs(bundle)
        golden = read_golden(bundle)
        images, changed = golden_inputs(bundle, golden)
        replays = replay_all(bundle, golden, images)
        reason = golden_trouble(changed, replays)
        return Verification(
            bundle=str(path),
            name=bundle.manifest.name,
            labels=bundle.manifest.rule.labels,
            files=len(bundle.manifest.files) + 1,
            golden_pictures=len(golden.pictures),
            proofs=proofs,
            changed_inputs=changed,
            replays=replays,
            passed=reason is None,
            reason=reason,
        )


def check_proofs(bundle: Bundle) -> list[Proof]:
    """Proves every model again that the bundle carries a proof of. Raises BundleFormatError where they differ."""
    recorded, manifest = read_proofs(bundle), bundle.manifest
    known = {m.path: m for m in manifest.models}
    found = []
    for expected in recorded.models if recorded is not None else ():
        where = f"{bundle.path}: {expected.model}"
        if expected.model not in known:
            raise BundleFormatError(f"{where} is proved but is no model of this bundle; export the run again")
        model = known[expected.model]
        proof = prove(bundle.read(model.path), model.format, model.path, model.precision)
        features = manifest.detector.values if manifest.detector is not None else 0
        reason = refusal(proof, manifest.rule.labels, manifest.preprocessing.size, features)
        if reason or proof != expected:
            raise BundleFormatError(
                f"{where}: {reason or 'it is not the model that was proved at export'}; export again"
            )
        found.append(proof)
    return found


def golden_trouble(changed: Sequence[str], replays: Sequence[Replay]) -> str | None:
    """Why a replayed golden set speaks against the bundle, every changed verdict listed, or None."""
    if changed:
        return f"{len(changed)} golden pictures are preprocessed differently here, first {changed[0]}"
    if not replays:
        return "no interpreter is installed to replay the golden set; run: pip install 'edgetl[device]'"
    for item in replays:
        if not item.passed:
            detail = "; ".join(item.flips) if item.flips else f"outputs differ by up to {item.max_step:g} steps"
            return f"{item.model} in {item.interpreter} ({item.kernels} kernels): {detail}"
    return None
