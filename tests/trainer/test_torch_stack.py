"""timm comes in beside any build of torchvision."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_timm_can_be_imported_and_makes_nets() -> None:
    from edgetl.trainer.torch_stack import import_timm

    timm = import_timm()
    assert timm.is_model("mobilenetv2_100")


TORCHVISION = """
import torch
torch.library.register_fake("torchvision::nms")(lambda dets, scores, threshold: scores)
from . import transforms
"""


def test_torchvision_whose_compiled_part_does_not_load_is_got_around(tmp_path: Path) -> None:
    """A package that, as torchvision built for CUDA beside a CPU torch, needs an operator that nobody registered."""
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(TORCHVISION)
    (package / "transforms.py").write_text("")
    fake_timm = tmp_path / "timm"
    fake_timm.mkdir()
    (fake_timm / "__init__.py").write_text("import torchvision.transforms\n")
    program = f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
try:
    import torchvision
except RuntimeError as error:
    print("before:", "torchvision::nms" in str(error))
from edgetl.trainer.torch_stack import import_timm
print("after:", import_timm().__file__ == {str(fake_timm / "__init__.py")!r}, "torchvision.transforms" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["before: True", "after: True True"]


def test_other_failures_of_torchvision_are_not_hidden(tmp_path: Path) -> None:
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision/__init__.py").write_text("raise RuntimeError('disk on fire')")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfrom edgetl.trainer.torch_stack import import_timm; import_timm()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode != 0
    assert "disk on fire" in done.stderr
