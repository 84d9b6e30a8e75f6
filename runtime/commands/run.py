"""`edgetl run`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from edgetl.errors import StorageError

if TYPE_CHECKING:
    from edgetl.runtime.line import Line, Sink, Summary
    from edgetl.runtime.sources import Source


class _FirstVerdict:
    """Notes how long after the start of the process the first verdict came."""

    def __init__(self) -> None:
        self.seconds: float | None = None

    def show(self, frame: Any, verdict: Any) -> None:
        """Looks at the clock once."""
        if self.seconds is None and verdict is not None:
            from edgetl.runtime.process_facts import seconds_since_start

            self.seconds = round(seconds_since_start(), 3)

    def close(self) -> None:
        """Nothing to write."""


def _sinks(as_json: bool, save: Path | None, source: Source) -> list[Sink]:
    from edgetl.runtime.sinks import JsonLines, TextLines, VideoWriter

    sinks: list[Sink] = [JsonLines(sys.stdout) if as_json else TextLines(sys.stdout)]
    if save is not None:
        sinks.append(VideoWriter(save, getattr(getattr(source, "settings", None), "fps", 25.0)))
    return sinks


def _stop_on_signals(line: Line) -> None:
    """Ctrl-C and SIGTERM end the run after the frame at hand, with its summary."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: line.stop())


def _print(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode({"summary": summary}).decode())
        return
    counts = ", ".join(f"{n} {kind}" for kind, n in summary["verdicts"].items() if n)
    latency = summary["latency_ms"]
    click.echo(f"{summary['judged']} judged of {summary['frames']} frames ({counts or 'no verdicts'}), "
               f"{summary['dropped']} dropped, {summary['frames_per_second']:.1f} a second")  # fmt: skip
    if latency:
        click.echo(f"latency p50 {latency['p50_ms']:.1f} ms, p99 {latency['p99_ms']:.1f} ms; {summary['model']} in "
                   f"{summary['interpreter']}, {summary['threads']} threads; peak memory {summary['peak_memory_mb']:.0f} MB")  # fmt: skip
    if line := summary.get("line"):
        click.echo(f"parts {line['parts']}, missed {line['missed']}, wrong {line['wrong']}")


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--source", required=True, help="Camera number, /dev path, video, folder, stream address, or sim:…")
@click.option("--interpreter", default=None, help="litert, tflite-runtime or onnxruntime.  [default: the fastest here]")
@click.option("--threads", type=click.IntRange(1, 64), default=None, help="Threads for inference.  [default: measured]")
@click.option("--config", default=None, metavar="NAME|FILE", help="Settings of a device; the flags above overrule it.")
@click.option("--limit", type=click.IntRange(1), default=None, help="Stop after that many frames.")
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE",
    help="Also write an annotated .mp4 or .avi.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON line a verdict, then a summary.")
def run(
    bundle: Path, source: str, interpreter: str | None, threads: int | None, config: str | None, limit: int | None, save: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Inspect: frames in, one verdict a line out."""
    from edgetl.runtime.bundle import open_bundle
    from edgetl.runtime.inspector import Inspector
    from edgetl.runtime.interpreters import choose
    from edgetl.runtime.line import Line
    from edgetl.runtime.sources import open_source

    if config is not None:
        from edgetl.runtime.device_config import load_config

        device = load_config(config)
        interpreter, threads = interpreter or device.interpreter, threads or device.threads
    with open_bundle(bundle) as opened:
        feed = open_source(source)  # before the model: a camera that is not there is known at once
        shown = _sinks(as_json, save, feed)
        model, _ = choose(opened, interpreter, threads)
        inspector = Inspector.of(opened, model)
    first = _FirstVerdict()
    sinks = [*shown, first, *_scorers(feed, inspector)]
    line = Line(feed, inspector, sinks, limit)
    _stop_on_signals(line)
    try:
        summary = line.run()
    finally:
        unsaved = _closed(sinks)
    _print(_facts(summary, first, sinks), as_json)
    if failure := line.failure or unsaved:
        raise failure


def _closed(sinks: list[Sink]) -> StorageError | None:
    """Closes all sinks; what one of them could not write is told after the summary."""
    failure = None
    for sink in sinks:
        try:
            sink.close()
        except StorageError as error:
            failure = error
    return failure


def _scorers(source: Source, inspector: Any) -> list[Sink]:
    from edgetl.runtime.score import Scorer
    from edgetl.runtime.sources.sim import SimSource

    return [Scorer(source, inspector.rule.ok_labels)] if isinstance(source, SimSource) else []


def _facts(summary: Summary, first: _FirstVerdict, sinks: list[Any]) -> dict[str, Any]:
    from edgetl.runtime.process_facts import peak_memory_mb
    from edgetl.runtime.score import Scorer

    facts: dict[str, Any] = msgspec.to_builtins(summary)
    facts["first_verdict_s"] = first.seconds
    facts["peak_memory_mb"] = round(peak_memory_mb(), 1)
    for sink in sinks:
        if isinstance(sink, Scorer):
            facts["line"] = msgspec.to_builtins(sink.score())
    return facts
