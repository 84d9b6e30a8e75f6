"""Weights that come with edgetl: pretrained on drawn pictures, one file for each architecture that has any.

Each is fp16 .safetensors with timm's names, and notes in its metadata what input it expects and how it was made; its
card is in docs/pretraining.md.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgetl.errors import WeightsError

NAME = "builtin"  # what --weights calls them
# Architecture by timm's name: the SHA-256 of its file, NAME.safetensors beside this module.
_DIGESTS = {"mobilenetv2_050": "21a8c9a052a98f6670c7a0f24c250a296899e73f51535a59bb4a593cc915aa3e"}
# As one types them after --model.
MODELS = ("mobilenet_v2_050",)
TAKEN = f"--model {MODELS[0]}, whose weights come with edgetl"
NAMED = f"built-in weights: only {', '.join(MODELS)}"


def has_builtin(timm_name: str) -> bool:
    """Whether edgetl comes with weights for an architecture by timm's name, with or without a tag of timm's weights."""
    return _architecture(timm_name) in _DIGESTS


def builtin_file(timm_name: str) -> Path:
    """The file for an architecture that has one. Raises WeightsError where it is not the one that edgetl came with."""
    architecture = _architecture(timm_name)
    path = Path(__file__).with_name(f"{architecture}.safetensors")
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); install edgetl again") from error
    if digest != _DIGESTS[architecture]:
        raise WeightsError(f"{path}: damaged, or not the file that edgetl came with; install edgetl again")
    return path


def _architecture(timm_name: str) -> str:
    return timm_name.partition(".")[0]
