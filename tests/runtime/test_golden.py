"""The golden set proves that this is the model that was tested, on this machine, with this preprocessing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgetl.errors import BundleFormatError, ModelError
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.golden import GoldenSet, golden_inputs, read_golden, replay, replay_all
from edgetl.runtime.interpreters import available, open_named
from edgetl.runtime.manifest import GOLDEN_NAME
from edgetl.runtime.verification import verify
from tests.runtime import tiny

pytestmark = pytest.mark.skipif("litert" not in available(), reason="needs ai-edge-litert")


def with_golden(path: Path, change: Callable[[list[dict[str, Any]]], None]) -> Path:
    """A bundle whose golden set was changed and whose hashes vouch for the change."""
    files = tiny.content()
    golden = msgspec.json.decode(files[GOLDEN_NAME])
    change(golden["pictures"])
    return tiny.write(path, {**files, GOLDEN_NAME: msgspec.json.encode(golden)})


def expected(picture: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = picture["models"]["model/int8.tflite"]
    return found


def test_untouched_bundle_passes_with_both_kinds_of_kernels(tiny_bundle: Path) -> None:
    result = verify(tiny_bundle)
    assert result.passed and result.reason is None
    assert (result.golden_pictures, result.changed_inputs, result.labels) == (3, [], tiny.LABELS)
    assert [(r.kernels, r.exact, r.flips) for r in result.replays if r.interpreter == "litert"] == [
        ("reference", 3, []),
        ("fast", 3, []),
    ]


def test_exported_bundle_passes_through_every_interpreter_here(small_bundle: Path) -> None:
    result = verify(small_bundle)
    assert result.passed, result.reason
    assert {r.interpreter for r in result.replays} == set(available())
    for item in result.replays:
        if item.kernels == "reference" and item.interpreter != "onnxruntime":
            assert (item.exact, item.max_step) == (item.pictures, 0.0)


def test_one_step_in_one_output_is_found_with_the_reference_kernels(tmp_path: Path) -> None:
    def off_by_one(pictures: list[dict[str, Any]]) -> None:
        expected(pictures[1])["outputs"][2] += 1.0

    result = verify(with_golden(tmp_path / "x.edgetl", off_by_one))
    assert not result.passed
    assert result.reason is not None and "differ by up to 1 steps" in result.reason
    reference, fast = result.replays
    assert (reference.kernels, reference.exact, reference.max_step, reference.passed) == ("reference", 2, 1.0, False)
    assert (fast.kernels, fast.passed) == ("fast", True), "with fast kernels the decision counts"


def test_another_verdict_is_found_and_listed(tmp_path: Path) -> None:
    def swapped(pictures: list[dict[str, Any]]) -> None:
        expected(pictures[0]).update(label="blue", verdict="OK")

    result = verify(with_golden(tmp_path / "x.edgetl", swapped))
    assert not result.passed
    assert all(r.flips == ["golden/000.png: OK blue is now NG red"] for r in result.replays)


def test_other_number_of_outputs_does_not_pass(tmp_path: Path) -> None:
    def shorter(pictures: list[dict[str, Any]]) -> None:
        expected(pictures[0])["outputs"].pop()

    assert not verify(with_golden(tmp_path / "x.edgetl", shorter)).passed


def test_changed_preprocessing_is_found(tmp_path: Path) -> None:
    """Plain pictures cannot show it, so each gets a mark; then the bundle says to resize in another way."""
    files = tiny.content()
    manifest = tiny.manifest_of(files, preprocessing=msgspec.to_builtins(tiny.HOW) | {"resize": "fit-longest"})
    path = tiny.write(tmp_path / "x.edgetl", files, manifest=manifest)
    result = verify(path)
    assert result.changed_inputs == ["golden/000.png", "golden/001.png", "golden/002.png"]
    assert result.reason is not None and "preprocessed differently" in result.reason
    assert not result.passed


def test_changed_picture_is_found(tmp_path: Path) -> None:
    image = tiny.plain("red")
    image[0, 0] = 0
    result = verify(tiny.write(tmp_path / "x.edgetl", {**tiny.content(), "golden/000.png": tiny.png(image)}))
    assert result.changed_inputs == ["golden/000.png"]
    assert not result.passed


@pytest.mark.fault("S10")
def test_model_of_another_release_does_not_pass(tmp_path: Path) -> None:
    """The hashes vouch for it, so only what it answers can tell: here, one with its outputs in another place."""
    files = {**tiny.content(), "model/int8.tflite": tiny.tflite(step=(1.0, -128))}
    rule = {"labels": ["blue", "green", "red"], "ok_labels": ["green"]}
    path = tiny.write(tmp_path / "x.edgetl", files, manifest=tiny.manifest_of(files, rule=rule))
    result = verify(path)
    assert not result.passed
    assert any("red is now NG blue" in flip for item in result.replays for flip in item.flips)


@pytest.mark.fault("S10")
def test_labels_of_another_number_are_a_model_error(tmp_path: Path) -> None:
    files = tiny.content()
    rule = {"labels": ["red", "green"], "ok_labels": ["green"]}
    path = tiny.write(tmp_path / "x.edgetl", files, manifest=tiny.manifest_of(files, rule=rule))
    with pytest.raises(ModelError, match="2 labels"):
        verify(path)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"not json", b'{"pictures": []}', b'{"pictures": [{"path": "golden/000.png"}]}']
)
def test_golden_set_that_is_none_is_a_format_error(tmp_path: Path, content: bytes) -> None:
    path = tiny.write(tmp_path / "x.edgetl", {**tiny.content(), GOLDEN_NAME: content})
    with pytest.raises(BundleFormatError):
        verify(path)


def test_bundle_without_a_golden_set_is_a_format_error(tmp_path: Path) -> None:
    files = tiny.content()
    del files[GOLDEN_NAME]
    with pytest.raises(BundleFormatError, match="golden"):
        verify(tiny.write(tmp_path / "x.edgetl", files))


def test_golden_set_that_leaves_a_model_or_a_picture_out_is_a_format_error(tmp_path: Path) -> None:
    def without_model(pictures: list[dict[str, Any]]) -> None:
        pictures[0]["models"] = {}

    def without_picture(pictures: list[dict[str, Any]]) -> None:
        pictures[0]["path"] = "golden/999.png"

    for change in (without_model, without_picture):
        with pytest.raises(BundleFormatError):
            verify(with_golden(tmp_path / "x.edgetl", change))


def test_replay_counts_what_it_compared(tiny_bundle: Path) -> None:
    with open_bundle(tiny_bundle) as bundle:
        golden = read_golden(bundle)
        images, _ = golden_inputs(bundle, golden)
        one = GoldenSet(golden.pictures[:1])
        assert replay(bundle, one, images[:1], open_named(bundle, "litert")).pictures == 1
        with pytest.raises(ValueError, match="argument"):
            replay(bundle, one, images, open_named(bundle, "litert"))
        assert len(replay_all(bundle, golden, images)) == 2 * len(available("tflite"))
