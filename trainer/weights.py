"""Loads pretrained weights: from a file in timm's or torchvision's naming, timm's cache and hub, or edgetl's own."""

from __future__ import annotations

import pickle
import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import click
import torch
from torch import Tensor, nn

from edgetl.errors import MissingPartError, UsageError, WeightsError
from edgetl.trainer import builtin
from edgetl.trainer.backbones import Backbone
from edgetl.trainer.network import Network
from edgetl.trainer.normalization import AUTO, Normalization, normalization_of, noted
from edgetl.trainer.torch_stack import import_timm

State = dict[str, Tensor]
OF_DRAWN_PICTURES = (
    "classification of drawn pictures by formula"  # what files of `edgetl pretrain` note as their recipe
)
HUB_TIMEOUT_S = 5.0
MISMATCHES = 4  # layers named in an error


def _to_stderr(line: str) -> None:
    click.echo(line, err=True)


def load_into(
    network: Network, weights: str, normalization: str = AUTO, say: Callable[[str], object] = _to_stderr
) -> str:
    """Fills a network with the weights that `--weights` names and returns where they came from.

    `builtin` are those that edgetl comes with; `auto` is timm's cache, then its hub, then the built-in ones, of which `say`
    is told; `none` leaves the net as it is; anything else is a file. The classifier keeps its fresh values unless the
    file's has as many classes. The network then expects the `normalization` that is asked for; for `auto` the one that a
    .safetensors file notes, or else the architecture's.
    """
    backbone, asked = network.backbone, normalization_of(normalization)
    if asked is not None:
        network.expect(asked)
    if weights == "none":
        return "none"
    if weights == "auto" and (state := _from_hub(backbone, say)) is not None:
        fit(network.net, backbone, state, backbone.timm_name)
        return f"timm:{backbone.timm_name}"
    own = weights in ("auto", builtin.NAME)
    path = _builtin(backbone) if own else Path(weights)
    fit(network.net, backbone, read_state(path), str(path))
    if asked is None and (found := read_normalization(path)) is not None:
        network.expect(found)
    return f"{builtin.NAME}:{path.stem}" if own else path.name


def _builtin(backbone: Backbone) -> Path:
    if not builtin.has_builtin(backbone.timm_name):
        raise UsageError(
            f"--weights {builtin.NAME}: there are none for {backbone.name} ({builtin.NAMED}); "
            "use --weights auto, FILE or none"
        )
    return builtin.builtin_file(backbone.timm_name)


def know_drawn_pictures_alone(weights: str, source: str) -> bool:
    """Whether weights that `--weights` named, and that came from `source` as load_into says, are of `edgetl pretrain`."""
    if source.startswith(f"{builtin.NAME}:"):
        return True
    path = Path(weights)
    if path.suffix != ".safetensors" or source != path.name:
        return False
    return _metadata(path).get("recipe") == OF_DRAWN_PICTURES


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return file.metadata() or {}


def read_normalization(path: Path) -> Normalization | None:
    """The normalization that a .safetensors file notes in its metadata, if it does. Raises WeightsError."""
    if path.suffix != ".safetensors":
        return None
    metadata = _metadata(path)
    try:
        return noted(metadata)
    except ValueError as error:
        raise WeightsError(
            f"{path}: its metadata notes mean {metadata.get('mean')!r} and std {metadata.get('std')!r}, which are not three "
            "numbers each; say what the weights expect with --normalization"
        ) from error


def read_state(path: Path) -> State:
    """Tensors of a .safetensors file, or of a .pth/.pt file read with weights_only. Raises WeightsError."""
    if not path.is_file():
        raise UsageError(f"--weights {path}: no such file; name a .safetensors or .pth file, auto, builtin, or none")
    if path.suffix != ".safetensors" and not _of_torch(path):
        raise WeightsError(f"{path}: no file of weights (neither .safetensors nor what torch.save writes)")
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


def _of_torch(path: Path) -> bool:
    """Whether a file begins as torch.save writes it: a zip archive, or before torch 1.6 a pickle. One that cannot be read may."""
    try:
        with path.open("rb") as file:
            return file.read(2).startswith((b"PK", b"\x80"))
    except OSError:
        return True


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


def _from_hub(backbone: Backbone, say: Callable[[str], object]) -> State | None:
    """timm's weights; None, and a line that says so, where there are none to be had but edgetl has its own."""
    try:
        return _timms(backbone)
    except (WeightsError, MissingPartError) as error:
        if not builtin.has_builtin(backbone.timm_name):
            raise type(error)(f"{error}; use --weights FILE, --weights none, or {builtin.TAKEN}") from error
        say(f"{error}: taking the weights that edgetl comes with, which know less (--weights {builtin.NAME})")
        return None


def _timms(backbone: Backbone) -> State:
    timm = import_timm()
    from timm.models import load_pretrained

    donor = timm.create_model(backbone.timm_name)
    if not getattr(donor, "pretrained_cfg", {}).get("hf_hub_id") and not donor.pretrained_cfg.get("url"):
        raise WeightsError(f"timm has no pretrained weights for {backbone.name}")
    try:
        with only_cached_if_unreachable():
            load_pretrained(donor)
    except Exception as error:  # the hub client raises its own, requests' and OS errors alike
        raise MissingPartError(
            f"no cached weights for {backbone.timm_name} and the model hub cannot be reached ({type(error).__name__})"
        ) from error
    state: State = donor.state_dict()
    return state


@contextmanager
def only_cached_if_unreachable() -> Iterator[None]:
    """Asks the hub's address once: without an answer its client would try for most of a minute, and print each try."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _reachable(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _reachable(address: str) -> bool:
    """Whether a connection can be made to the hub, or to the proxy before it: what that one lets pass, its client finds."""
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or 443
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and not proxy_bypass(host):
        parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        host, port = parts.hostname or "", parts.port or (1080 if parts.scheme.startswith("socks") else 80)
    try:
        with socket.create_connection((host, port), HUB_TIMEOUT_S):
            return True
    except OSError:
        return False


def fit(net: nn.Module, backbone: Backbone, state: State, where: str) -> None:
    """Copies a state into the net, by name or else by order; raises WeightsError naming what does not fit."""
    own = net.state_dict()
    state = _as_timm_names_it(net, state)
    head = tuple(name for name in own if name.startswith(f"{backbone.classifier}."))
    body = {name: tensor for name, tensor in own.items() if name not in head}
    matched = _by_name(body, state) or _by_order(body, state)
    if matched is None:
        raise WeightsError(
            f"{where} does not fit the model {backbone.name}: {_mismatches(body, state)}; is it of another architecture?"
        )
    # A file for the same classes brings its head along.
    given = _head(head, body, state)
    matched |= {name: tensor for name, tensor in given.items() if tensor.shape == own[name].shape}
    net.load_state_dict(matched, strict=False)


def _head(head: tuple[str, ...], body: State, state: State) -> State:
    """The file's classifier under timm's names: by these, or where it has other names as what stands behind all else."""
    last = _layers(state)[len(_layers(body)) :]
    if not any(name in state for name in head) and len(last) == len(head):
        return {name: state[other] for name, other in zip(head, last, strict=True)}
    return {name: state[name] for name in head if name in state}


def _as_timm_names_it(net: nn.Module, state: State) -> State:
    """Vision transformers' weights under their publishers' names (DINOv2, CLIP) or for pictures of another size, as timm's
    own loader converts them; those of other nets as they are."""
    convert = getattr(sys.modules[type(net).__module__], "checkpoint_filter_fn", None)
    if convert is None or not hasattr(net, "patch_embed"):
        return state
    try:
        converted: State = convert(state, net)
    except (KeyError, RuntimeError, ValueError, AttributeError):
        return state  # of no kind that it knows: what does not fit is named by our own comparison
    return converted


def _by_name(body: State, state: State) -> State | None:
    """timm's own names; None where a layer is missing or has another shape."""
    if any(name not in state or state[name].shape != body[name].shape for name in _layers(body)):
        return None
    return {name: state[name] for name in body if name in state}


def _by_order(body: State, state: State) -> State | None:
    """torchvision's files: other names, the same layers in the same order, so that shapes must agree one by one."""
    ours, theirs = _layers(body), _layers(state)
    if len(theirs) < len(ours) or any(not _alike(state[t], body[o]) for o, t in zip(ours, theirs, strict=False)):
        return None
    return {o: state[t].reshape(body[o].shape) for o, t in zip(ours, theirs, strict=False)}


def _mismatches(body: State, state: State) -> str:
    """The layers that do not fit, the first few of them: by name where most names are known, else by their order."""
    ours, theirs = _layers(body), _layers(state)
    if 2 * sum(name in state for name in ours) >= len(ours):
        wrong = [
            f"{name} is {tuple(state[name].shape)} in the file, {tuple(body[name].shape)} in the model"
            if name in state
            else f"{name} is missing in the file"
            for name in ours
            if name not in state or state[name].shape != body[name].shape
        ]
    else:
        pairs = zip(ours, theirs, strict=False)
        wrong = [
            f"{t} {tuple(state[t].shape)} stands where the model has {o} {tuple(body[o].shape)}"
            for o, t in pairs
            if not _alike(state[t], body[o])
        ]
        wrong += [f"{name} is missing in the file" for name in ours[len(theirs) :]]
    more = f"; and {len(wrong) - MISMATCHES} more layers" if len(wrong) > MISMATCHES else ""
    return "; ".join(wrong[:MISMATCHES]) + more


def _layers(state: State) -> list[str]:
    """The names that must be there; batch counters need not."""
    return [name for name in state if not name.endswith("num_batches_tracked")]


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether one can stand for the other: a 1×1 convolution and a linear layer are the same matrix."""
    return _bare(one) == _bare(other)


def _bare(tensor: Tensor) -> tuple[int, ...]:
    """A shape without its ones."""
    return tuple(n for n in tensor.shape if n != 1)
