"""Depthwise convolutions stay depthwise in TFLite, also right behind an addition.

onnx2tf writes additions with channels first, and tells a depthwise convolution by the last axis of what it is given, before it
turns that to channels last. Behind an addition it so reads the width for the channels, and writes a grouped convolution instead:
one that fast kernels do not have. MobileNetV4 and ConvNeXt have such places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TO_CHANNELS_LAST = (0, 2, 3, 1)


def keep_depthwise() -> None:
    """Has onnx2tf, in this process, see the input of grouped convolutions with channels last."""
    from onnx2tf.ops import Conv

    if not getattr(Conv.make_node, "sees_channels_last", False):
        Conv.make_node = _turning_first(Conv.make_node)


def _turning_first(convert: Callable[..., Any]) -> Callable[..., Any]:
    """The converter of one convolution, before which its input is turned if it must be."""

    def make_node(*, graph_node: Any, tf_layers_dict: dict[str, Any], **rest: Any) -> Any:
        import tensorflow as tf

        name = graph_node.inputs[0].name
        known = tf_layers_dict.get(name)
        if known is None or not _is_turned_away(graph_node, known.get("tf_node")):
            return convert(graph_node=graph_node, tf_layers_dict=tf_layers_dict, **rest)
        tf_layers_dict[name] = {**known, "tf_node": tf.transpose(known["tf_node"], TO_CHANNELS_LAST)}
        try:
            return convert(graph_node=graph_node, tf_layers_dict=tf_layers_dict, **rest)
        finally:
            tf_layers_dict[name] = known  # for others that use it

    make_node.sees_channels_last = True  # type: ignore[attr-defined]
    return make_node


def _is_turned_away(node: Any, given: Any) -> bool:
    """Whether a grouped convolution of pictures is given channels first. Where channels, height and width are one number it
    cannot be told, and onnx2tf finds out by running both."""
    wanted = list(node.inputs[0].shape or ())
    if node.attrs.get("group", 1) == 1 or given is None or len(wanted) != 4:
        return False
    return list(given.shape) == wanted and len(set(wanted[1:])) > 1
