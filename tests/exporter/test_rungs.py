"""Every rung on a small net: what its files compute in is what the rung says, read from the files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from torch import nn

from edgetl.exporter.ladder.climb import Tried
from edgetl.exporter.ladder.rungs import RUNGS, rungs_of
from edgetl.exporter.models import ModelFile
from edgetl.exporter.options import Options
from edgetl.exporter.targets import fit, load_target
from edgetl.exporter.targets.tensorrt import broken_rules
from edgetl.exporter.workbench import Models, Workbench
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.dataset import sha256_of
from edgetl.runtime.graphs import OnnxGraph, TfliteGraph, TfliteOperator, read_onnx, read_tflite
from edgetl.runtime.manifest import Precision
from edgetl.runtime.proof import Proof
from edgetl.runtime.proof.rules import LAYERS
from edgetl.trainer.progress import SilentReporter
from edgetl.trainer.run_folder import read_run
from tests.cli.calling import call, refused
from tests.exporter.conftest import CONVERTER, through
from tests.exporter.planted.converter import File, swapped_channels
from tests.exporter.sure import Sure

pytestmark = pytest.mark.slow
WIDER: tuple[Precision, ...] = ("mixed", "int16", "float16")


class Listening(SilentReporter):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, line: str) -> None:
        """Keeps one line."""
        self.said.append(line)


class Bench(NamedTuple):
    """One workbench for all rungs, so that weights which several share are converted once; and what it gave so far."""

    workbench: Workbench
    reporter: Listening
    tried: dict[str, Tried[Models]]
    net: nn.Module

    def attempt(self, rung: str) -> Tried[Models]:
        """The files of one rung; made once."""
        if rung not in self.tried:
            self.tried[rung] = self.workbench.attempt(rungs_of(rung)[0], 60.0)
        return self.tried[rung]


@pytest.fixture(scope="module")
def bench(sure: Sure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("rungs")
    run, reporter = read_run(sure.run), Listening()
    yield Bench(
        Workbench(run, Path(run.settings.data), folder, Options(out=folder / "a.edgetl"), reporter),
        reporter,
        {},
        run.network().net,
    )


class Read(NamedTuple):
    """Both files of a rung with their graphs and proofs."""

    tflite: TfliteGraph
    onnx: OnnxGraph
    proofs: tuple[Proof, Proof]
    files: tuple[ModelFile, ...]


def read(tried: Tried[Models]) -> Read:
    tflite, onnx = tried.models.files
    first, second = tried.models.proofs.models
    return Read(
        read_tflite(tflite.path.read_bytes(), "t"), read_onnx(onnx.path.read_bytes(), "o"), (first, second),
        tried.models.files,
    )  # fmt: skip


def layers(graph: TfliteGraph) -> list[TfliteOperator]:
    return [o for o in graph.operators if o.kind in LAYERS]


def types(graph: TfliteGraph, numbers: tuple[int, ...]) -> list[str]:
    return [graph.tensors[n].type for n in numbers]


def weights(graph: OnnxGraph) -> dict[str, str]:
    """The type in which each layer's weights are stored, by the layer's name."""
    made_by = {name: node for node in graph.nodes for name in node.outputs}
    found = {}
    for node in graph.nodes:
        if node.kind in LAYERS:
            name = node.inputs[1]
            stored = made_by[name].inputs[0] if name in made_by else name
            found[node.name] = graph.constants[stored].type
    return found


def steps(graph: TfliteGraph) -> list[float]:
    """The step of every activation."""
    return [t.scales[0] for t in graph.tensors if t.type == "int8" and len(t.scales) == 1 and not t.constant]


@pytest.mark.parametrize("rung", [r.name for r in RUNGS if r.quantization.precision == "int8"])
def test_int8_rung_is_int8_throughout_and_differs_from_plain_int8_in_what_it_says(bench: Bench, rung: str) -> None:
    found, plain = read(bench.attempt(rung)), read(bench.attempt("min-max"))
    assert all(proof.fully_int8 for proof in found.proofs)
    for layer in layers(found.tflite):
        assert set(types(found.tflite, layer.inputs[:2])) == set(types(found.tflite, layer.outputs)) == {"int8"}
    assert set(weights(found.onnx).values()) == {"int8"}
    changed = [
        file.path.read_bytes() != other.path.read_bytes() for file, other in zip(found.files, plain.files, strict=True)
    ]
    assert all(changed) == (rung != "min-max")
    if rung in (
        "percentile",
        "mse",
        "entropy",
    ):  # they cut off what is rare, so that no step grows but that of the logits
        ours, theirs = steps(found.tflite), steps(plain.tflite)
        assert len(ours) == len(theirs) and np.mean(np.array(ours) < np.array(theirs)) > 0.3
    for outcome in bench.attempt(rung).outcomes:
        assert outcome.flips_percent <= 20, outcome


def test_distilling_takes_its_steps_and_says_what_came_of_them(bench: Bench) -> None:
    bench.attempt("distilled")
    (line,) = [s for s in bench.reporter.said if s.startswith("distilled ")]
    done, of = (int(word) for word in line.removeprefix("distilled ").split(" steps")[0].split(" of "))
    assert 0 < done <= of and "dB above the noise before" in line


def test_mixed_keeps_the_named_layers_in_float_and_no_other(bench: Bench) -> None:
    found = read(bench.attempt("mixed"))
    (line,) = [s for s in bench.reporter.said if s.startswith("kept in float: ")]
    kept = {word.partition(" (")[0] for word in line.removeprefix("kept in float: ").split(", ")}
    modules = [name for name, module in bench.net.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    assert 0 < len(kept) < len(modules) and kept <= set(modules)
    in_float = [kind == "float32" for kind in weights(found.onnx).values()]
    assert sum(in_float) == len(kept)
    stored = [types(found.tflite, layer.inputs[1:2])[0] for layer in layers(found.tflite)]
    assert stored.count("float32") == len(kept) and set(stored) == {"float32", "int8"}
    onnx_order = list(weights(found.onnx).values())
    assert stored == onnx_order, "the same layers in both files"


def test_int16_has_activations_of_16_bits_and_weights_of_8(bench: Bench) -> None:
    found = read(bench.attempt("int16"))
    for layer in layers(found.tflite):
        assert types(found.tflite, (layer.inputs[0], *layer.outputs)) == ["int16", "int16"]
        assert types(found.tflite, layer.inputs[1:2]) == ["int8"]
    assert set(weights(found.onnx).values()) == {"int8"}
    stored = {found.onnx.constants[n.inputs[2]].type for n in found.onnx.nodes if n.kind == "QuantizeLinear"}
    assert stored == {"uint16"}
    assert [proof.input.type for proof in found.proofs] == ["float32", "float32"]


def test_float16_has_weights_of_16_bits_and_litert_runs_all_of_it_on_its_fast_engine(bench: Bench) -> None:
    from ai_edge_litert.interpreter import Interpreter

    found = read(bench.attempt("float16"))
    assert set(weights(found.onnx).values()) == {"float16"}
    assert found.proofs[0].tensors["float16"] >= 2 * len(layers(found.tflite)) and "int8" not in found.proofs[0].tensors
    interpreter = Interpreter(model_path=str(found.files[0].path))
    interpreter.allocate_tensors()
    kinds = [o["op_name"] for o in interpreter._get_ops_details()]
    if "DELEGATE" in kinds:  # a library that uses XNNPACK on this machine
        assert kinds.count("DELEGATE") == 1
        assert fit(found.files[0].path.read_bytes(), found.proofs[0], load_target("generic-x86-64")).falls_back == {}


@pytest.mark.parametrize("rung", ["equalized", "mixed", "float16"])
def test_same_rung_again_gives_the_same_bytes(bench: Bench, rung: str) -> None:
    """As the others do: mse is exported twice elsewhere, and what all have in common is in these."""
    before = {f.record.path: sha256_of(f.path) for f in bench.attempt(rung).models.files}
    again = bench.workbench.attempt(rungs_of(rung)[0], 60.0)
    assert {f.record.path: sha256_of(f.path) for f in again.models.files} == before


def test_pixels_go_in_as_they_are_where_the_target_takes_a_frame_around_them(
    bench: Bench, sure: Sure, tmp_path: Path
) -> None:
    framed, run = read(bench.attempt("equalized")), read_run(sure.run)
    assert framed.tflite.operators[0].kind == "CONCATENATION" and "Concat" in {n.kind for n in framed.onnx.nodes}
    for name in ("coral-edgetpu", "jetson-orin-nano"):
        options = Options(out=tmp_path / "a.edgetl", target=load_target(name))
        workbench = Workbench(run, Path(run.settings.data), tmp_path / name, options, Listening())
        plain = read(workbench.attempt(rungs_of("equalized")[0], 60.0))
        assert plain.tflite.operators[0].kind == "ADD" and "Concat" not in {n.kind for n in plain.onnx.nodes}


@pytest.fixture(scope="module")
def wider(bench: Bench, sure: Sure, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The words for an export that takes those TFLite files instead of converting once more."""
    earlier = tmp_path_factory.mktemp("wider")
    shutil.copy(sure.earlier / "float32.tflite", earlier)
    for precision in WIDER:
        shutil.copy(bench.attempt(precision).models.files[0].path, earlier)
    return through(CONVERTER, "none", earlier)


@pytest.mark.parametrize("precision", WIDER)
def test_bundle_of_another_precision_is_proved_replayed_and_compared(
    sure: Sure, wider: tuple[str, str], tmp_path: Path, precision: Precision
) -> None:
    out = tmp_path / "a.edgetl"
    made = call("export", sure.run, "--out", out, "--rung", precision, "--target", "coral-edgetpu", *wider)
    assert made.code == 0, made
    assert "checked for coral-edgetpu by rule: its engine was not run here" in made.out
    with open_bundle(out) as bundle:
        proofs = msgspec.json.decode(bundle.read("proof.json"))["models"]
    assert [(p["model"], p["precision"]) for p in proofs] == [
        (f"model/{precision}.tflite", precision), (f"model/{precision}.onnx", precision),
    ]  # fmt: skip
    verified = call("verify", out)
    assert verified.code == 0 and f"model/{precision}.tflite: " in verified.out, verified
    answer = call("parity", sure.run, out, "--out", tmp_path / "report", "--split", "val")
    report = json.loads((tmp_path / "report" / "parity.json").read_text())
    shipped = {(r["model"], r["kernels"]) for r in report["rows"] if r["ships"]}
    assert shipped == {(f"model/{precision}.tflite", "fast"), (f"model/{precision}.onnx", "fast")}
    assert answer.code == 0 and not report["failures"], answer
    assert {(f["target"], f["model"]) for f in report["fits"]} >= {
        ("raspberry-pi-4", f"model/{precision}.tflite"), ("jetson-orin-nano", f"model/{precision}.onnx"),
    }  # fmt: skip
    assert f"<td>{precision} TFLite</td>" in (tmp_path / "report" / "parity.html").read_text()


def test_float16_ships_before_int16_that_no_fast_kernel_takes(
    sure: Sure, wider: tuple[str, str], tmp_path: Path
) -> None:
    """With int8 files whose channels were swapped, as no rung of int8 may ship; int16 would pass, as it does where it is named."""
    earlier = tmp_path / "earlier"
    shutil.copytree(Path(wider[1].split()[-1]), earlier)
    for precision in ("int8", "mixed"):
        shutil.copy(sure.earlier / "int8.tflite", earlier / f"{precision}.tflite")
        swapped = File(earlier / f"{precision}.tflite")
        swapped_channels(swapped, np.int8)
        swapped.save()
    out = tmp_path / "a.edgetl"
    made = call("export", sure.run, "--out", out, *through(CONVERTER, "none", earlier))
    assert made.code == 0, made
    with open_bundle(out) as bundle:
        attempts = msgspec.json.decode(bundle.read("ladder.json"))["climb"]["attempts"]
    assert [a["rung"] for a in attempts if a["passed"]] == ["float16"]
    passed_over = next(a for a in attempts if a["rung"] == "int16")
    assert passed_over["error"].startswith("LiteRT has no fast kernels for int16") and not passed_over["outcomes"]


def test_jetson_gets_tensorrts_form_of_a_mixed_graph_too(sure: Sure, wider: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / "a.edgetl"
    made = call("export", sure.run, "--out", out, "--rung", "mixed", "--target", "jetson-orin-nano", *wider)
    assert made.code == 0, made
    with open_bundle(out) as bundle:
        graph = read_onnx(bundle.read("model/mixed.onnx"), "m")
        onnx = msgspec.json.decode(bundle.read("proof.json"))["models"][1]
    assert {graph.constants[n.inputs[2]].type for n in graph.nodes if n.kind == "QuantizeLinear"} == {"int8"}
    assert list(broken_rules(graph, in_float={island["name"] for island in onnx["islands"]})) == []
    assert list(broken_rules(graph)), "the layers that stayed in float"


def test_jetson_is_not_given_what_tensorrt_cannot_take(sure: Sure, wider: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / "a.edgetl"
    answer = call("export", sure.run, "--out", out, "--rung", "int16", "--target", "jetson-orin-nano", *wider)
    refused(
        answer,
        1,
        "E_EXPORT",
        "model/int16.onnx",
        "takes int8 and floats, and no int16",
        "cannot be shipped for that target",
    )
    assert not out.exists()
