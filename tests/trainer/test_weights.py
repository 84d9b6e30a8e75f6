"""Pretrained weights: each number lands where it belongs, and a file that is no weights does no harm."""

from __future__ import annotations

import os
import pickle
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
from edgetl.trainer.weights import load_into, read_state
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
    assert load_into(taker.net, taker.backbone, str(path)) == file
    assert torch.equal(taker(pixels()), donor(pixels()))


@torch.inference_mode()
def test_head_for_other_classes_is_left_as_it_was(tmp_path: Path) -> None:
    donor, taker = network("mobilenet_v2_050", 10, 1), network("mobilenet_v2_050", 3, 2)
    head = taker.head.weight.clone()
    load_into(taker.net, taker.backbone, str(saved(lived_in(donor.net), tmp_path / "net.safetensors")))
    assert torch.equal(taker.head.weight, head)
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
    load_into(taker.net, taker.backbone, str(saved(theirs, tmp_path / file)))
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
    load_into(taker.net, taker.backbone, str(file))
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


def test_other_architecture_is_told_by_its_first_layer_that_differs(tmp_path: Path) -> None:
    taker = network("mobilenet_v2_050")
    with pytest.raises(WeightsError) as caught:
        load_into(taker.net, taker.backbone, str(saved(network("resnet18").net, tmp_path / "resnet.pth")))
    message = str(caught.value)
    assert "resnet.pth" in message
    assert "conv1.weight (64, 3, 7, 7)" in message and "conv_stem.weight (16, 3, 3, 3)" in message


def test_same_architecture_of_another_width_is_told_by_its_first_layer(tmp_path: Path) -> None:
    taker = network("mobilenet_v2_050")
    path = saved(network("mobilenet_v2").net, tmp_path / "wide.safetensors")
    with pytest.raises(
        WeightsError, match=r"conv_stem\.weight is \(32, 3, 3, 3\) in the file, \(16, 3, 3, 3\) in the model"
    ):
        load_into(taker.net, taker.backbone, str(path))


def test_file_that_ends_too_soon_is_told_by_what_it_lacks(tmp_path: Path) -> None:
    taker = network("resnet18")
    state = dict(list(taker.net.state_dict().items())[:60])
    torch.save({f"renamed.{name}": tensor for name, tensor in state.items()}, tmp_path / "part.pth")
    with pytest.raises(WeightsError, match=r"it has no layer\d\.\d\.\S+ and what follows"):
        load_into(taker.net, taker.backbone, str(tmp_path / "part.pth"))


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
        "train", "--data", small_data, "--model", "mobilenet_v2_050", "--imgsz", 32, "--out", tmp_path / "run", env=env
    )
    assert done.returncode == 3, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("edgetl: E_MISSING_PART: ")
    assert "--weights FILE" in done.stderr and "--weights none" in done.stderr
    assert done.stdout == ""


def test_net_that_nobody_pretrained_says_so(small_data: Path, tmp_path: Path) -> None:
    answer = call("train", "--data", small_data, "--model", "mobilenetv2_035", "--imgsz", 32, "--out", tmp_path / "run")
    refused(answer, 1, "E_WEIGHTS", "no pretrained weights", "--weights none")
