"""The same seed, the same run: on CUDA that must be asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from edgetl.trainer.progress import SilentReporter
from edgetl.trainer.run_folder import BEST
from edgetl.trainer.settings import Settings
from edgetl.trainer.training import train

SCRIPT = """
import os, sys, torch
from edgetl.trainer.reproducible import make_reproducible
make_reproducible(7, torch.device(sys.argv[1]))
print(torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark,
      os.environ.get("CUBLAS_WORKSPACE_CONFIG"), torch.initial_seed())
"""


@pytest.mark.parametrize(
    ("device", "said"), [("cpu", "False False False None 7"), ("cuda", "True True False :4096:8 7")]
)
def test_cuda_is_asked_for_kernels_that_add_up_in_one_order(device: str, said: str) -> None:
    """In a process of its own, since it holds for all that comes after."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, device], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == said, done.stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")
def test_same_seed_gives_the_same_bytes_on_a_gpu(few_pictures: Path, tmp_path: Path) -> None:
    for name in ("one", "same"):
        settings = Settings(data=str(few_pictures), model="mobilenet_v2_050", weights="none", imgsz=64, epochs=3, batch=8,
                            augmentation="texture", mixup=0.2, device="cuda")  # fmt: skip
        train(settings, tmp_path / name, resume=False, reporter=SilentReporter())
    assert (tmp_path / "one" / BEST).read_bytes() == (tmp_path / "same" / BEST).read_bytes()
