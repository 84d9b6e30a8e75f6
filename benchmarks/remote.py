"""`edgetl bench` on a device: the bundle goes there, the device measures itself, the report and its timings come back."""

from __future__ import annotations

import base64
import binascii
import shlex
from collections.abc import Iterator
from pathlib import Path

import msgspec

from edgetl.benchmarks.report import Report
from edgetl.errors import EdgetlError, TransportError, UsageError
from edgetl.flasher.transport import Completed, Ssh
from edgetl.runtime.bundle import open_bundle

_PIECE = 1 << 16
_LONGEST_S = 3 * 3600.0  # of a full measurement on a slow board; the sustained minutes come on top


class Asked(msgspec.Struct, frozen=True):
    """What the device is asked; as the options of `edgetl bench`."""

    agent: str = "edgetl"
    quick: bool = False
    minutes: int = 0
    budget_ms: float | None = None

    @property
    def options(self) -> list[str]:
        """For the device's own command."""
        budget = [] if self.budget_ms is None else ["--budget-ms", str(self.budget_ms)]
        return [*(["--quick"] if self.quick else []), "--sustained", str(self.minutes), *budget]


def bench_on(device: Ssh, bundle: Path, asked: Asked) -> tuple[Report, bytes]:
    """The device's report, and its timings as an .npz file. Raises EdgetlError with what the device said."""
    with open_bundle(bundle):  # a damaged one is told before it is carried anywhere
        pass
    done = device.execute(_script(bundle.name, asked), _pieces(bundle), _LONGEST_S + 60.0 * asked.minutes)
    return _read(device.name, bundle, done)


def _script(name: str, asked: Asked) -> str:
    """The bundle lies in a folder of its own, which goes with the shell."""
    command = shlex.join([*shlex.split(asked.agent), "bench"])
    return (
        'd=$(mktemp -d) || exit 74; trap \'rm -rf "$d"\' EXIT; trap "exit 1" HUP INT TERM; '
        f'cat > "$d"/{shlex.quote(name)} || exit 74; '
        f'{command} "$d"/{shlex.quote(name)} --json --out "$d"/report.json {shlex.join(asked.options)} || code=$?; '
        'if [ -f "$d"/report.npz ]; then base64 "$d"/report.npz; fi; exit ${code:-0}'
    )


def _pieces(bundle: Path) -> Iterator[bytes]:
    with bundle.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _read(host: str, bundle: Path, done: Completed) -> tuple[Report, bytes]:
    line, _, samples = done.out.partition("\n")
    if done.code not in (0, 1) or not line:
        raise _refusal(host, done)
    try:
        report = msgspec.json.decode(line, type=Report)
        return msgspec.structs.replace(report, bundle=f"{bundle} on {host}"), base64.b64decode(samples)
    except (msgspec.MsgspecError, binascii.Error) as error:
        raise EdgetlError(
            f"{host}: its report cannot be read ({error}); is edgetl there of another version? see edgetl device doctor {host}"
        ) from error


def _refusal(host: str, done: Completed) -> EdgetlError:
    """Why there is no report, as the device put it."""
    lines = [line.strip() for line in done.err.splitlines() if line.strip()]
    said = lines[-1].removeprefix("edgetl: ") if lines else f"it ended with exit code {done.code} and said nothing"
    if done.code in (126, 127):
        return TransportError(f"{host}: no edgetl there; set it up first: edgetl device init {host}")
    return (UsageError if done.code == 2 else EdgetlError)(f"{host}: {said}")
