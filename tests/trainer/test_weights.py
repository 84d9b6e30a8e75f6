"""Pretrained weights: each number lands where it belongs, and a file that is no weights does no harm."""

from __future__ import annotations

import os
import pickle
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from edgetl.errors import UsageError, WeightsError
from edgetl.trainer.backbones import describe
from edgetl.trainer.network import Network
from edgetl.trainer.torch_stack import import_timm
from edgetl.trainer.weights import MISMATCHES, load_into, read_state
from tests.cli.calling import call, refused
from tests.conftest import edgetl


def network(name: str, classes: int = 10, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return Network(describe(name), classes, 64).eval()


def lived_in(net: nn.Module, seed: int = 1) -> nn.Module:
    """The net with batch-norm statistics as after training, so that a lost or swapped one shows."""
    numbers = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=numbers))
            for tensor in (module.bias.data, module.running_mean):
                tensor.copy_(0.2 * torch.randn(tensor.shape, generator=numbers))
    return net.eval()


def pixels() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3)) * 255


def saved(net: nn.Module, path: Path) -> Path:
    state = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("file", ["net.safetensors", "net.pth"])
@torch.inference_mode()
def test_timms_names(tmp_path: Path, file: str) -> None:
    donor, taker = network("mobilenet_v2_050", seed=1), network("mobilenet_v2_050", seed=2)
    path = saved(lived_in(donor.net), tmp_path / file)
    assert not torch.allclose(taker(pixels()), donor(pixels()))
    assert load_into(taker, str(path)) == file
    assert torch.equal(taker(pixels()), donor(pixels()))


@torch.inference_mode()
def test_head_for_other_classes_is_left_as_it_was(tmp_path: Path) -> None:
    donor, taker = network("mobilenet_v2_050", 10, 1), network("mobilenet_v2_050", 3, 2)
    head = taker.head.weight.clone()
    load_into(taker, str(saved(lived_in(donor.net), tmp_path / "net.safetensors")))
    assert torch.equal(taker.head.weight, head)
    assert torch.equal(taker.features(pixels()), donor.features(pixels()))


@pytest.mark.parametrize("classes", [10, 3])
@torch.inference_mode()
def test_head_under_other_names_comes_along_for_the_same_classes_only(tmp_path: Path, classes: int) -> None:
    donor, taker = network("mobilenet_v2_050", 10, 1), network("mobilenet_v2_050", classes, 2)
    path, fresh = tmp_path / "net.pth", taker.head.weight.clone()
    torch.save({f"renamed.{n}": tensor for n, tensor in lived_in(donor.net).state_dict().items()}, path)
    load_into(taker, str(path))
    assert torch.equal(taker.head.weight, donor.head.weight if classes == 10 else fresh)
    assert torch.equal(taker.features(pixels()), donor.features(pixels()))


@pytest.mark.parametrize("wrap", ["state_dict", "model", "state_dict_ema", "module."])
def test_what_training_scripts_wrap_around_the_tensors_is_taken_off(tmp_path: Path, wrap: str) -> None:
    plain = nn.Linear(3, 2).state_dict()
    state: dict[str, Any] = dict(plain)
    state = {f"module.{k}": v for k, v in state.items()} if wrap == "module." else {wrap: state, "epoch": 7}
    torch.save(state, tmp_path / "net.pth")
    found = read_state(tmp_path / "net.pth")
    assert list(found) == ["weight", "bias"]
    assert all(torch.equal(found[name], plain[name]) for name in plain)


# Plain name: torchvision's, and where its net has the classifier.
TORCHVISION = {
    "mobilenet_v2": ("mobilenet_v2", "classifier.1"),
    "efficientnet_b0": ("efficientnet_b0", "classifier.1"),
    "resnet18": ("resnet18", "fc"),
}


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mobilenet_v2", "a.pth"),
        ("mobilenet_v2", "a.safetensors"),
        ("efficientnet_b0", "a.safetensors"),
        ("resnet18", "a.pth"),
    ],
)
@torch.inference_mode()
def test_torchvisions_file_gives_torchvisions_answers(tmp_path: Path, name: str, file: str) -> None:
    """A .safetensors file does not keep the order of the layers, and theirs have other names."""
    import_timm()  # makes torchvision importable first where it has to
    import torchvision

    their_name, classifier = TORCHVISION[name]
    theirs = lived_in(getattr(torchvision.models, their_name)(weights=None, num_classes=10))
    taker = network(name, seed=5)
    load_into(taker, str(saved(theirs, tmp_path / file)))
    taker.head.load_state_dict(theirs.get_submodule(classifier).state_dict())
    normal = (pixels() - taker.mean) / taker.scale
    expected = theirs(normal)
    assert float(expected.std()) > 0
    assert torch.allclose(taker.net(normal), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@torch.inference_mode()
def test_public_mobilenet_names_what_is_in_a_photograph(data_root: Path) -> None:
    """With the file's own head on top, since the words for its 1000 classes are known."""
    from edgetl.runtime.picture import read_picture
    from edgetl.runtime.preprocess import Preprocessing, preprocess
    from edgetl.trainer.network import pixels_of

    import_timm()
    import torchvision

    file = data_root / "weights/mobilenet_v2_100_imagenet.pth"
    taker = Network(describe("mobilenet_v2"), 1000, 224).eval()
    load_into(taker, str(file))
    state = read_state(file)
    taker.head.load_state_dict({"weight": state["classifier.1.weight"], "bias": state["classifier.1.bias"]})
    theirs = torchvision.models.mobilenet_v2(weights=None).eval()
    theirs.load_state_dict(state)
    photo = next(iter(sorted((data_root / "data/trashnet/test/glass").iterdir())))
    image = preprocess(read_picture(photo), Preprocessing())
    seen = pixels_of(torch.from_numpy(image[None]))
    expected = theirs(
        (seen / 255 - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1))
        / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    )
    assert torch.allclose(taker(seen), expected, atol=1e-3 * float(expected.abs().max()))


def test_other_architecture_is_told_by_its_first_layers_that_differ(tmp_path: Path) -> None:
    taker = network("mobilenet_v2_050")
    with pytest.raises(WeightsError) as caught:
        load_into(taker, str(saved(network("resnet18").net, tmp_path / "resnet.pth")))
    message = str(caught.value)
    assert "resnet.pth" in message and "mobilenet_v2_050" in message
    assert "conv1.weight (64, 3, 7, 7) stands where the model has conv_stem.weight (16, 3, 3, 3)" in message
    assert message.count(" stands where ") == MISMATCHES
    assert re.search(r"and \d+ more layers", message)


def test_same_architecture_of_another_width_is_told_by_its_layers(tmp_path: Path) -> None:
    taker = network("mobilenet_v2_050")
    path = saved(network("mobilenet_v2").net, tmp_path / "wide.safetensors")
    with pytest.raises(WeightsError) as caught:
        load_into(taker, str(path))
    message = str(caught.value)
    assert "conv_stem.weight is (32, 3, 3, 3) in the file, (16, 3, 3, 3) in the model" in message
    assert "bn1.weight is (32,) in the file, (16,) in the model" in message
    own, wide = taker.net.state_dict(), read_state(path)
    differ = sum(own[n].shape != wide[n].shape for n in own if not n.startswith("classifier"))
    assert f"and {differ - MISMATCHES} more layers" in message


def test_deeper_architecture_of_the_same_names_is_told_by_what_is_missing(tmp_path: Path) -> None:
    path = saved(network("resnet18").net, tmp_path / "shallow.pth")
    state = read_state(path)
    torch.save({n: t for n, t in state.items() if not n.startswith("layer4.1.")}, path)
    with pytest.raises(
        WeightsError, match=r"layer4\.1\.conv1\.weight is missing in the file; layer4\.1\.bn1\.weight is miss"
    ):
        load_into(network("resnet18"), str(path))


def test_file_that_ends_too_soon_is_told_by_what_it_lacks(tmp_path: Path) -> None:
    taker = network("resnet18")
    state = dict(list(taker.net.state_dict().items())[:60])
    torch.save({f"renamed.{name}": tensor for name, tensor in state.items()}, tmp_path / "part.pth")
    with pytest.raises(WeightsError, match=r"fit the model resnet18: layer\d\.\d\.\S+ is missing in the file"):
        load_into(taker, str(tmp_path / "part.pth"))


class Payload:
    """What an attacker puts into a checkpoint: unpickling it makes a folder."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.victim),)


@pytest.mark.fault("M5")
@pytest.mark.parametrize("form", ["beside tensors", "alone", "old format", "plain pickle"])
def test_payload_in_a_checkpoint_is_named_and_not_run(tmp_path: Path, form: str) -> None:
    victim, path = tmp_path / "victim", tmp_path / "weights.pth"
    payload = Payload(victim)
    if form == "plain pickle":
        path.write_bytes(pickle.dumps({"a": payload}, protocol=2))
    elif form == "old format":
        torch.save({"a": payload}, path, _use_new_zipfile_serialization=False)
    else:
        torch.save(payload if form == "alone" else {"conv_stem.weight": torch.zeros(3), "a": payload}, path)
    with pytest.raises(WeightsError) as caught:
        read_state(path)
    assert not victim.exists()
    assert f"it asks for {os.mkdir.__module__}.mkdir" in str(caught.value)
    assert "safetensors" in str(caught.value)
    assert "\n" not in str(caught.value)
    torch.load(path, weights_only=False) if form != "plain pickle" else pickle.loads(path.read_bytes())
    assert victim.exists()  # it was a live one


@pytest.mark.fault("M5")
def test_payload_given_to_the_train_command(small_data: Path, tmp_path: Path) -> None:
    torch.save({"a": Payload(tmp_path / "victim")}, tmp_path / "w.pth")
    answer = call("train", "--data", small_data, "--model", "mobilenet_v2_050", "--weights", tmp_path / "w.pth", "--imgsz", 32,
                  "--out", tmp_path / "run")  # fmt: skip
    refused(answer, 1, "E_WEIGHTS", "mkdir", "w.pth")
    assert not (tmp_path / "victim").exists()


@pytest.mark.fault("M6")
@pytest.mark.parametrize("file", ["net.safetensors", "net.pth"])
@pytest.mark.parametrize("keep", [0, 1, 8, 100, 0.5, -1])
def test_checkpoint_cut_short(tmp_path: Path, file: str, keep: float) -> None:
    path = saved(nn.Linear(100, 100), tmp_path / file)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(WeightsError) as caught:
        read_state(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.fault("M6")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_value_that_is_no_number_is_told_by_its_tensor(tmp_path: Path, value: float) -> None:
    net = network("mobilenet_v2_050").net
    with torch.no_grad():
        net.get_parameter("blocks.2.1.conv_dw.weight")[4, 0, 1, 1] = value
    with pytest.raises(WeightsError, match=r"blocks\.2\.1\.conv_dw\.weight holds a value that is not finite"):
        read_state(saved(net, tmp_path / "net.safetensors"))


@pytest.mark.parametrize("content", [{}, {"a": 3}, [torch.zeros(2)], torch.zeros(2)])
def test_file_without_named_tensors_is_no_weights(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="holds no tensors by name"):
        read_state(tmp_path / "w.pth")


def test_web_page_saved_as_weights_is_no_weights(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_text("<html>404 not found</html>")
    with pytest.raises(WeightsError, match=r"w\.pth: "):
        read_state(tmp_path / "w.pth")


def test_missing_file_is_a_wrong_use(small_data: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(UsageError):
            read_state(path)
    answer = call("train", "--data", small_data, "--model", "mobilenet_v2_050", "--weights", tmp_path / "none.pth", "--imgsz", 32,
                  "--out", tmp_path / "run")  # fmt: skip
    refused(answer, 2, "E_USAGE", "none.pth: no such file")


def test_without_a_hub_there_is_one_line_that_says_what_to_do(small_data: Path, tmp_path: Path) -> None:
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub"), "TORCH_HOME": str(tmp_path / "torch")}
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        env.pop(name, None)
    done = edgetl(
        "train", "--data", small_data, "--model", "mobilenet_v2", "--imgsz", 32, "--out", tmp_path / "run", env=env
    )
    assert done.returncode == 3, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("edgetl: E_MISSING_PART: ")
    assert "--weights FILE, --weights none, or --model mobilenet_v2_050, whose weights come with edgetl" in done.stderr
    assert done.stdout == ""


def test_net_that_nobody_pretrained_says_so(small_data: Path, tmp_path: Path) -> None:
    answer = call("train", "--data", small_data, "--model", "mobilenetv2_035", "--imgsz", 32, "--out", tmp_path / "run")
    refused(answer, 1, "E_WEIGHTS", "no pretrained weights", "--weights none")


def test_an_unreachable_hub_is_asked_once_and_nothing_else_is_printed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    env = {k: v for k, v in os.environ.items() if "proxy" not in k.lower() and k != "HF_HUB_OFFLINE"}
    env |= {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hub"), "TORCH_HOME": str(tmp_path / "torch")}
    script = "from edgetl.trainer.weights import load_into as f; from edgetl.trainer.backbones import describe as d; from edgetl.trainer.network import Network as N; f(N(d('mobilenet_v3_small'), 2, 32), 'auto')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env, check=False)
    assert "cannot be reached" in done.stderr.splitlines()[-1] and "Retrying" not in done.stderr


@torch.inference_mode()
def test_transformer_of_another_picture_size(tmp_path: Path) -> None:
    """Its position embedding is stretched to the new grid; all else is taken over as it is."""
    donor = Network(describe("test_vit"), 5, 64).eval()
    taker = Network(describe("test_vit"), 5, 96).eval()
    load_into(taker, str(saved(donor.net, tmp_path / "v.safetensors")))
    theirs, ours = donor.net.state_dict(), taker.net.state_dict()
    assert ours["pos_embed"].shape == (1, 36 + 1, 64) and theirs["pos_embed"].shape == (1, 16 + 1, 64)
    assert torch.equal(ours["pos_embed"][:, 0], theirs["pos_embed"][:, 0])  # the class token's has no place
    corner, stretched = theirs["pos_embed"][0, 1], ours["pos_embed"][0, 1]
    assert torch.cosine_similarity(corner, stretched, dim=0) > 0.9
    assert all(torch.equal(ours[name], theirs[name]) for name in ours if name != "pos_embed")


@torch.inference_mode()
def test_dinov2_under_its_publishers_names(tmp_path: Path) -> None:
    """They have a mask token that no classifier needs, and one row of positions for the 37×37 patches of 518 px."""
    name = "vit_small_patch14_dinov2.lvd142m"
    donor = Network(describe(name), 0, 518).eval()
    state = {k: v.contiguous() for k, v in donor.net.state_dict().items()} | {"mask_token": torch.zeros(1, 384)}
    save_file(state, tmp_path / "dinov2_vits14_pretrain.safetensors")
    taker = Network(describe(name), 3, 56).eval()
    load_into(taker, str(tmp_path / "dinov2_vits14_pretrain.safetensors"))
    ours = taker.net.state_dict()
    assert ours["pos_embed"].shape == (1, 16 + 1, 384)
    assert torch.equal(ours["blocks.11.mlp.fc2.weight"], state["blocks.11.mlp.fc2.weight"])


def test_transformer_of_another_depth_is_named(tmp_path: Path) -> None:
    file = saved(Network(describe("test_vit"), 5, 64).net, tmp_path / "v.safetensors")
    taker = Network(describe("vit_small_patch14_dinov2.lvd142m"), 3, 56)
    with pytest.raises(WeightsError, match=r"do(es)? not fit the model"):
        load_into(taker, str(file))
