"""YAML into a frozen record, and every mistake named by file and line.

Validation is msgspec's; its error names a path (`$.camera.fps`), which PyYAML's node tree turns into a line.
"""

from __future__ import annotations

import difflib
import math
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec
import yaml

from edgetl.errors import UsageError

T = TypeVar("T")
Step = str | int
MAX_BYTES = 1 << 20

_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>[^`]*)`")
_CHOICE = re.compile(r"Invalid (?:enum )?value (?P<value>.+)")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")


class _Loader(yaml.SafeLoader):
    """YAML's safe subset, where `on`, `off`, `yes` and `no` are words: a pin called `on` is no boolean."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|false|False)$"), list("tTfF"))


def load_record(path: Path, kind: type[T]) -> T:
    """The record that a YAML file describes. Raises UsageError: no such file, or file:line, key, what is allowed."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot read the configuration: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path}: larger than {MAX_BYTES} bytes; that is no configuration")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    return read_record(text, kind, str(path))


def read_record(text: str, kind: type[T], where: str) -> T:
    """The record that a YAML text describes; `where` names it in messages. Raises UsageError."""
    root = _parsed(text, where)
    for node in _nodes(root):
        _check_node(node, where)
    content = _constructed(root, where)
    try:
        return msgspec.convert({} if content is None else content, kind)
    except msgspec.ValidationError as error:
        raise UsageError(_explained(str(error), root, kind, where)) from error
    except UsageError as error:  # raised by a record's own checks
        raise UsageError(f"{where}: {error}") from error


def _parsed(text: str, where: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{where}:{line}: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{where}: not valid YAML: {error}") from error


def _constructed(root: yaml.Node | None, where: str) -> Any:
    if root is None:
        return None
    loader = _Loader("")
    try:
        return loader.construct_document(root)
    except (yaml.MarkedYAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise UsageError(f"{where}:{line}: not valid YAML: {getattr(error, 'problem', error)}") from error
    finally:
        loader.dispose()


def _nodes(node: yaml.Node | None) -> Iterator[yaml.Node]:
    """Every node once; an alias leads to a node that was met already."""
    waiting, met = [node] if node is not None else [], set()
    while waiting:
        current = waiting.pop()
        if id(current) in met:
            continue
        met.add(id(current))
        yield current
        if isinstance(current, yaml.MappingNode):
            waiting += [part for pair in current.value for part in pair]
        elif isinstance(current, yaml.SequenceNode):
            waiting += current.value


def _check_node(node: yaml.Node, where: str) -> None:
    """What PyYAML lets pass and no configuration can mean: a key given twice, not-a-number, infinity."""
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, _ in node.value:
            if key.value in keys:
                raise UsageError(f"{where}:{key.start_mark.line + 1}: {key.value!r} is given twice")
            keys.add(key.value if isinstance(key, yaml.ScalarNode) else repr(key.value))
    elif node.tag == "tag:yaml.org,2002:float" and _is_no_number(node.value):
        raise UsageError(f"{where}:{line}: {node.value} is no number that can be meant here")


def _is_no_number(text: str) -> bool:
    try:
        return not math.isfinite(float(text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan").lower()))
    except ValueError:
        return False  # sexagesimal, which msgspec will refuse or take


def _explained(message: str, root: yaml.Node | None, kind: Any, where: str) -> str:
    reason, _, path = message.partition(" - at ")
    steps = _steps(path.strip("`"))
    if unknown := _UNKNOWN.search(reason):
        key = unknown["key"]
        allowed = _fields(_type_at(kind, steps))
        near = difflib.get_close_matches(key, allowed, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"{_place(where, root, [*steps, key])}: unknown key {_dotted([*steps, key])!r}{hint} Allowed: {', '.join(allowed)}"
    if choice := _CHOICE.search(reason):
        # A record told apart by its `type` has no such field: the choices are then the tags of the records.
        choices = _choices(_type_at(kind, steps)) or _choices(_type_at(kind, steps[:-1]))
        reason = f"{choice['value']} is not one of {', '.join(map(str, choices))}"
    reason = reason[0].lower() + reason[1:]
    return f"{_place(where, root, steps)}: {_dotted(steps) or 'the file'}: {reason}"


def _steps(path: str) -> list[Step]:
    """`$.outputs[2].address` as ["outputs", 2, "address"]; msgspec says `[...]` for a value of a free-form mapping."""
    return [name or (int(index) if index.isdecimal() else index) for name, index in _STEP.findall(path)]


def _dotted(steps: list[Step]) -> str:
    return "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps).lstrip(".")


def _place(where: str, root: yaml.Node | None, steps: list[Step]) -> str:
    """`file:line` of the deepest node on the path that the file really holds."""
    node, line = root, (root.start_mark.line + 1 if root is not None else 1)
    for step in steps:
        found = _child(node, step)
        if found is None:
            break
        node, line = found
    return f"{where}:{line}"


def _child(node: yaml.Node | None, step: Step) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return value, key.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step].start_mark.line + 1
    return None


def _type_at(kind: Any, steps: list[Step]) -> Any:
    """The record, or the scalar type, that stands at a path; an optional section stands for its record."""
    for step in steps:
        kind = next((inner for member in _members(kind) if (inner := _inner(member, step)) is not None), None)
    return kind


def _members(kind: Any) -> tuple[Any, ...]:
    """The types that a union, or an annotated type, stands for."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _members(get_args(kind)[0])
    if origin is Union or origin is types.UnionType:
        return tuple(m for a in get_args(kind) if a is not type(None) for m in _members(a))
    return (kind,)


def _inner(kind: Any, step: Step) -> Any:
    if isinstance(step, int):
        arguments = get_args(kind)
        return arguments[0] if arguments and get_origin(kind) in (list, tuple, set, frozenset) else None
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return next((f.type for f in msgspec.structs.fields(kind) if f.encode_name == step), None)
    arguments = get_args(kind)
    return arguments[1] if get_origin(kind) is dict and len(arguments) == 2 else None


def _fields(kind: Any) -> list[str]:
    found: list[str] = []
    for member in _members(kind):
        if isinstance(member, type) and issubclass(member, msgspec.Struct):
            found += [f.encode_name for f in msgspec.structs.fields(member) if f.encode_name not in found]
    return found


def _choices(kind: Any) -> list[Any]:
    found: list[Any] = []
    for member in _members(kind):
        if get_origin(member) is Literal:
            found += get_args(member)
        elif isinstance(member, type) and issubclass(member, msgspec.Struct):
            found.append(member.__struct_config__.tag)  # a union of records told apart by their `type`
    return found
