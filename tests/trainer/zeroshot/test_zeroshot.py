"""`edgetl zeroshot`: whose guesses they are, and that others take them up."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from edgetl.runtime.collect.record import read_collected
from edgetl.runtime.dataset import list_pictures, sha256_of
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import Preprocessing, preprocess
from edgetl.trainer.network import pixels_of
from edgetl.trainer.review.labels import Labels
from edgetl.trainer.review.merge import merge
from edgetl.trainer.review.queue import queue_of
from edgetl.trainer.torch_stack import import_open_clip
from tests.cli.calling import Answer, call, refused
from tests.cli.test_commands import ABSENT
from tests.runtime.pictures import noise, save
from tests.trainer.clip_models import write_tiny_clip

WORDS = ("dark", "light")


class Given(NamedTuple):
    """Pictures, and a model of random values to guess with."""

    data: Path
    config: Path
    weights: Path


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    """Six pictures in class folders, one in a folder that is no class, and one in none."""
    folder = tmp_path_factory.mktemp("zeroshot")
    for number in range(6):
        picture = noise(40, 30, seed=number) // 2 + (0, 120)[number % 2]
        save(folder / "data" / WORDS[number % 2] / f"{number}.png", picture.astype("uint8"))
    save(folder / "data/others/same.png", noise(40, 30, seed=8))
    save(folder / "data/same.png", noise(40, 30, seed=9))
    return Given(folder / "data", *write_tiny_clip(folder))


def zeroshot(given: Given, *words: object) -> Answer:
    return call("zeroshot", "--data", given.data, "--classes", ",".join(WORDS), "--model", given.config, "--weights",
                given.weights, *words)  # fmt: skip


@torch.inference_mode()
def by_hand(given: Given, path: str, sentence: str) -> list[float]:
    """Chances as open_clip's own documentation computes them, of one sentence a class."""
    open_clip = import_open_clip()
    model = open_clip.create_model("tiny_clip", pretrained=str(given.weights)).eval()
    image = torch.from_numpy(preprocess(read_picture(given.data / path), Preprocessing(size=32))[None])
    mean, std = (
        torch.tensor(v).view(1, 3, 1, 1) for v in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
    )
    seen = model.encode_image((pixels_of(image) / 255 - mean) / std, normalize=True)
    texts = open_clip.get_tokenizer("tiny_clip")([sentence.replace("{}", word) for word in WORDS])
    read = model.encode_text(texts, normalize=True)
    return (model.logit_scale.exp() * seen @ read.T).softmax(dim=-1)[0].tolist()


def test_table_holds_open_clips_own_answer_for_every_picture(given: Given, tmp_path: Path) -> None:
    done = zeroshot(given, "--prompt", "photo of {}", "--out", tmp_path / "g.csv")
    assert done.code == 0, done.err
    with (tmp_path / "g.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [*(f"dark/{n}.png" for n in (0, 2, 4)), *(f"light/{n}.png" for n in (1, 3, 5)),
                                             "others/same.png", "same.png"]  # fmt: skip
    for row in (rows[0], rows[4], rows[-1]):
        chances = [float(row[f"chance of {word}"]) for word in WORDS]
        assert chances == pytest.approx(by_hand(given, row["path"], "photo of {}"), abs=2e-3)
        assert row["label"] == WORDS[int(np.argmax(chances))]
        assert float(row["confidence"]) == max(chances)
        assert row["sha256"] == sha256_of(given.data / row["path"])


def test_more_prompts_are_their_middle_and_words_matter(given: Given, tmp_path: Path) -> None:
    def chances(*words: object) -> list[float]:
        assert zeroshot(given, *words, "--out", tmp_path / "g.json").code == 0
        return [guess["chances"][0] for guess in json.loads((tmp_path / "g.json").read_text())["guesses"]]

    one, other, both = (
        chances("--prompt", "a {}"),
        chances("--prompt", "the {} thing"),
        chances("--prompt", "a {}", "--prompt", "the {} thing"),
    )
    assert one != pytest.approx(other, abs=1e-4)
    assert all(min(a, b) - 0.02 < c < max(a, b) + 0.02 for a, b, c in zip(one, other, both, strict=True))


def test_it_says_how_right_it_is_where_folders_tell(given: Given) -> None:
    said = json.loads(zeroshot(given, "--json").out)
    assert (said["pictures"], said["judged"], sum(said["guessed"].values())) == (8, 6, 8)
    assert 0 <= said["balanced_accuracy"] <= 1
    assert "of 6 pictures in folders of these names: balanced accuracy" in zeroshot(given).out


def test_guesses_are_reviewed_and_become_a_data_set(given: Given, tmp_path: Path) -> None:
    review, base = tmp_path / "review", tmp_path / "base"
    assert zeroshot(given, "--review", review, "--ok", "light", "--min-score", 0.5).code == 0
    labels = Labels(review)
    queue = queue_of(review, labels)
    assert queue.labels == WORDS and len(queue.items) == 8
    records = {record.device: record for record in read_collected(review)}
    for path, record in records.items():
        assert np.array_equal(read_picture(review / record.picture), read_picture(given.data / path))
        assert record.verdict == {"dark": "NG", "light": "OK"}[record.label or ""]
    labels.give(records["same.png"].picture, "light")
    for word in WORDS:
        shutil.copytree(given.data / word, base / word)
    version = merge(base, review, tmp_path / "next")
    assert [added.label for added in version.added] == ["light"]
    assert len(list_pictures(tmp_path / "next").pictures) == 7


def test_doubtful_guesses_are_unknown_and_stay_out_of_the_class_folders(given: Given, tmp_path: Path) -> None:
    assert zeroshot(given, "--out", tmp_path / "g.json").code == 0
    guesses = json.loads((tmp_path / "g.json").read_text())["guesses"]
    middle = sorted(guess["confidence"] for guess in guesses)[4]
    done = zeroshot(given, "--folders", tmp_path / "sure", "--review", tmp_path / "review", "--min-score", middle)
    assert done.code == 0, done.err
    sure = {(g["label"], g["path"].replace("/", "__")) for g in guesses if g["confidence"] >= middle}
    assert {(p.parent.name, p.name) for p in (tmp_path / "sure").rglob("*.png")} == sure and len(sure) == 4
    verdicts = [record.verdict for record in read_collected(tmp_path / "review")]
    assert verdicts.count("UNKNOWN") == 4
    refused(zeroshot(given, "--folders", tmp_path / "sure"), 2, "E_USAGE", "is there already")


def test_two_paths_that_make_one_name_are_two_pictures(given: Given, tmp_path: Path) -> None:
    """And neither is written over the other, which lies in the data as well."""
    for number, path in enumerate(("a/b.png", "a__b.png")):
        save(tmp_path / "data" / path, noise(40, 30, seed=20 + number))
    before = {p: p.read_bytes() for p in (tmp_path / "data").rglob("*.png")}
    done = zeroshot(given._replace(data=tmp_path / "data"), "--folders", tmp_path / "sure", "--min-score", 0)
    assert done.code == 0, done
    assert {p: p.read_bytes() for p in before} == before
    assert sorted(p.read_bytes() for p in (tmp_path / "sure").rglob("*.png")) == sorted(before.values())


@pytest.mark.parametrize(
    ("flags", "code", "kind", "words"),
    [
        (("--model", "ViT-B32"), 2, "E_USAGE", "unknown CLIP model 'ViT-B32'"),
        (("--weights", "gone.pth"), 2, "E_USAGE", "gone.pth: no such file"),
        (("--weights", "none"), 2, "E_USAGE", "would guess at random"),
        (("--weights", "auto"), 1, "E_WEIGHTS", "no pretrained weights for tiny_clip"),
        (("--classes", "good"), 2, "E_USAGE", "name at least two"),
        (("--prompt", "a photo"), 2, "E_USAGE", "has no {}"),
        (("--ok", "fine"), 2, "E_USAGE", "no such class"),
        (("--out", "guesses.txt"), 2, "E_USAGE", "a .csv or a .json"),
        (("--data", "gone"), 2, "E_DATASET", "no such folder"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    given: Given, flags: tuple[str, ...], code: int, kind: str, words: str
) -> None:
    refused(zeroshot(given, *flags), code, kind, words)


def test_folder_without_pictures_or_with_none_that_can_be_read(given: Given, tmp_path: Path) -> None:
    refused(zeroshot(given, "--data", tmp_path), 2, "E_DATASET", "no pictures found")
    (tmp_path / "x.png").write_bytes(b"no picture")
    refused(zeroshot(given, "--data", tmp_path), 2, "E_DATASET", "none of its pictures can be read", "x.png")


def test_without_open_clip_the_extra_that_brings_it_is_named(given: Given) -> None:
    words = ["zeroshot", "--data", str(given.data), "--classes", "a,b"]
    command = [sys.executable, "-c", ABSENT.format(name="open_clip"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "edgetl: E_MISSING_PART: open_clip is not installed; run: pip install 'edgetl[train]'\n"


def test_hub_that_cannot_be_reached_is_a_missing_part(
    given: Given, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # the discard port: nobody listens
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    answer = call("zeroshot", "--data", given.data, "--classes", "a,b", "--model", "RN50-quickgelu")
    refused(answer, 3, "E_MISSING_PART", "the model hub cannot be reached", "--weights FILE")
