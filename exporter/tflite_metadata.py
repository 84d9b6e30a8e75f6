"""Writes the standard TFLite metadata into a model file, so that other tools know its labels and its input.

The format is metadata_schema.fbs of tflite-support: a FlatBuffer in the model's buffers under the name
TFLITE_METADATA, and label files in a zip that follows the model's bytes. Interpreters read neither.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import flatbuffers
import msgspec
import numpy as np

from edgetl.errors import ExportError
from edgetl.exporter.lowering.writing import file_of
from edgetl.runtime.preprocess import Preprocessing
from edgetl.runtime.proof.of_tflite import LABELS_NAME

METADATA_NAME = "TFLITE_METADATA"
_IDENTIFIER = b"M001"
_PARSER_VERSION = "1.0.0"  # the oldest reader that knows all fields used here
_AXIS_LABELS, _RGB = 2, 1  # AssociatedFileType.TENSOR_AXIS_LABELS, ColorSpaceType.RGB
_FEATURES, _IMAGE, _NORMALIZATION = 1, 2, 1  # members of the unions ContentProperties and ProcessUnitOptions
_PURPOSE = {
    False: "Classifies pictures of parts. Softmax over the outputs gives probabilities.",
    True: "Gives feature maps of pictures of parts, to be compared with those of good ones.",
}
_EPOCH = (1980, 1, 1, 0, 0, 0)


class Description(msgspec.Struct, frozen=True):
    """What other tools should know of a model; with `features` it gives feature maps, and no labels are packed with it."""

    name: str
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    features: bool = False


def with_metadata(model: bytes, description: Description) -> bytes:
    """The model's bytes with metadata and packed labels; operators, tensors and weights stay as they are."""
    if bad := [label for label in description.labels if len(label.splitlines()) != 1]:
        raise ExportError(
            f"label {bad[0]!r} holds a line break, and {LABELS_NAME} has a label a line; rename its folder"
        )
    described = _repacked(model, _metadata(description))
    return described if description.features else _packed(described, "\n".join(description.labels) + "\n")


def _repacked(model: bytes, metadata: bytes) -> bytes:
    from ai_edge_litert import schema_py_generated as schema

    graph: Any = schema.ModelT.InitFromPackedBuf(model, 0)
    graph.metadata = [m for m in graph.metadata or [] if m.name not in (METADATA_NAME, METADATA_NAME.encode())]
    entry, buffer = schema.MetadataT(), schema.BufferT()
    entry.name, entry.buffer, buffer.data = METADATA_NAME, len(graph.buffers), np.frombuffer(metadata, np.uint8)
    graph.metadata.append(entry)
    graph.buffers.append(buffer)
    return file_of(graph)


def _packed(model: bytes, labels: str) -> bytes:
    out = io.BytesIO(model)
    with zipfile.ZipFile(out, "a") as archive:  # appends, and counts offsets from the start of the model
        archive.writestr(zipfile.ZipInfo(LABELS_NAME, _EPOCH), labels)
    return out.getvalue()


def _metadata(description: Description) -> bytes:
    write = _Writer()
    output = _maps(write) if description.features else _output(write)
    graph = write.table({2: write.tables([_input(write, description)]), 3: write.tables([output])})
    root = write.table(
        {
            0: write.text(description.name),
            1: write.text(_PURPOSE[description.features]),
            3: write.tables([graph]),
            7: write.text(_PARSER_VERSION),
        }
    )
    return write.finish(root)


def _input(write: _Writer, description: Description) -> int:
    how = description.preprocessing
    seen = "the whole frame" if how.region is None else f"the region {how.region} of the frame"
    size = write.table({0: write.uint32(how.size), 1: write.uint32(how.size)})
    image = write.table({0: write.int8(_RGB), 1: size})
    # Mean 0 and deviation 1: the model takes the pixels themselves and normalizes inside.
    normal = write.table({0: write.floats([0.0]), 1: write.floats([1.0])})
    return write.table(
        {
            0: write.text("pixels"),
            1: write.text(f"{how.size}×{how.size} RGB, pixel values 0 to 255, {how.resize} of {seen}"),
            3: write.table({0: write.uint8(_IMAGE), 1: image}),
            4: write.tables([write.table({0: write.uint8(_NORMALIZATION), 1: normal})]),
            5: write.table({0: write.floats([255.0]), 1: write.floats([0.0])}),
        }
    )


def _output(write: _Writer) -> int:
    file = write.table(
        {0: write.text(LABELS_NAME), 1: write.text("One label a line, as the outputs"), 2: write.int8(_AXIS_LABELS)}
    )
    content = write.table({0: write.uint8(_FEATURES), 1: write.table({})})
    return write.table(
        {0: write.text("logits"), 1: write.text("One logit a label"), 3: content, 6: write.tables([file])}
    )


def _maps(write: _Writer) -> int:
    content = write.table({0: write.uint8(_FEATURES), 1: write.table({})})
    return write.table({0: write.text("feature maps"), 1: write.text("Place by place, map by map"), 3: content})


_Scalar = Callable[[int], None]


class _Writer:
    """Writes FlatBuffers tables by field number; children are written before the tables that hold them."""

    def __init__(self) -> None:
        self._builder: Any = flatbuffers.Builder(1024)

    def table(self, fields: dict[int, int | _Scalar]) -> int:
        """A table of offsets (of what was written before) and scalars."""
        self._builder.StartObject(max(fields, default=-1) + 1)
        for number, field in fields.items():
            if callable(field):
                field(number)
            else:
                self._builder.PrependUOffsetTRelativeSlot(number, field, 0)
        offset: int = self._builder.EndObject()
        return offset

    def tables(self, offsets: list[int]) -> int:
        """A vector of tables."""
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        vector: int = self._builder.EndVector()
        return vector

    def text(self, words: str) -> int:
        """A string."""
        offset: int = self._builder.CreateString(words)
        return offset

    def floats(self, values: list[float]) -> int:
        """A vector of floats."""
        offset: int = self._builder.CreateNumpyVector(np.array(values, np.float32))
        return offset

    def uint32(self, value: int) -> _Scalar:
        """An unsigned integer of 32 bits."""
        return lambda number: self._builder.PrependUint32Slot(number, value, 0)

    def uint8(self, value: int) -> _Scalar:
        """The member of a union."""
        return lambda number: self._builder.PrependUint8Slot(number, value, 0)

    def int8(self, value: int) -> _Scalar:
        """An enumeration."""
        return lambda number: self._builder.PrependInt8Slot(number, value, 0)

    def finish(self, root: int) -> bytes:
        """The bytes, with the root table and the format's mark."""
        self._builder.Finish(root, file_identifier=_IDENTIFIER)
        return bytes(self._builder.Output())
