"""Writes docs/verdict-schema.json from the records themselves. A test fails when it is out of date."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from edgetl.runtime.outputs.messages import Counts
from edgetl.runtime.spool.rows import Gap
from edgetl.runtime.verdict import Verdict


def schema() -> str:
    """JSON Schema (2020-12) of everything that outputs send: a result, a gap, or the counts."""
    (verdict, gap, counts), definitions = msgspec.json.schema_components(
        [Verdict, Gap, Counts], ref_template="#/$defs/{name}"
    )
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What edgetl sends: a result (it has `verdict`), a gap (it has `gap`), or the counts (they have `verdicts`)",
        "anyOf": [verdict, gap, counts],
        "$defs": definitions,
    }
    for definition in definitions.values():  # Python 3.13 takes the indentation away by itself
        definition["description"] = " ".join(definition["description"].split())
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    (Path(__file__).parent / "verdict-schema.json").write_text(schema())
