"""Maps the top-level rooms to `edgetl.*`; everything else about the package is in pyproject.toml.

The package list is computed: a written one misses new sub-packages in wheels, and editable installs hide it.
"""

from setuptools import find_packages, setup

ROOMS = {
    "edgetl": "src/edgetl",
    "edgetl.runtime": "runtime",
    "edgetl.trainer": "trainer",
    "edgetl.exporter": "exporter",
    "edgetl.flasher": "flasher",
    "edgetl.benchmarks": "benchmarks",
    "edgetl.device_configs": "device-configs",
}

packages = [
    name
    for room, folder in ROOMS.items()
    for name in [room, *(f"{room}.{package}" for package in find_packages(folder))]
]
setup(packages=packages, package_dir=ROOMS)
