"""Where a device's root lies, and what is left of it after a cut."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgetl.benchmarks.flash_cuts.programs import do
from edgetl.runtime.flashing.layout import DeviceRoot

IMAGE_MB = 96


class Place:
    """Where a device's root lies, and how it is put back to how it was before a step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "device"
        self._saved = folder / "saved"

    def save(self) -> None:
        """Keeps the root as it is now."""
        shutil.rmtree(self._saved, ignore_errors=True)
        shutil.copytree(self.root, self._saved, symlinks=True)

    def restore(self) -> None:
        """Puts the root back to how it was kept."""
        shutil.rmtree(self.root)
        shutil.copytree(self._saved, self.root, symlinks=True)

    @contextmanager
    def after_the_cut(self) -> Iterator[DeviceRoot]:
        """What is left: after a kill, the root itself."""
        yield DeviceRoot(self.root)


class PowerlessPlace(Place):
    """A root on an ext4 image; after a cut, what the image held at that moment."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._image, self._mount = folder / "image", folder / "mount"
        self._copies = 0
        self._mount.mkdir()
        with self._image.open("wb") as file:
            file.truncate(IMAGE_MB << 20)
        do("mkfs.ext4", "-q", "-F", str(self._image))
        do("mount", "-o", "loop", str(self._image), str(self._mount))
        self.root = self._mount / "device"

    def restore(self) -> None:
        """As above, and all of it on the disk: the cut is what is looked at, not the preparation."""
        super().restore()
        do("sync", "-f", str(self._mount))

    @contextmanager
    def after_the_cut(self) -> Iterator[DeviceRoot]:
        """A copy of the image, mounted, which replays the file system's journal as after a power cut.

        Each in a file of its own: a loop device that is given back late would show the copy before.
        """
        self._copies += 1
        copy, mount = self.folder / f"copy-{self._copies}", self.folder / "after"
        mount.mkdir(exist_ok=True)
        do("cp", "--sparse=always", str(self._image), str(copy))
        do("mount", "-o", "loop", str(copy), str(mount))
        try:
            yield DeviceRoot(mount / "device")
        finally:
            do("umount", str(mount))
            copy.unlink()

    def close(self) -> None:
        """Gives the mount back."""
        do("umount", str(self._mount))
