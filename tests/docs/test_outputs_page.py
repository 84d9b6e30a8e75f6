"""docs/outputs.md and docs/verdict-schema.json say what the code sends."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import msgspec
import pytest

from edgetl.runtime.config import LineConfig, read_record
from edgetl.runtime.outputs.csv_files import COLUMNS
from edgetl.runtime.outputs.messages import counts_of, reduced
from edgetl.runtime.outputs.opcua_nodes import NODES
from edgetl.runtime.outputs.registers import BITS, REGISTERS
from edgetl.runtime.spool.rows import Gap
from edgetl.runtime.status import LineStatus
from edgetl.runtime.verdict import RegionResult, Verdict, to_json

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "outputs.md").read_text()
SCHEMA = ROOT / "docs" / "verdict-schema.json"


def test_the_schema_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("write_schema", ROOT / "docs" / "write_schema.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert SCHEMA.read_text() == module.schema(), "run `make docs`"


def test_everything_that_is_sent_fits_the_schema_and_nonsense_does_not() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    region = RegionResult(name="a", verdict="NG", label=None, score=None, expected=("x",), box=(0, 1, 2, 3))
    plain = Verdict(sequence=1, verdict="OK", label="good", score=0.5, source="c", frame=1, time_s=0.0, latency_ms=1.0)
    full = msgspec.structs.replace(
        plain, regions=(region,), device="d", time="2026-01-02T03:04:05.678Z", synced=False, frames=3
    )
    gap = Gap(device="d", sequence=2, gap="the disk is full", first=1, last=1)
    sent = [
        to_json(plain),
        to_json(full),
        reduced(to_json(full).encode()),
        msgspec.json.encode(gap),
        msgspec.json.encode(counts_of(LineStatus(), "d")),
    ]
    for message in sent:
        validator.validate(json.loads(message))
    for message in (
        '{"schema": 1}',
        to_json(plain).replace('"OK"', '"MAYBE"'),
        to_json(plain).replace('"sequence":1', '"sequence":"1"'),
    ):
        assert not validator.is_valid(json.loads(message))


def test_the_examples_are_valid() -> None:
    configurations = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    sections = [read_record(text, LineConfig, "docs/outputs.md") for text in configurations]
    assert {output.kind for output in sections[0].outputs} == {
        "mqtt",
        "webhook",
        "csv",
        "sqlite",
        "modbus-server",
        "modbus-client",
        "opcua-server",
        "gpio",
    }
    jsonschema = pytest.importorskip("jsonschema")
    examples = re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        jsonschema.validate(json.loads(example), json.loads(SCHEMA.read_text()))


def test_every_node_bit_column_and_register_is_on_the_page() -> None:
    folders = dict(re.findall(r"^\| `(State|Counts|Result)` \| (.+) \|$", PAGE, flags=re.MULTILINE))
    told = {f"{folder}.{name}" for folder, names in folders.items() for name in re.findall(r"`(\w+)`", names)}
    assert told == set(NODES)
    assert re.findall(r"^\| \d \| `(\w+)` \|", PAGE, flags=re.MULTILINE) == list(BITS)
    assert ", ".join(COLUMNS) in " ".join(PAGE.split())
    rows = re.findall(r"^\| ([\d, to]+) \| ", PAGE, flags=re.MULTILINE)
    covered: list[int] = []
    for row in rows[len(BITS) :]:
        ends = [int(n) for n in re.findall(r"\d+", row)]
        covered += range(ends[0], ends[-1] + 1)
    assert covered == list(range(REGISTERS))
