"""Two files of a pretraining: the weights that others load, and beside them the state that --resume needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from edgetl.errors import UsageError, WeightsError
from edgetl.runtime.files import write_file
from edgetl.trainer.backbones import Backbone
from edgetl.trainer.pretraining.learner import Learner
from edgetl.trainer.weights import OF_DRAWN_PICTURES

if TYPE_CHECKING:
    from edgetl.trainer.pretraining.pretraining import Pretraining


def state_path(out: Path) -> Path:
    """Where the state for --resume lies."""
    return out.with_name(f"{out.stem}.state.safetensors")


def write(state: Pretraining, out: Path) -> None:
    """Writes the averaged backbone as fp16, and the state. Raises StorageError."""
    network = cast(Learner, state.average.module).network
    facts = {
        "recipe": OF_DRAWN_PICTURES, "plan": msgspec.json.encode(state.plan).decode(),
        "steps": str(state.at.step), "seconds": f"{state.at.seconds:.0f}", "licence": "Apache-2.0",
        "mean": str(network.backbone.mean), "std": str(network.backbone.std),
    }  # fmt: skip
    write_file(out, save(half_precision(network.net, network.backbone), metadata=facts))
    tensors = {f"learner.{k}": v for k, v in state.learner.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in state.average.state_dict().items()}
    for index, values in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": v for k, v in values.items()}
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    notes = {"at": msgspec.json.encode(state.at).decode(), "plan": msgspec.json.encode(state.plan).decode()}
    write_file(state_path(out), save(plain, metadata=notes))


def half_precision(net: nn.Module, backbone: Backbone) -> dict[str, Tensor]:
    """The net's tensors by timm's names as fp16, without the classifier and the batch counters."""
    kept = {n: t for n, t in net.state_dict().items() if not n.endswith("num_batches_tracked")}
    classifier = f"{backbone.classifier}."
    return {n: t.detach().half().cpu().contiguous() for n, t in kept.items() if not n.startswith(classifier)}


def resume(state: Pretraining, out: Path) -> None:
    """Goes on where the last `write` to `out` stopped. Raises UsageError or WeightsError."""
    path = state_path(out)
    if not path.is_file():
        raise UsageError(f"{path}: nothing to resume; pretrain without --resume")
    try:
        with safe_open(path, "pt") as file:
            notes = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        before = msgspec.json.decode(notes["plan"], type=type(state.plan))
        at = msgspec.json.decode(notes["at"], type=type(state.at))
        _check(state, before, at.step, path)
        state.learner.load_state_dict(_below("learner.", tensors))
        state.average.load_state_dict(_below("average.", tensors))
    except (OSError, SafetensorError, msgspec.MsgspecError, KeyError, RuntimeError) as error:
        raise WeightsError(f"{path}: cannot resume from it ({str(error).splitlines()[0]})") from error
    state.at = at
    saved: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _below("optimizer.", tensors).items():
        index, _, key = name.partition(".")
        saved.setdefault(int(index), {})[key] = tensor
    state.optimizer.load_state_dict({"state": saved, "param_groups": state.optimizer.state_dict()["param_groups"]})


def _check(state: Pretraining, before: object, step: int, path: Path) -> None:
    """Only the number of steps may be another, and only while the learning rate stays as it is."""
    plan = state.plan
    assert isinstance(before, type(plan))
    if msgspec.structs.replace(before, steps=plan.steps) != plan:
        raise UsageError(f"{path}: began with other settings; give the same again, only --steps may differ")
    if before.steps != plan.steps and any(before.rate(n) != plan.rate(n) for n in range(step)):
        raise UsageError(
            f"{path}: at step {step} of {before.steps} the learning rate falls; --steps cannot change any more"
        )


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
