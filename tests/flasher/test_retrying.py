"""A question that is asked until its answer arrives, and no longer than the device may need for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgetl.errors import BusyError, EdgetlError, HostKeyError, TransportError
from edgetl.flasher.agent import Agent
from edgetl.flasher.retrying import TRIES, Retrying
from edgetl.flasher.transport import Local

OWN = BusyError("device: busy by 100@desk/aa since noon; wait for it to end")
CUT = TransportError("device: the connection broke")


class Script:
    """Asks a device that fails in an order, and then answers; time passes only when it is slept."""

    def __init__(self, *errors: EdgetlError) -> None:
        self.errors = list(errors)
        self.asked = 0
        self.slept = 0.0
        self.device = Retrying(Agent(Local(Path("/none")), "100@desk/aa"), self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.slept += seconds

    def question(self) -> str:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    def ask(self, wait_s: float = 60.0) -> str:
        self.device.wait_s = wait_s
        return self.device.again(self.question)


def test_broken_connection_is_tried_again_less_and_less_often() -> None:
    script = Script(*[CUT] * (TRIES - 1))
    assert script.ask() == "answer" and script.slept == 1 + 2 + 4 + 8
    with pytest.raises(TransportError):
        Script(*[CUT] * TRIES).ask()


@pytest.mark.fault("F3")
@pytest.mark.parametrize("seconds", [10, 40, 600])
def test_device_that_is_at_work_on_our_own_question_is_waited_for(seconds: int) -> None:
    """As after a cut during a rehearsal, which goes on alone."""
    script = Script(CUT, *[OWN] * (seconds // 2))
    assert script.ask(wait_s=900.0) == "answer"
    assert script.slept == seconds + 1


def test_device_that_needs_longer_than_its_own_limit_is_given_up() -> None:
    script = Script(CUT, *[OWN] * 1000)
    with pytest.raises(BusyError, match="busy by 100@desk/aa"):
        script.ask(wait_s=100.0)
    assert script.slept == 101


@pytest.mark.parametrize(
    "error",
    [
        BusyError("device: busy by 200@lab/bb since noon; wait for it to end"),
        BusyError("device: busy by 9100@desk/aa since noon; wait for it to end"),
        BusyError("device: a part has been in view for 3 s"),
        HostKeyError("device: its host key CHANGED"),
    ],
)
@pytest.mark.parametrize("before", [[], [CUT]], ids=["at-once", "after-a-cut"])
def test_what_does_not_pass_is_not_waited_for(error: EdgetlError, before: list[EdgetlError]) -> None:
    script = Script(*before, error)
    with pytest.raises(type(error)):
        script.ask()
    assert script.asked == len(before) + 1


def test_every_question_bears_the_owner(tmp_path: Path) -> None:
    """Through the real command, which refuses a question without one."""
    from edgetl.runtime.flashing.layout import DeviceRoot

    DeviceRoot(tmp_path).prepare()
    device = Retrying(Agent(Local(tmp_path), "100@desk/aa"))
    leave: Callable[[], object] = lambda: device.ask(["leave"], object)  # noqa: E731
    assert device.again(leave) is None
