"""`edgetl run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from edgetl.errors import StorageError, UsageError
from edgetl.runtime.flashing.tie import Tie, in_slot

if TYPE_CHECKING:
    from edgetl.runtime.commands.assembly import Assembled
    from edgetl.runtime.config import LineConfig
    from edgetl.runtime.line import Sink
    from edgetl.runtime.summary import Summary


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path), required=False)
@in_slot
@click.option("--source", default=None, help="Camera number, /dev path, video, folder, stream address, or sim:…")
@click.option("--interpreter", default=None, help="litert, tflite-runtime or onnxruntime.  [default: the fastest here]")
@click.option("--threads", type=click.IntRange(1, 64), default=None, help="Threads for inference.  [default: measured]")
@click.option("--device", default=None, metavar="NAME|FILE", help="Settings of a device; the flags above overrule it.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE",
    help="The line's YAML file; flags overrule it.",
)
@click.option("--check", is_flag=True, help="Only check the configuration: nothing is opened.")
@click.option("--limit", type=click.IntRange(1), default=None, help="Stop after that many frames.")
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE",
    help="Also write an annotated .mp4 or .avi.",
)
@click.option(
    "--page", default=None, metavar="HOST:PORT", help="Show the line in a browser, for example at 127.0.0.1:8080."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON line a verdict, then a summary.")
def run(
    bundle: Path | None, tie: Tie, source: str | None, interpreter: str | None, threads: int | None, device: str | None,
    config: Path | None, check: bool, limit: int | None, save: Path | None, page: str | None, as_json: bool,
) -> bool:  # fmt: skip
    """Inspect: frames in, one verdict a line out."""
    from edgetl.runtime.commands.assembly import Asked, assemble
    from edgetl.runtime.service.carried import carry
    from edgetl.runtime.service.journal import start_logging

    site = _site(config, source, device, page)
    interpreter, threads = _fixed(site, interpreter, threads)
    if check:
        click.echo("the configuration is valid")
        return False
    if site.source is None:
        raise UsageError("no source: give --source, or `source:` in the file that --config names")
    start_logging(site.service.log_level)
    tie.announce()
    asked = Asked(bundle=bundle, config=config, interpreter=interpreter, threads=threads, limit=limit, save=save, as_json=as_json)  # fmt: skip
    ready = assemble(site, tie, asked)
    tie.watch(ready.line)
    summary, unsaved = _driven(ready, site)
    _print(_facts(summary, ready), as_json)
    if failure := ready.line.failure or unsaved:
        raise failure
    if ready.orders.reload:
        carry(ready.board.counts())
    return ready.orders.reload


def _driven(ready: Assembled, site: LineConfig) -> tuple[Summary, StorageError | None]:
    """Runs the line to its end; also what a sink could not write when it was closed."""
    from edgetl.runtime.service.heat import HeatWatch
    from edgetl.runtime.service.stuck import StuckWatch

    watches = (HeatWatch(site.service, ready.board, ready.feed), StuckWatch(ready.board))
    try:
        summary = ready.line.run()
    finally:
        for watch in watches:
            watch.close()
        unsaved = _closed(ready.sinks)
    return summary, unsaved


def _fixed(site: LineConfig, interpreter: str | None, threads: int | None) -> tuple[str | None, int | None]:
    """Interpreter and threads of the flags, or else of the device's settings; None leaves them to a measurement."""
    if site.device is None:
        return interpreter, threads
    from edgetl.runtime.device_config import load_config

    fixed = load_config(site.device)
    return interpreter or fixed.interpreter, threads or fixed.threads


def _site(config: Path | None, source: str | None, device: str | None, page: str | None) -> LineConfig:
    """The line's file, with what the flags overrule."""
    from edgetl.runtime.config import LineConfig, load_line

    site = load_line(config) if config is not None else LineConfig()
    if page is not None:
        from edgetl.runtime.page.settings import PageSettings, with_address

        site = msgspec.structs.replace(site, page=with_address(site.page or PageSettings(), page))
    return msgspec.structs.replace(site, source=source or site.source, device=device or site.device)


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


def _closed(sinks: list[Sink]) -> StorageError | None:
    """Closes all sinks; what one of them could not write is told after the summary."""
    failure = None
    for sink in sinks:
        try:
            sink.close()
        except StorageError as error:
            failure = error
    return failure


def _facts(summary: Summary, ready: Assembled) -> dict[str, Any]:
    from edgetl.runtime.process_facts import peak_memory_mb
    from edgetl.runtime.score import Scorer

    facts: dict[str, Any] = msgspec.to_builtins(summary)
    facts["first_verdict_s"] = ready.first.seconds
    facts["peak_memory_mb"] = round(peak_memory_mb(), 1)
    for sink in ready.sinks:
        if isinstance(sink, Scorer):
            facts["line"] = msgspec.to_builtins(sink.score())
    return facts
