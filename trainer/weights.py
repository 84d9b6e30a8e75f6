"""Loads pretrained weights: from a file in timm's or torchvision's naming, or from timm's cache and hub."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgetl.errors import MissingPartError, UsageError, WeightsError
from edgetl.trainer.backbones import Backbone
from edgetl.trainer.torch_stack import import_timm

State = dict[str, Tensor]


def load_into(net: nn.Module, backbone: Backbone, weights: str) -> str:
    """Fills `net` with the weights that `--weights` names and returns where they came from.

    `auto` is timm's cache, then its hub; `none` leaves the net as it is; anything else is a file. The classifier
    keeps its fresh values unless the file's has as many classes.
    """
    if weights == "none":
        return "none"
    if weights == "auto":
        _fit(net, backbone, _from_hub(backbone), backbone.timm_name)
        return f"timm:{backbone.timm_name}"
    path = Path(weights)
    _fit(net, backbone, read_state(path), str(path))
    return path.name


def read_state(path: Path) -> State:
    """Tensors of a .safetensors file, or of a .pth/.pt file read with weights_only. Raises WeightsError."""
    if not path.is_file():
        raise UsageError(f"--weights {path}: no such file; name a .safetensors or .pth file, auto, or none")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = dict(sorted(load_file(path).items(), key=_order))
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: refused, since it holds more than tensors ({_named_global(error)}); "
            "save its state_dict as .safetensors"
        ) from error
    except Exception as error:  # torch and safetensors raise many types for a damaged file
        raise WeightsError(f"{path}: cannot be read as weights ({type(error).__name__}: {error})") from error
    return _checked(_unwrapped(state), path)


def _order(item: tuple[str, Tensor]) -> tuple[bool, list[tuple[int, str]], int]:
    """Sorts layers as they were defined, which safetensors does not keep: by the numbers in their names, head last."""
    module, _, leaf = item[0].rpartition(".")
    leaves = ("weight", "bias", "running_mean", "running_var")
    numbered = [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", module)]
    return (
        module.startswith(("classifier", "fc", "head")),
        numbered,
        leaves.index(leaf) if leaf in leaves else len(leaves),
    )


def _named_global(error: Exception) -> str:
    asked = re.search(r"GLOBAL ([\w.]*\w)", str(error))
    return f"it asks for {asked[1]}" if asked else "or is no file of torch's"


def _unwrapped(state: Any) -> Any:
    """Training scripts wrap the tensors: {'state_dict': …}, {'model': …}, or a prefix from DistributedDataParallel."""
    while isinstance(state, dict):
        inner = next(
            (state[k] for k in ("state_dict_ema", "state_dict", "model") if isinstance(state.get(k), dict)), None
        )
        if inner is None:
            break
        state = inner
    if isinstance(state, dict):
        return {str(k).removeprefix("module."): v for k, v in state.items()}
    return state


def _checked(state: Any, path: Path) -> State:
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()) or not state:
        raise WeightsError(f"{path}: holds no tensors by name; expected a state dict")
    for name, tensor in state.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise WeightsError(f"{path}: {name} holds a value that is not finite; the file is damaged")
    return state


def _from_hub(backbone: Backbone) -> State:
    timm = import_timm()
    from timm.models import load_pretrained

    donor = timm.create_model(backbone.timm_name)
    if not getattr(donor, "pretrained_cfg", {}).get("hf_hub_id") and not donor.pretrained_cfg.get("url"):
        raise WeightsError(f"timm has no pretrained weights for {backbone.name}; use --weights FILE or --weights none")
    try:
        load_pretrained(donor)
    except Exception as error:  # the hub client raises its own, requests' and OS errors alike
        raise MissingPartError(
            f"no cached weights for {backbone.timm_name} and the model hub cannot be reached "
            f"({type(error).__name__}); use --weights FILE or --weights none"
        ) from error
    state: State = donor.state_dict()
    return state


def _fit(net: nn.Module, backbone: Backbone, state: State, where: str) -> None:
    """Copies a state into the net, by name or else by order; raises WeightsError naming what does not fit."""
    own = net.state_dict()
    head = tuple(name for name in own if name.startswith(f"{backbone.classifier}."))
    body = {name: tensor for name, tensor in own.items() if name not in head}
    matched = _by_name(body, state) or _by_order(body, state, where)
    for name in head:  # a file for the same classes brings its head along
        if name in state and state[name].shape == own[name].shape:
            matched[name] = state[name]
    net.load_state_dict(matched, strict=False)


def _by_name(body: State, state: State) -> State | None:
    if not all(name in state for name in body if not name.endswith("num_batches_tracked")):
        return None
    wrong = [n for n in body if n in state and state[n].shape != body[n].shape]
    if wrong:
        raise WeightsError(
            f"weights do not fit the model: {wrong[0]} is {tuple(state[wrong[0]].shape)} in the file, "
            f"{tuple(body[wrong[0]].shape)} in the model ({len(wrong)} such layers)"
        )
    return {name: state[name] for name in body if name in state}


def _by_order(body: State, state: State, where: str) -> State:
    """torchvision's files: other names, the same layers in the same order, so that shapes must agree one by one."""
    theirs = [(n, t) for n, t in state.items() if not n.endswith("num_batches_tracked")]
    ours = [n for n in body if not n.endswith("num_batches_tracked")]
    matched: State = {}
    for name, (their_name, tensor) in zip(ours, theirs, strict=False):
        if tensor.shape.numel() != body[name].shape.numel() or _bare(tensor) != _bare(body[name]):
            raise WeightsError(
                f"{where} does not fit the model: {their_name} {tuple(tensor.shape)} stands where the model "
                f"has {name} {tuple(body[name].shape)}; is it of another architecture?"
            )
        matched[name] = tensor.reshape(body[name].shape)
    if len(theirs) < len(ours):
        raise WeightsError(f"{where} does not fit the model: it has no {ours[len(theirs)]} and what follows")
    return matched


def _bare(tensor: Tensor) -> tuple[int, ...]:
    """A shape without its ones: a 1×1 convolution and a linear layer are the same matrix."""
    return tuple(n for n in tensor.shape if n != 1)
