"""The manifest is the one file that is parsed before anything vouches for it, so it is where hostile JSON would go."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgetl.errors import BundleError, BundleFormatError
from edgetl.runtime.bundle import MAX_MANIFEST_BYTES, open_bundle
from edgetl.runtime.manifest import DETECTOR_VERSION, FORMAT_VERSION, parse_manifest
from tests.runtime import tiny

GOOD = msgspec.json.encode(tiny.manifest_of({"model/int8.tflite": b"x"}))


def changed(**fields: Any) -> bytes:
    return msgspec.json.encode({**msgspec.json.decode(GOOD), **fields})


def test_good_manifest_is_read() -> None:
    manifest = parse_manifest(GOOD, "a.edgetl")
    assert manifest.format_version == FORMAT_VERSION
    assert manifest.rule.labels == tiny.LABELS


HOSTILE = {
    "deep lists": b"[" * 10_000,
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "deep in an unknown field": GOOD[:-1] + b',"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "NaN": GOOD.replace(b'"min_score":0.5', b'"min_score":NaN'),
    "infinity": GOOD.replace(b'"min_score":0.5', b'"min_score":1e999'),
    "10^400 as a version": GOOD.replace(b'"format_version":1', b'"format_version":1' + b"0" * 400),
    "10^400 as a size": GOOD.replace(b'"bytes":1', b'"bytes":1' + b"0" * 400),
    "million digits": GOOD.replace(b'"bytes":1', b'"bytes":' + b"9" * 1_000_000),
    "byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "invalid UTF-8": GOOD.replace(b'"plain"', b'"\xff\xfe"'),
    "lone surrogate": GOOD.replace(b'"plain"', b'"\\ud800"'),
    "key twice": GOOD.replace(b'"name":', b'"name":"other","name":'),
    "file twice": GOOD.replace(b'"files":{', b'"files":{"model/int8.tflite":{"bytes":9,"sha256":"a"},'),
    "empty": b"",
    "null": b"null",
    "a list": b"[1, 2]",
    "cut": GOOD[:-20],
    "two documents": GOOD + GOOD,
    "wrong type": changed(models="model.tflite"),
    "unknown format": changed(models=[{"path": "a", "format": "pickle", "precision": "int8"}]),
    "negative version": changed(format_version=-1),
    "version as text": changed(format_version="1"),
    "missing field": msgspec.json.encode({"format_version": 1}),
    "region outside the frame": changed(preprocessing={"size": 32, "region": [0, 0, 2, 2]}),
    "size of a million": changed(preprocessing={"size": 1_000_000}),
    "unknown step": changed(preprocessing={"size": 32, "sharpen": True}),
    "OK label that is none": changed(rule={"labels": ["a"], "ok_labels": ["b"]}),
    "no labels": changed(rule={"labels": [], "ok_labels": []}),
    "score above one": changed(rule={"labels": ["a"], "ok_labels": ["a"], "min_score": 7}),
}


@pytest.mark.fault("S12")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_manifest_is_one_short_line_at_once(name: str) -> None:
    start = time.monotonic()
    with pytest.raises(BundleFormatError) as caught:
        parse_manifest(HOSTILE[name], "a.edgetl")
    assert time.monotonic() - start < 1.0
    assert str(caught.value).startswith("a.edgetl: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.fault("S12")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_manifest_in_a_bundle_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError):
        open_bundle(tiny.write(tmp_path / "x.edgetl", manifest=HOSTILE[name]))


@pytest.mark.fault("S12")
def test_huge_manifest_is_refused_by_its_declared_size(tmp_path: Path) -> None:
    path = tiny.write(tmp_path / "x.edgetl", manifest=b"[" * (256 * MAX_MANIFEST_BYTES // 8))
    start = time.monotonic()
    with pytest.raises(BundleError, match=r"manifest\.json has \d+ bytes"):
        open_bundle(path)
    assert time.monotonic() - start < 1.0


@pytest.mark.fault("S13")
def test_unknown_fields_are_passed_over() -> None:
    plain = msgspec.json.decode(GOOD)
    plain["signed_by"] = {"key": "k", "deep": [1, {"a": None}]}
    plain["models"][0]["delegate"] = "npu"
    plain["lineage"]["operator"] = "x"
    plain["files"]["model/int8.tflite"]["note"] = "y"
    assert parse_manifest(msgspec.json.encode(plain), "a.edgetl") == parse_manifest(GOOD, "a.edgetl")


@pytest.mark.fault("S13")
@pytest.mark.parametrize("version", [DETECTOR_VERSION + 1, 99, 2**40])
def test_newer_format_asks_for_an_update_whatever_else_is_in_it(version: int) -> None:
    with pytest.raises(BundleFormatError, match=r"newer than this edgetl reads .*; update edgetl"):
        parse_manifest(msgspec.json.encode({"format_version": version, "models": "in another shape"}), "a.edgetl")


def test_format_that_never_was_is_no_newer_one() -> None:
    with pytest.raises(BundleFormatError, match="unknown bundle format 0"):
        parse_manifest(changed(format_version=0), "a.edgetl")
