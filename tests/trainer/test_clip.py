"""open_clip's models: which one, which weights, and what is said where they cannot be had."""

from __future__ import annotations

import importlib.util
import logging
import pickle
from pathlib import Path

import pytest
import torch

from edgetl.errors import MissingPartError, UsageError, WeightsError
from edgetl.trainer.clip import load_clip
from edgetl.trainer.torch_stack import import_open_clip
from tests.trainer.clip_models import write_tiny_clip


@torch.inference_mode()
def test_features_are_those_of_open_clips_own_preprocessing(tmp_path: Path) -> None:
    """Raw pixels in, with the normalization inside: the same as open_clip's, which wants normalized ones."""
    config, weights = write_tiny_clip(tmp_path)
    model = load_clip(str(config), str(weights))
    pixels = 255 * torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    open_clip = import_open_clip()
    theirs = open_clip.create_model("tiny_clip", pretrained=str(weights)).eval()
    mean, std = (
        torch.tensor(v).view(1, 3, 1, 1) for v in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
    )
    assert torch.allclose(model.features(pixels), theirs.encode_image((pixels / 255 - mean) / std), atol=1e-5)


def test_another_size_is_looked_at_with_the_position_embedding_stretched(tmp_path: Path) -> None:
    config, weights = write_tiny_clip(tmp_path)
    model = load_clip(str(config), str(weights), size=64)
    assert model.size == 64
    assert model.features(torch.zeros(1, 3, 64, 64)).shape == (1, 16)


def test_logging_stays_as_it_was(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = (list(root.handlers), root.level, root.manager.disable)
    write, weights = write_tiny_clip(tmp_path)
    root.handlers[:] = before[0]  # what open_clip itself did when the file was written
    load_clip(str(write), str(weights))
    assert (list(root.handlers), root.level, root.manager.disable) == before


def test_weights_of_another_model_are_named(tmp_path: Path) -> None:
    config, weights = write_tiny_clip(tmp_path)
    with pytest.raises(WeightsError, match="does not fit the model: "):
        load_clip("ViT-S-32", str(weights))
    torch.save({"a": torch.zeros(3)}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="does not fit the model"):
        load_clip(str(config), str(tmp_path / "a.pth"))


def test_pickles_are_refused(tmp_path: Path) -> None:
    config, _ = write_tiny_clip(tmp_path)
    (tmp_path / "p.pt").write_bytes(pickle.dumps({"a": Path("x")}))
    with pytest.raises(WeightsError, match=r"refused|cannot be read"):
        load_clip(str(config), str(tmp_path / "p.pt"))


def test_model_without_published_weights_says_so(tmp_path: Path) -> None:
    config, _ = write_tiny_clip(tmp_path)
    with pytest.raises(WeightsError, match="no pretrained weights for tiny_clip; use --weights FILE"):
        load_clip(str(config), "auto")


def test_hub_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # the discard port: nobody listens
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        MissingPartError, match="no cached files for RN50-quickgelu and the model hub cannot be reached"
    ):
        load_clip("RN50-quickgelu", "auto")


@pytest.mark.skipif(importlib.util.find_spec("transformers") is not None, reason="transformers is installed here")
def test_model_whose_texts_need_another_library_names_it() -> None:
    with pytest.raises(MissingPartError, match="roberta-ViT-B-32 need another library: pip install transformers"):
        load_clip("roberta-ViT-B-32", "none")


def test_broken_configuration_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(UsageError, match=r"bad.json: cannot be read as a configuration"):
        load_clip(str(tmp_path / "bad.json"), "none")
    (tmp_path / "empty.json").write_text("{}")
    with pytest.raises(UsageError, match=r"empty.json: no open_clip configuration, which has embed_dim"):
        load_clip(str(tmp_path / "empty.json"), "none")
