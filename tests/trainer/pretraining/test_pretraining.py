"""A tiny pretraining: weights that load, and a broken one that ends as an unbroken one would have."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from edgetl.errors import UsageError, WeightsError
from edgetl.trainer.backbones import describe
from edgetl.trainer.network import Network, pixels_of
from edgetl.trainer.pretraining.checkpoint import state_path
from edgetl.trainer.pretraining.descriptors import DESCRIPTORS, descriptors
from edgetl.trainer.pretraining.learner import losses_of, question_of
from edgetl.trainer.pretraining.pictures import classes_of
from edgetl.trainer.pretraining.plan import Plan
from edgetl.trainer.pretraining.pool import Pool, draw_pool
from edgetl.trainer.pretraining.pretraining import Pretraining
from edgetl.trainer.pretraining.views import nearer, turned
from edgetl.trainer.progress import SilentReporter
from edgetl.trainer.ranks import Rank
from edgetl.trainer.weights import load_into
from tests.cli.calling import call, refused
from tests.conftest import ended_by_sigterm
from tests.trainer.processes import torchrun

TINY = Plan(model="mobilenet_v2_050", formulas=16, pictures=48, imgsz=32, steps=8, batch=16)
CPU = Rank(torch.device("cpu"))


class StopsAt(SilentReporter):
    """Presses Ctrl-C after a number of steps."""

    def __init__(self, step: int) -> None:
        self._step = step

    def advance(self, done: int, note: str = "") -> None:
        if done == self._step:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return draw_pool(tmp_path_factory.mktemp("pool"), TINY.pictures, TINY.imgsz, TINY.formulas, seed=0, processes=1)


@pytest.fixture(scope="module")
def whole(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "tiny.safetensors"
    Pretraining(TINY, pool, CPU).run(out, SilentReporter())
    return out


def broken_at(step: int, plan: Plan, pool: Pool, out: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Pretraining(plan, pool, CPU).run(out, StopsAt(step))


def equal(one: Path, other: Path) -> bool:
    first, second = load_file(one), load_file(other)
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def test_the_weights_load_by_name_and_the_classifier_stays_fresh(whole: Path) -> None:
    net = Network(describe(TINY.model), 5, 64)
    head = net.head.weight.clone()
    assert load_into(net, str(whole)) == whole.name
    saved = load_file(whole)
    assert saved["conv_stem.weight"].dtype == torch.float16 and "classifier.weight" not in saved
    assert torch.equal(net.net.state_dict()["conv_stem.weight"], saved["conv_stem.weight"].float())
    assert torch.equal(net.head.weight, head)


def test_the_file_says_how_it_was_made(whole: Path) -> None:
    with safe_open(whole, "pt") as file:
        facts = file.metadata()
    assert msgspec.json.decode(facts["plan"], type=Plan) == TINY
    assert facts["steps"] == "8" and facts["licence"] == "Apache-2.0"


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(whole: Path, pool: Pool, tmp_path: Path) -> None:
    Pretraining(TINY, pool, CPU).run(tmp_path / "again.safetensors", SilentReporter())
    assert equal(whole, tmp_path / "again.safetensors")
    Pretraining(msgspec.structs.replace(TINY, seed=1), pool, CPU).run(tmp_path / "other.safetensors", SilentReporter())
    assert not equal(whole, tmp_path / "other.safetensors")


@pytest.mark.parametrize("step", [1, 7])
def test_a_resumed_run_ends_with_the_same_weights(step: int, whole: Path, pool: Pool, tmp_path: Path) -> None:
    out = tmp_path / "broken.safetensors"
    broken_at(step, TINY, pool, out)
    assert not equal(whole, out)
    resumed = Pretraining(TINY, pool, CPU)
    resumed.resume(out)
    assert resumed.at.step == step
    resumed.run(out, SilentReporter())
    assert equal(whole, out) and equal(state_path(whole), state_path(out))


def test_the_number_of_steps_may_change_until_the_rate_falls(whole: Path, pool: Pool, tmp_path: Path) -> None:
    longer, out = msgspec.structs.replace(TINY, steps=9), tmp_path / "longer.safetensors"
    broken_at(4, longer, pool, out)
    shorter = Pretraining(TINY, pool, CPU)
    shorter.resume(out)
    shorter.run(out, SilentReporter())
    assert equal(whole, out)
    with pytest.raises(UsageError, match="--steps cannot change"):
        Pretraining(longer, pool, CPU).resume(out)


def test_other_settings_do_not_resume(whole: Path, pool: Pool) -> None:
    with pytest.raises(UsageError, match="other settings"):
        Pretraining(msgspec.structs.replace(TINY, learning_rate=0.1), pool, CPU).resume(whole)


def test_nothing_and_a_damaged_state_do_not_resume(pool: Pool, tmp_path: Path) -> None:
    out = tmp_path / "none.safetensors"
    with pytest.raises(UsageError, match="nothing to resume"):
        Pretraining(TINY, pool, CPU).resume(out)
    state_path(out).write_bytes(b"\xff" * 100)
    with pytest.raises(WeightsError, match="cannot resume"):
        Pretraining(TINY, pool, CPU).resume(out)


def test_pictures_and_maps_turn_together() -> None:
    maps = torch.arange(16).view(1, 4, 4)
    seen = set()
    for seed in range(24):
        pixels, where = turned(maps[:, None].float(), maps, torch.Generator().manual_seed(seed))
        assert torch.equal(pixels[:, 0].long(), where)
        seen.add(tuple(where.flatten().tolist()))
    assert len(seen) > 5


def test_a_nearer_look_keeps_the_marks_that_it_shows() -> None:
    """Each pixel says in which cell it lies, so that the map can be read off the pixels."""
    where = (torch.rand(2, 12, 12, generator=torch.Generator().manual_seed(5)) < 0.02).to(torch.uint8)
    cells = where.repeat_interleave(8, 1).repeat_interleave(8, 2)
    pixels = 255 * cells[:, None].expand(-1, 3, -1, -1).float()
    labels = torch.tensor([[7, 6, 5, 3], [1, 2, 3, 4]])
    sizes, lost = set(), set()
    for seed in range(40):
        seen, its_where, its_labels = nearer(pixels, where, labels, 64, torch.Generator().manual_seed(seed))
        assert seen.shape == (2, 3, 64, 64) and (labels[:, 3] == torch.tensor([3, 4])).all()
        shown = torch.nn.functional.adaptive_avg_pool2d(seen[:, 0], its_where.shape[-1]) > 127
        assert torch.equal(shown, its_where > 0)
        assert torch.equal(its_labels[:, :3], labels[:, :3])
        assert torch.equal(its_labels[:, 3], labels[:, 3] * its_where.flatten(1).any(dim=1))
        sizes.add(its_where.shape[-1])
        lost |= set((its_labels[:, 3] == 0).tolist())
    assert sizes == {8, 9, 10, 11, 12} and lost == {False, True}


def test_the_net_sees_parts_until_the_rate_falls() -> None:
    plan = msgspec.structs.replace(TINY, imgsz=48, early_imgsz=32, steps=10)
    assert [plan.side(step) for step in range(10)] == 7 * [32] + 3 * [48]
    assert {TINY.side(step) for step in range(8)} == {32}


def test_descriptors_know_colour_direction_and_scale() -> None:
    """Of stripes: what is turned differs where directions are, what is finer where scales are, and grey has no colour."""
    across = torch.arange(64.0).view(1, -1).expand(64, -1)
    broad, fine = (127 + 100 * torch.sign(torch.sin(across * 2 * math.pi / n)) for n in (32, 8))
    red = torch.stack([broad, broad / 2, broad / 2])
    pictures = torch.stack([broad.expand(3, -1, -1), broad.T.expand(3, -1, -1), fine.expand(3, -1, -1), red])
    found = descriptors(pictures)
    assert found.shape == (4, DESCRIPTORS) and torch.isfinite(found).all()
    far = torch.cdist(found, found)
    assert (far[0, 1:] > 1).all()
    tones, colours = found[:, :8], found[:, 8 : 8 + 49]
    assert torch.allclose(tones[0], tones[1], atol=1e-6) and torch.allclose(colours[0], colours[1], atol=1e-6)
    assert float((colours[3] - colours[0]).norm()) > 0.5
    again = descriptors(pictures.flip(0))
    assert torch.allclose(again.flip(0), found, atol=1e-5)


def test_every_head_learns(tmp_path: Path) -> None:
    """Thirty-two pictures are soon known by heart, marks and their places among the rest."""
    few = draw_pool(tmp_path, 32, 48, TINY.formulas, seed=0, processes=1)
    plan = msgspec.structs.replace(TINY, pictures=32, imgsz=48, batch=32, steps=90, learning_rate=3e-3)
    state = Pretraining(plan, few, CPU)
    with pytest.raises(KeyboardInterrupt):
        state.run(tmp_path / "first.safetensors", StopsAt(45))
    told = descriptors(pixels_of(torch.from_numpy(few.images.copy())))
    told = (told - told.mean(0)) / told.std(0).clamp_min(1e-3)
    mean_told = float(torch.nn.functional.smooth_l1_loss(told, torch.zeros_like(told)))
    chance = {
        **{name: math.log(n) for name, n in classes_of(16).items()}, "where": math.log(8), "descriptor": mean_told,
    }  # fmt: skip
    assert {question_of(name) for name in state.at.losses} == chance.keys()
    pixels, labels, where = (torch.from_numpy(a.copy()) for a in (few.images, few.labels, few.where))
    with torch.no_grad():
        losses = losses_of(state.learner(pixels_of(pixels)), labels, where)
    assert all(losses[name] < 0.85 * chance[name] for name in chance), losses


def test_only_what_is_asked_is_learned(pool: Pool, tmp_path: Path) -> None:
    state = Pretraining(msgspec.structs.replace(TINY, heads=("descriptor",)), pool, CPU)
    state.run(tmp_path / "x.safetensors", SilentReporter())
    assert state.at.losses.keys() == {"descriptor"}


def test_an_ended_pretraining_takes_its_pictures_away(tmp_path: Path) -> None:
    words = [
        "pretrain",
        "--out",
        tmp_path / "x.safetensors",
        "--model",
        "resnet_tiny",
        "--pictures",
        64,
        "--imgsz",
        32,
        "--batch",
        16,
    ]
    ended_by_sigterm(tmp_path, "edgetl-pictures-*/*.bin", *words)
    assert not list(tmp_path.glob("edgetl-pictures-*"))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--heads", "colour"), "--heads"),
        (("--steps", "0"), "--steps"),
        (("--imgsz", "8"), "--imgsz"),
        (("--pictures", "3"), "--pictures"),
        (("--formulas", "1"), "--formulas"),
    ],
)
def test_wrong_flags_are_named(flags: tuple[str, ...], words: str, tmp_path: Path) -> None:
    refused(call("pretrain", "--out", tmp_path / "x.safetensors", *flags), 2, "E_USAGE", words)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    refused(call("pretrain", "--out", tmp_path / "x.pth"), 2, "E_USAGE", ".safetensors")


@pytest.mark.slow
def test_two_processes_are_one_process_with_the_same_batch(tmp_path: Path) -> None:
    """By torchrun, as on two GPUs: pictures, augmentation, batch norm, losses and gradients are those of the whole batch.
    One step, since rounding grows with each. It is large in gradients already: so small a net at its start differs by 3 % when
    it computes with two threads instead of one, and the other half of the batch would be another gradient altogether."""
    plan = ("--formulas", 16, "--pictures", 48, "--imgsz", 64, "--steps", 1, "--batch", 15, "--device", "cpu")
    done = torchrun(2, "pretrain", "--out", tmp_path / "two.safetensors", *plan, "--json")
    assert done.returncode == 0, done.stderr
    alone = call("pretrain", "--out", tmp_path / "one.safetensors", *plan, "--json")
    assert alone.code == 0, alone.err
    told = [msgspec.json.decode(text.splitlines()[-1]) for text in (done.stdout, alone.out)]
    assert told[0]["steps"] == told[1]["steps"] == 1
    assert told[0]["losses"] == pytest.approx(told[1]["losses"], abs=2e-4)
    two, one = (load_file(state_path(tmp_path / f"{name}.safetensors")) for name in ("two", "one"))
    assert two.keys() == one.keys()
    for name in (name for name in one if "running_" in name):
        assert torch.allclose(two[name], one[name], rtol=1e-3, atol=1e-4), name
    after_one_step = [name for name in one if name.endswith("exp_avg")]  # a tenth of the gradient
    gradients = [torch.cat([state[name].flatten() for name in after_one_step]) for state in (one, two)]
    assert float(torch.cosine_similarity(*gradients, dim=0)) > 0.99
    assert float(gradients[1].norm() / gradients[0].norm()) == pytest.approx(1, abs=0.02)
