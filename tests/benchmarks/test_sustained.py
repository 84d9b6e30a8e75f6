"""Minutes of work are told one by one, and a machine that slows down is seen."""

from __future__ import annotations

from pathlib import Path

from edgetl.benchmarks.sustained import clock_mhz, drift, sustain
from edgetl.runtime.service.heat import Heat


class Board:
    """Gets 1 % slower with each step, and says so after a while."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.step_s = 1.0

    def clock(self) -> float:
        return self.now_s

    def work(self, _: int) -> None:
        self.now_s += self.step_s
        self.step_s *= 1.01

    def heat(self) -> Heat:
        return Heat(80.0, 0b100 if self.now_s > 60 else 0)


def test_each_minute_has_its_median_and_its_heat() -> None:
    board = Board()
    told, kept = sustain(board.work, 3, minute_s=30.0, heat=board.heat, clock=board.clock)
    assert [minute.slowed for minute in told] == ["", "throttled", "throttled"]
    assert [minute.temperature_c for minute in told] == [80.0] * 3
    assert [len(times) for times in kept] == [minute.runs for minute in told]
    medians = [minute.p50_ms for minute in told]
    assert medians == sorted(medians) and 1000 < medians[0] < 1300
    slower = drift(told)
    assert slower is not None and slower > 1.3
    assert drift(told[:1]) is None


def test_clock_is_read_from_the_driver_or_else_from_the_list_of_processors(tmp_path: Path) -> None:
    sys, proc = tmp_path / "sys", tmp_path / "proc"
    assert clock_mhz(sys, proc) is None
    proc.mkdir()
    (proc / "cpuinfo").write_text("processor : 0\ncpu MHz\t\t: 2445.43\n")
    assert clock_mhz(sys, proc) == 2445.43
    driver = sys / "devices/system/cpu/cpu0/cpufreq"
    driver.mkdir(parents=True)
    (driver / "scaling_cur_freq").write_text("1500000\n")
    assert clock_mhz(sys, proc) == 1500.0
