"""The network as it ships: raw pixels in, logits out, with the normalization folded away."""

from __future__ import annotations

import copy
import logging
import warnings
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from edgetl.errors import ExportError, StorageError, storage
from edgetl.exporter.unconvertible import cause_in_torch
from edgetl.trainer.network import Network

# Lines of source by where it lies on this machine: nobody's business elsewhere, and other bytes for the same net in another folder.
_TRACE = "pkg.torch.onnx.stack_trace"


class Deployed(nn.Module):
    """Takes N×3×S×S float pixels 0 to 255. Subtracts the mean; the scale is folded into the first convolution.

    The mean is not folded too: a convolution pads with zeros after the normalization, which is the mean's colour,
    and a folded mean would make that padding black and shift every border. Where weights are made for int8, onnx_pixels.py
    folds it all the same, with a frame of the mean's colour around the picture. Elsewhere one subtraction on int8 pixels
    loses less than half a grey level; a multiplication and an addition would be two more quantized steps.
    """

    shift: Tensor

    def __init__(self, network: Network) -> None:
        super().__init__()
        network = copy.deepcopy(network).eval().cpu()
        self.register_buffer("shift", -network.mean)  # added, since onnxruntime's tools quantize Add but not Sub
        self.net = network.net
        stem = self.net.get_submodule(network.backbone.stem) if network.backbone.stem else None
        self.scale: Tensor | None = network.scale
        if isinstance(stem, nn.Conv2d) and stem.in_channels == 3 and stem.groups == 1:
            with torch.no_grad():
                stem.weight.div_(network.scale)
            self.scale = None

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of a batch of pixels."""
        centred = pixels + self.shift
        return cast(Tensor, self.net(centred if self.scale is None else centred / self.scale))


def write_onnx(network: Network, size: int, out: Path) -> None:
    """Writes the float ONNX graph of a network. Raises ExportError."""
    write_module(Deployed(network), size, out)


def write_module(model: nn.Module, size: int, out: Path) -> None:
    """Writes the ONNX graph of a deployed module (input `pixels` 1×3×S×S, output `logits` 1×classes)."""
    example = torch.zeros(1, 3, size, size)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with storage(out), warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # deprecation notes of torch's own modules, nothing a user could act on
            program = torch.onnx.export(
                model, (example,), dynamo=True, input_names=["pixels"], output_names=["logits"], verbose=False,
                external_data=False, opset_version=_opset_for(model),
            )  # fmt: skip
            assert program is not None
            for node in program.model.graph.all_nodes():
                node.metadata_props.pop(_TRACE, None)
            program.save(str(out), external_data=False)
    except StorageError:
        raise
    except Exception as error:  # the exporter raises many types; each means that this net cannot be exported
        raise ExportError(f"torch cannot export this net to ONNX: {_cause(error, model, example)}") from error


def _opset_for(model: nn.Module) -> int:
    """The ONNX version that has the net's operators. A GELU is one operator from 20 on, which TFLite computes in int8; before
    that it is written out with an error function, which TFLite has not."""
    modules = any("gelu" in type(module).__name__.casefold() for module in model.modules())
    nodes = getattr(getattr(model, "graph", None), "nodes", ())
    return 20 if modules or any("gelu" in str(node.target) for node in nodes) else 18


def _cause(error: Exception, model: nn.Module, example: Tensor) -> str:
    """The operator without an ONNX form and its layer, where the exporter tells; else its own words."""
    known = cause_in_torch(str(error))
    if known is None:
        return f"{type(error).__name__}: {error}"
    operator, name = known
    nodes = torch.export.export(model, (example,)).graph.nodes
    # The exporter names the node after decomposing `special_bessel_j0` to `bessel_j0`.
    stacks = [n.meta.get("nn_module_stack", {}) for n in nodes if n.name.endswith(name)]
    layer = next((path for stack in stacks for path, _ in reversed(stack.values())), "")
    return f"ONNX has no operator {operator} (layer {layer.removeprefix('net.') or 'unknown'}); choose another --model"
