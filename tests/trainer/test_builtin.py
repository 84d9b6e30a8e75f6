"""Weights that come with edgetl: every command takes them, and they stand in where a hub cannot be reached."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from edgetl.benchmarks.model_comparison.candidate import Candidate, Plan
from edgetl.benchmarks.model_comparison.command import weights_by_model
from edgetl.errors import UsageError, WeightsError
from edgetl.trainer import builtin
from edgetl.trainer.backbones import describe
from edgetl.trainer.network import Network
from edgetl.trainer.normalization import NAMED
from edgetl.trainer.recipe import DRAWN_LAYER_RATIO, LAYER_RATIO
from edgetl.trainer.run_folder import read_run
from edgetl.trainer.weights import load_into
from tests.cli.calling import call, refused
from tests.conftest import edgetl

MODEL = builtin.MODELS[0]
SOURCE = "builtin:mobilenetv2_050"
FILE = builtin.builtin_file(describe(MODEL).timm_name)


def without_hub(tmp_path: Path, **more: str) -> dict[str, str]:
    """An environment with an empty cache."""
    env = {
        k: v for k, v in os.environ.items() if "proxy" not in k.lower() and not k.startswith(("HF_", "HUGGINGFACE_"))
    }
    return env | {"HF_HOME": str(tmp_path / "hub"), "TORCH_HOME": str(tmp_path / "torch")} | more


def train(*args: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return edgetl("train", "--recipe", "probe", "--model", MODEL, "--imgsz", 64, *args, env=env or dict(os.environ))


@pytest.mark.parametrize("model", builtin.MODELS)
def test_every_file_fits_its_model_and_brings_what_it_expects(model: str) -> None:
    net = Network(describe(model), 3, 64)
    net.expect(NAMED["inception"])
    path = builtin.builtin_file(net.backbone.timm_name)
    assert load_into(net, builtin.NAME) == f"builtin:{path.stem}"
    saved = load_file(path)
    assert {tensor.dtype for tensor in saved.values()} == {torch.float16}
    assert all(torch.equal(net.net.state_dict()[name], tensor.float()) for name, tensor in saved.items())
    with safe_open(path, "pt") as file:
        facts = file.metadata()
    assert (str(net.backbone.mean), str(net.backbone.std)) == (facts["mean"], facts["std"])
    assert facts["licence"] == "Apache-2.0" and json.loads(facts["plan"])["model"] == model
    assert path.stat().st_size <= 2e6


def test_training_begins_from_them(small_data: Path, tmp_path: Path) -> None:
    done = train("--weights", "builtin", "--data", small_data, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    run = read_run(tmp_path / "run")
    assert run.record.weights == SOURCE
    stem = load_file(FILE)["conv_stem.weight"].float()
    assert torch.equal(run.network().net.state_dict()["conv_stem.weight"], stem)


def test_they_are_fine_tuned_as_what_knows_drawn_pictures_alone(small_data: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.safetensors"
    shutil.copyfile(FILE, file)
    other = tmp_path / "other.safetensors"
    save_file(load_file(FILE), other, metadata={"recipe": "ImageNet"})
    ratios = []
    for weights in ("builtin", file, other):
        run = tmp_path / f"run-{len(ratios)}"
        answer = call("train", "--model", MODEL, "--weights", weights, "--recipe", "finetune", "--data", small_data, "--imgsz", 32,
                      "--epochs", 1, "--out", run, "--json")  # fmt: skip
        assert answer.code == 0, answer.err
        ratios.append(read_run(run).settings.layer_ratio)
    assert ratios == [DRAWN_LAYER_RATIO, DRAWN_LAYER_RATIO, LAYER_RATIO]


def test_features_are_those_of_the_file(small_data: Path, tmp_path: Path) -> None:
    told = {}
    for name, weights in (("own", "builtin"), ("file", FILE), ("none", "none")):
        out = tmp_path / f"{name}.npz"
        answer = call(
            "embed", "--data", small_data, "--model", MODEL, "--weights", weights, "--imgsz", 64, "--out", out, "--json"
        )
        assert answer.code == 0, answer.err
        told[name] = json.loads(answer.out)["weights"]
    assert told == {"own": SOURCE, "file": FILE.name, "none": "none"}
    own, same, other = (np.load(tmp_path / f"{name}.npz")["features"] for name in told)
    assert np.array_equal(own, same) and not np.allclose(own, other)


def test_a_one_class_run_looks_through_them(good_parts: Path, tmp_path: Path) -> None:
    answer = call("train", "--recipe", "one-class", "--data", good_parts, "--model", MODEL, "--weights", "builtin",
                  "--imgsz", 64, "--bank", 100, "--out", tmp_path / "run")  # fmt: skip
    assert answer.code == 0, answer.err
    assert read_run(tmp_path / "run").record.weights == SOURCE


def test_a_teacher_and_a_data_check_take_them(small_data: Path, tmp_path: Path) -> None:
    answer = call("data", "check", small_data, "--model", MODEL, "--weights", "builtin", "--imgsz", 64, "--json")
    assert json.loads(answer.out)["backbone"] == MODEL, answer
    answer = call("train", "--data", small_data, "--model", "resnet_tiny", "--weights", "none", "--imgsz", 64, "--epochs", 1,
                  "--teacher", MODEL, "--teacher-weights", "builtin", "--out", tmp_path / "run")  # fmt: skip
    assert answer.code == 0, answer.err
    teacher = read_run(tmp_path / "run").record.teacher
    assert teacher is not None and teacher.weights == SOURCE


def test_a_comparison_trains_from_them(small_data: Path, tmp_path: Path) -> None:
    """With the flags that a comparison trains its candidates by; all of one, with its exports, is tested elsewhere."""
    named = weights_by_model((f"{MODEL}={builtin.NAME}",), (MODEL, "resnet18"))
    plan = Plan(data=str(small_data), models=(MODEL, "resnet18"), weights=named, imgsz=64)
    assert plan.weights_of("resnet18") == "auto"
    answer = call(
        "train", *plan.flags(msgspec.convert({"model": MODEL, "way": "probe"}, Candidate)), "--out", tmp_path / "run"
    )
    assert answer.code == 0, answer.err
    assert read_run(tmp_path / "run").record.weights == SOURCE


@pytest.mark.parametrize("way", ["offline", "proxy"])
def test_auto_falls_back_and_says_so_in_one_line(way: str, small_data: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as soon_closed:
        proxy = f"http://127.0.0.1:{soon_closed.getsockname()[1]}"
    env = without_hub(
        tmp_path, **({"HF_HUB_OFFLINE": "1"} if way == "offline" else {"HTTPS_PROXY": proxy, "HTTP_PROXY": proxy})
    )
    asked, own = (train("--data", small_data, "--weights", weights, "--out", tmp_path / weights, env=env)
                  for weights in ("auto", "builtin"))  # fmt: skip
    assert asked.returncode == own.returncode == 0, asked.stderr
    assert read_run(tmp_path / "auto").record.weights == SOURCE
    told = [line for line in asked.stderr.splitlines() if "--weights builtin" in line]
    assert len(told) == 1 and "cannot be reached" in told[0]
    assert len(asked.stderr.splitlines()) == len(own.stderr.splitlines()) + 1, asked.stderr


def test_data_check_looks_with_them_where_its_own_net_has_none(small_data: Path, tmp_path: Path) -> None:
    env = without_hub(tmp_path, HF_HUB_OFFLINE="1")
    done = edgetl("data", "check", small_data, "--imgsz", 64, "--json", env=env)
    found = json.loads(done.stdout)
    assert found["backbone"] == MODEL and found["skipped"] is None and found["curves"]
    told = [line for line in done.stderr.splitlines() if f"taking {MODEL}" in line]
    assert len(told) == 1 and "cannot be reached" in told[0]


def test_a_model_without_any_is_named(small_data: Path, tmp_path: Path) -> None:
    answer = call(
        "train", "--data", small_data, "--model", "mobilenet_v2", "--weights", "builtin", "--out", tmp_path / "run"
    )
    refused(answer, 2, "E_USAGE", "none for mobilenet_v2 ", f"only {MODEL}", "--weights auto, FILE or none")
    with pytest.raises(UsageError, match="resnet18"):
        load_into(Network(describe("resnet18"), 2, 64), builtin.NAME)


def copied(folder: Path) -> ModuleType:
    """The package in another place, where its file may be spoiled."""
    shutil.copytree(Path(builtin.__file__).parent, folder)
    spec = importlib.util.spec_from_file_location("copied_builtin", folder / "__init__.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_damaged_or_missing_file_is_refused(tmp_path: Path) -> None:
    copy = copied(tmp_path / "copy")
    path = copy.builtin_file("mobilenetv2_050")
    assert path.read_bytes() == FILE.read_bytes()
    spoiled = bytearray(path.read_bytes())
    spoiled[len(spoiled) // 2] ^= 1
    path.write_bytes(spoiled)
    with pytest.raises(WeightsError, match="damaged"):
        copy.builtin_file("mobilenetv2_050")
    path.unlink()
    with pytest.raises(WeightsError, match="install edgetl again"):
        copy.builtin_file("mobilenetv2_050")
