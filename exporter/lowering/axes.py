"""The order in which a tensor's axes are stored, and what reshaping makes of it.

ONNX has channels before rows and columns, TFLite has them last. A value's `order` says which ONNX axis each stored axis is, so that
turning a picture, or flattening one of one place, moves nothing.
"""

from __future__ import annotations

from edgetl.exporter.lowering.graph import Shape

Order = tuple[int, ...]
CHANNELS_LAST: Order = (0, 2, 3, 1)


def plain(rank: int) -> Order:
    """ONNX's own order."""
    return tuple(range(rank))


def stored(shape: Shape, order: Order) -> Shape:
    """The sizes as they are stored."""
    return tuple(shape[axis] for axis in order)


def transposed(order: Order, permutation: Order) -> Order:
    """The order of what ONNX's Transpose makes of a value, without moving it."""
    return tuple(permutation.index(axis) for axis in order)


def is_moved(shape: Shape, before: Order, after: Order) -> bool:
    """Whether values lie elsewhere in another order; axes of size 1 may stand anywhere."""
    return [a for a in before if shape[a] != 1] != [a for a in after if shape[a] != 1]


def reshaped(before: Shape, after: Shape, order: Order) -> Order | None:
    """The order of what ONNX's Reshape makes of a value, without moving it; None where it must be moved.

    Axes are taken in groups of as many values before as after. A group may be split or merged where its axes are stored one behind
    the other, and the groups stay in the order in which they are stored.
    """
    groups = _groups(before, after)
    place = {axis: position for position, axis in enumerate(a for a in order if before[a] != 1)}
    spans = []
    for axes, others in groups:
        places = [place[axis] for axis in axes]
        if places != list(range(places[0], places[0] + len(places))):
            return None
        spans.append((places[0], others))
    large = [axis for _, others in sorted(spans) for axis in others]
    if large == sorted(large):
        return plain(len(after))
    return (*(axis for axis, size in enumerate(after) if size == 1), *large)


def _groups(before: Shape, after: Shape) -> list[tuple[list[int], list[int]]]:
    """The smallest groups of axes, none of size 1, that hold as many values on both sides."""
    left = [axis for axis, size in enumerate(before) if size != 1]
    right = [axis for axis, size in enumerate(after) if size != 1]
    found: list[tuple[list[int], list[int]]] = []
    while left and right:
        axes, others = [left.pop(0)], [right.pop(0)]
        many, more = before[axes[0]], after[others[0]]
        while many != more:
            if many < more:
                axes.append(left.pop(0))
                many *= before[axes[-1]]
            else:
                others.append(right.pop(0))
                more *= after[others[-1]]
        found.append((axes, others))
    return found
