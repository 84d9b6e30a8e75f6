"""How often the watch for drift is wrong, and how soon it is right: `python -m edgetl.benchmarks.drift_alarms BUNDLE`.

BUNDLE is one of the drawn part (`edgetl demo`). Parts of several drawn lines are judged once, at full light and with
the lamp dimmed; whole shifts are then drawn from them with replacement and shown to the watch, window by window.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from statistics import median

import msgspec
import numpy as np

from edgetl.benchmarks.machine import machine
from edgetl.exits import ended
from edgetl.runtime.bundle import Bundle, open_bundle
from edgetl.runtime.drift.figures import Row, observe
from edgetl.runtime.drift.settings import DriftSettings
from edgetl.runtime.drift.watch import Watch
from edgetl.runtime.inspector import Inspector
from edgetl.runtime.interpreters import choose
from edgetl.runtime.reference import Reference, read_reference
from edgetl.runtime.sim import Conveyor, ConveyorSettings

LINES = (1, 2, 3, 4)
SHIFTS = 80  # of eight hours, for each line: that none of 300 alarms falsely is the least that speaks for 0.01 a shift
PARTS = 100  # of each line at each light
LIGHTS = (0.95, 0.9, 0.8)
FEWER_DEFECTS = 0.02  # the share of bad parts on a line that runs well; the data set had four in five
SETTINGS = DriftSettings()
_LATER_S = 1e6  # after the line was learned


class Pool(msgspec.Struct):
    """Judged parts of one line at one light: their figures, and the share whose label was right."""

    rows: list[Row]
    right: float


def judged(inspector: Inspector, reference: Reference | None, settings: ConveyorSettings) -> Pool:
    """Runs a belt and judges each of its parts."""
    conveyor, rows, right = Conveyor(settings), [], 0
    for frame in conveyor.frames():
        if frame.part is None:
            continue
        image = inspector.prepare(frame.image)
        opinion = inspector.judge(image)
        rows.append(observe(image, opinion.logits, opinion.decision.label, inspector.rule.temperature, reference))
        right += opinion.decision.label == conveyor.truth(frame.part)
    return Pool(rows, right / len(rows))


def shift(watch: Watch, pool: list[Row], windows: int, rng: np.random.Generator, start_s: float) -> int | None:
    """Shows windows to the watch, their rows drawn from a pool; which of them raised the first alarm."""
    now, step = start_s, SETTINGS.window_s / SETTINGS.window_parts * 1.001
    for number in range(1, windows + 1):
        for index in rng.integers(len(pool), size=SETTINGS.window_parts + 1):
            now += step
            if watch.add(pool[index], now):
                break
        if watch.report.alarms:
            return number
    return None


def upper_bound(events: int, trials: int) -> float:
    """The 95 % upper bound of a rate, by the Poisson distribution's exact limit (Garwood 1936)."""
    low, high = 0.0, 10.0 + 5 * events
    while high - low > 1e-9:
        middle = (low + high) / 2
        seen = sum(math.exp(k * math.log(max(middle, 1e-300)) - middle - math.lgamma(k + 1)) for k in range(events + 1))
        low, high = (middle, high) if seen > 0.05 else (low, middle)
    return high / trials


def learned(reference: Reference | None, steady: list[Row], rng: np.random.Generator) -> Watch:
    """A watch that has learned its line."""
    watch = Watch(SETTINGS, reference, "model")
    shift(watch, steady, SETTINGS.baseline_windows, rng, 0.0)
    return watch


def false_alarms(reference: Reference | None, pools: dict[int, list[Row]], said: str) -> dict[str, object]:
    """Shifts without drift. A line that lies outside of the bundle's pictures from the start is told apart."""
    rng = np.random.default_rng(0)
    windows = round(SETTINGS.shift_h * 3600 / SETTINGS.window_s)
    alarms = shifts = 0
    outside = []
    for line, rows in pools.items():
        if learned(reference, rows, rng).report.alarms:
            outside.append(line)
            continue
        for _ in range(SHIFTS):
            alarms += shift(learned(reference, rows, rng), rows, windows, rng, _LATER_S) is not None
            shifts += 1
        print(f"{said}: line {line}, {alarms} false alarms in {shifts} shifts", file=sys.stderr, flush=True)
    return {
        "shifts": shifts, "windows_a_shift": windows, "alarms": alarms,
        "a_shift": alarms / max(1, shifts), "a_shift_at_most": round(upper_bound(alarms, max(1, shifts)), 4),
        "asked_for": SETTINGS.false_alarms_per_shift, "lines_outside_from_the_start": outside,
    }  # fmt: skip


def delays(reference: Reference | None, steady: dict[int, list[Row]], dim: dict[int, Pool]) -> dict[str, object]:
    """A lamp that loses some light at once: after how many windows, what moved, and what it cost the model."""
    rng = np.random.default_rng(1)
    found, moved = [], []
    for line, rows in steady.items():
        watch = learned(reference, rows, rng)
        if watch.report.alarms:
            continue
        found.append(shift(watch, dim[line].rows, 60, rng, _LATER_S))
        moved += [figure.name for figure in watch.report.alarms]
    times = [windows for windows in found if windows is not None]
    return {
        "lines": len(found), "alarmed_within_an_hour": len(times),
        "windows_to_alarm": median(times) if times else None,
        "moved": sorted(set(moved), key=lambda name: -moved.count(name)),
        "labels_right": round(float(np.mean([pool.right for pool in dim.values()])), 3),
    }  # fmt: skip


def measure(bundle: Bundle) -> dict[str, object]:
    """All figures."""
    interpreter, _ = choose(bundle)
    inspector, reference = Inspector.of(bundle, interpreter), read_reference(bundle)

    def line(seed: int, light: float = 1.0, defects: float = 0.3) -> Pool:
        settings = ConveyorSettings(seed, PARTS, 300.0, 15.0, defect_share=defects, light=light)
        return judged(inspector, reference, settings)

    steady = {seed: line(seed) for seed in LINES}
    mixed = {seed: line(seed, defects=FEWER_DEFECTS).rows for seed in LINES}
    rows = {seed: pool.rows for seed, pool in steady.items()}
    report: dict[str, object] = {
        "settings": msgspec.to_builtins(SETTINGS),
        "labels_right": round(float(np.mean([pool.right for pool in steady.values()])), 3),
        "without_drift": false_alarms(reference, rows, "steady"),
        "other_mix_of_labels": {
            "lines": len(LINES),
            "alarmed_within_an_hour": sum(
                shift(learned(reference, rows[seed], np.random.default_rng(seed)), mixed[seed], 60,
                      np.random.default_rng(seed), _LATER_S) is not None
                for seed in LINES
            ),
        },
    }  # fmt: skip
    for light in LIGHTS:
        report[f"light_{light:g}"] = delays(reference, rows, {seed: line(seed, light) for seed in LINES})
        print(f"light {light:g}: {report[f'light_{light:g}']}", file=sys.stderr, flush=True)
    return report


def main() -> None:
    """Measures and prints one line of JSON."""
    start = time.monotonic()
    with open_bundle(Path(sys.argv[1])) as bundle:
        report = measure(bundle)
    print(json.dumps({**report, "seconds": round(time.monotonic() - start), "machine": machine()}))


if __name__ == "__main__":
    sys.exit(ended(main))
