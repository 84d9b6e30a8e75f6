"""What is decided from a data set's facts, and why."""

from __future__ import annotations

import msgspec
import pytest

from edgetl.trainer.recipe import Facts, Recipe, decide, may_change_much, separation
from edgetl.trainer.settings import Settings


def facts(each: int, apart: float | None, classes: int = 4) -> Facts:
    return Facts((each,) * classes, apart)


@pytest.mark.parametrize(
    ("given", "recipe"),
    [
        (facts(200, None), "scratch"),
        (facts(200, 0.99), "probe"),  # solved by frozen features
        (facts(6, 0.5), "probe"),  # too few to know
        (facts(20, 0.9), "blocks"),
        (facts(20, 0.5), "finetune"),
        (facts(90, 0.9), "finetune"),
        (facts(90, 0.2), "finetune"),
    ],
)
def test_few_and_near_freezes_many_and_far_goes_deep(given: Facts, recipe: str) -> None:
    decision = decide(given, "auto", 32)
    assert decision.recipe == recipe
    assert f"{given.median} training pictures a class" in decision.reasons[0]


@pytest.mark.parametrize(
    ("counts", "apart", "recipe"),
    [
        ((500, 6), 0.7, "probe"),
        ((500, 20), 0.7, "finetune"),  # whether it learns at all is judged on parts of train
        ((500, 20), 0.9, "blocks"),
        ((500, 60), 0.7, "finetune"),
        ((500, 400, 300, 6), 0.7, "probe"),  # one of four is a quarter
        ((200,) * 9 + (6,), 0.7, "finetune"),  # one of ten must not hold back the others
    ],
)
def test_rarest_classes_decide(counts: tuple[int, ...], apart: float, recipe: str) -> None:
    decision = decide(Facts(counts, apart), "auto", 32)
    assert decision.recipe == recipe
    assert f"fewest {min(counts)}" in decision.reasons[0]


def test_lopsided_classes_are_drawn_alike_and_moved_little() -> None:
    even, lopsided = (decide(Facts(counts, 0.5), "auto", 32) for counts in ((90, 60), (300, 60)))
    assert (even.balance, even.augmentation) == ("weights", "scene")
    assert (lopsided.balance, lopsided.augmentation) == ("sampling", "part")
    assert "300 pictures, the smallest 60" in lopsided.reasons[-1]


def test_nobody_must_prove_what_was_asked_for_and_auto_must_where_pictures_are_few() -> None:
    assert decide(facts(20, 0.5), "auto", 32).margin > 0
    assert decide(facts(20, 0.5), "finetune", 32).margin < 0
    assert decide(Facts((500, 20), 0.5), "auto", 32).margin > decide(facts(20, 0.5), "auto", 32).margin
    assert decide(Facts((500, 90), 0.5), "auto", 32).margin > 0
    assert decide(facts(90, 0.5), "auto", 32).margin < 0
    assert decide(facts(90, None), "auto", 32).margin == 0  # from nothing there is no probe to beat


@pytest.mark.parametrize(
    ("counts", "asked", "on_parts"),
    [
        ((300, 12), "auto", True),
        ((20, 20), "auto", True),
        ((90, 90), "auto", False),  # val has enough of each
        ((2000, 60), "auto", False),
        ((300, 12), "finetune", False),
        ((300, 4), "auto", False),  # a head alone, whatever parts of train say
    ],
)
def test_parts_of_train_are_asked_where_auto_would_have_layers_learn_and_val_cannot_tell(
    counts: tuple[int, ...], asked: Recipe, on_parts: bool
) -> None:
    assert decide(Facts(counts, 0.5), asked, 32).on_parts is on_parts


def test_weights_of_drawn_pictures_are_trained_longer_and_deeper_but_not_as_from_nothing() -> None:
    photographs, drawn = (decide(Facts((25,) * 6, 0.4, known), "finetune", 32) for known in (False, True))
    assert drawn.epochs > photographs.epochs
    assert 1 < drawn.layer_ratio < photographs.layer_ratio
    assert photographs.learning_rate < drawn.learning_rate < decide(facts(25, None), "scratch", 32).learning_rate
    assert "drawn pictures alone" in drawn.reasons[-1] and photographs.reasons == ("as asked",)
    assert (
        decide(Facts((2000,) * 6, 0.4, True), "finetune", 32).epochs <= photographs.epochs
    )  # many pictures take long enough
    assert decide(Facts((25,) * 6, None), "scratch", 32).epochs > drawn.epochs
    assert (
        decide(Facts((25,) * 6, 0.99, True), "auto", 32).reasons[-1].endswith("nothing is left to learn below the head")
    )


@pytest.mark.parametrize("recipe", ["auto", "finetune", "blocks"])
def test_pictures_are_changed_much_where_that_hides_no_class(recipe: Recipe) -> None:
    whole = Facts((90,) * 6, 0.75)
    assert decide(whole, recipe, 32).augmentation == "scene", "nobody looked"
    for share, preset in ((0.65, "natural"), (0.50, "scene")):
        decision = decide(msgspec.structs.replace(whole, separation_changed=share), recipe, 32)
        assert decision.augmentation == preset
        assert f"{share:.0%} of the way on pictures changed much, and 75% on whole ones" in decision.reasons[-1]


@pytest.mark.parametrize(
    "given",
    [Facts((300, 60), 0.75), Facts((90,) * 6, 0.75, drawn=True), Facts((90,) * 6, None), Facts((90,) * 6, 0.0)],
    ids=["lopsided", "drawn", "no features", "features that tell nothing"],
)
def test_large_changes_are_only_thought_of_where_they_may_gain(given: Facts) -> None:
    assert may_change_much(Facts((90,) * 6, 0.75), "finetune")
    assert not may_change_much(given, "finetune")
    assert not may_change_much(Facts((90,) * 6, 0.75), "probe"), "nothing is trained on pictures"


def test_what_was_asked_is_done() -> None:
    decision = decide(facts(6, 0.99), "finetune", 32)
    assert (decision.recipe, decision.reasons) == ("finetune", ("as asked",))
    asked = Settings(data="d", model="m", recipe="finetune", epochs=3, balance="none", augmentation="texture",
                     patience=2, margin=0.5, layer_ratio=7.0, learning_rate=0.01)  # fmt: skip
    found = asked.decided(decide(Facts((500, 20), 0.9), "finetune", 32))
    assert (found.epochs, found.balance, found.augmentation, found.patience, found.margin) == (
        3, "none", "texture", 2, 0.5,
    )  # fmt: skip
    assert (found.layer_ratio, found.learning_rate) == (7.0, 0.01)


def test_what_was_left_open_is_decided() -> None:
    decision = decide(Facts((500, 20), 0.9), "auto", 32)
    found = Settings(data="d", model="m").decided(decision)
    for name in (
        "recipe",
        "epochs",
        "learning_rate",
        "layer_ratio",
        "margin",
        "balance",
        "augmentation",
        "reasons",
    ):
        assert getattr(found, name) == getattr(decision, name) not in (None, "auto")


def test_what_was_decided_is_open_again_for_other_pictures_and_what_was_asked_stays() -> None:
    asked = Settings(data="d", model="m", epochs=3, augmentation="texture", batch=16)
    again = msgspec.convert(asked.decided(decide(Facts((500, 20), 0.5), "auto", 16)).for_other_pictures(), Settings)
    assert again == asked


def test_fewer_pictures_get_more_epochs_within_bounds() -> None:
    epochs = [decide(facts(n, 0.5), "auto", 32).epochs for n in (15, 60, 90, 300, 5000)]
    assert epochs == sorted(epochs, reverse=True)
    assert (epochs[0], epochs[-1]) == (40, 9)
    assert 9 < epochs[2] < 40


def test_far_from_what_photographs_taught_takes_longer() -> None:
    """With few pictures every training is long."""
    near, far = (decide(facts(90, apart), "finetune", 32) for apart in (0.6, 0.4))
    assert near.epochs < far.epochs <= 40
    assert decide(facts(20, 0.6), "finetune", 32).epochs == decide(facts(20, 0.4), "finetune", 32).epochs
    assert decide(facts(90, None), "probe", 32).epochs == near.epochs  # nobody looked


def test_from_nothing_takes_many_more_steps_and_what_is_pretrained_never_ends_before_its_rate_has_fallen() -> None:
    """A net that starts with random filters learns nothing in the time in which a pretrained one is adapted."""
    for each in (10, 25, 90, 500):
        adapted, learned = decide(facts(each, 0.5), "finetune", 32), decide(facts(each, None), "scratch", 32)
        assert learned.epochs >= 3 * adapted.epochs
        assert adapted.patience is None and 8 <= learned.patience < learned.epochs


def test_separation_is_counted_from_chance() -> None:
    assert separation(0.25, 4) == 0.0
    assert separation(1.0, 4) == 1.0
    assert separation(0.625, 4) == pytest.approx(0.5)
    assert separation(0.1, 2) == 0.0
