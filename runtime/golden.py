"""The golden set: real pictures in the bundle with what each model gave for them at export, replayed where it runs."""

from __future__ import annotations

import hashlib

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.errors import BundleFormatError
from edgetl.runtime.bundle import Bundle
from edgetl.runtime.decision import decide
from edgetl.runtime.interpreters.base import OpenedModel
from edgetl.runtime.interpreters.registry import available
from edgetl.runtime.interpreters.scoring import open_model
from edgetl.runtime.manifest import GOLDEN_NAME, ModelRecord
from edgetl.runtime.picture import decode
from edgetl.runtime.preprocess import Image, preprocess

MOST_OUTPUTS = 1024  # kept of one picture; more than the labels of any classifier we know


class Expected(msgspec.Struct, frozen=True):
    """What one model file gave for one picture: stored outputs under reference kernels, and the decision.

    Of feature maps only evenly spread values are kept as `outputs`; `digest` is the SHA-256 of all of them.
    """

    outputs: tuple[float, ...]
    label: str
    verdict: str
    digest: str | None = None


class GoldenPicture(msgspec.Struct, frozen=True):
    """One picture of the golden set. `input_sha256` is of the preprocessed pixels; `models` is keyed by path."""

    path: str
    truth: str
    input_sha256: str
    models: dict[str, Expected]


class GoldenSet(msgspec.Struct, frozen=True):
    """All pictures of the golden set."""

    pictures: tuple[GoldenPicture, ...]


class Replay(msgspec.Struct, kw_only=True):
    """One model file replayed through one interpreter. `max_step`: the largest difference of a stored output."""

    model: str
    interpreter: str
    kernels: str
    pictures: int
    exact: int
    max_step: float
    flips: list[str]
    passed: bool


def read_golden(bundle: Bundle) -> GoldenSet:
    """The bundle's golden set. Raises BundleFormatError."""
    try:
        golden = msgspec.json.decode(bundle.read(GOLDEN_NAME), type=GoldenSet)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BundleFormatError(f"{bundle.path}: {GOLDEN_NAME} is not valid: {error}") from error
    if not golden.pictures:
        raise BundleFormatError(f"{bundle.path}: the golden set is empty; export the run again")
    return golden


def input_hash(image: Image) -> str:
    """SHA-256 of a model input's pixels."""
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()


def golden_inputs(bundle: Bundle, golden: GoldenSet) -> tuple[list[Image], list[str]]:
    """The preprocessed pictures, and the paths of those whose pixels differ from the ones at export."""
    images, changed = [], []
    for picture in golden.pictures:
        frame = decode(bundle.read(picture.path), picture.path)
        image = preprocess(frame, bundle.manifest.preprocessing)
        images.append(image)
        if input_hash(image) != picture.input_sha256:
            changed.append(picture.path)
    return images, changed


def replay(bundle: Bundle, golden: GoldenSet, images: list[Image], interpreter: OpenedModel) -> Replay:
    """Compares one interpreter's answers with the golden ones.

    With a TFLite file's reference kernels they must be equal to the bit, since those are the same on x86 and arm64
    and in both libraries; with fast kernels (in onnxruntime, and where a part computes in float) the decisions must
    agree.
    """
    info = interpreter.info
    exact, max_step, flips = 0, 0.0, []
    for picture, image in zip(golden.pictures, images, strict=True):
        expected = picture.models.get(info.model)
        if expected is None:
            raise BundleFormatError(f"{bundle.path}: {picture.path} has no golden answer of {info.model}; export again")
        raw = interpreter.raw(image)
        step = _largest(sampled(raw), expected.outputs)
        exact += step == 0.0 and digest_of(raw) == expected.digest
        max_step = max(max_step, step)
        decision = decide(interpreter.logits_of(raw), bundle.manifest.rule)
        if (decision.label, decision.verdict) != (expected.label, expected.verdict):
            flips.append(
                f"{picture.path}: {expected.verdict} {expected.label} is now {decision.verdict} {decision.label}"
            )
    in_float = {m.path for m in bundle.manifest.models if m.precision in ("mixed", "float16")}
    to_the_bit = info.kernels == "reference" and info.name != "onnxruntime" and info.model not in in_float
    passed = exact == len(images) if to_the_bit else not flips
    return Replay(
        model=info.model, interpreter=info.name, kernels=info.kernels, pictures=len(images), exact=exact,
        max_step=max_step, flips=flips, passed=passed,
    )  # fmt: skip


def sampled(outputs: NDArray[np.generic]) -> NDArray[np.generic]:
    """All outputs of a classifier; of feature maps some, evenly spread."""
    return outputs[:: -(-outputs.size // MOST_OUTPUTS)]


def digest_of(outputs: NDArray[np.generic]) -> str | None:
    """What stands for outputs that are not all kept; None where they are."""
    return hashlib.sha256(outputs.tobytes()).hexdigest() if outputs.size > MOST_OUTPUTS else None


def _largest(found: NDArray[np.generic], expected: tuple[float, ...]) -> float:
    wanted = np.asarray(expected, np.float64)
    if found.shape != wanted.shape:
        return float("inf")
    return float(np.abs(found.astype(np.float64) - wanted).max())


def replay_all(bundle: Bundle, golden: GoldenSet, images: list[Image]) -> list[Replay]:
    """Replays every quantized model through every interpreter installed here, reference kernels first."""
    replays = []
    for record in bundle.manifest.models:
        if record.precision == "float32":
            continue
        for name in available(record.format):
            replays += _replay_both(bundle, golden, images, name, record)
    return replays


def _replay_both(
    bundle: Bundle, golden: GoldenSet, images: list[Image], name: str, record: ModelRecord
) -> list[Replay]:
    reference = open_model(bundle, record, name, 1, "reference")
    fast = open_model(bundle, record, name, 1, "fast")
    return [replay(bundle, golden, images, interpreter) for interpreter in (reference, fast)]
