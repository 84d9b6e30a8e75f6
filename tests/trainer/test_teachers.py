"""`edgetl train --teacher`: who teaches, what is recorded of it, and what cannot be taught."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from edgetl.errors import RunError
from edgetl.trainer.preparation import prepare, preprocessing_of
from edgetl.trainer.progress import SilentReporter
from edgetl.trainer.run_folder import BEST, LAST, read_run
from edgetl.trainer.settings import Settings
from edgetl.trainer.teachers import teacher_of
from edgetl.trainer.training import train
from tests.cli.calling import call, refused
from tests.runtime.pictures import noise, save
from tests.trainer.clip_models import write_tiny_clip

TINY = ("--model", "resnet_tiny", "--weights", "none", "--imgsz", 32, "--epochs", 2, "--batch", 8, "--device", "cpu")


class Class(NamedTuple):
    """A data set and a run that was trained on it."""

    data: Path
    teacher: Path


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Class:
    """Dark and light noise, ten pictures each, in an unsplit folder; the teacher sees 48 px and has another seed."""
    folder = tmp_path_factory.mktemp("taught")
    for number in range(20):
        label = ("dark", "light")[number % 2]
        picture = noise(40, 30, seed=number) // 2 + (0, 120)[number % 2]
        save(folder / "data" / label / f"{number}.png", picture.astype("uint8"))
    done = call("train", "--data", folder / "data", "--model", "mobilenet_v2_050", "--weights", "none", "--imgsz", 48, "--epochs",
                1, "--batch", 8, "--seed", 7, "--device", "cpu", "--out", folder / "teacher")  # fmt: skip
    assert done.code == 0, done.err
    return Class(folder / "data", folder / "teacher")


def test_run_teaches_and_the_student_says_so(taught: Class, tmp_path: Path) -> None:
    words = ("train", "--data", taught.data, *TINY)
    done = call(
        *words, "--teacher", taught.teacher, "--temperature", 3, "--distill-weight", 0.8, "--out", tmp_path / "pupil"
    )
    assert done.code == 0, done.err
    assert f"teacher {taught.teacher}: val balanced accuracy" in done.err
    kept = yaml.safe_load((tmp_path / "pupil/args.yaml").read_text())
    assert (kept["teacher"], kept["temperature"], kept["distill_weight"]) == (str(taught.teacher), 3.0, 0.8)
    record = read_run(tmp_path / "pupil").record.teacher
    assert record is not None and len(record.sha256) == 64
    assert (record.model, record.weights) == ("mobilenet_v2_050", "run:teacher")
    assert f"val balanced accuracy {record.val_balanced_accuracy:.4f}" in done.err
    assert call(*words, "--out", tmp_path / "alone").code == 0
    assert (tmp_path / "pupil" / BEST).read_bytes() != (tmp_path / "alone" / BEST).read_bytes()
    assert read_run(tmp_path / "alone").record.teacher is None


def test_what_taught_the_teacher_never_tests_the_student(taught: Class, tmp_path: Path) -> None:
    """Its seed would divide the pictures otherwise."""
    words = ("train", "--data", taught.data, *TINY, "--seed", 3)
    assert call(*words, "--teacher", taught.teacher, "--out", tmp_path / "pupil").code == 0
    assert call(*words, "--out", tmp_path / "alone").code == 0
    pupil, alone, teacher = (
        {p.sha256: p.split for p in read_run(run).splits}
        for run in (tmp_path / "pupil", tmp_path / "alone", taught.teacher)
    )
    assert pupil == teacher != alone


@pytest.mark.parametrize("kind", ["timm", "clip"])
def test_pretrained_net_teaches_with_a_head_of_its_own(taught: Class, tmp_path: Path, kind: str) -> None:
    """Features of random values tell dark from light, so that its head is right where the untaught one guesses."""
    if kind == "clip":
        config, weights = write_tiny_clip(tmp_path)
        teacher: tuple[object, ...] = ("--teacher", f"clip:{config}", "--teacher-weights", weights)
    else:
        from edgetl.trainer.backbones import describe
        from edgetl.trainer.network import Network

        torch.manual_seed(0)
        state = {k: v.contiguous() for k, v in Network(describe("test_vit"), 3, 32).net.state_dict().items()}
        save_file(state, tmp_path / "vit.safetensors")
        teacher = ("--teacher", "test_vit", "--teacher-weights", tmp_path / "vit.safetensors")
    done = call("train", "--data", taught.data, *TINY, *teacher, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    record = read_run(tmp_path / "run").record.teacher
    assert record is not None
    assert record.weights.endswith(".safetensors") and record.val_balanced_accuracy == 1.0


def test_teacher_is_shown_what_its_weights_expect(taught: Class) -> None:
    def logits(normalization: str) -> torch.Tensor:
        asked = settings_of(taught, Path("resnet_tiny"), teacher_weights="none", teacher_normalization=normalization)
        torch.manual_seed(0)
        prepared = prepare(asked, SilentReporter())
        teacher = teacher_of(asked, preprocessing_of(asked), prepared.data, torch.device("cpu"), SilentReporter())
        assert teacher is not None
        return teacher.logits(255 * torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)))

    assert torch.equal(logits("auto"), logits("inception"))  # the architecture's
    assert not torch.allclose(logits("auto"), logits("imagenet"), rtol=1e-2)


class BreaksOff(SilentReporter):
    """Presses Ctrl-C when the second epoch begins."""

    def begin(self, what: str, total: int) -> None:
        if what.startswith("epoch 2/"):
            raise KeyboardInterrupt


def settings_of(taught: Class, teacher: Path, **changes: str) -> Settings:
    return Settings(
        data=str(taught.data), model="resnet_tiny", weights="none", imgsz=32, epochs=3, batch=8, device="cpu", teacher=str(teacher),
        **changes,
    )  # type: ignore[arg-type]  # fmt: skip


def test_broken_off_and_gone_on_with_is_the_run_in_one_go(taught: Class, tmp_path: Path) -> None:
    settings = settings_of(taught, taught.teacher)
    train(settings, tmp_path / "whole", resume=False, reporter=SilentReporter())
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "two", resume=False, reporter=BreaksOff())
    assert call("train", "--out", tmp_path / "two", "--resume").code == 0
    last, other = (load_file(tmp_path / name / LAST) for name in ("two", "whole"))
    assert all(torch.equal(last[name], other[name]) for name in other)


def test_teacher_that_changed_or_went_meanwhile_is_named(taught: Class, tmp_path: Path) -> None:
    teacher = Path(shutil.copytree(taught.teacher, tmp_path / "teacher"))
    with pytest.raises(KeyboardInterrupt):
        train(settings_of(taught, teacher), tmp_path / "run", resume=False, reporter=BreaksOff())
    tensors = load_file(teacher / BEST)
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, teacher / BEST)
    with pytest.raises(RunError, match=r"teacher .* changed since the run began"):
        train(read_run(tmp_path / "run").settings, tmp_path / "run", resume=True, reporter=SilentReporter())
    shutil.rmtree(teacher)
    refused(call("train", "--out", tmp_path / "run", "--resume"), 2, "E_USAGE", str(teacher), "not a run folder")


def test_probe_that_suffices_does_not_ask_the_teacher(taught: Class, tmp_path: Path) -> None:
    weights = tmp_path / "w.pth"
    from edgetl.trainer.backbones import describe
    from edgetl.trainer.network import Network

    torch.manual_seed(0)
    torch.save(Network(describe("resnet_tiny"), 3, 32).net.state_dict(), weights)
    done = call("train", "--data", taught.data, "--model", "resnet_tiny", "--weights", weights, "--imgsz", 32, "--device", "cpu",
                "--teacher", taught.teacher, "--out", tmp_path / "run")  # fmt: skip
    assert done.code == 0, done.err
    run = read_run(tmp_path / "run")
    assert run.settings.recipe == "probe"
    assert "the teacher is not asked" in done.err and run.record.teacher is None


def test_teacher_of_other_classes_is_refused(taught: Class, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for label, name in (("dark", "dark"), ("light", "bright")):
        shutil.copytree(taught.data / label, data / name)
    answer = call("train", "--data", data, *TINY, "--teacher", taught.teacher, "--out", tmp_path / "run")
    refused(answer, 2, "E_USAGE", "knows dark, light, the data set has bright, dark")


@pytest.mark.parametrize(
    ("flags", "code", "kind", "words"),
    [
        (("--teacher", "gone/run"), 2, "E_USAGE", "gone/run: not a run folder"),
        (("--teacher", "mobilenet_v9"), 2, "E_USAGE", "unknown model 'mobilenet_v9'"),
        (("--teacher", "clip:ViT-B32"), 2, "E_USAGE", "did you mean ViT-B-32"),
        (("--teacher", "resnet_tiny", "--teacher-weights", "gone.pth"), 2, "E_USAGE", "gone.pth: no such file"),
        (("--teacher-weights", "x.pth"), 2, "E_USAGE", "--teacher-weights says nothing without --teacher"),
        (("--teacher", "TEACHER", "--teacher-weights", "x.pth"), 2, "E_USAGE", "is a run, with its own weights"),
        (("--teacher-normalization", "unit"), 2, "E_USAGE", "--teacher-normalization says nothing without --teacher"),
        (("--teacher", "TEACHER", "--teacher-normalization", "unit"), 2, "E_USAGE", "is a run, with its own normalization"),
        (("--teacher", "test_vit", "--teacher-normalization", "grey"), 2, "E_USAGE", "--normalization grey: neither auto"),
        (("--teacher", "TEACHER", "--recipe", "probe"), 2, "E_USAGE", "learns from labels alone"),
        (("--teacher", "TEACHER", "--resize", "fit-longest"), 2, "E_USAGE", "sees another part of the frame"),
        (("--teacher", "TEACHER", "--temperature", 0), 2, "E_USAGE", "--temperature 0.0 must be above 0"),
        (("--teacher", "TEACHER", "--distill-weight", 1.5), 2, "E_USAGE", "--distill-weight"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_one_line(
    taught: Class, tmp_path: Path, flags: tuple[object, ...], code: int, kind: str, words: str
) -> None:
    flags = tuple(taught.teacher if flag == "TEACHER" else flag for flag in flags)
    refused(call("train", "--data", taught.data, *TINY, *flags, "--out", tmp_path / "run"), code, kind, words)
