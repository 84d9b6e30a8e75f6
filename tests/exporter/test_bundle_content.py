"""What is in a bundle made by the real commands."""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

import edgetl.exporter
from edgetl.exporter.bundle_writer import write_bundle
from edgetl.exporter.golden import candidates
from edgetl.runtime.bundle import Bundle, open_bundle
from edgetl.runtime.golden import read_golden
from edgetl.runtime.picture import decode, read_picture
from edgetl.runtime.preprocess import preprocess
from edgetl.runtime.reference import QUANTILES, read_reference
from edgetl.trainer.run_folder import Run, SplitRecord, read_run


@pytest.fixture(scope="module")
def bundle(small_bundle: Path) -> Iterator[Bundle]:
    with open_bundle(small_bundle) as opened:
        yield opened


@pytest.fixture(scope="module")
def run(small_run: Path) -> Run:
    return read_run(small_run)


def test_manifest_lists_every_file_with_its_size_and_hash(small_bundle: Path) -> None:
    with zipfile.ZipFile(small_bundle) as archive:
        listed = json.loads(archive.read("manifest.json"))["files"]
        assert set(listed) == set(archive.namelist()) - {"manifest.json"}
        for name, record in listed.items():
            data = archive.read(name)
            assert record == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}, name


def test_every_part_of_the_contract_is_there_and_no_file_of_torch(small_bundle: Path) -> None:
    with zipfile.ZipFile(small_bundle) as archive:
        names = set(archive.namelist())
        heads = {name: archive.read(name)[:2] for name in names}
    assert names >= {"manifest.json", "model/int8.tflite", "model/int8.onnx", "model/float32.tflite", "golden/golden.json",
                     "reference.json", "lineage/splits.json", "card.md"}  # fmt: skip
    endings = {Path(name).suffix for name in names}
    assert endings == {".json", ".tflite", ".onnx", ".png", ".md"}
    assert not [name for name, head in heads.items() if head in (b"PK", b"\x80\x02", b"\x80\x04")]


def test_nothing_in_it_tells_of_the_folders_where_it_was_made(small_bundle: Path, run: Run) -> None:
    """They may hold a name, and the same run would give other bytes in another folder."""
    own = [Path(module.__file__).resolve().parents[1] for module in (torch, edgetl.exporter) if module.__file__]
    folders = [str(folder).encode() for folder in (*own, Path(sys.prefix), run.folder, Path(run.settings.data))]
    with zipfile.ZipFile(small_bundle) as archive:
        telling = [name for name in archive.namelist() if any(folder in archive.read(name) for folder in folders)]
    assert not telling


def test_lineage_leads_back_to_the_run(bundle: Bundle, run: Run) -> None:
    by_split: dict[str, set[str]] = {}
    for record in run.splits:
        by_split.setdefault(record.split, set()).add(record.sha256)
    lineage = bundle.manifest.lineage
    calibration = set(lineage.calibration)
    assert calibration == {s.sha256 for s in run.splits if s.calibrates} != set()
    for judging in ("val", "test"):
        assert calibration.isdisjoint(by_split[judging])
    recorded = json.loads(bundle.read("lineage/splits.json"))
    assert {split: set(hashes) for split, hashes in recorded.items()} == by_split
    assert (lineage.seed, lineage.weights) == (0, "none")
    assert "torch" in bundle.manifest.tools and "edgetl" in bundle.manifest.tools


def test_golden_pictures_are_val_pictures(bundle: Bundle, run: Run, small_data: Path) -> None:
    val = {s.label: [] for s in run.splits if s.split == "val"}
    frames = []
    for record in run.splits:
        if record.split == "val":
            frames.append(read_picture(small_data / record.path))
            val[record.label].append(len(frames) - 1)
    golden = read_golden(bundle)
    assert 1 <= len(golden.pictures) <= 12
    used = []
    for picture in golden.pictures:
        found = decode(bundle.read(picture.path), picture.path)
        used.append(next(i for i in val[picture.truth] if np.array_equal(frames[i], found)))
        assert set(picture.models) == {"model/int8.tflite", "model/int8.onnx"}
        how = bundle.manifest.preprocessing
        assert picture.input_sha256 == hashlib.sha256(preprocess(found, how).tobytes()).hexdigest()
    assert len(set(used)) == len(used)


def test_reference_describes_the_training_pictures(bundle: Bundle, run: Run, small_data: Path) -> None:
    reference = json.loads(bundle.read("reference.json"))
    train = [s for s in run.splits if s.split == "train"]
    assert reference["pictures"] == len(train)
    assert reference["quantile_points"] == list(QUANTILES)
    greys = [
        preprocess(read_picture(small_data / s.path), bundle.manifest.preprocessing).mean(axis=(0, 1)) for s in train
    ]
    for channel, name in enumerate(("red", "green", "blue")):
        values = np.array([grey[channel] for grey in greys])
        assert reference["figures"][name]["mean"] == pytest.approx(values.mean(), abs=1e-3)
        assert reference["figures"][name]["quantiles"][0] == pytest.approx(values.min(), abs=1e-3)
    assert set(reference["figures"]) >= {"brightness", "contrast", "sharpness", "black", "white"}


def test_card_tells_labels_and_figures(bundle: Bundle) -> None:
    card = bundle.read("card.md").decode()
    manifest = bundle.manifest
    for label in manifest.rule.labels:
        assert label in card
    assert "Good: ok." in card
    for row in manifest.measured:
        assert f"| {row.model} | {row.split} | {row.n} | {100 * row.balanced_accuracy:.2f} % |" in card


def test_rule_and_preprocessing_are_the_runs_with_the_score_that_was_asked_for(bundle: Bundle, run: Run) -> None:
    assert bundle.manifest.preprocessing == run.record.preprocessing
    assert bundle.manifest.rule == msgspec.structs.replace(run.record.rule, min_score=0.0)


def test_same_content_gives_the_same_bytes(bundle: Bundle, tmp_path: Path) -> None:
    files = {name: bundle.read(name) for name in bundle.manifest.files}
    for name, content in (("a", files), ("b", dict(reversed(files.items())))):
        write_bundle(tmp_path / name, bundle.manifest, content)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == bundle.path.read_bytes()


def test_golden_candidates_take_classes_in_turn() -> None:
    counts = {"a": 10, "b": 2, "c": 1}
    records = [
        SplitRecord(f"{label}{i}", label, hashlib.sha256(f"{label}{i}".encode()).hexdigest(), "val")
        for label, n in counts.items()
        for i in range(n)
    ]
    chosen = candidates(records)
    assert sorted(r.path for r in chosen) == sorted(r.path for r in records)
    assert [r.label for r in chosen[:6]] == ["a", "b", "c", "a", "b", "a"]
    assert candidates(records[::-1]) == chosen
    assert candidates([]) == []


def test_reference_says_how_sure_the_shipped_model_is_of_held_out_pictures(bundle: Bundle, run: Run) -> None:
    sure = read_reference(bundle).confidence  # type: ignore[union-attr]
    assert sure is not None and sure.model == "model/int8.tflite"
    assert sure.pictures == sum(s.split == "val" for s in run.splits)
    assert set(sure.by_label) == set(sure.logits) <= set(bundle.manifest.rule.labels)
    # In deviations of the training pictures; a net of two epochs and a dozen pictures of val leave it wide.
    assert sure.figures["novelty"].mean == pytest.approx(0, abs=2)


def test_golden_set_of_the_small_run_has_every_class(bundle: Bundle) -> None:
    truths = Counter(p.truth for p in read_golden(bundle).pictures)
    assert set(truths) <= set(bundle.manifest.rule.labels)
    assert len(truths) >= 3
