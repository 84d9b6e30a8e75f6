"""torch.compile changes how fast a net trains, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from edgetl.trainer.compiling import compile_network
from edgetl.trainer.progress import SilentReporter
from edgetl.trainer.ranks import ALONE, Rank


class Kept(SilentReporter):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def small_net() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten())


@pytest.mark.slow
def test_compiled_net_is_the_same_net() -> None:
    if shutil.which("g++") is None and shutil.which("c++") is None:
        pytest.skip("needs a C++ compiler")
    plain, compiled, told, pixels = small_net(), small_net(), Kept(), torch.rand(2, 3, 8, 8)
    assert compile_network(compiled, ALONE, told) and told.lines == []
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    assert AveragedModel(compiled).module.state_dict().keys() == plain.state_dict().keys()  # type: ignore[no-untyped-call]
    assert torch.allclose(compiled(pixels), plain(pixels), atol=1e-5)
    for net in (plain, compiled):
        net(pixels).square().sum().backward()
    for ours, theirs in zip(compiled.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-4)


def test_where_there_is_no_compiler_it_trains_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch._inductor.config as inductor

    monkeypatch.setattr(inductor.cpp, "cxx", ("/no/such/compiler",))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    torch._dynamo.reset()
    net, told = small_net(), Kept()
    assert not compile_network(net, ALONE, told)
    assert len(told.lines) == 1 and "no working compiler here" in told.lines[0]
    assert net(torch.rand(2, 3, 8, 8)).shape == (2, 72)


def test_processes_on_cpus_are_not_compiled() -> None:
    told = Kept()
    assert not compile_network(small_net(), Rank(torch.device("cpu"), 0, 2), told)
    assert len(told.lines) == 1
