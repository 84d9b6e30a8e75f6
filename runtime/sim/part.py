"""The part: a turned steel flange with a bore, a raised hub and a ring of bolt holes."""

from dataclasses import dataclass

import numpy as np

LABELS: tuple[str, ...] = ("ok", "scratch", "chip", "missing_hole", "stain")
OK_LABELS = LABELS[:1]

# Dimensions in units of the outer radius.
BORE = 0.335
HUB = 0.505
HUB_STEP = 0.028
BOLT_CIRCLE = 0.745
HOLE = 0.090
HOLES = 6
CHAMFER = 0.034
COUNTERSINK = 0.026
THICKNESS = 0.16

# The outer radius of a nominal part in units of the frame height.
NOMINAL_RADIUS = 0.3125


@dataclass(frozen=True)
class Part:
    """One part as it lies on the belt.

    rotation is in radians, size is the ratio to the nominal radius, drift is the sideways offset from the
    belt's centre line in frame heights, tint is the B, G, R reflectance of its steel.
    """

    label: str
    rotation: float
    size: float
    drift: float
    tint: tuple[float, float, float]
    finish: float
    surface_seed: int
    defect_seed: int


# The belt's nests hold parts by their holes: this far (radians) they can still turn.
INDEXED = 0.10


def check_label(label: str) -> str:
    if label not in LABELS:
        raise ValueError(f"label: {label!r} is not one of {', '.join(LABELS)}")
    return label


def random_part(rng: np.random.Generator, label: str) -> Part:
    """Draw a part; everything but the defect itself is drawn without looking at the label."""
    warmth = float(rng.normal(0.0, 0.018))
    shade = float(rng.normal(1.0, 0.03))
    return Part(
        label=check_label(label),
        rotation=float(rng.uniform(-INDEXED, INDEXED)),
        size=float(np.clip(rng.normal(1.0, 0.008), 0.98, 1.02)),
        drift=float(rng.uniform(-0.02, 0.02)),
        tint=(shade * (0.99 - warmth), shade * 0.985, shade * (0.965 + warmth)),
        finish=float(rng.uniform(0.5, 0.95)),
        surface_seed=int(rng.integers(2**31)),
        defect_seed=int(rng.integers(2**31)),
    )


def hole_centres(part: Part) -> list[tuple[float, float]]:
    """Centres of the bolt holes (x, y) in units of the outer radius, from the part's centre."""
    angles = [part.rotation + 2.0 * np.pi * index / HOLES for index in range(HOLES)]
    return [(float(BOLT_CIRCLE * np.cos(a)), float(BOLT_CIRCLE * np.sin(a))) for a in angles]
