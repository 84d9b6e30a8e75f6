"""A section's words and table for each kind of result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from edgetl.benchmarks.demo_training import Row as DemoRow
from edgetl.benchmarks.demo_training import table as demo_rows
from edgetl.benchmarks.imagenet_agreement import table as agreement_rows
from edgetl.benchmarks.int8_ladder import table as ladder_rows
from edgetl.benchmarks.int8_verdicts import table as verdict_rows
from edgetl.benchmarks.pretraining_trials import Row as TrialRow
from edgetl.benchmarks.pretraining_trials import table as trial_rows
from edgetl.benchmarks.pretraining_worth import MODEL as WORTH_MODEL
from edgetl.benchmarks.pretraining_worth import Row as WorthRow
from edgetl.benchmarks.pretraining_worth import table as worth_rows
from edgetl.benchmarks.recipes import Row as RecipeRow
from edgetl.benchmarks.recipes import table as recipe_rows
from edgetl.demo import EPOCHS as DEMO_EPOCHS
from edgetl.demo import MODEL as DEMO_MODEL


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A table in Markdown; the first column to the left, the others to the right."""
    return [
        f"| {' | '.join(head)} |",
        f"| --- |{' ---: |' * (len(head) - 1)}",
        *(f"| {' | '.join(map(str, row))} |" for row in rows),
    ]


def latency(found: Any) -> list[str]:
    """A report of `edgetl bench`."""
    stages = {**found["stages"], "end to end": found["end_to_end"]}
    names = ("p50_ms", "p90_ms", "p99_ms", "max_ms")
    judged = found["judgement"]
    result = judged["result"] + (f" ({'; '.join(judged['reasons'])})" if judged["reasons"] else "")
    cold = found["cold"]
    lines = [
        f"MobileNetV2 at 224 px, frames of 1280×720 as JPEG; {found['chosen']}{', a quick run' if found['quick'] else ''}."
        f" What may be said of it: {result}.",
        "",
        *table(
            ("milliseconds", "p50", "p90", "p99", "max"),
            [[name, *(f"{figures[n]:.2f}" for n in names)] for name, figures in stages.items()],
        ),
        "",
        "Inference alone, every file in every interpreter; the ceiling is the least time that the graph can take on this"
        " machine by its measured peaks:",
        "",
        *table(
            ("file", "interpreter", "threads", "p50 ms", "p99 ms", "ceiling ms", "of the roofline"),
            [
                [row["precision"], row["interpreter"], row["threads"], f"{row['p50_ms']:.2f}", f"{row['p99_ms']:.2f}", *_near(row)]
                for row in found["sweep"]
            ],
        ),
        "",
        *_peaks(found["peaks"]),
        f"A new process (median of {cold['processes']}, files in the system's cache) needs {cold['import_ms']:.0f} ms for its"
        f" imports, {cold['load_ms']:.0f} ms to load the model and {cold['first_ms']:.1f} ms for the first inference.",
    ]  # fmt: skip
    faster = found["int8_speedup"]
    return lines + ([f"int8 is {faster:.2f} times as fast as float32."] if faster else [])


def _near(row: Any) -> tuple[str, str]:
    if row["ceiling"] is None:
        return "", ""
    return f"{row['ceiling']['ms']:.2f}", f"{row['roofline']:.0%}"


def _peaks(peaks: Any) -> list[str]:
    return [
        f"Peak with {peak['threads']} thread{'s' if peak['threads'] > 1 else ''}: {peak['int8_gmac_s']:.0f} (int8,"
        f" {peak['int8_by']}) and {peak['float32_gmac_s']:.0f} (float32, {peak['float32_by']}) 10^9 multiply-accumulates a second."
        for peak in peaks
    ]


def roofline(found: Any) -> list[str]:
    """Rows of roofline_of_backbones."""
    rows = [row for row in found["rows"] if "error" not in row]
    failed = [row for row in found["rows"] if "error" in row]
    lines = [
        f"int8 at {found['imgsz']} px, one thread. Every operator is given the longer of two times: its multiply-accumulates at"
        " the speed of a large matrix product, and its bytes at the speed of a copy of as much memory as the model works on;"
        " their sum is the ceiling.",
        "",
        *table(
            ("backbone", "interpreter", "10^6 MAC", "MB moved", "p50 ms", "ceiling ms", "of the roofline"),
            [
                [row["backbone"], row["interpreter"], *_work(row), f"{row['p50_ms']:.2f}", *_near(row)]
                for row in sorted(rows, key=lambda row: (row["interpreter"], -(row["roofline"] or 0.0)))
            ],
        ),
        *(f"\n{row['backbone']}: not measured ({row['error']})." for row in failed),
        "",
        *_peaks(found["peaks"]),
    ]
    for name, kinds in (found.get("explained") or {}).items():
        lines += [
            "", f"Where the time of {name} goes in LiteRT, by timing the graph cut after each operator:", "",
            *table(
                ("operator", "count", "ms", "of the time", "of its own roofline"),
                [[k["kind"], k["count"], f"{k['ms']:.2f}", f"{k['share']:.0%}", f"{k['roofline']:.0%}"] for k in kinds[:8]],
            ),
            "", *(f"- {k['kind']}: {FAR[k['kind']]}" for k in kinds[:8] if k["kind"] in FAR and k["share"] >= 0.05),
        ]  # fmt: skip
    return lines


# Why kinds of operators stay far below the peak of a matrix product.
FAR = {
    "DEPTHWISE_CONV_2D": "each value serves as many products as the kernel has places, 9 or 25, not as many as there are channels;"
    " the units for matrix products have nothing to share.",
    "PAD": "a map is copied to get a frame of zeros. The network pads all sides alike where it halves a map; TFLite's own padding"
    " does not, so the export keeps a PAD.",
    "ADD": "two maps with a scale each become one with a third: every value is widened, rescaled and narrowed, and no product of"
    " matrices is in it.",
    "MEAN": "sums without products.",
    "MUL": "one product a value, with rescaling around it.",
    "LOGISTIC": "a look-up for each value.",
    "HARD_SWISH": "a few sums and shifts for each value, and no product of matrices.",
    "SOFTMAX": "exponentials, value by value.",
    "TRANSPOSE": "moves values one by one, and computes nothing.",
}


def _work(row: Any) -> tuple[str, str]:
    if row["ceiling"] is None:
        return "", ""
    return f"{1e3 * row['ceiling']['gmac']:.0f}", f"{row['ceiling']['moved_mb']:.0f}"


def interpreter(found: Any) -> list[str]:
    """Ratios of interpreter_cost."""
    return [
        "edgetl's class, asked for the raw output (checks, setting the input from a picture, invoke, reading the output) and for"
        " logits (the same, in real numbers), beside the bare `invoke` of another loaded copy, run by run in turns. All is done"
        " by one thread; its processor time leaves out whatever else the machine did.",
        "",
        *table(
            ("bundle", "turns", "asked for", "time", "invoke ms", "edgetl ms", "ratio", "95 % interval"),
            [
                [b["bundle"], b["turns"], what, said, f"{f['bare_ms']:.3f}", f"{f['edgetl_ms']:.3f}", f"{f['ratio']:.4f}",
                 f"{f['low']:.4f} to {f['high']:.4f}"]
                for b in found["bundles"]
                for what in ("raw", "logits")
                for said, f in (("of the processor", b[what]["processor"]), ("on the wall", b[what]["wall"]))
            ],
        ),
    ]  # fmt: skip


def repeatability(found: Any) -> list[str]:
    """Pairs of runs, and a model with itself."""
    told = found["with_itself"]
    lines = [
        f"{len(found['pairs']) + 1} {'quick' if found['quick'] else 'full'} runs of `edgetl bench` one after the other;"
        f" {found['pairs_within_3_percent']:.0%} of the pairs agree within 3 % at p50 end to end:",
        "",
        *table(
            ("pair", "end to end, ratio of p50", "farthest ratio of an inference", "called different", "what each run says of itself"),
            [
                [n, f"{p['end_to_end_ratio']:.3f}", f"{_farthest(p['inference_ratios']):.3f}", len(p["said_different"]),
                 ", ".join(p["results"])]
                for n, p in enumerate(found["pairs"], start=1)
            ],
        ),
        "",
        "A loaded model that takes turns with itself was called different from itself by `compare_interleaved`"
        f" {told['one_copy']['said_different']} of {told['one_copy']['trials']} times (1 in 20 is what a 95 % interval allows);"
        f" the same file loaded twice {told['two_copies']['said_different']} of {told['two_copies']['trials']} times, at most"
        f" {100 * told['two_copies']['farthest_ratio']:.1f} % apart.",
    ]  # fmt: skip
    return lines


def _farthest(ratios: Any) -> float:
    return max(ratios.values(), key=lambda ratio: abs(ratio - 1.0), default=1.0)


def overlap(found: Any) -> list[str]:
    """Rates of the stages alone, of what the cores allow, and of the whole loop."""
    rates, shares = found["per_second"], found["shares"]
    return [
        f"A 1280×720 video: {rates['decode']:.0f} frames a second are decoded alone, {rates['preprocess']:.0f} preprocessed,"
        f" {rates['inference']:.0f} judged; the cores have time for {rates['cores allow']:.0f} of all three. {rates['run']:.0f} go"
        f" through the whole loop, {found['share_of_slowest_stage']:.2f} of the slowest stage (rounds {min(shares):.2f} to"
        f" {max(shares):.2f}) and {found['share_of_possible']:.2f} of what is possible.",
    ]


def export(found: Any) -> list[str]:
    """Time and memory of one export."""
    return [
        f"MobileNetV2 at 224 px with {found['calibration_pictures']} calibration pictures: {found['seconds']:.0f} s,"
        f" {found['peak_mb'] / 1000:.1f} GB.",
    ]


def growth(found: Any) -> list[str]:
    """Curves of growth, with why one is steep where that is known."""
    curves = found["curves"]
    lines = [
        "Wall time and most memory of a command and its children, as something grows. The exponent says by which power a cost"
        " grew over the last step: 1 is linear, 0 is not at all; the time that a process needs to start makes it smaller.",
        "",
        *table(
            ("command", "against", "sizes", "seconds", "MB", "exponent of time", "of memory"),
            [[c["what"], c["against"], *_points(c["points"]), *c["exponents"]] for c in curves],
        ),
    ]
    steep = [c for c in curves if max(c["exponents"]) > 1.15]
    if not steep:
        return [*lines, "", "Nothing grew worse than linearly."]
    return [*lines, "", *(f"- Worse than linear: {c['what']} against {c['against']}. {WHY.get(c['against'], '')}" for c in steep)]  # fmt: skip


WHY = {
    "cameras of a device": "More processes than cores share the cores, and each brings OpenCV's and the interpreter's own threads"
    " along, which take turns more often than they compute.",
}


def _points(points: Any) -> tuple[str, str, str]:
    return (
        ", ".join(f"{p['size']:,}" for p in points),
        ", ".join(f"{p['seconds']:.1f}" for p in points),
        ", ".join(f"{p['peak_mb']:.0f}" for p in points),
    )


def int8_speed(found: Any) -> list[str]:
    """Both files of one bundle, timed in turn."""
    return [
        "MobileNetV2 at 224 px in LiteRT, rounds of both files in turn. Between: the middle nine tenths of the rounds.",
        "",
        "| threads | int8, ms | float, ms | times as fast | between |",
        "| ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {threads} | {row['int8_ms']:.2f} | {row['float_ms']:.2f} | {row['times_faster']:.2f} | {row['low']:.2f} to {row['high']:.2f} |"
            for threads, row in found["litert, by threads"].items()
        ),
    ]


def int8_verdicts(found: Any) -> list[str]:
    """Accuracy and decisions of plain and of shipped int8 files."""
    told = (
        "Balanced accuracy and decisions on the test folders, in per cent. `plain` is what a converter gives by itself, whatever it loses;"
        " `ships` what passes the gate. A head fitted to frozen features (`probe`) is near a tie on more pictures than a net that was"
        " trained through."
    )
    return [told, "", *verdict_rows(found["rows"]).splitlines()]


def int8_backbones(found: Any) -> list[str]:
    """Backbones that learned a public set, each on each rung."""
    told = (
        f"Nets at {found['imgsz']} px that learned the {found['data']}, from the public weights where there are some and from nothing"
        " otherwise. The gate is open, so that a rung that loses shows what. Figures on test, in per cent."
        " Times beside one or two other jobs on the same two cores; those of min-max, and p50 of equalized, beside none."
    )
    return [told, "", *ladder_rows(found["rows"]).splitlines()]


def recipes(found: Any) -> list[str]:
    """`auto` and recipes by hand on public sets, over seeds."""
    told = (
        f"`edgetl train` on the public weights at {found['imgsz']} px, judged on the test folders: balanced accuracy in per cent, mean"
        " and standard deviation over the seeds, which draw the splits and the order; in brackets, how many seeds where not all."
        " Differences are means over the seeds that both have."
    )
    return [told, "", *recipe_rows(msgspec.convert(found["rows"], list[RecipeRow])).splitlines()]


def recipes_elsewhere(found: Any) -> list[str]:
    """The same on sets that were derived from the public ones."""
    told = "Sets that are harder than the public ones, made of them, of the drawn part and of drawn surfaces by rule (benchmarks/derived_sets.py)."
    return [told, "", *recipes(found)]


def pretraining_trials(found: Any) -> list[str]:
    """Ways to pretrain at small scale, by a head on the frozen features."""
    told = (
        f"`edgetl pretrain` with {found['pictures']:,} pictures and {found['steps']:,} steps, each way but for what it is named for as the"
        " small setting is. A head that 25 pictures a class taught, on the others of the sets' train folders: balanced accuracy in per cent,"
        " mean of five draws. No test picture is looked at. On extrusion, frames of one film stand on both sides."
    )
    return [told, "", *trial_rows(msgspec.convert(found["rows"], list[TrialRow])).splitlines()]


def pretraining_worth(found: Any) -> list[str]:
    """The same net from three starts, as a probe and fine-tuned, over pictures a class."""
    told = (
        f"{WORTH_MODEL} at {found['imgsz']} px on the test folders: balanced accuracy in per cent, means with 95 % intervals over the seeds,"
        " which draw the pictures and the net. *nothing* is a random net under the probe, and `--recipe scratch` where all of it is trained;"
        f" *drawn* are weights of `edgetl pretrain` with the SHA-256 {found['drawn'][:12]}…"
    )
    return [told, "", *worth_rows(msgspec.convert(found["rows"], list[WorthRow])).splitlines()]


def demo_training(found: Any) -> list[str]:
    """The demo's training from the built-in weights and from nothing, over epochs."""
    rates = ", ".join(f"{name} {rate:g}" for name, rate in found["rates"].items())
    told = (
        f"`edgetl train {found['flags']}` on the demo's pictures of the part, others for each seed: balanced accuracy on 2,000 test pictures,"
        f" mean and extremes over the seeds, and how long the command took with all that it writes. `--lr`: {rates}. The demo takes the built-in weights of"
        f" {DEMO_MODEL} for {DEMO_EPOCHS} epochs."
    )
    return [told, "", *demo_rows(msgspec.convert(found["rows"], list[DemoRow])).splitlines()]


def imagenet(found: Any) -> list[str]:
    """Agreement of each rung with float under the weights' own classifier."""
    told = (
        f"MobileNetV2 at 224 px with the public ImageNet weights and their own classifier of 1000 classes, exported as it stands,"
        f" judged on {found['pictures']} square crops of photographs that neither calibrated nor equalized. Each interval takes"
        " crops for pictures of their own, though those of one photograph are alike. The gate is open."
    )
    return [told, "", *agreement_rows(found["rows"]).splitlines()]
