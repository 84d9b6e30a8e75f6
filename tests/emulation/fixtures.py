"""Fixtures of emulated devices; each skips with its reason where the machine lacks a part."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulation.chroot import ChrootDevice
from tests.emulation.container import ContainerDevice
from tests.emulation.machine import Machine, base_image, remove_machine
from tests.emulation.store import CHROOT_PARTS, CONTAINER_PARTS, MACHINE_PARTS, BuildError, require


@contextlib.contextmanager
def _or_skip() -> Iterator[None]:
    """A machine without a package source cannot build devices; that is told, and no failure of what is tested."""
    try:
        yield
    except BuildError as error:
        pytest.skip(f"cannot build an emulated device: {error}")


@pytest.fixture(scope="session")
def arm64(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChrootDevice]:
    """An arm64 Python with edgetl[device] and onnxruntime; /host-tmp is this machine's scratch folder of the tests."""
    require(CHROOT_PARTS)
    base = tmp_path_factory.getbasetemp()
    folder = tmp_path_factory.mktemp("arm64")
    with _or_skip():
        device = ChrootDevice(folder, binds={base: "/host-tmp"})
    yield device
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def container(tmp_path: Path) -> Iterator[ContainerDevice]:
    """A prepared device with systemd and an SSH server, booted; edgetl is not on it yet."""
    yield from _booted(tmp_path / "container", prepared=True)


@pytest.fixture
def bare_container(tmp_path: Path) -> Iterator[ContainerDevice]:
    """The same as a fresh card is: no environment, no packages."""
    yield from _booted(tmp_path / "container", prepared=False)


def _booted(folder: Path, *, prepared: bool) -> Iterator[ContainerDevice]:
    require(CONTAINER_PARTS)
    with _or_skip():
        device = ContainerDevice(folder, prepared)
    try:
        device.start()
        yield device
    finally:
        device.stop()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A prepared computer with kernel, disk and pins of its own, booted; edgetl is not on it yet."""
    require(MACHINE_PARTS)
    with _or_skip():
        base = base_image()
    device = Machine(tmp_path, base)
    try:
        device.start()
        yield device
    finally:
        remove_machine(device)


def on_device(path: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where a file under the tests' scratch folder is seen on `arm64`."""
    return f"/host-tmp/{path.relative_to(tmp_path_factory.getbasetemp())}"
