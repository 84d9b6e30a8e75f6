"""A CLIP model of 1.7 MB with random values, as open_clip reads it from files."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from edgetl.trainer.torch_stack import import_open_clip

TOWERS = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
}


def write_tiny_clip(folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """Writes its configuration and its weights; their paths. Each seed gives other values."""
    config, weights = folder / "tiny_clip.json", folder / f"tiny_clip_{seed}.safetensors"
    config.write_text(json.dumps(TOWERS))
    open_clip = import_open_clip()
    open_clip.add_model_config(config)
    torch.manual_seed(seed)
    model = open_clip.create_model("tiny_clip", load_weights=False)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, weights)
    return config, weights
