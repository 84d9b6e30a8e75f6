"""`/metrics` in Prometheus' text format 0.0.4. Names, units and meaning are listed in docs/page.md."""

from __future__ import annotations

from collections.abc import Iterable

from edgetl.runtime.drift.report import DriftReport
from edgetl.runtime.status import LineStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[dict[str, str], float | int | bool | None]


def metrics_of(status: LineStatus, drift: DriftReport | None) -> str:
    """All metrics of a line; what is not known is left out."""
    nothing: dict[str, str] = {}
    facts = {n: getattr(status, n) for n in ("version", "device", "bundle", "model", "interpreter")}
    quantiles = {"0.5": "p50_ms", "0.9": "p90_ms", "0.99": "p99_ms"}
    figures = drift.figures if drift is not None else ()
    source, sinks = status.source, status.sinks
    lines = [
        _metric("edgetl_info", "gauge", "What runs; the value is always 1.", [(facts, 1)]),
        _metric("edgetl_up", "gauge", "1 while the line runs and is not stuck.", [(nothing, status.state == "running")]),
        _metric("edgetl_ready", "gauge", "1 while a part that came now would be judged.", [(nothing, status.ready)]),
        _metric("edgetl_uptime_seconds", "gauge", "Since the line started.", [(nothing, status.uptime_s)]),
        _metric("edgetl_frames_total", "counter", "Frames that came.", [(nothing, status.frames)]),
        _metric("edgetl_frames_dropped_total", "counter", "Frames that gave way to newer ones.", [(nothing, status.dropped)]),
        _metric("edgetl_parts_dropped_total", "counter", "Dropped frames on which a part was due.", [(nothing, status.dropped_parts)]),
        _metric("edgetl_verdicts_total", "counter", "Verdicts by kind.", [({"verdict": k}, n) for k, n in status.verdicts.items()]),
        _metric("edgetl_labels_total", "counter", "Verdicts by label.", [({"label": k}, n) for k, n in status.labels.items()]),
        _metric("edgetl_yield_ratio", "gauge", "OK / (OK + NG) since the start.", [(nothing, status.yield_share)]),
        _metric("edgetl_verdicts_per_second", "gauge", "Over the last ten seconds.", [(nothing, status.verdicts_per_second)]),
        _metric("edgetl_latency_seconds", "gauge", "From a frame's arrival to its verdict, newest 1024.",
                [({"quantile": q}, _seconds(status.latency_ms.get(n))) for q, n in quantiles.items()]),
        _metric("edgetl_last_frame_age_seconds", "gauge", "Since the newest frame.", [(nothing, status.last_frame_age_s)]),
        _metric("edgetl_last_verdict_age_seconds", "gauge", "Since the newest verdict.", [(nothing, status.last_verdict_age_s)]),
        _metric("edgetl_last_progress_age_seconds", "gauge", "Since a frame went through the whole loop.", [(nothing, status.last_progress_age_s)]),
        _metric("edgetl_source_up", "gauge", "1 while the camera gives frames.", [({"source": source.name}, source.ok)] if source else []),
        _metric("edgetl_source_reconnects_total", "counter", "Times the camera was opened again.", [({"source": source.name}, source.reconnects)] if source else []),
        _metric("edgetl_source_restarts_total", "counter", "Times the camera's process was started anew.", [({"source": source.name}, source.restarts)] if source else []),
        _metric("edgetl_source_skipped_total", "counter", "Frames passed over before they reached the loop, for newer ones.", [({"source": source.name}, source.skipped)] if source else []),
        _metric("edgetl_output_up", "gauge", "1 while the output takes verdicts.", [({"output": s.name}, s.ok) for s in sinks]),
        _metric("edgetl_output_waiting", "gauge", "Verdicts that wait for the output.", [({"output": s.name}, s.waiting) for s in sinks]),
        _metric("edgetl_output_delivered_total", "counter", "Verdicts that the output took.", [({"output": s.name}, s.delivered) for s in sinks]),
        _metric("edgetl_output_dropped_total", "counter", "Verdicts that the output lost.", [({"output": s.name}, s.dropped) for s in sinks]),
        _metric("edgetl_temperature_celsius", "gauge", "Of the processor.", [(nothing, status.temperature_c)]),
        _metric("edgetl_throttled", "gauge", "1 while the processor is slowed down or short of voltage.", [(nothing, bool(status.throttled))]),
        _metric("edgetl_drift_value", "gauge", "Mean of the newest window, in the figure's unit.", [({"figure": f.name}, f.now) for f in figures]),
        _metric("edgetl_drift_alarm", "gauge", "1 while the figure has drifted.", [({"figure": f.name}, f.alarm is not None) for f in figures]),
    ]  # fmt: skip
    return "".join(lines)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _metric(name: str, kind: str, said: str, samples: Iterable[Sample]) -> str:
    known = [(labels, value) for labels, value in samples if value is not None]
    if not known:
        return ""
    rows = [f"{name}{_labels(labels)} {float(value):.10g}\n" for labels, value in known]
    return f"# HELP {name} {said}\n# TYPE {name} {kind}\n{''.join(rows)}"


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
