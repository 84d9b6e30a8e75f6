"""Puts the sections together: each with its table, its plot, its command, and how the figures came about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgetl.benchmarks.document import peers, tables
from edgetl.benchmarks.document.plots import growth_plot, roofline_plot, worth_plot
from edgetl.benchmarks.record import RESUMED, Result
from edgetl.runtime.files import write_file

IMAGES = Path("images") / "benchmarks"
_HEAD = """# Benchmarks

Written by `make bench` from the JSON in `benchmarks/results`; do not edit it. `python -m edgetl.benchmarks.record NAME` measures one
thing again, also those that take longer than the short form; every section tells its command, the machine, how many processes
wanted a core in the minute before, the commit and the day. How a single bundle does on your own machine: `edgetl bench`.

The medians of a busy machine are those of a busy machine. Comparisons take turns run by run, so that what else happens
hurts both sides alike. Where a section says "at real-time priority", it was measured under `chrt -r 1`, so that nothing else got in
between on its core.
"""

Section = Callable[[Any], list[str]]
SECTIONS: dict[str, tuple[str, Section]] = {
    "latency": ("Frame to verdict", tables.latency),
    "roofline": ("How near the limit", tables.roofline),
    "backbones": ("How near the limit, every backbone", tables.roofline),
    "interpreter": ("What edgetl's interpreter class adds to LiteRT's bare invoke", tables.interpreter),
    "repeatability": ("The same figure twice", tables.repeatability),
    "repeatability-full": ("The same figure twice, full runs", tables.repeatability),
    "overlap": ("A video through the whole loop", tables.overlap),
    "export": ("An export", tables.export),
    "growth-line": ("How cost grows on a line", tables.growth),
    "growth-training": ("How cost grows in training", tables.growth),
    "growth-long": ("How cost grows, further", tables.growth),
    "int8-speed": ("int8 beside float, in turn", tables.int8_speed),
    "int8-verdicts": ("What int8 keeps on public pictures", tables.int8_verdicts),
    "int8-backbones": ("The hard backbones on each rung", tables.int8_backbones),
    "imagenet": ("A thousand classes on each rung", tables.imagenet),
    "recipes": ("`auto` beside recipes by hand", tables.recipes),
    "recipes-elsewhere": ("`auto` on harder sets", tables.recipes_elsewhere),
    "pretraining-trials": ("Ways to pretrain", tables.pretraining_trials),
    "pretraining-worth": ("What weights to begin with are worth", tables.pretraining_worth),
    "demo-training": ("How soon the demo's part is learned", tables.demo_training),
    "export-peers": ("An export beside other programs", peers.export_peers),
    "training-peers": ("Training beside other programs", peers.training_peers),
    "one-class-peers": ("Learning good parts beside other programs", peers.one_class_peers),
}
PLOTS: dict[str, Callable[[Any], bytes]] = {
    "roofline": roofline_plot, "backbones": roofline_plot, "growth-line": growth_plot, "growth-training": growth_plot,
    "growth-long": growth_plot, "pretraining-worth": worth_plot,
}  # fmt: skip


def write_document(results: Mapping[str, Result], docs: Path) -> Path:
    """Writes benchmarks.md and its plots; a measurement without a result is named at the end. Returns the page's path."""
    lines = [_HEAD]
    for name, (title, section) in SECTIONS.items():
        if name in results:
            lines += ["", f"## {title}", "", *section(results[name].found), *_plot(name, results[name], docs)]
            lines += ["", _made(results[name])]
    missing = [name for name in SECTIONS if name not in results]
    if missing:
        lines += ["", f"Not measured yet: {', '.join(missing)}."]
    path = docs / "benchmarks.md"
    write_file(path, "\n".join(lines).replace("\n\n\n", "\n\n") + "\n")
    return path


def _plot(name: str, result: Result, docs: Path) -> list[str]:
    if name not in PLOTS:
        return []
    path = docs / IMAGES / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, PLOTS[name](result.found))
    return ["", f"![{SECTIONS[name][0]}]({(IMAGES / path.name).as_posix()})"]


def _made(result: Result) -> str:
    where = result.machine
    cores = f"{where['cores']} core{'s' if where['cores'] != '1' else ''}"
    priority = "" if result.priority == "usual" else f", at {result.priority} priority"
    last = " (of the last go, where there were several)" if result.name in RESUMED else ""
    return (
        f"`{result.command}` in {result.seconds:.0f} s; {cores} of {where['processor']} ({where['int8_instructions']}), load"
        f" {result.load:.1f} before{priority}; {where['libraries']}; commit {result.commit}, {result.date}{last}."
    )
