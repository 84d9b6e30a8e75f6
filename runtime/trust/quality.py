"""Whether a model's input looks as if something were wrong with light or lens, beside what training saw.

This catches what is broken (a lens cap, a lamp that is out, a knocked focus), not what drifts slowly: that is the watch for
drift's work, and a frame that is merely unusual is left to the model.
"""

from __future__ import annotations

import msgspec

from edgetl.runtime.reference import Reference
from edgetl.runtime.trust.settings import TrustSettings

NEEDED = frozenset({"brightness", "contrast", "black", "white", "sharpness"})


class Limits(msgspec.Struct, frozen=True):
    """Outside these a picture's quality is doubtful. Grey levels from 0 to 255; shares of the pixels."""

    least_brightness: float = 8.0
    least_contrast: float = 0.0
    most_black: float = 0.98
    most_white: float = 0.98
    least_sharpness: float = 0.0  # at the usual contrast
    usual_contrast: float = 0.0


def limits_of(reference: Reference | None, settings: TrustSettings) -> Limits:
    """The limits that follow from a bundle's reference; plain ones without it.

    The darkest and flattest training picture are given half their value as room, since light is multiplied. Shares may
    go half of what is left to 1 beyond the training's most. A side of the range that training did not know is told
    even if it is small: a part cannot be seen in a picture that is nearly all black.
    """
    if reference is None or not reference.figures.keys() >= NEEDED:  # a bundle made before these were noted
        return Limits()
    least = {name: spread.quantiles[0] for name, spread in reference.figures.items()}
    most = {name: spread.quantiles[-1] for name, spread in reference.figures.items()}
    return Limits(
        least_brightness=0.5 * least["brightness"],
        least_contrast=0.25 * least["contrast"],
        most_black=_halfway(most["black"]),
        most_white=_halfway(most["white"]),
        least_sharpness=settings.sharpness_share * least["sharpness"],
        usual_contrast=reference.figures["contrast"].quantiles[len(reference.quantile_points) // 2],
    )


def _halfway(share: float) -> float:
    return 0.5 * (share + 1.0)


def doubt_about(figures: dict[str, float], limits: Limits) -> str | None:
    """What is wrong with the picture that has these figures, or None. The worst comes first: a black picture is also
    flat and blurred, and is to be called black."""
    if figures["black"] > limits.most_black or figures["brightness"] < limits.least_brightness:
        return f"image quality: too dark (brightness {figures['brightness']:.0f}, {figures['black']:.0%} black)"
    if figures["white"] > limits.most_white:
        return f"image quality: overexposed ({figures['white']:.0%} white)"
    if figures["contrast"] < limits.least_contrast:
        return f"image quality: no contrast ({figures['contrast']:.1f} grey levels)"
    least = limits.least_sharpness * _of_usual_contrast(figures["contrast"], limits)
    if figures["sharpness"] < least:
        return f"image quality: blurred (sharpness {figures['sharpness']:.1f}, at least {least:.1f} wanted)"
    return None


def _of_usual_contrast(contrast: float, limits: Limits) -> float:
    """The factor that weaker light takes from the variance of edges; blur takes the edges and leaves the contrast."""
    return min(1.0, (contrast / limits.usual_contrast) ** 2) if limits.usual_contrast else 1.0
