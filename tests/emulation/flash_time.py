"""How long a flash takes over loopback to this machine and to an emulated arm64 device, by the same command:
`python -m tests.emulation.flash_time BUNDLE OUT [ROUNDS]`. It is flashed as two releases in turn, to this machine as
many rounds of two.

Both devices check signatures and replay the golden set in every interpreter that they have; on neither runs a service,
so that no trial is waited for. What the emulated one takes says nothing about a board.
"""

from __future__ import annotations

import json
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from edgetl.benchmarks import flash_time
from edgetl.runtime.device_config import config_text
from edgetl.runtime.flashing.layout import DeviceRoot
from tests.device.site import Workstation
from tests.emulation.container import ContainerDevice
from tests.flasher.sshd import serving

ROUNDS = {"here": 5, "emulated": 2}


def here(office: Workstation, bundles: list[Path], folder: Path, rounds: int = ROUNDS["here"]) -> dict[str, Any]:
    """Flashes through an SSH server of this machine."""
    root = DeviceRoot(folder / "device")
    root.prepare()
    root.config.write_text(f"architecture: {platform.machine()}\n")
    shutil.copy(office.signers, root.allowed_signers)
    with serving(folder, root.path) as server:
        return _measured(
            office, bundles, folder, "--to", "device", *server.options, "--rounds", rounds, "--root", root.path
        )


def emulated(device: ContainerDevice, office: Workstation, bundles: list[Path], folder: Path) -> dict[str, Any]:
    """Flashes a device that `edgetl device init` has set up."""
    config = folder / "emulated.yaml"
    # A picture takes seconds in the reference kernels there, and the golden set has a dozen.
    config.write_text(config_text("generic-arm64") + "flashing: {rehearsal_s: 1800}\n")
    done = office.edgetl("device", "init", "line-3", "--config", config, "--signers", office.signers, "--line",
                         office.line_file(), "--wheelhouse", office.wheelhouse)  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    device.ssh("systemctl stop edgetl")
    return _measured(office, bundles, folder, "--to", "line-3", "--rounds", ROUNDS["emulated"])


def _measured(office: Workstation, bundles: list[Path], folder: Path, *arguments: object) -> dict[str, Any]:
    done = office.python("-m", flash_time.__name__, *bundles, folder / "flash_time.json", "--downgrade-key", office.key,
                         *arguments, timeout_s=7200)  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    """Writes flash_time.json and prints the table."""
    bundle, out = map(Path, sys.argv[1:3])
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else ROUNDS["here"]
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        device = ContainerDevice(folder / "container")
        try:
            device.start()
            office = Workstation(folder, device.key, device.port)
            bundles = [office.signed(bundle, folder / f"{number}.edgetl", number) for number in (1, 2)]
            (folder / "here").mkdir()
            found = {"here": here(office, bundles, folder / "here", rounds)}
            (out / "flash_time.json").write_text(json.dumps(found, indent=1) + "\n")
            found["emulated arm64"] = emulated(device, office, bundles, folder)
        finally:
            device.stop()
    (out / "flash_time.json").write_text(json.dumps(found, indent=1) + "\n")
    print("| device | bundle | flashes | median | longest |\n| --- | ---: | ---: | ---: | ---: |")
    for name, row in found.items():
        print(f"| {name} | {row['bundle_mb']} MB | {row['flashes']} | {row['median_s']} s | {row['max_s']} s |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
