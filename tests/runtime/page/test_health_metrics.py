"""Health and metrics are functions of the line's status."""

from __future__ import annotations

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from edgetl.runtime.drift.report import DriftReport, FigureReport
from edgetl.runtime.page.health import health_of
from edgetl.runtime.page.metrics import metrics_of
from edgetl.runtime.status import LineStatus, SinkHealth, SourceHealth

RUNNING = LineStatus(
    state="running", device="cell 4", version="1", bundle="part", model="model/int8.tflite", interpreter="litert",
    uptime_s=100, frames=3000, dropped=4, judged=30, verdicts={"OK": 20, "NG": 8, "UNKNOWN": 1, "FAULT": 1},
    labels={'odd "label"\n\\': 8}, yield_share=20 / 28, latency_ms={"p50_ms": 8.0, "p90_ms": 9.0, "p99_ms": 12.5},
    last_frame_age_s=0.1, last_verdict_age_s=2.0, last_progress_age_s=0.1, ready=True,
    source=SourceHealth(name="usb", reconnects=2, restarts=3, skipped=40),
    sinks=(SinkHealth(name="mqtt", ok=False, detail="broker away", waiting=7, delivered=20, dropped=1),),
    temperature_c=61.5,
)  # fmt: skip
FIGURE = FigureReport(
    name="brightness", said="brightness", unit="grey levels", now=70.0, baseline=78.0, low=75.0, high=81.0,
    known_low=66.0, known_high=90.0, alarm="changed", recent=(78.0, 70.0),
)  # fmt: skip


def changed(**fields: object) -> LineStatus:
    return msgspec.structs.replace(RUNNING, **fields)


def test_line_that_inspects_is_healthy_though_an_output_is_away() -> None:
    health = health_of(RUNNING, 10)
    assert health.ok and health.reasons == ()
    assert health.degraded == ("output mqtt: broker away",)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (changed(state="starting"), "the line is starting"),
        (changed(state="failed", error="source: unplugged"), "the line is failed: source: unplugged"),
        (changed(state="stopped"), "the line is stopped"),
        (changed(state="stuck", last_progress_age_s=7.2), "the line is stuck: no frame has gone through it for 7 s"),
        (changed(ready=False), "the newest frame could not be trusted"),
        (changed(ready=False, frames=0), "no frame has come yet"),
        (changed(source=SourceHealth(name="usb", ok=False, detail="no answer")), "source usb: no answer"),
        (changed(last_frame_age_s=11.0), "no frame for 11 s"),
        (changed(last_frame_age_s=None), "no frame for 100 s"),
    ],
)
def test_line_that_does_not_inspect_says_why(status: LineStatus, reason: str) -> None:
    health = health_of(status, 10)
    assert not health.ok and health.reasons == (reason,)


def test_drift_and_throttling_are_warnings() -> None:
    health = health_of(changed(drift="brightness fell", throttled="too hot", sinks=()), 10)
    assert health.ok and health.degraded == ("drift: brightness fell", "throttled: too hot")


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """As Prometheus' own parser reads them."""
    return {
        (s.name, tuple(s.labels.values())): s.value for f in text_string_to_metric_families(text) for s in f.samples
    }


def test_metrics_are_what_prometheus_reads() -> None:
    found = samples(metrics_of(RUNNING, DriftReport(figures=(FIGURE,))))
    assert found["edgetl_info", ("1", "cell 4", "part", "model/int8.tflite", "litert")] == 1
    assert found["edgetl_verdicts_total", ("NG",)] == 8
    assert found["edgetl_labels_total", ('odd "label"\n\\',)] == 8
    assert found["edgetl_latency_seconds", ("0.99",)] == pytest.approx(0.0125)
    assert found["edgetl_yield_ratio", ()] == pytest.approx(20 / 28)
    assert found["edgetl_source_reconnects_total", ("usb",)] == 2
    assert found["edgetl_source_restarts_total", ("usb",)] == 3
    assert found["edgetl_source_skipped_total", ("usb",)] == 40
    assert found["edgetl_ready", ()] == 1
    assert found["edgetl_last_progress_age_seconds", ()] == pytest.approx(0.1)
    assert (found["edgetl_output_up", ("mqtt",)], found["edgetl_output_waiting", ("mqtt",)]) == (0, 7)
    assert found["edgetl_temperature_celsius", ()] == 61.5
    assert (found["edgetl_drift_value", ("brightness",)], found["edgetl_drift_alarm", ("brightness",)]) == (70, 1)


def test_what_is_not_known_is_left_out() -> None:
    names = {name for name, _ in samples(metrics_of(LineStatus(), None))}
    assert "edgetl_up" in names
    assert not names & {"edgetl_temperature_celsius", "edgetl_yield_ratio", "edgetl_drift_value", "edgetl_source_up"}
