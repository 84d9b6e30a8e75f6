"""Wheels for a device, fetched on the workstation: what a device without internet is installed from."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlparse

import msgspec

from edgetl import __version__
from edgetl.errors import ProvisionError, storage
from edgetl.runtime.files import write_file

_COMPLETE = "complete"  # written last: a folder without it was cut off while it was filled
# A timestamp that wheels may bear; with it the same sources give the same bytes (reproducible-builds.org).
_EPOCH = "315532800"


class Target(msgspec.Struct, frozen=True):
    """What wheels must run on. `extras`: edgetl's, as `device`."""

    architecture: str
    python: tuple[int, int]
    glibc: tuple[int, int]
    extras: tuple[str, ...] = ("device",)

    @property
    def name(self) -> str:
        """As a folder's name."""
        return f"{self.architecture}-py{_dotted(self.python)}-glibc{_dotted(self.glibc)}-{'+'.join(self.extras)}"

    def pip_arguments(self) -> list[str]:
        """pip's flags that ask for wheels of this target. pip judges environment markers for the workstation."""
        python = "".join(map(str, self.python))
        arguments = ["--only-binary=:all:", "--implementation=cp", f"--python-version={_dotted(self.python)}"]
        arguments += [f"--abi={abi}" for abi in (f"cp{python}", "abi3", "none")]
        tags = [f"manylinux_2_{minor}" for minor in range(self.glibc[1], 16, -1)]
        tags += ["manylinux2014", "linux", *(("manylinux2010", "manylinux1") if self.architecture == "x86_64" else ())]
        return arguments + [f"--platform={tag}_{self.architecture}" for tag in tags]


class Wheel(msgspec.Struct, frozen=True):
    """A wheel file, by what its name says."""

    path: str
    name: str
    version: str

    @classmethod
    def of(cls, path: Path) -> Wheel:
        """From NAME-VERSION-….whl, the name as package indexes normalize it."""
        name, version = path.name.split("-")[:2]
        return cls(str(path), re.sub(r"[-_.]+", "-", name).lower(), version)

    def sha256(self) -> str:
        """Of the file."""
        return hashlib.sha256(Path(self.path).read_bytes()).hexdigest()


def wheels_in(folder: Path) -> list[Wheel]:
    """The wheels of a folder. Raises ProvisionError where edgetl's or pip's is not among them."""
    wheels = [Wheel.of(path) for path in sorted(folder.glob("*.whl"))]
    for name in ("edgetl", "pip"):
        if [wheel.name for wheel in wheels].count(name) != 1:
            raise ProvisionError(
                f"{folder}: not a wheelhouse, {name} is missing or twice there; make it anew: edgetl device wheelhouse"
            )
    return wheels


def edgetl_wheels(folder: Path) -> list[Wheel]:
    """This edgetl and pip, which go to every device: pip runs from its wheel, so no device needs it installed.

    Several commands may do this at once, as under Ansible, and send from the same folder: a wheel is never away.
    """
    with storage(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with _alone_in(folder):
        if not any(folder.glob("pip-*.whl")):
            _pip("download", "--no-deps", "--dest", str(folder), "pip>=24,<27")
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            made = _own_wheel(Path(fresh))
            for stale in folder.glob("edgetl-*.whl"):
                if stale.name != made.name:
                    stale.unlink()
            made.replace(folder / made.name)
    return wheels_in(folder)


def _own_wheel(folder: Path) -> Path:
    """edgetl's wheel: built where it is developed, one at a time, since that is done in its tree; else downloaded."""
    if source := _source_tree():
        with _alone_in(source):
            _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    else:
        _pip("download", "--no-deps", "--dest", str(folder), f"edgetl=={__version__}")
    return next(folder.glob("edgetl-*.whl"))


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Waits until no other command of edgetl's works in a folder."""
    with storage(folder):
        held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def fill_wheelhouse(folder: Path, target: Target) -> list[Wheel]:
    """All wheels of edgetl for a target; a folder that was filled for it stays as it is, edgetl's own wheel excepted.

    Raises ProvisionError where a package has no wheel for the target, UsageError never: every target can be asked for.
    """
    wheels = edgetl_wheels(folder)
    marker = folder / _COMPLETE
    with _alone_in(folder):
        if not (marker.is_file() and marker.read_text().strip() == target.name):
            own = next(wheel for wheel in wheels if wheel.name == "edgetl")
            wanted = f"edgetl[{','.join(target.extras)}] @ {Path(own.path).as_uri()}"
            _pip("download", "--dest", str(folder), *target.pip_arguments(), wanted)
            write_file(marker, f"{target.name}\n")
    return wheels_in(folder)


def default_folder(target: Target) -> Path:
    """Where wheels for a target are kept between devices."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "edgetl" / "wheelhouse" / target.name


def needed_names(extras: tuple[str, ...]) -> set[str]:
    """The packages that edgetl asks for by itself and by its extras, as this workstation's copy says."""
    needed = set()
    for requirement in metadata.requires("edgetl") or []:
        extra = re.search(r"""extra == ["']([\w-]+)["']""", requirement)
        if extra is None or extra[1] in extras:
            needed.add(re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement)[0]).lower())
    return needed


def _source_tree() -> Path | None:
    """The folder that edgetl is developed in, where it is installed as editable."""
    for found in metadata.distributions(name="edgetl"):
        facts = json.loads(found.read_text("direct_url.json") or "{}")
        if facts.get("dir_info", {}).get("editable"):
            return Path(unquote(urlparse(facts["url"]).path))
    return None


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", arguments[0], "--quiet", "--disable-pip-version-check", *arguments[1:]]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": _EPOCH}
    with tempfile.TemporaryFile("w+") as said:
        done = subprocess.run(command, stdout=said, stderr=said, env=environment, check=False)
        said.seek(0)
        lines = [line for line in said.read().splitlines() if line.startswith("ERROR")] or ["it said nothing"]
    if done.returncode != 0:
        raise ProvisionError(f"pip {arguments[0]} failed: {lines[-1].removeprefix('ERROR: ')}")


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
