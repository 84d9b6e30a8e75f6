"""Home Assistant finds the line by itself: one retained message that describes its sensors.

Format: https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload (since Home Assistant 2024.11).
"""

from __future__ import annotations

from typing import Any

from edgetl._version import VERSION

_VERDICTS = ("OK", "NG", "UNKNOWN", "FAULT")


def discovery(device: str, base: str) -> dict[str, Any]:
    """The description of a line's sensors; `base` is the topic that all of its topics begin with."""
    last, counts = f"{base}/last", f"{base}/counts"
    components: dict[str, dict[str, Any]] = {
        "verdict": _sensor("Verdict", last, "{{ value_json.verdict }}", device_class="enum", options=[*_VERDICTS]),
        "label": _sensor("Label", last, "{{ value_json.label }}"),
        "score": _sensor("Score", last, "{{ value_json.score }}", state_class="measurement"),
        "yield": _sensor("Yield", counts, "{{ (100 * value_json.yield_share) | round(2) if value_json.yield_share is not none }}",
                         unit_of_measurement="%", state_class="measurement"),
        "rate": _sensor("Parts a second", counts, "{{ value_json.verdicts_per_second }}", state_class="measurement"),
        "temperature": _sensor("Processor temperature", counts, "{{ value_json.temperature_c }}",
                               device_class="temperature", unit_of_measurement="°C", state_class="measurement"),
        "ready": _binary("Inspecting", counts, "{{ 'ON' if value_json.ready else 'OFF' }}", "running"),
        "reject": _binary("Part rejected", last, "{{ 'ON' if value_json.verdict != 'OK' else 'OFF' }}", "problem"),
        "fault": _binary("Camera or model fault", last, "{{ 'ON' if value_json.verdict == 'FAULT' else 'OFF' }}", "problem"),
    }  # fmt: skip
    for verdict in _VERDICTS:
        template = "{{ value_json.verdicts." + verdict + " }}"
        components[f"count_{verdict.lower()}"] = _sensor(
            f"Parts {verdict}", counts, template, state_class="total_increasing"
        )
    for key, component in components.items():
        component["unique_id"] = f"edgetl_{device}_{key}"
    return {
        "device": {
            "identifiers": [f"edgetl_{device}"],
            "name": device,
            "manufacturer": "edgetl",
            "sw_version": VERSION,
        },
        "origin": {"name": "edgetl", "sw_version": VERSION},
        "availability": [{"topic": f"{base}/status", "value_template": "{{ value_json.state }}"}],
        "components": components,
    }


def _sensor(name: str, topic: str, template: str, **more: Any) -> dict[str, Any]:
    return {"platform": "sensor", "name": name, "state_topic": topic, "value_template": template, **more}


def _binary(name: str, topic: str, template: str, kind: str) -> dict[str, Any]:
    return {
        "platform": "binary_sensor",
        "name": name,
        "state_topic": topic,
        "value_template": template,
        "device_class": kind,
    }
