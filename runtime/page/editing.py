"""Changes thresholds and regions in the line's file: comments stay, the old file is kept, and what the loader would
refuse is never written."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import msgspec

from edgetl.errors import ConflictError, EdgetlError, MissingPartError, UsageError, storage
from edgetl.runtime.config.line import LineConfig
from edgetl.runtime.config.yaml_record import read_record
from edgetl.runtime.decision import DecisionRule
from edgetl.runtime.files import write_file
from edgetl.runtime.parts.regions import regions_of
from edgetl.runtime.parts.settings import RegionSettings, Share

OLD_SUFFIX = ".previous"
MAX_REGIONS = 64


class Editable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What can be set from the page: the score below which a verdict is UNKNOWN (None: the bundle's), and regions."""

    min_score: Share | None = None
    regions: tuple[RegionSettings, ...] = ()


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """The settings as they are in the file, and `version`, which must come back with a change."""

    settings: Editable
    version: str
    labels: tuple[str, ...]
    ok_labels: tuple[str, ...]
    bundle_min_score: float


class LineFile:
    """A line's file for the page."""

    def __init__(self, path: Path, rule: DecisionRule) -> None:
        self._path = path
        self._rule = rule

    def show(self) -> Shown:
        """The settings now. Raises UsageError where the file is gone or damaged."""
        text = self._text()
        config = read_record(text, LineConfig, str(self._path))
        settings = Editable(min_score=config.min_score, regions=config.regions)
        rule = self._rule
        return Shown(
            settings=settings, version=_version(text), labels=rule.labels, ok_labels=rule.ok_labels,
            bundle_min_score=rule.min_score,
        )  # fmt: skip

    def change(self, settings: Editable, version: str) -> None:
        """Writes other settings. Raises UsageError (nothing is written), ConflictError, StorageError."""
        text = self._text()
        if version != _version(text):
            raise ConflictError(f"{self._path} was changed meanwhile; look at it again and repeat the change")
        if len(settings.regions) > MAX_REGIONS:
            raise UsageError(f"{len(settings.regions)} regions, more than the limit of {MAX_REGIONS}")
        new = edited(text, settings)
        config = read_record(new, LineConfig, str(self._path))
        regions_of(config.regions, self._rule)
        if Editable(min_score=config.min_score, regions=config.regions) != settings:
            raise EdgetlError(f"{self._path}: the settings did not come out as they were given; edit the file by hand")
        write_file(self._path.with_name(self._path.name + OLD_SUFFIX), text)
        write_file(self._path, new)

    def _text(self) -> str:
        try:
            return self._path.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{self._path}: cannot read the configuration: {error}") from error


def edited(text: str, settings: Editable) -> str:
    """A YAML text with these settings; all else in it, comments and order too, stays. Raises MissingPartError."""
    try:
        from ruamel.yaml import YAML
        from ruamel.yaml.comments import CommentedSeq
        from ruamel.yaml.error import YAMLError
    except ModuleNotFoundError as error:
        raise MissingPartError("ruamel.yaml is not installed; run: pip install 'edgetl[page]'") from error
    yaml = YAML()  # its round-trip loader, which makes no objects of other types
    yaml.preserve_quotes = True
    yaml.width = 120
    try:
        content: Any = yaml.load(text)
    except YAMLError as error:
        raise UsageError(f"not valid YAML: {error}") from error
    kept = text.rstrip() + "\n" if content is None and text.strip() else ""  # comments alone belong to no key
    content = {} if content is None else content
    plain = msgspec.to_builtins(settings)
    _set(content, "min_score", plain["min_score"])
    regions = [_without_none(region) for region in plain["regions"]]
    for region in regions:
        region["box"] = CommentedSeq(region["box"])
        region["box"].fa.set_flow_style()  # four numbers on one line, as people write them
    _set(content, "regions", regions or None)
    out = io.StringIO()
    with storage("the configuration"):
        yaml.dump(content, out)
    return kept + out.getvalue()


def _set(content: Any, key: str, value: Any) -> None:
    """Sets or removes a key; one that already says the same is left as it was written."""
    if value is None:
        content.pop(key, None)
    elif content.get(key) != value:
        content[key] = value


def _without_none(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value is not None}


def _version(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
