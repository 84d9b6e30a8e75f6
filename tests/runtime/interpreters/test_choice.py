"""The fastest interpreter is found by measuring once; the answer is kept where that is possible."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edgetl.errors import ModelError, UsageError
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.interpreters import available, choose, open_named
from edgetl.runtime.interpreters.choice import best_ms, thread_counts
from tests.runtime import tiny

pytestmark = pytest.mark.skipif("litert" not in available(), reason="needs ai-edge-litert")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def answers(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.json"))


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """A bundle with the model in both formats."""
    files = {**tiny.content(), "model/int8.onnx": tiny.onnx()}
    models = [
        {"path": "model/int8.tflite", "format": "tflite", "precision": "int8"},
        {"path": "model/int8.onnx", "format": "onnx", "precision": "int8"},
    ]
    return tiny.write(tmp_path / "both.edgetl", files, manifest=tiny.manifest_of(files, models=models))


def test_every_candidate_is_measured_and_the_answer_is_used_again(cache: Path, both: Path) -> None:
    with open_bundle(both) as bundle:
        model, choice = choose(bundle)
        wanted = {f"{name}/{threads}" for name in available() for threads in thread_counts()}
        assert set(choice.measured_ms) == wanted
        assert all(took > 0 for took in choice.measured_ms.values())
        assert f"{choice.interpreter}/{choice.threads}" in wanted
        assert (model.info.name, model.info.threads) == (choice.interpreter, choice.threads)
        (answer,) = answers(cache)
        # Had it measured again, it could not have come to this.
        other = next(name for name in available() if name != choice.interpreter)
        answer.write_text(json.dumps({"interpreter": other, "threads": 1, "measured_ms": {"told": 0.5}}))
        model, choice = choose(bundle)
        assert (model.info.name, choice.measured_ms) == (other, {"told": 0.5})


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"interpreter": 3}', b"\xff\xfe", b"null"])
def test_damaged_answer_is_measured_again(cache: Path, tiny_bundle: Path, content: bytes) -> None:
    with open_bundle(tiny_bundle) as bundle:
        choose(bundle)
        (answer,) = answers(cache)
        answer.write_bytes(content)
        _, choice = choose(bundle)
        assert choice.measured_ms
        assert json.loads(answer.read_bytes())["interpreter"] == "litert"


@pytest.mark.parametrize(
    "answer",
    [
        {"interpreter": "tensorrt", "threads": 1, "measured_ms": {}},
        {"interpreter": "litert", "threads": 0, "measured_ms": {}},
        {"interpreter": "litert", "threads": 100_000, "measured_ms": {}},
        {"interpreter": "onnxruntime", "threads": 1, "measured_ms": {}},
    ],
)
def test_answer_that_cannot_be_followed_is_measured_again(
    cache: Path, tiny_bundle: Path, answer: dict[str, object]
) -> None:
    """An interpreter that is gone, threads that no machine has, a format that the bundle does not hold."""
    with open_bundle(tiny_bundle) as bundle:
        choose(bundle)
        (path,) = answers(cache)
        path.write_text(json.dumps(answer))
        model, choice = choose(bundle)
        assert model.info.name == "litert"
        assert choice.threads in thread_counts()


def test_another_model_is_measured_for_itself(cache: Path, tiny_bundle: Path, both: Path) -> None:
    for path in (tiny_bundle, both):
        with open_bundle(path) as bundle:
            choose(bundle)
    assert len(answers(cache)) == 2


@pytest.mark.parametrize("place", ["/proc/nowhere", "/dev/null"])
def test_cache_that_cannot_be_written_is_tolerated(
    place: str, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", place)
    with open_bundle(tiny_bundle) as bundle:
        assert choose(bundle)[1].measured_ms


def test_full_disk_for_the_cache_is_tolerated(
    full_disk: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(full_disk))
    with (full_disk / "filler").open("wb") as file:
        file.truncate(0)
        for _ in range(64):
            try:
                os.write(file.fileno(), bytes(1024))
            except OSError:
                break
    with open_bundle(tiny_bundle) as bundle:
        assert choose(bundle)[1].measured_ms
    assert answers(full_disk) == []


def test_what_the_caller_fixed_is_not_measured(cache: Path, both: Path) -> None:
    with open_bundle(both) as bundle:
        model, choice = choose(bundle, "onnxruntime", 2)
        assert (model.info.name, model.info.threads, choice.measured_ms) == ("onnxruntime", 2, {})
        assert answers(cache) == []
        _, choice = choose(bundle, "onnxruntime")
        assert {key.partition("/")[0] for key in choice.measured_ms} == {"onnxruntime"}
        _, choice = choose(bundle, threads=1)
        assert {key.partition("/")[2] for key in choice.measured_ms} == {"1"}


def test_model_that_one_interpreter_refuses_is_left_to_the_other(tmp_path: Path, cache: Path) -> None:
    files = {**tiny.content(), "model/int8.onnx": tiny.onnx()[:-30]}
    models = [
        {"path": "model/int8.tflite", "format": "tflite", "precision": "int8"},
        {"path": "model/int8.onnx", "format": "onnx", "precision": "int8"},
    ]
    path = tiny.write(tmp_path / "x.edgetl", files, manifest=tiny.manifest_of(files, models=models))
    with open_bundle(path) as bundle:
        assert choose(bundle)[0].info.name == "litert"


@pytest.mark.parametrize("name", [None, "litert"])
def test_model_that_none_can_load_is_a_model_error(tmp_path: Path, cache: Path, name: str | None) -> None:
    files = {**tiny.content(), "model/int8.tflite": tiny.tflite()[:8] + bytes(600)}
    path = tiny.write(tmp_path / "x.edgetl", files)
    with open_bundle(path) as bundle, pytest.raises(ModelError):
        choose(bundle, name)


def test_wrong_names_and_missing_formats_are_told(tiny_bundle: Path, cache: Path) -> None:
    with open_bundle(tiny_bundle) as bundle:
        with pytest.raises(UsageError, match="unknown interpreter 'nonsense'"):
            choose(bundle, "nonsense")
        with pytest.raises(ModelError, match="holds no quantized onnx model"):
            choose(bundle, "onnxruntime")
        with pytest.raises(ModelError, match="holds no float32 tflite model"):
            open_named(bundle, "litert", precision="float32")


def test_median_is_of_positive_times(tiny_bundle: Path) -> None:
    with open_bundle(tiny_bundle) as bundle:
        assert 0 < best_ms(open_named(bundle, "litert"), runs=3) < 1000


def test_exported_bundle_is_chosen_for(small_bundle: Path, cache: Path) -> None:
    with open_bundle(small_bundle) as bundle:
        model, choice = choose(bundle)
        assert model.size == bundle.manifest.preprocessing.size
        assert choice.interpreter in available()
