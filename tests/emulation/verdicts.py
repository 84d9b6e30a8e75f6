"""What the int8 models of a bundle answer on arm64 and here: `python -m tests.emulation.verdicts RUN BUNDLE OUT`.

Asked about the golden pictures, with all kernels, and about pictures of the test split, with those that a device runs.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from edgetl.exporter.calibration import pictures_of
from edgetl.exporter.golden import candidates
from edgetl.exporter.parity.asking import Elsewhere, ask_elsewhere, models_of, read_inputs
from edgetl.runtime.answers import Answer, Answers, Questions, answer_all
from edgetl.runtime.bundle import Bundle, open_bundle
from edgetl.runtime.decision import decide
from edgetl.runtime.golden import golden_inputs, read_golden
from edgetl.runtime.interpreters.base import Quantization
from edgetl.runtime.proof import read_proofs
from edgetl.trainer.run_folder import read_run
from tests.emulation.chroot import ChrootDevice

TEST_PICTURES = 60


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One model in one library with the same kernels, there and here. `equal` of `outputs` values agree to the bit;
    `logit_mean` and `logit_max` are how far the logits lie apart; `flips`: pictures with another verdict or label."""

    asked: str
    model: str
    interpreter: str
    kernels: str
    pictures: int
    outputs: int
    equal: int
    logit_mean: float
    logit_max: float
    flips: int


def pairs(bundle: Bundle, asked: str, there: Answers, here: Answers) -> Iterator[Pair]:
    """Each answer of one machine beside the other's."""
    known = {(a.model, a.interpreter, a.kernels): a for a in here.answers}
    for a in there.answers:
        b = known[(a.model, a.interpreter, a.kernels)]
        if a.error or b.error:
            raise RuntimeError(a.error or b.error)
        one, two = _logits(bundle, a), _logits(bundle, b)
        apart = np.abs(one.astype(np.float64) - two)
        said = [
            [(d.verdict, d.label) for d in (decide(row, bundle.manifest.rule) for row in rows)] for rows in (one, two)
        ]
        yield Pair(
            asked=asked, model=a.model, interpreter=a.interpreter, kernels=a.kernels, pictures=len(one),
            outputs=one.size, equal=int((a.outputs() == b.outputs()).sum()), logit_mean=float(apart.mean()),
            logit_max=float(apart.max()), flips=sum(x != y for x, y in zip(*said, strict=True)),
        )  # fmt: skip


def _logits(bundle: Bundle, answer: Answer) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    recorded = read_proofs(bundle)
    assert recorded is not None
    port = next(proof.output for proof in recorded.models if proof.model == answer.model)
    outputs = answer.outputs()
    return Quantization(0.0 if outputs.dtype == np.float32 else port.step, port.zero).dequantize(outputs)


def compare(run: Path, path: Path, device: ChrootDevice, folder: Path) -> list[Pair]:
    """Asks both machines. Raises RuntimeError where a model does not run, ExportError where the device does not answer."""
    place = Elsewhere("arm64", (str(device.runner(folder / "arm64")),))
    found: list[Pair] = []
    trained = read_run(run)
    data = Path(trained.settings.data)
    tested = candidates(pictures_of(trained, "test", data))[:TEST_PICTURES]
    with open_bundle(path) as bundle:
        int8 = {m.path for m in bundle.manifest.models if m.precision == "int8"}
        every = tuple(model for model in models_of(bundle) if model.name in int8)
        golden, changed = golden_inputs(bundle, read_golden(bundle))
        if changed:
            raise RuntimeError(f"{path}: golden pictures are preprocessed otherwise here: {changed}")
        fast = tuple(msgspec.structs.replace(model, kernels=("fast",)) for model in every)
        sets = (
            ("golden set", every, np.stack(golden)),
            ("test split", fast, read_inputs(trained, data, tested)),
        )
        for name, models, images in sets:
            questions = Questions(models, images.shape[1], images.tobytes(), len(images))
            found += pairs(bundle, name, ask_elsewhere(place, questions), answer_all(questions))
    return found


def main() -> int:
    """Writes verdicts.json and prints the table; exit code 1 if reference kernels differ at all."""
    run, bundle, out = map(Path, sys.argv[1:4])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        found = compare(run, bundle, ChrootDevice(Path(scratch) / "device"), Path(scratch))
    (out / "verdicts.json").write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))
    print("| pictures | model | library | kernels | flips | outputs equal to the bit | logits apart, mean and most |")
    print("| --- | --- | --- | --- | ---: | ---: | ---: |")
    for p in found:
        print(f"| {p.pictures} of the {p.asked} | {p.model} | {p.interpreter} | {p.kernels} | {p.flips} "
              f"| {p.equal} of {p.outputs} | {p.logit_mean:.4f}, {p.logit_max:.4f} |")  # fmt: skip
    exact = [p for p in found if p.kernels == "reference" and p.interpreter != "onnxruntime"]
    return 0 if exact and all(p.equal == p.outputs for p in exact) else 1


if __name__ == "__main__":
    sys.exit(main())
