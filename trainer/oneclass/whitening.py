"""Makes every direction of the features count the same: principal components, each scaled to unit variance.

Without it the few channels with the largest values would decide every distance, and int8 would give them all its steps.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from edgetl.trainer.network import Network
from edgetl.trainer.oneclass.features import feature_net

FLOOR = 1e-3  # of the largest variance: what is added to each, so that a direction of mere noise is not blown up


class Moments:
    """Sums over patches of one map, in double precision, from which mean and covariance follow."""

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.sums = torch.zeros(channels, dtype=torch.float64)
        self.products = torch.zeros(channels, channels, dtype=torch.float64)

    def add(self, maps: Tensor) -> None:
        """Counts every place of N×channels×height×width maps."""
        rows = maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1]).double().cpu()
        self.count += len(rows)
        self.sums += rows.sum(0)
        self.products += rows.T @ rows

    def whitening(self, kept: int) -> tuple[Tensor, Tensor]:
        """Weight (kept×channels) and bias (kept) of the components with the largest variance."""
        mean = self.sums / self.count
        variances, directions = torch.linalg.eigh(self.products / self.count - torch.outer(mean, mean))
        variances, directions = variances.flip(0)[:kept].clamp_min(0), directions.flip(1)[:, :kept]
        scale = 1 / torch.sqrt(variances + FLOOR * variances[0].clamp_min(1e-12))
        weight = (directions * scale).T
        return weight, -(weight @ mean)


@torch.inference_mode()
def fit_whitening(network: Network, batches: Iterable[Tensor]) -> None:
    """Sets the projections of a network of feature maps from batches of N×3×S×S pixels, in place."""
    net = feature_net(network)
    moments = [Moments(source.channels) for source in net.sources]
    for pixels in batches:
        for found, maps in zip(moments, net.maps((pixels - network.mean) / network.scale), strict=True):
            found.add(maps)
    for found, source, layer in zip(moments, net.sources, net.projections, strict=True):
        assert isinstance(layer, nn.Conv2d) and layer.bias is not None
        weight, bias = found.whitening(source.kept)
        layer.weight.copy_(weight.view_as(layer.weight))
        layer.bias.copy_(bias)
