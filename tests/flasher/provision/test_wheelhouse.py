"""A folder of wheels that several commands fill at once, as under Ansible, which sets devices up side by side."""

from __future__ import annotations

import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

FILL = "import sys; from pathlib import Path; from edgetl.flasher.provision.wheelhouse import edgetl_wheels; edgetl_wheels(Path(sys.argv[1]))"


def fill(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", FILL, str(folder)], stderr=subprocess.PIPE, text=True)


def test_many_at_once_all_succeed_and_a_wheel_that_is_there_is_never_away(tmp_path: Path) -> None:
    first = fill(tmp_path)
    _, said = first.communicate()
    if "pip download failed" in said:
        pytest.skip(f"needs a package index: {said.splitlines()[-1]}")
    assert first.returncode == 0, said
    [own] = tmp_path.glob("edgetl-*.whl")
    content = own.read_bytes()
    others = [fill(tmp_path) for _ in range(3)]
    looks = 0
    while any(other.poll() is None for other in others):
        assert own.read_bytes() == content
        looks += 1
        time.sleep(0.01)
    said = "".join(other.communicate()[1] for other in others)
    assert [other.returncode for other in others] == [0, 0, 0], said
    assert looks > 1 and zipfile.ZipFile(own).testzip() is None
    assert sorted(path.name.partition("-")[0] for path in tmp_path.iterdir()) == ["edgetl", "pip"]
