"""open_clip's models: their names, their weights, and their image tower as something that gives features."""

from __future__ import annotations

import difflib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from edgetl.errors import MissingPartError, UsageError, WeightsError
from edgetl.trainer import builtin
from edgetl.trainer.network import digest_of
from edgetl.trainer.torch_stack import import_open_clip
from edgetl.trainer.weights import only_cached_if_unreachable, read_state

CONFIGURATION = ("embed_dim", "vision_cfg", "text_cfg")
PREFIX = "clip:"  # `clip:ViT-B-32`, where a name could be timm's as well


class ClipModel(nn.Module):
    """A CLIP model behind its own normalization. Takes N×3×S×S float pixels 0 to 255 (RGB); S is `size`."""

    mean: Tensor
    scale: Tensor

    def __init__(self, name: str, clip: nn.Module, source: str) -> None:
        super().__init__()
        self.name, self.clip, self.source = name, clip, source
        visual: Any = clip.visual
        size = visual.image_size
        self.size = int(size[0] if isinstance(size, tuple) else size)
        cfg = visual.preprocess_cfg
        self.register_buffer("mean", 255.0 * torch.tensor(cfg["mean"]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", 255.0 * torch.tensor(cfg["std"]).view(1, 3, 1, 1), persistent=False)

    def features(self, pixels: Tensor) -> Tensor:
        """N×features, not normalized."""
        clip: Any = self.clip
        return cast(Tensor, clip.encode_image((pixels - self.mean) / self.scale, normalize=False))

    def digest(self) -> str:
        """What its features depend on beside the pixels, as SHA-256."""
        return digest_of(self)

    @property
    def sharpness(self) -> float:
        """What the model learned to multiply cosines of pictures and texts by."""
        clip: Any = self.clip
        return float(clip.logit_scale.detach().exp())

    @torch.inference_mode()
    def text_features(self, texts: list[str]) -> Tensor:
        """N×features of N texts, of length 1. Raises MissingPartError where its tokens are described on the hub alone."""
        with _quiet(), only_cached_if_unreachable(), _reporting_the_hub(self.name):
            tokenizer = import_open_clip().get_tokenizer(self.name)
        clip: Any = self.clip
        return cast(Tensor, clip.encode_text(tokenizer(texts).to(self.mean.device), normalize=True).float())


def load_clip(name: str, weights: str, size: int | None = None) -> ClipModel:
    """An open_clip model by its name, or by a file with its configuration (NAME.json).

    `weights`: `auto` is the first set that open_clip knows for it, from the cache or the hub; a tag of open_clip's
    another one; `none` leaves random values; anything else is a file. `size` is the side of its pictures in pixels, its
    own by default. Raises UsageError, WeightsError, MissingPartError.
    """
    open_clip = import_open_clip()
    name = _registered(name.removeprefix(PREFIX))
    tag = _tag(name, weights)
    cfg = open_clip.get_pretrained_cfg(name, tag or next(iter(open_clip.list_pretrained_tags_by_model(name)), "")) or {}
    normalization = {key: cfg[key] for key in ("mean", "std") if cfg.get(key)}
    with _quiet(), only_cached_if_unreachable(), _reporting_the_hub(name):
        clip = open_clip.create_model(
            name, load_weights=False, pretrained_text=False, force_image_size=size, force_preprocess_cfg=normalization,
            force_quick_gelu=bool(tag and cfg.get("quick_gelu")),
        )  # fmt: skip
    source = "none"
    if tag is not None:
        with _quiet(), only_cached_if_unreachable(), _reporting_the_hub(name):
            _fill(clip, open_clip.download_pretrained(cfg))
        source = f"open_clip:{name}/{tag}"
    elif weights == builtin.NAME:
        raise UsageError(f"--weights {weights}: there are none for {name} ({builtin.NAMED}); use auto or FILE")
    elif weights != "none":
        read_state(Path(weights))  # refuses pickles and damaged files, and says why
        with _quiet():
            _fill(clip, weights)
        source = Path(weights).name
    return ClipModel(name, clip.eval(), source)


def _registered(name: str) -> str:
    """The name by which open_clip knows the model; a file with a configuration is made known to it first."""
    open_clip = import_open_clip()
    if name.endswith(".json"):
        name = _from_file(Path(name))
    names = open_clip.list_models()
    if name in names:
        return str(name)
    by_folded = {known.casefold(): known for known in names}
    near = [by_folded[n] for n in difflib.get_close_matches(name.casefold(), by_folded, n=3, cutoff=0.6)]
    hint = f"; did you mean {' or '.join(near)}?" if near else ", for example ViT-B-32"
    raise UsageError(f"unknown CLIP model {name!r}; name one of open_clip's, or a file with its configuration{hint}")


def _from_file(path: Path) -> str:
    """Makes a configuration known to open_clip, which would stumble over a broken one from then on."""
    try:
        parts = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise UsageError(f"--model {path}: no such file; name one with an open_clip model's configuration") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"--model {path}: cannot be read as a configuration ({error})") from error
    if missing := [part for part in CONFIGURATION if part not in parts]:
        raise UsageError(f"--model {path}: no open_clip configuration, which has {', '.join(missing)}")
    import_open_clip().add_model_config(path)
    return path.stem


def _tag(name: str, weights: str) -> str | None:
    """The set of weights that is meant, if it is one of open_clip's."""
    open_clip = import_open_clip()
    tags: list[str] = open_clip.list_pretrained_tags_by_model(name)
    if weights != "auto":
        return weights if weights in tags else None
    if not tags:
        raise WeightsError(f"open_clip has no pretrained weights for {name}; use --weights FILE or --weights none")
    gelu = bool((open_clip.get_model_config(name) or {}).get("quick_gelu"))
    fitting = [t for t in tags if bool(open_clip.get_pretrained_cfg(name, t).get("quick_gelu")) == gelu]
    return (fitting or tags)[0]


def _fill(clip: nn.Module, path: str) -> None:
    try:
        import_open_clip().load_checkpoint(clip, path, weights_only=True)
    except (RuntimeError, KeyError, AttributeError, AssertionError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise WeightsError(f"{path} does not fit the model: {' '.join(lines[1:3] or lines)[:300]}") from error


@contextmanager
def _reporting_the_hub(name: str) -> Iterator[None]:
    """One line for all the ways in which the hub's client says that it got nothing."""
    try:
        yield
    except (WeightsError, MissingPartError, MemoryError):
        raise
    except Exception as error:  # the hub client raises its own, requests' and OS errors alike
        if isinstance(error, ImportError) or "pip install" in str(error):
            raise MissingPartError(
                f"the texts of {name} need another library: pip install transformers; or take a model like ViT-B-32"
            ) from error
        raise MissingPartError(
            f"no cached files for {name} and the model hub cannot be reached ({type(error).__name__}); "
            "use --weights FILE with a model that open_clip describes itself, like ViT-B-32"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """open_clip writes to the root logger, which would set up logging for the whole program."""
    root, silent, level = logging.getLogger(), logging.NullHandler(), logging.root.manager.disable
    root.addHandler(silent)
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        root.removeHandler(silent)
        logging.disable(level)
