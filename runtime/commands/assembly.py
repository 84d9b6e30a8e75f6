"""Puts a line together from its file and the command's flags: source, model, what watches and what acts."""

from __future__ import annotations

import functools
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgetl import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetl.runtime.bundle import Bundle
    from edgetl.runtime.config import LineConfig
    from edgetl.runtime.drift.observer import Observer
    from edgetl.runtime.flashing.tie import Tie
    from edgetl.runtime.inspector import Inspector
    from edgetl.runtime.interpreters import Interpreter
    from edgetl.runtime.judging import Rules
    from edgetl.runtime.line import Line, Sink
    from edgetl.runtime.page.start import Page
    from edgetl.runtime.preprocess import Image
    from edgetl.runtime.service.notify import Notifier
    from edgetl.runtime.service.orders import Orders
    from edgetl.runtime.sources import Source
    from edgetl.runtime.status import StatusBoard

_log = logging.getLogger("edgetl.run")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command's flags ask for beside the line's file."""

    bundle: Path | None = None
    config: Path | None = None
    interpreter: str | None = None
    threads: int | None = None
    limit: int | None = None
    save: Path | None = None
    as_json: bool = False


class Assembled(msgspec.Struct):
    """A line that can run, the sinks to close after it, and whom it answers to."""

    line: Line
    sinks: list[Any]
    first: FirstVerdict
    board: StatusBoard
    feed: Source
    orders: Orders


def assemble(site: LineConfig, tie: Tie, asked: Asked) -> Assembled:
    """Opens the source, the model and the outputs. Raises what each of them raises."""
    from edgetl.runtime.commands.saved_heat import saved_heat
    from edgetl.runtime.config import load_line
    from edgetl.runtime.judging import Rules
    from edgetl.runtime.line import Line
    from edgetl.runtime.parts.regions import regions_of
    from edgetl.runtime.service.notify import Notifier
    from edgetl.runtime.service.orders import Orders
    from edgetl.runtime.sources import open_source
    from edgetl.runtime.triggers import open_gate

    notifier, config = Notifier(), asked.config
    with tie.opened(asked.bundle) as opened:
        # before the model: both start up at the same time; a line waits for its camera, a command does not
        feed = open_source(str(site.source), site.camera if config is not None else None)
        shown = _sinks(asked, feed, saved_heat(opened, site.regions) if asked.save is not None else None)
        board = _board(opened, site)
        inspector, watchers = _inspector(opened, asked, site, board)
        trust = _trust(opened, site, feed, tie)
    most_ms = site.trust.max_latency_ms
    rules = Rules(regions=site.regions if opened else (), voting=site.voting, max_latency_ms=most_ms)
    first = FirstVerdict()
    # What can refuse comes before what moves something: a pin that was driven must be given back by `close`.
    regions_of(rules.regions, inspector.rule)
    gate, trigger = open_gate(site.trigger, feed)
    outputs, rules = _outputs(site, board, rules)
    triggers: list[Sink] = [trigger] if trigger is not None else []
    acting = [*_pusher(site, board), *triggers, *outputs]
    sinks = [*shown, *acting, *watchers, *_service(notifier, feed, board), first, *_scorers(feed, inspector)]
    seen = any((asked.save, site.page, site.collect, rules.regions))  # what else than the model looks at whole frames
    line = Line(feed, inspector, sinks, asked.limit, gate=gate, rules=rules, board=board, keep_pictures=seen, **trust)
    check_file = None if config is None else functools.partial(load_line, config)
    return Assembled(line, sinks, first, board, feed, Orders(line, check_file, notifier))


def _board(opened: Bundle | None, site: LineConfig) -> StatusBoard:
    from edgetl.runtime.outputs.station import station_name
    from edgetl.runtime.service.carried import carried
    from edgetl.runtime.status import StatusBoard

    return StatusBoard(
        before=carried(), stuck_after_s=site.service.stuck_after_s or site.camera.frame_timeout_s + 1.0,
        version=__version__, bundle=opened.manifest.name if opened else "", device=station_name(site.name),
    )  # fmt: skip


class FirstVerdict:
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


def _sinks(asked: Asked, source: Source, heat: Callable[[Image], Image] | None) -> list[Sink]:
    from edgetl.runtime.sinks import JsonLines, TextLines, VideoWriter

    sinks: list[Sink] = [JsonLines(sys.stdout) if asked.as_json else TextLines(sys.stdout)]
    if asked.save is not None:
        sinks.append(VideoWriter(asked.save, getattr(getattr(source, "settings", None), "fps", 25.0), heat))
    return sinks


def _inspector(
    opened: Bundle | None, asked: Asked, site: LineConfig, board: StatusBoard
) -> tuple[Inspector, list[Sink]]:  # fmt: skip
    """The bundle's inspector and what watches it: drift, collection, page. In safe mode one that is never asked."""
    from edgetl.runtime.inspector import Inspector
    from edgetl.runtime.interpreters import choose

    if opened is None:
        from edgetl.runtime.flashing.safe_mode import no_model

        return no_model(), []
    found, _ = choose(opened, asked.interpreter, asked.threads)
    model, watchers = _watched(opened, found, site, board)
    rule = opened.manifest.rule
    if site.min_score is not None:
        rule = msgspec.structs.replace(rule, min_score=site.min_score)
    inspector = Inspector(model, opened.manifest.preprocessing, rule)
    pages = _paged(opened, model, site, board, watchers, asked.config)
    return inspector, [*watchers, *_collected(site, opened, board), *pages]


def _trust(opened: Bundle | None, site: LineConfig, feed: Source, tie: Tie) -> dict[str, Any]:
    """What a frame has to pass before it is judged, as arguments of Line. In safe mode none is judged."""
    if tie.safe_mode is not None or opened is None:
        from edgetl.runtime.flashing.safe_mode import nothing_trusted

        return {"trust": nothing_trusted(tie.safe_mode or "there is no model")}
    from edgetl.runtime.reference import read_reference
    from edgetl.runtime.trust import Trust

    trust = Trust(site.trust, read_reference(opened), feed)
    return {"trust": trust.frame, "quality": trust.inputs}


def _watched(
    opened: Bundle, model: Interpreter, site: LineConfig, board: StatusBoard
) -> tuple[Interpreter, list[Observer]]:
    """The model with its watch for drift, where the line's file asks for one, or the page shows it."""
    from edgetl.runtime.drift.settings import DriftSettings

    settings = site.drift or (DriftSettings() if site.page is not None else None)
    if settings is None or not settings.enabled:
        return model, []
    from edgetl.runtime.drift.observer import watched

    seen, observer = watched(opened, model, settings, board)
    return seen, [observer]


def _collected(site: LineConfig, opened: Bundle, board: StatusBoard) -> list[Sink]:
    """What keeps frames for a person to label, where the line's file asks for it."""
    if site.collect is None:
        return []
    from edgetl.runtime.collect import Collector

    return [Collector(site.collect, opened.manifest.name, opened.manifest.rule.labels, board.drifting)]


def _service(notifier: Notifier, feed: Source, board: StatusBoard) -> list[Sink]:
    """What a service manager and a log want to hear. A file's end, good or bad, is said by the command itself."""
    from edgetl.runtime.service.events import EventLog
    from edgetl.runtime.service.heartbeat import Heartbeat

    return [EventLog(), Heartbeat(notifier, board)] if feed.live else [Heartbeat(notifier, board)]


def _pusher(site: LineConfig, board: StatusBoard) -> list[Sink]:
    if site.reject is None:
        return []
    from edgetl.runtime.reject.output import RejectOutput

    return [RejectOutput(site.reject, board.ready)]


def _outputs(site: LineConfig, board: StatusBoard, rules: Rules) -> tuple[list[Sink], Rules]:
    """The outputs that the line's file asks for, and the rules by which verdicts are named for them."""
    if not site.outputs:
        return [], rules
    from edgetl.runtime.outputs.sink import open_outputs
    from edgetl.runtime.outputs.station import stamps, station_name

    station = station_name(site.name)
    board.tell(device=station)
    outputs = open_outputs(site.outputs, site.spool, station, board)
    return [outputs], msgspec.structs.replace(rules, next_sequence=outputs.next_sequence, stamp=stamps(station))


def _paged(
    opened: Bundle, model: Interpreter, site: LineConfig, board: StatusBoard, watchers: list[Observer], config: Path | None
) -> list[Page]:  # fmt: skip
    """The page, where the line's file or a flag asks for one."""
    if site.page is None or not site.page.enabled:
        return []
    from edgetl.runtime.page.start import start_page

    observer = watchers[0] if watchers else None
    page = start_page(site.page, opened, model, board, observer=observer, config=config, reload=_reload)
    _log.info("page at %s", page.address, extra={"fields": {"event": "page", "address": page.address}})
    return [page]


def _reload() -> bool:
    """Has the line take its file over again, as `kill -HUP` does; False where nothing listens to that."""
    if not callable(signal.getsignal(signal.SIGHUP)):
        return False
    os.kill(os.getpid(), signal.SIGHUP)
    return True


def _scorers(source: Source, inspector: Any) -> list[Sink]:
    from edgetl.runtime.score import Scorer
    from edgetl.runtime.sources.sim import SimSource

    return [Scorer(source, inspector.rule)] if isinstance(source, SimSource) else []
