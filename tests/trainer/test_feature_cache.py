"""What one run found out about pictures serves the next, whoever writes at the same time and whatever the disk does."""

from __future__ import annotations

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from edgetl.errors import DatasetError
from edgetl.runtime.dataset import list_pictures
from edgetl.runtime.preprocess import Preprocessing
from edgetl.trainer import feature_cache, store
from edgetl.trainer.backbones import describe
from edgetl.trainer.data import TrainingData
from edgetl.trainer.feature_cache import FeatureCache, space_of
from edgetl.trainer.network import Network
from edgetl.trainer.probe import compute_features
from edgetl.trainer.progress import SilentReporter
from edgetl.trainer.run_folder import BEST
from tests.cli.calling import call
from tests.runtime.pictures import noise, save

HOW = Preprocessing(size=32)
CPU = torch.device("cpu")


def hashes(*numbers: int) -> list[str]:
    return [hashlib.sha256(bytes([number])).hexdigest() for number in numbers]


def values(*numbers: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.array([[number, number + 0.5, -number] for number in numbers], np.float32)


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Twelve pictures in two classes."""
    for i in range(12):
        save(tmp_path / "parts" / "ab"[i % 2] / f"{i}.png", noise(40, 36, i))
    return tmp_path / "parts"


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgetl" / "features"


class Counted(Network):
    """A network that counts the pictures that it is shown."""

    shown = 0

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        self.shown += len(pixels)
        return super().features(pixels)


def network(seed: int = 0, classes: int = 2) -> Counted:
    torch.manual_seed(seed)
    return Counted(describe("resnet_tiny"), classes, 32)


def loaded(folder: Path) -> tuple[store.Store, TrainingData]:
    stored = store.load(folder, list_pictures(folder).pictures, HOW)
    count = len(stored.samples)
    return stored, TrainingData(stored.images, np.zeros(count, np.int64), np.full(count, "train"), ("a", "b"))


def features(net: Network, data: TrainingData) -> torch.Tensor:
    return compute_features(net, data, np.arange(len(data.targets)), 4, CPU, SilentReporter())


def test_what_was_kept_is_recalled_in_the_order_asked_for(tmp_path: Path) -> None:
    FeatureCache("space", tmp_path).keep(hashes(1, 2, 3), values(1, 2, 3))
    FeatureCache("space", tmp_path).keep(hashes(4), values(4))
    found, known = FeatureCache("space", tmp_path).recall(hashes(4, 9, 2, 4))
    assert known.tolist() == [True, False, True, True]
    assert np.array_equal(found[known], values(4, 2, 4))
    assert FeatureCache("another", tmp_path).is_empty()
    assert not FeatureCache("another", tmp_path).recall(hashes(1))[1].any()


def test_every_fact_makes_a_space_of_its_own() -> None:
    spaces = {space_of("k", a=1, b=2), space_of("k", a=2, b=1), space_of("l", a=1, b=2), space_of("k", a=1)}
    assert len(spaces) == 4
    assert space_of("k", b=2, a=1) in spaces


@pytest.mark.parametrize("damage", ["a flipped bit", "cut", "empty", "not ours"])
def test_damaged_file_is_no_answer_and_is_made_anew(tmp_path: Path, damage: str) -> None:
    cache = FeatureCache("space", tmp_path)
    cache.keep(hashes(1, 2), values(1, 2))
    cache.keep(hashes(3), values(3))
    path = next(p for p in files_of(tmp_path) if p.stat().st_size == max(q.stat().st_size for q in files_of(tmp_path)))
    data = bytearray(path.read_bytes())
    data[-2] ^= 4
    path.write_bytes({"a flipped bit": bytes(data), "cut": data[:-5], "empty": b"", "not ours": b"PK\x03\x04"}[damage])
    _, known = cache.recall(hashes(1, 2, 3))
    assert known.tolist() == [False, False, True]
    assert not path.exists()
    cache.keep(hashes(1, 2), values(1, 2))
    assert np.array_equal(cache.recall(hashes(1, 2, 3))[0], values(1, 2, 3))


def test_many_writers_and_readers_at_once_lose_nothing(tmp_path: Path) -> None:
    def work(number: int) -> bool:
        own = FeatureCache("space", tmp_path)
        own.keep(hashes(number, 100), values(number, 100))
        found, known = own.recall(hashes(number, 100))
        return bool(known.all()) and np.array_equal(found, values(number, 100))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(40)))
    found, known = FeatureCache("space", tmp_path).recall(hashes(*range(40)))
    assert known.all() and np.array_equal(found, values(*range(40)))


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    cache = FeatureCache("space", tmp_path)
    for number in (1, 2, 3):
        cache.keep(hashes(number), values(number))
    for age, path in enumerate(files_of(tmp_path)):
        os.utime(path, (1000 + age, 1000 + age))
    oldest = next(n for n in (1, 2, 3) if cache_file(tmp_path, n) == files_of(tmp_path)[0])
    cache.recall(hashes(oldest))  # which makes it the newest
    monkeypatch.setattr(feature_cache, "MAX_BYTES", 3 * files_of(tmp_path)[0].stat().st_size)
    cache.keep(hashes(4), values(4))
    assert cache.recall(hashes(oldest, 4))[1].all()
    assert cache.recall(hashes(1, 2, 3, 4))[1].sum() == 3


def cache_file(folder: Path, number: int) -> Path:
    """The file that holds one picture's values alone."""
    own = FeatureCache("alone", folder.parent / "alone")
    own.keep(hashes(number), values(number))
    name = next(p.name for p in files_of(folder.parent / "alone"))
    shutil.rmtree(folder.parent / "alone")
    return folder / "space" / name


@pytest.mark.parametrize("place", ["full", "a file"])
def test_where_nothing_can_be_kept_the_work_is_done_all_the_same(
    pictures: Path,
    full_disk: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").write_text("")
    (full_disk / "fill").write_bytes(bytes(64_000))
    monkeypatch.setenv("XDG_CACHE_HOME", str(full_disk if place == "full" else tmp_path / "file"))
    _, data = loaded(pictures)
    assert features(network(), data).shape == (12, 96)
    assert "is not kept for another run" in caplog.text


def test_second_time_no_picture_is_decoded_nor_shown_to_the_net(
    pictures: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, data = loaded(pictures)
    before = features(network(), data)
    net = network()
    monkeypatch.setattr(store, "decode", lambda data, name: pytest.fail(f"{name} is decoded"))
    again, data = loaded(pictures)
    assert torch.equal(features(net, data), before)
    assert net.shown == 0
    assert again.samples == first.samples
    assert np.array_equal(again.fingerprints, first.fingerprints)
    assert again.images.missing(np.arange(12)) == 12


def test_only_new_and_changed_pictures_are_looked_at(pictures: Path, own_cache: Path) -> None:
    _, data = loaded(pictures)
    features(network(), data)
    save(pictures / "a" / "new.png", noise(40, 36, 77))
    save(pictures / "b" / "1.png", noise(40, 36, 78))
    stored, data = loaded(pictures)
    assert stored.images.missing(np.arange(13)) == 11
    net = network()
    found = features(net, data)
    assert net.shown == 2
    shutil.rmtree(own_cache)
    assert torch.allclose(found, features(network(), loaded(pictures)[1]), atol=1e-5)


@pytest.mark.parametrize("other", ["weights", "size of the picture", "part of the picture"])
def test_other_weights_or_pixels_are_other_features(pictures: Path, own_cache: Path, other: str) -> None:
    features(network(), loaded(pictures)[1])
    net = network(seed=5 if other == "weights" else 0)
    how = {
        "size of the picture": Preprocessing(size=64),
        "part of the picture": Preprocessing(size=32, region=(0, 0, 0.5, 1)),
    }
    stored = store.load(pictures, list_pictures(pictures).pictures, how.get(other, HOW))
    data = TrainingData(stored.images, np.zeros(12, np.int64), np.full(12, "train"), ("a", "b"))
    features(net, data)
    assert net.shown == 12


def test_classifier_is_no_part_of_the_features(pictures: Path, own_cache: Path) -> None:
    net = network()
    features(net, loaded(pictures)[1])
    with torch.no_grad():
        net.head.weight.add_(1.0)
    features(net, loaded(pictures)[1])
    assert net.shown == 12


def test_picture_that_changes_before_it_is_decoded_is_named(pictures: Path, own_cache: Path) -> None:
    loaded(pictures)
    stored, _ = loaded(pictures)
    save(pictures / "a" / "0.png", noise(40, 36, 99))
    with pytest.raises(DatasetError, match=r"a/0\.png: changed while it was in use"):
        stored.images[np.arange(12)]


def test_probe_from_the_cache_is_the_probe(few: Path, own_cache: Path, tmp_path: Path) -> None:
    """The same bytes, and the same page, whether features came from the net or from an earlier run."""
    for name in ("first", "second"):
        done = call("train", "--data", few, "--model", "resnet_tiny", "--weights", "none", "--recipe", "probe",
                    "--imgsz", 32, "--device", "cpu", "--out", tmp_path / name)  # fmt: skip
        assert done.code == 0, done.err
    for file in (BEST, Path("results.csv"), Path("confusion_val.png"), Path("splits.json")):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


@pytest.fixture
def few(small_data: Path, tmp_path: Path) -> Path:
    """Two of the drawn classes."""
    for label in ("ok", "stain"):
        shutil.copytree(small_data / "train" / label, tmp_path / "few" / label)
    return tmp_path / "few"
