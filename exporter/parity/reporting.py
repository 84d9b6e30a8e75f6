"""Makes a parity report: asks everybody, compares every answer with the trained network's, and judges."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgetl.errors import ExportError
from edgetl.exporter.calibration import pictures_of, require_own
from edgetl.exporter.golden import candidates
from edgetl.exporter.ladder.gate import allowed, bearable
from edgetl.exporter.parity import asking
from edgetl.exporter.parity.asking import SIGNED, Elsewhere, is_exact
from edgetl.exporter.parity.comparison import Logits, compare
from edgetl.exporter.parity.record import HERE, Equality, Report, Row
from edgetl.exporter.targets import Fit, fit, load_target, target_names
from edgetl.runtime.anomaly import Detector
from edgetl.runtime.answers import Answer, Answers, Machine, Model, Questions, answer_all, asked_here
from edgetl.runtime.bundle import Bundle
from edgetl.runtime.decision import decide
from edgetl.runtime.interpreters.base import Quantization
from edgetl.runtime.interpreters.registry import INTERPRETERS
from edgetl.runtime.interpreters.scoring import detector_of
from edgetl.runtime.manifest import Manifest
from edgetl.runtime.proof import Proof, prove
from edgetl.runtime.timestamp import utc_now
from edgetl.trainer.progress import Reporter
from edgetl.trainer.run_folder import Run, SplitRecord

REFERENCE_PICTURES = 12  # as many as a golden set has; with them every output of a model must agree


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """What to compare on and where. `max_flips` in percent of the labels; `most_elsewhere` pictures go to each other
    place, since a device is slower than a workstation."""

    data: Path
    splits: tuple[str, ...] = ("val", "test")
    elsewhere: tuple[Elsewhere, ...] = ()
    most_elsewhere: int = 60
    max_flips: float = 2.0


class Asked(msgspec.Struct, frozen=True):
    """The pictures in the order in which they were asked, with what the trained network gave (pictures×labels)."""

    pictures: list[SplitRecord]
    network: Logits

    def first(self, count: int) -> Asked:
        """The first of them."""
        return Asked(self.pictures[:count], self.network[:count])


def make_report(run: Run, bundle: Bundle, choices: Choices, reporter: Reporter) -> Report:
    """The report of one bundle and the run it came from. Raises ExportError, BundleError."""
    manifest = bundle.manifest
    _check_lineage(run, manifest)
    pictures = _pictures(run, choices)
    models = asking.models_of(bundle)
    images = asking.read_inputs(run, choices.data, pictures)
    questions = Questions(models, manifest.preprocessing.size, images.tobytes(), REFERENCE_PICTURES)
    asked = Asked(pictures, asking.ask_network(run, choices.data, images, reporter))
    reporter.begin("models", len(asked_here(questions)))
    places = {HERE: answer_all(questions, reporter.advance)}
    for place in choices.elsewhere:
        reporter.say(f"asking {place.name}")
        few = msgspec.structs.replace(questions, pixels=images[: choices.most_elsewhere].tobytes())
        places[place.name] = asking.ask_elsewhere(place, few)
    said = {m.path: m.precision for m in manifest.models}
    proofs = tuple(prove(m.data, m.format, m.name, said[m.name.removesuffix(SIGNED)]) for m in models)
    return _report(run, bundle, choices, asked, places, proofs, _fits(models, proofs))


def _check_lineage(run: Run, manifest: Manifest) -> None:
    """Refuses another run, and the same folder after it was trained anew. Raises ExportError."""
    record, came_from = run.record, manifest.lineage
    differing = {
        "labels": record.rule.labels != manifest.rule.labels,
        "preprocessing": record.preprocessing != manifest.preprocessing,
        "model": run.settings.model != came_from.backbone,
        "time of training": record.created != came_from.trained,
    }
    if found := [name for name, differs in differing.items() if differs]:
        raise ExportError(
            f"{run.folder}: not the run that this bundle came from (another {', another '.join(found)}); name that one"
        )


def _pictures(run: Run, choices: Choices) -> list[SplitRecord]:
    """The pictures of the splits, classes in turn, so that the first of them stand for all."""
    found = [p for split in choices.splits for p in pictures_of(run, split, choices.data)]
    if not found:
        raise ExportError(f"{run.folder}: the run has no pictures of the split {' or '.join(choices.splits)}")
    for picture in found:
        require_own(choices.data, picture)
    return candidates(found)


def _fits(models: tuple[Model, ...], proofs: tuple[Proof, ...]) -> tuple[Fit, ...]:
    """How the models that ship fit every target."""
    fits = []
    for name in target_names():
        target = load_target(name)
        for model, proof in zip(models, proofs, strict=True):
            ships = proof.precision != "float32" and not model.name.endswith(SIGNED)
            if ships and model.format == target.engine.format:
                fits.append(fit(model.data, proof, target))
    return tuple(fits)


def _report(
    run: Run, bundle: Bundle, choices: Choices, asked: Asked, places: dict[str, Answers], proofs: tuple[Proof, ...],
    fits: tuple[Fit, ...],
) -> Report:  # fmt: skip
    manifest = bundle.manifest
    steps = {p.model: p for p in proofs}
    reader = _Reader(steps, {name: detector_of(bundle, name.partition(",")[0]) for name in steps})
    rows = tuple(_row(a, place, asked, manifest, reader) for place, said in places.items() for a in said.answers)
    equalities = tuple(_equalities(places, manifest, reader))
    machines = {name: said.machine for name, said in places.items()}
    return Report(
        bundle=bundle.path.name,
        name=manifest.name,
        run=manifest.lineage.run,
        backbone=manifest.lineage.backbone,
        created=utc_now(),
        splits={s: sum(p.split == s for p in asked.pictures) for s in choices.splits},
        labels=manifest.rule.labels,
        max_flips=choices.max_flips,
        machines=machines,
        rows=rows,
        equalities=equalities,
        proofs=proofs,
        fits=fits,
        notes=(*_notes(rows, machines), *_ties(rows, steps)),
        failures=tuple(_failures(rows, equalities, choices.max_flips)),
        tools={"torch": importlib.metadata.version("torch"), **manifest.tools},
    )


class _Reader(msgspec.Struct, frozen=True):
    """Makes logits of what models gave: by the proof of each, and by its detector where it gives feature maps."""

    proofs: dict[str, Proof]
    detectors: dict[str, Detector | None]

    def logits(self, answer: Answer) -> Logits:
        """Real values of stored outputs, by the step that the file itself names; ONNX files give real values."""
        outputs = answer.outputs()
        port = self.proofs[answer.model].output
        step = 0.0 if outputs.dtype == np.float32 else port.step
        found = Quantization(step, port.zero).dequantize(outputs)
        detector = self.detectors[answer.model]
        return found if detector is None else np.stack([detector.logits(row) for row in found])


def _row(answer: Answer, place: str, asked: Asked, manifest: Manifest, reader: _Reader) -> Row:
    comparison = None
    if answer.error is None:
        these = asked.first(answer.pictures)
        names, truths = [p.path for p in these.pictures], [p.label for p in these.pictures]
        scores = reader.detectors[answer.model] is not None
        comparison = compare(these.network, reader.logits(answer), names, truths, manifest.rule, scores=scores)
    quantized = {m.path for m in manifest.models if m.precision != "float32"}
    return Row(
        model=answer.model,
        interpreter=answer.interpreter,
        version=answer.version,
        kernels=answer.kernels,
        machine=place,
        ships=answer.model in quantized and answer.kernels == "fast",
        median_ms=answer.median_ms,
        comparison=comparison,
        error=answer.error,
    )


def _equalities(places: dict[str, Answers], manifest: Manifest, reader: _Reader) -> Iterator[Equality]:
    """TFLite's models that ship in every two places, with the reference kernels and with those that a device runs."""
    said = [(place, a) for place, answers in places.items() for a in answers.answers if a.error is None]
    tflite = [m for m in manifest.models if m.format == "tflite" and m.precision != "float32"]
    for kernels in ("reference", "fast"):
        for model in sorted(m.path for m in tflite if kernels == "fast" or is_exact(m)):
            these = [(p, a) for p, a in said if (a.model, a.kernels) == (model, kernels)]
            for (p, a), (q, b) in combinations(these, 2):
                yield _equality(f"{a.interpreter}, {p}", a, f"{b.interpreter}, {q}", b, manifest, reader)


def _equality(first: str, a: Answer, second: str, b: Answer, manifest: Manifest, reader: _Reader) -> Equality:
    count = min(a.pictures, b.pictures)
    one, two = a.outputs()[:count].astype(np.float64), b.outputs()[:count].astype(np.float64)
    labels = [_labels(reader.logits(x)[:count], manifest) for x in (a, b)]
    return Equality(
        model=a.model,
        kernels=a.kernels,
        first=first,
        second=second,
        pictures=count,
        outputs=one.size,
        equal=int((one == two).sum()),
        max_step=float(np.abs(one - two).max(initial=0.0)),
        decisions_differ=sum(x != y for x, y in zip(*labels, strict=True)),
    )


def _labels(logits: NDArray[np.float32], manifest: Manifest) -> list[str]:
    return [decide(row, manifest.rule).label for row in logits]


def _notes(rows: tuple[Row, ...], machines: dict[str, Machine]) -> Iterator[str]:
    """What a reader would otherwise have to find out."""
    for name, machine in machines.items():
        yield from _not_asked(name, rows)
        exact, plain = (_of(rows, name, ".onnx", kernels) for kernels in ("fast", "default"))
        if exact is None or plain is None or exact.comparison is None or plain.comparison is None:
            continue
        if machine.saturates():
            yield (
                f"{name}: this processor has no VNNI instructions, so onnxruntime's default kernels add unsigned × signed "
                f"products in 16 bits and saturate: {len(plain.comparison.flips)} labels change there, "
                f"{len(exact.comparison.flips)} with the exact sums that edgetl asks for."
            )
        signed = _of(rows, name, SIGNED, "fast")
        if signed is not None and exact.median_ms > 0 and name == HERE:
            yield (
                f"Signed activations take {signed.median_ms / exact.median_ms:.1f} times as long here as the unsigned "
                f"ones that ship ({signed.median_ms:.1f} and {exact.median_ms:.1f} ms in onnxruntime)."
            )


def _not_asked(machine: str, rows: tuple[Row, ...]) -> Iterator[str]:
    """The libraries that could read the bundle's models but are not there."""
    asked = {row.interpreter for row in rows if row.machine == machine}
    formats = {row.model.removesuffix(SIGNED).rpartition(".")[2] for row in rows}
    for library, (_, format, _) in INTERPRETERS.items():
        if library not in asked and format in formats:
            yield f"{machine}: {library} is not installed, so it was not asked."


def _ties(rows: tuple[Row, ...], proofs: dict[str, Proof]) -> Iterator[str]:
    """Equal outputs give the first label, whatever the network preferred: a matter of the output's step."""
    for row in rows:
        if row.ships and row.machine == HERE and row.comparison is not None and row.comparison.ties:
            flips = len(row.comparison.flips)
            yield (
                f"{row.comparison.ties} of {flips} changed labels of {row.model} in {row.interpreter} are ties: a step of "
                f"its output is {proofs[row.model].output.step:.2g} logits, and of equal outputs the first label wins."
            )


def _of(rows: tuple[Row, ...], machine: str, ending: str, kernels: str) -> Row | None:
    """The row of the ONNX model whose name ends so."""
    for row in rows:
        if (row.machine, row.interpreter, row.kernels) == (machine, "onnxruntime", kernels) and row.model.endswith(
            ending
        ):
            return row
    return None


def _failures(rows: tuple[Row, ...], equalities: tuple[Equality, ...], max_flips: float) -> Iterator[str]:
    if not any(row.ships for row in rows):
        yield "no model that ships was asked: the bundle holds none that a library here can read"
    for row in rows:
        where = f"{row.model} in {row.interpreter} ({row.machine}{'' if row.ships else ', reference kernels'})"
        if row.error is not None:
            yield f"{where}: {row.error}"
        elif (row.ships or row.kernels == "reference") and row.comparison is not None:
            found = row.comparison
            share = 100 * (1 - found.same / found.pictures)
            if not bearable(found.pictures - found.same, found.pictures, found.expected_percent, max_flips):
                yield f"{where}: {share:.1f} % of the labels differ from the network's, more than --max-flips {max_flips:g}"
    for pair in equalities:
        apart = 100 * pair.decisions_differ / max(1, pair.pictures)
        if pair.kernels == "fast" and apart > allowed(max_flips, 100 / max(1, pair.pictures)):
            yield (
                f"{pair.model}, fast kernels: {pair.decisions_differ} of {pair.pictures} decisions differ between "
                f"{pair.first} and {pair.second}, more than --max-flips {max_flips:g}"
            )
        if pair.kernels == "reference" and pair.equal != pair.outputs:
            yield (
                f"{pair.model}, reference kernels: {pair.outputs - pair.equal} of {pair.outputs} outputs differ between "
                f"{pair.first} and {pair.second}"
            )
