"""The net of a one-class run: a backbone's feature maps, whitened, one behind the other as one row of numbers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgetl.errors import UsageError, storage
from edgetl.runtime.anomaly import Grid
from edgetl.trainer.network import Network

# Reductions of the feature maps and how many channels of each are kept. Deeper maps know objects, not surfaces, and have
# forgotten where; earlier ones know edges alone. Figures: docs/adr/0019.
WANTED = {8: 32, 16: 64}
_DEPTH = 2 / 3  # of a transformer's blocks, which are all of one reduction: the last ones know the classes alone


class Source(msgspec.Struct, frozen=True):
    """One feature map of a backbone: its number among the intermediates, its channels, and how many are kept."""

    index: int
    channels: int
    kept: int


class FeatureNet(nn.Module):
    """Takes normalized N×3×S×S pixels and gives N×values: each map's places row by row, each place's channels together."""

    def __init__(self, body: nn.Module, sources: tuple[Source, ...]) -> None:
        super().__init__()
        self.body = body
        self.sources = sources
        self.projections = nn.ModuleList(nn.Conv2d(s.channels, s.kept, 1) for s in sources)

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """The backbone's maps, N×channels×height×width each, averaged over 3×3 places: a patch knows its surroundings."""
        body: Any = self.body
        found = body.forward_intermediates(pixels, indices=[s.index for s in self.sources], intermediates_only=True)
        return [nn.functional.avg_pool2d(m, 3, 1, 1, count_include_pad=False) for m in found]

    def forward(self, pixels: Tensor) -> Tensor:
        """All maps of a batch of pictures."""
        maps = [project(m) for project, m in zip(self.projections, self.maps(pixels), strict=True)]
        return torch.cat([m.permute(0, 2, 3, 1).flatten(1) for m in maps], dim=1)


class Features(Mapping[int, NDArray[np.float32]]):
    """What a net gives for pictures, by their numbers, in a file that goes with the process: 150 kB each at 224 px."""

    def __init__(self, pictures: Sequence[int], values: int) -> None:
        self._places = {int(picture): place for place, picture in enumerate(pictures)}
        with storage(tempfile.gettempdir()):
            file = tempfile.TemporaryFile(prefix="edgetl-features-")  # noqa: SIM115 - the array keeps it open
            os.posix_fallocate(file.fileno(), 0, max(1, len(pictures) * values * 4))  # a full disk is met here
            self._rows = np.memmap(file, np.float32, "r+", shape=(len(pictures), values))

    def __setitem__(self, picture: int, values: NDArray[np.float32]) -> None:
        self._rows[self._places[picture]] = values

    def __getitem__(self, picture: int) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._rows[self._places[picture]]
        return found

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def of(self, pictures: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """Those of some pictures."""
        return {picture: self[picture] for picture in pictures}


def sources_of(body: nn.Module, name: str) -> tuple[Source, ...]:
    """Which maps of a backbone are looked at. Raises UsageError where it gives none."""
    infos: Any = getattr(body, "feature_info", None)
    if not infos or not hasattr(body, "forward_intermediates"):
        raise UsageError(f"{name} gives no feature maps; choose mobilenet_v2, efficientnet_lite0 or resnet18")
    found = []
    for reduction, kept in WANTED.items():
        of_reduction = [i for i, info in enumerate(infos) if info["reduction"] == reduction]
        if of_reduction:
            index = of_reduction[int(_DEPTH * len(of_reduction))]
            channels = int(infos[index]["num_chs"])
            found.append(Source(index, channels, min(kept, channels)))
    if not found:
        raise UsageError(
            f"{name} has no feature map at an eighth or a sixteenth of the picture; choose another --model"
        )
    return tuple(found)


def make_feature_network(network: Network) -> Network:
    """Turns a classifier's network into one that gives feature maps, in place; its weights stay."""
    sources = sources_of(network.net, network.backbone.name)
    stem = f"body.{network.backbone.stem}" if network.backbone.stem else ""
    network.net = FeatureNet(network.net, sources)
    network.backbone = msgspec.structs.replace(network.backbone, stem=stem)
    return network


def backbone_of(network: Network) -> Network:
    """A network of feature maps as the classifier's that it was made of, in place; any other as it is."""
    if isinstance(network.net, FeatureNet):
        network.net = network.net.body
    return network


def feature_net(network: Network) -> FeatureNet:
    """The net inside a network of feature maps."""
    return cast(FeatureNet, network.net)


def grids_of(network: Network, size: int) -> tuple[Grid, ...]:
    """The shapes of the maps in the output for pictures of size×size px."""
    net, device = feature_net(network), network.mean.device
    with torch.inference_mode():
        maps = net.maps(torch.zeros(1, 3, size, size, device=device))
    return tuple(Grid(m.shape[2], m.shape[3], s.kept) for m, s in zip(maps, net.sources, strict=True))
