"""Small quantized ONNX graphs for the tests, made by onnxruntime's own tools from drawn weights."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import nn

SIZE, CLASSES = 16, 4


@cache
def quantized() -> bytes:
    """An int8 graph of convolutions, an addition, a mean and a linear layer: as the exporter writes it."""
    from edgetl.exporter.onnx_int8 import quantize

    with TemporaryDirectory() as name:
        folder = Path(name)
        written(folder)
        quantize(folder)
        return (folder / "int8.onnx").read_bytes()


def written(folder: Path) -> None:
    """The float graph and its calibration pictures, as a quantization finds them in its folder."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("shift", -120.0 * torch.ones(1, 3, 1, 1))
            self.stem, self.deep = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 1, 1, groups=8)
            self.head = nn.Linear(8, CLASSES)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            maps = torch.relu(self.stem(pixels + self.shift))
            maps = maps + nn.functional.relu6(self.deep(maps))
            return self.head(maps.mean((2, 3)))  # type: ignore[no-any-return]

    torch.manual_seed(0)
    _write(Net(), folder)


def written_with_a_moved_mean(folder: Path) -> None:
    """The same of a net whose mean, which onnxruntime's tools do not round, is moved before it is rounded."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("shift", -120.0 * torch.ones(1, 3, 1, 1))
            self.stem, self.head = nn.Conv2d(3, 8, 3, 2), nn.Linear(8, CLASSES)
            with torch.no_grad():  # so that the constant pictures, which every calibration begins with, set no range
                self.stem.weight.sub_(self.stem.weight.mean((1, 2, 3), keepdim=True))

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            maps = torch.relu(self.stem(pixels + self.shift))
            return self.head(maps.mean((2, 3), keepdim=True).flatten(1))  # type: ignore[no-any-return]

    torch.manual_seed(0)
    _write(Net(), folder)


def _write(net: nn.Module, folder: Path) -> None:
    import torch

    program = torch.onnx.export(
        net.eval(), (torch.zeros(1, 3, SIZE, SIZE),), dynamo=True, input_names=["pixels"], output_names=["logits"],
        verbose=False, external_data=False, opset_version=18,
    )  # fmt: skip
    assert program is not None
    program.save(str(folder / "model.onnx"), external_data=False)
    np.save(folder / "calibration.npy", np.random.default_rng(0).integers(0, 256, (40, SIZE, SIZE, 3), np.uint8))


def pictures(count: int = 20) -> list[np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]]:
    """Noise of the graph's size."""
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (SIZE, SIZE, 3), np.uint8) for _ in range(count)]
