"""How a net is to be trained: decided from what its data set is like, with the reasons in words.

Few pictures that frozen features already tell apart need a head and no more: every further weight that moves can only
fit what those few pictures have by chance. Many pictures that frozen features do not tell apart need all layers. What
counts are the classes with the fewest pictures: a defect that was seen eight times is not learned from five hundred good
parts.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np

Recipe = Literal["auto", "probe", "blocks", "finetune", "scratch", "one-class"]
Changes = Literal["part", "scene", "natural"]  # the presets of augmentation that are chosen from
Decided = Literal["probe", "blocks", "finetune", "scratch", "one-class"]  # the last one only if it was asked for

# Shares of the way from chance to perfect, by balanced accuracy out of fold.
SOLVED = 0.985  # what is left is noise of a few pictures
NEAR = 0.80  # features of natural images do most of the work
FAR = 0.50  # they know little

FEW = 8  # pictures a class; half of fewer cannot say whether fine-tuning gained anything
MODEST = 30
MANY_OF_THE_CLASSES = 1 / 4  # so many of them decide for all: of up to four classes a single one
LOPSIDED = 3.0  # times as many pictures in the largest class as in the smallest
# Standard errors by which a fine-tuned net must beat its probe. Below 0 where it was asked for or no class is short of pictures:
# there fine-tuning gains more often than so few of val can show, so it stays unless it is clearly worse. Most where few
# pictures stand beside many, since of a few of val the best of many epochs wins by chance.
MARGIN, FEW_MARGIN, RARE_MARGIN = -1.0, 1.0, 2.0
# Large changes of the pictures keep training from learning them by heart, but a small defect may go with them. So they are made
# only where heads on frozen features, fitted to pictures so changed, still get so much of the way that they get on whole ones.
SPREAD = 0.75


class Budget(msgspec.Struct, frozen=True):
    """How long to train: about so many steps of the optimizer, within a least and a most number of epochs. It ends when
    for a share of them (`patience`) nothing was gained on val. None: never; where the end is blended with the start it is the end
    that counts, not the best epoch, and an end before the rate has fallen is a bad one."""

    steps: int
    epochs: tuple[int, int]
    patience: float | None

    def of(self, pictures: int, batch: int) -> tuple[int, int | None]:
        """Epochs and patience for so many training pictures."""
        epochs = min(max(round(self.steps * batch / max(1, pictures)), self.epochs[0]), self.epochs[1])
        return epochs, None if self.patience is None else max(8, round(self.patience * epochs))


TRANSFER = Budget(160, (9, 40), None)  # on two public sets more gave no better net
# Where frozen features know little, nets are still learning their own training pictures after as many steps; and of few
# pictures an epoch is short, and parts of train say what comes of it.
TRANSFER_LONGER = Budget(400, (9, 40), None)
FROM_DRAWN = Budget(1000, (20, 60), None)  # such weights have more to learn, and late
FROM_NOTHING = Budget(1500, (40, 150), 0.3)
# How many times smaller the rate of the first layers is than the head's: weights of photographs know in their first layers what
# every picture needs; those of drawn pictures not as well.
LAYER_RATIO, DRAWN_LAYER_RATIO = 20.0, 3.0
# The head's learning rate: the more the weights know, the less they may be moved at once.
RATE, DRAWN_RATE, RATE_FROM_NOTHING = 5e-4, 1e-3, 4e-3


class Facts(msgspec.Struct, frozen=True):
    """A data set as the decision sees it. `counts`: training pictures of each class. `separation`: how far linear heads on
    frozen features get from chance (0) to perfect (1), judged on pictures they did not see; None where there are no
    pretrained features. `drawn`: whether the weights know drawn pictures alone. `separation_changed`: as `separation`, of pictures
    changed by the preset `natural`; None where that was not looked at."""

    counts: tuple[int, ...]
    separation: float | None
    drawn: bool = False
    separation_changed: float | None = None

    @property
    def fewest(self) -> int:
        """Pictures of the smallest class."""
        return min(self.counts)

    @property
    def median(self) -> int:
        """Pictures of the class in the middle."""
        return int(np.median(self.counts))

    @property
    def far(self) -> bool:
        """Whether frozen features know little of what tells the classes apart, as far as that was looked at."""
        return self.separation is not None and self.separation < FAR

    @property
    def lopsided(self) -> bool:
        """Whether some class is so much larger than another that training must see to it."""
        return max(self.counts) >= LOPSIDED * self.fewest

    def often_below(self, pictures: int) -> bool:
        """Whether many of the classes have fewer pictures than that."""
        return sum(n < pictures for n in self.counts) >= MANY_OF_THE_CLASSES * len(self.counts)


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The recipe, the pieces that go with it, and why. Settings says what each piece means."""

    recipe: Decided
    reasons: tuple[str, ...]
    epochs: int
    patience: int | None
    learning_rate: float
    layer_ratio: float
    margin: float
    balance: Literal["weights", "sampling"]
    augmentation: Changes
    on_parts: bool  # whether nets on parts of the training pictures should say first that layers are to learn


def decide(facts: Facts, asked: Recipe, batch: int) -> Decision:
    """The recipe that was asked for, or for `auto` the one that suits; and what goes with it."""
    recipe, reasons = (asked, ("as asked",)) if asked != "auto" else _suited(facts)
    scratch = recipe == "scratch"
    longer = facts.far or facts.often_below(MODEST)
    transfer = FROM_DRAWN if facts.drawn else TRANSFER_LONGER if longer else TRANSFER
    epochs, patience = (FROM_NOTHING if scratch else transfer).of(sum(facts.counts), batch)
    if facts.drawn and recipe in ("blocks", "finetune"):
        reasons += ("the weights know drawn pictures alone: it takes longer, and early layers learn more",)
    if facts.lopsided and recipe != "probe":
        reasons += (
            f"the largest class has {max(facts.counts)} pictures, the smallest {facts.fewest}: classes are drawn alike, and "
            "pictures are moved little, so that no defect is moved out of them",
        )
    augmentation, told = _augmentation(facts)
    reasons += told
    return Decision(
        recipe=recipe, reasons=reasons, epochs=epochs, patience=patience,
        learning_rate=RATE_FROM_NOTHING if scratch else DRAWN_RATE if facts.drawn else RATE,
        layer_ratio=DRAWN_LAYER_RATIO if facts.drawn else LAYER_RATIO,
        margin=0.0 if scratch else MARGIN if asked != "auto" else _margin(facts),
        balance="sampling" if facts.lopsided else "weights",
        augmentation=augmentation,
        on_parts=asked == "auto" and recipe in ("blocks", "finetune") and facts.often_below(MODEST),
    )  # fmt: skip


def may_change_much(facts: Facts, recipe: Decided) -> bool:
    """Whether it is worth looking at how large changes of the pictures are borne: known layers learn, and no defect is rare."""
    return recipe in ("blocks", "finetune") and not (facts.drawn or facts.lopsided) and bool(facts.separation)


def _augmentation(facts: Facts) -> tuple[Changes, tuple[str, ...]]:
    if facts.lopsided:
        return "part", ()
    if not facts.separation or facts.separation_changed is None:
        return "scene", ()
    told = f"frozen features go {facts.separation_changed:.0%} of the way on pictures changed much, and {facts.separation:.0%} on whole ones"
    if facts.separation_changed < SPREAD * facts.separation:
        return "scene", (f"{told}: that hides what tells the classes apart, so pictures are changed little",)
    return "natural", (f"{told}: no single spot tells the classes apart, so training changes them much",)


def _margin(facts: Facts) -> float:
    if facts.lopsided and facts.often_below(MODEST):
        return RARE_MARGIN
    return FEW_MARGIN if facts.lopsided or facts.often_below(MODEST) else MARGIN


def _suited(facts: Facts) -> tuple[Decided, tuple[str, ...]]:
    count = f"{facts.median} training pictures a class (fewest {facts.fewest})"
    if facts.separation is None:
        return "scratch", (count, "no pretrained weights")
    told = f"frozen features go {facts.separation:.0%} of the way from chance to perfect on pictures unseen"
    if facts.separation >= SOLVED:
        return "probe", (count, f"{told}: nothing is left to learn below the head")
    if facts.often_below(FEW):
        return "probe", (count, told, f"fewer than {FEW} of a class cannot show whether more than a head is a gain")
    few = facts.often_below(MODEST)
    if few and facts.separation >= NEAR:
        return "blocks", (count, f"{told}: few pictures of a near domain, so the early layers stay")
    far = "few pictures, but of a far domain" if few else "many pictures"
    return "finetune", (count, f"{told}: {far}, so all layers learn, the earlier the more slowly")


def separation(balanced_accuracy: float, classes: int) -> float:
    """Balanced accuracy as a share of the way from chance to perfect, at least 0."""
    chance = 1 / classes
    return max(0.0, (balanced_accuracy - chance) / (1 - chance))
