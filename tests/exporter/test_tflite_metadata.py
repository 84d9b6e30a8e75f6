"""The metadata that other tools read: written in the standard format, without a change to what the model computes."""

from __future__ import annotations

import importlib
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetl.errors import ExportError
from edgetl.exporter.tflite_metadata import Description, with_metadata
from edgetl.runtime.interpreters import available, open_interpreter
from edgetl.runtime.preprocess import Preprocessing
from edgetl.runtime.proof import prove
from tests.runtime import tiny

LABELS = ("red", "grün", "blue light")
DESCRIPTION = Description("colours", LABELS, Preprocessing(size=tiny.SIZE))


def described(model: bytes | None = None) -> bytes:
    return with_metadata(tiny.tflite() if model is None else model, DESCRIPTION)


@pytest.fixture(scope="module")
def model(small_bundle: Path) -> bytes:
    with zipfile.ZipFile(small_bundle) as archive:
        return archive.read("model/int8.tflite")


@pytest.mark.parametrize("kernels", ["fast", "reference"])
@pytest.mark.parametrize("library", ["litert", "tflite-runtime"])
def test_outputs_stay_equal_to_the_bit(model: bytes, library: str, kernels: Any) -> None:
    if library not in available():
        pytest.skip(f"needs {library}")
    both = [open_interpreter(library, m, "m", 1, kernels) for m in (model, described(model))]
    random = np.random.default_rng(0)
    for _ in range(20):
        image = random.integers(0, 256, (64, 64, 3), np.uint8)
        first, second = (i.raw(image) for i in both)
        assert np.array_equal(first, second)


def test_graph_and_weights_stay(model: bytes) -> None:
    before, after = prove(model, "tflite", "m"), prove(described(model), "tflite", "m")
    assert (before.operators, before.tensors, before.input, before.output) == (
        after.operators, after.tensors, after.input, after.output,
    )  # fmt: skip


def test_constants_lie_where_the_schema_wants_them(model: bytes) -> None:
    from ai_edge_litert.schema_py_generated import Model

    graph, whole = Model.GetRootAsModel(model, 0), np.frombuffer(model, np.uint8)
    constants = [b.DataAsNumpy() for n in range(graph.BuffersLength()) if (b := graph.Buffers(n)).DataLength()]
    assert len(constants) > 10
    assert all((constant.ctypes.data - whole.ctypes.data) % 16 == 0 for constant in constants)


def test_same_bytes_every_time(model: bytes) -> None:
    assert described(model) == described(model)


def test_labels_are_in_a_zip_behind_the_model() -> None:
    with zipfile.ZipFile(io.BytesIO(described())) as archive:
        assert archive.namelist() == ["labels.txt"]
        assert archive.read("labels.txt").decode().splitlines() == list(LABELS)
    assert prove(described(), "tflite", "m").labels == LABELS


def test_label_that_would_be_two_lines_is_refused() -> None:
    with pytest.raises(ExportError, match=r"label 'a\\nb' holds a line break"):
        with_metadata(tiny.tflite(), Description("x", ("a\nb", "c", "d"), Preprocessing(size=32)))


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """tflite-support's own reader; its other dependencies are those of this project."""
    folder = tmp_path_factory.mktemp("tflite_support")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(folder),
        "tflite-support",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    if done.returncode != 0:
        pytest.skip(f"needs tflite-support from a package index: {(done.stderr.splitlines() or ['?'])[-1]}")
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("tensorflow_lite_support.metadata.metadata_schema_py_generated")
    finally:
        sys.path.remove(str(folder))


def test_the_official_reader_finds_input_labels_and_normalization(official: Any) -> None:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(described(), 0)
    (entry,) = [m for m in model.metadata if m.name == b"TFLITE_METADATA"]
    data = bytes(model.buffers[entry.buffer].data)
    assert official.ModelMetadata.ModelMetadataBufferHasIdentifier(data, 0)
    found = official.ModelMetadataT.InitFromPackedBuf(data, 0)
    (graph,) = found.subgraphMetadata
    (given,), (result,) = graph.inputTensorMetadata, graph.outputTensorMetadata
    assert (found.name, found.minParserVersion, given.name, result.name) == (b"colours", b"1.0.0", b"pixels", b"logits")
    image = given.content.contentProperties
    assert (image.colorSpace, image.defaultSize.width, image.defaultSize.height) == (
        official.ColorSpaceType.RGB,
        32,
        32,
    )
    (unit,) = given.processUnits
    assert (list(unit.options.mean), list(unit.options.std)) == ([0.0], [1.0])
    assert (list(given.stats.min), list(given.stats.max)) == ([0.0], [255.0])
    (file,) = result.associatedFiles
    assert (file.name, file.type) == (b"labels.txt", official.AssociatedFileType.TENSOR_AXIS_LABELS)
    assert json.dumps(given.description.decode()).startswith('"32\\u00d732 RGB, pixel values 0 to 255')
