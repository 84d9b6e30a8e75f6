"""What a training run was asked to do; written to the run as args.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from edgetl.errors import UsageError
from edgetl.trainer.normalization import AUTO, normalization_of
from edgetl.trainer.recipe import RATE, RATE_FROM_NOTHING, Decision, Recipe

Balance = Literal["auto", "weights", "sampling", "none"]
Statistics = Literal["auto", "keep", "learn"]  # of batch norm; auto keeps those of pretrained nets on small sets
_OPEN = ("epochs", "patience", "learning_rate", "layer_ratio", "margin", "balance", "augmentation")
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Preset = Literal["none", "part", "texture", "scene", "natural"]  # of augmentation; augment.py says what each means
Augmentation = Literal["auto", Preset]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one run. Rates are AdamW's for the head; that of the first layers is `layer_ratio` times smaller, and those
    between fall by equal factors, or by `layer_decay` from each layer to the one before it.

    `normalization` is what the weights expect of their input; auto takes what their file says of it, or the architecture's.
    `choose_imgsz`: after training at `imgsz` other sizes are tried on val, and the clearly better one is used from then on.
    What is None or auto is decided from the data set; a `patience` that stays None never ends it early. `warmup` and `unfreeze` are
    shares of all epochs: how long the rate rises, and until when the layers are freed one after another from the head down (0: all
    at once). `margin`: by how many standard errors of the difference on val a fine-tuned net must beat its probe, or else the probe
    stays; below 0: how many it may be behind.
    `balance`: what makes classes count the same that have different numbers of pictures. `mixup` and `cutmix` are the
    alphas of their beta distributions, 0 for none. `reasons` say why the recipe is what it is, `left_open` which settings were
    decided with it. `start` is the run whose weights and splits this one goes on from. `teacher` is a run, or a net that gets a head first
    (`teacher_weights` and `teacher_normalization` as those of the student): its answers, softened by `temperature`, make up the share
    `distill_weight` of the loss.
    `blend`: after fine-tuning, weights between those of the start and those of the end are tried on val; with `blend_least` only
    those that are at least so much of the way, and epochs before the last only where val is sure against the blend. `compile` and `tensorboard` change nothing that
    is learned. `false_alarm` (the share of good parts that may be called bad) and `bank` (how many patches are remembered) are for the
    recipe one-class.
    """

    data: str
    model: str
    weights: str = "auto"
    normalization: str = AUTO
    recipe: Recipe = "auto"
    reasons: tuple[str, ...] = ()
    left_open: tuple[str, ...] = ()
    imgsz: int = 224
    choose_imgsz: bool = False
    resize: Literal["squash", "fit-shortest", "fit-longest"] = "squash"
    region: tuple[float, float, float, float] | None = None
    epochs: int | None = None
    patience: Annotated[int, msgspec.Meta(ge=1)] | None = None
    batch: int = 32
    learning_rate: float | None = None
    layer_ratio: float | None = None
    layer_decay: float | None = None
    weight_decay: float = 0.02
    warmup: _Share = 0.1
    unfreeze: _Share = 0.0
    margin: Annotated[float, msgspec.Meta(ge=-10, le=10)] | None = None
    average: bool = True
    blend: bool = True
    blend_least: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    label_smoothing: _Share = 0.05
    mixup: float = 0.0
    cutmix: float = 0.0
    balance: Balance = "auto"
    statistics: Statistics = "auto"
    watch: bool = True
    augmentation: Augmentation = "auto"
    ok: tuple[str, ...] = ()
    seed: int = 0
    device: str = "auto"
    compile: bool = False
    tensorboard: bool = False
    start: str | None = None
    teacher: str | None = None
    teacher_weights: str = "auto"
    teacher_normalization: str = AUTO
    temperature: float = 2.0
    distill_weight: _Share = 0.5
    false_alarm: Annotated[float, msgspec.Meta(gt=0, lt=0.5)] = 0.01
    bank: Annotated[int, msgspec.Meta(ge=10, le=20_000)] = 500

    def __post_init__(self) -> None:
        _require(self.epochs is None or 1 <= self.epochs <= 10_000, f"--epochs {self.epochs} must be from 1 to 10000")
        for flag, number in (("mixup", self.mixup), ("cutmix", self.cutmix), ("weight-decay", self.weight_decay)):
            _require(0 <= number <= 1000, f"--{flag} {number:g} must be from 0 to 1000")
        _require(0 <= self.seed < 1 << 32, f"--seed {self.seed} must be from 0 to {(1 << 32) - 1}")
        _require(self.recipe != "scratch" or not self.pretrained or self.weights == "auto",
                 "--recipe scratch starts from nothing; leave --weights and --from out")  # fmt: skip
        _require(self.recipe != "one-class" or self.teacher is None,
                 "--recipe one-class trains no net, so there is nothing to teach; leave --teacher out")  # fmt: skip
        _require(self.recipe != "one-class" or not self.choose_imgsz,
                 "--recipe one-class keeps the size at which it remembers; leave --choose-imgsz out")  # fmt: skip
        _require(2 <= self.batch <= 4096, f"--batch {self.batch} must be from 2 to 4096")
        _require(32 <= self.imgsz <= 1024, f"--imgsz {self.imgsz} must be from 32 to 1024 px")
        _require(
            self.layer_ratio is None or 1 <= self.layer_ratio <= 1e6,
            f"--layer-ratio {self.layer_ratio} must be from 1 to a million",
        )
        _require(self.layer_decay is None or 0 < self.layer_decay <= 1,
                 f"--layer-decay {self.layer_decay} must be above 0 and at most 1")  # fmt: skip
        _require(self.blend or self.blend_least is None, "--no-blend takes the end as it is; leave --blend-least out")
        _require(self.temperature > 0, f"--temperature {self.temperature} must be above 0")
        for flag, value in (("weights", self.teacher_weights), ("normalization", self.teacher_normalization)):
            _require(self.teacher is not None or value == AUTO, f"--teacher-{flag} says nothing without --teacher")
        normalization_of(self.normalization)
        normalization_of(self.teacher_normalization)
        _require(self.start is None or self.normalization == AUTO,
                 "--from brings the normalization of that run; leave --normalization out")  # fmt: skip
        rate = self.learning_rate
        _require(rate is None or 0 < rate < 10, f"--lr {rate} must be above 0 and below 10")

    @property
    def pretrained(self) -> bool:
        """Whether the weights to begin with are worth keeping."""
        return self.start is not None or (self.weights != "none" and self.recipe != "scratch")

    def decided(self, decision: Decision) -> Settings:
        """These settings with what was open in them."""
        open_ones = {name for name in _OPEN if getattr(self, name) in (None, "auto")}
        found = {name: getattr(decision, name) for name in open_ones}
        return msgspec.structs.replace(
            self, recipe=decision.recipe, reasons=decision.reasons, left_open=tuple(sorted(open_ones)), **found
        )

    def for_other_pictures(self) -> dict[str, object]:
        """These settings, as built-in types, with what was decided from the data set open again; the recipe always is."""
        plain = Settings(data=self.data, model=self.model)
        again = ("recipe", "reasons", "left_open", *self.left_open)
        asked = msgspec.structs.replace(self, **{name: getattr(plain, name) for name in again})
        found: dict[str, object] = msgspec.to_builtins(asked)
        return found

    @property
    def rate(self) -> float:
        """The head's learning rate."""
        if self.learning_rate is not None:
            return self.learning_rate
        return RATE if self.pretrained else RATE_FROM_NOTHING


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise UsageError(message)
