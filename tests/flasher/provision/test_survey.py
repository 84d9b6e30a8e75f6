"""The survey's script runs on any Linux with a POSIX shell, and changes nothing; its answer is read strictly."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from edgetl.errors import ProtocolError
from edgetl.flasher.provision.places import Places
from edgetl.flasher.provision.survey import read_survey, survey_script
from edgetl.flasher.provision.wheelhouse import Wheel


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_it_looks_at_this_machine(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    file = tmp_path / "it's a file"
    file.write_bytes(b"")
    script = survey_script([str(file), str(tmp_path / "absent")], Places(), camera="/dev/null", chip=str(file))
    done = subprocess.run([shell, "-s"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    survey = read_survey(done.stdout)
    assert survey.architecture == platform.machine()
    assert survey.free_mb > 0 and survey.memory_mb > 0 and survey.clock_s > 1_700_000_000
    assert survey.files == {str(file): "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
    assert (survey.camera, survey.pin_chip) == ("yes", "no"), "a file is no chip of pins"


def test_the_pythons_that_it_names_run() -> None:
    done = subprocess.run(["sh", "-s"], input=survey_script([], Places()), capture_output=True, text=True, check=False)
    for path, version in read_survey(done.stdout).pythons.items():
        said = subprocess.run(
            [path, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=True
        )
        assert tuple(map(int, said.stdout.split())) == version
    assert sys.version_info[:2] in {(3, 10), (3, 11), (3, 12)}


@pytest.mark.parametrize(("enabled", "limited"), [(0, False), (1, True)])
def test_it_sees_whether_the_kernel_limits_memory(tmp_path: Path, enabled: int, limited: bool) -> None:
    controllers = tmp_path / "cgroups"
    controllers.write_text(f"#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t0\t90\t1\nmemory\t0\t90\t{enabled}\n")
    enter = f"mount --bind {controllers} /proc/cgroups && mount -t tmpfs tmpfs /sys/fs/cgroup && exec sh -s"
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", enter],
        input=survey_script([], Places()), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip(f"needs root and mounts of its own: {done.stderr.strip()}")
    assert read_survey(done.stdout).memory_limited is limited


def test_names_of_packages_are_told_as_wheels_name_them(tmp_path: Path) -> None:
    """A package whose dot was taken for a difference would be carried over at every set-up."""
    venv.create(tmp_path / "venv", with_pip=False)
    (site,) = (tmp_path / "venv" / "lib").glob("python3*/site-packages")
    for name in ("backports.StrEnum", "ml_dtypes"):
        folder = site / f"{name}-1.2.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    script = survey_script([], Places()).replace(Places().python, str(tmp_path / "venv" / "bin" / "python"))
    done = subprocess.run(["sh", "-s"], input=script, capture_output=True, text=True, check=False)
    installed = read_survey(done.stdout).installed.packages
    wheels = [Wheel.of(tmp_path / f"{name}-1.2-py3-none-any.whl") for name in ("backports_strenum", "ml_dtypes")]
    assert installed == {wheel.name: wheel.version for wheel in wheels}


def test_a_greeting_of_the_login_shell_is_passed_over() -> None:
    said = "Welcome to line 3!\narchitecture aarch64\nglibc 2.36\nfree_mb 12\nLast login: never\n"
    survey = read_survey(said)
    assert (survey.architecture, survey.glibc, survey.free_mb) == ("aarch64", (2, 36), 12)


def test_what_is_no_linux_is_told() -> None:
    with pytest.raises(ProtocolError, match="POSIX shell"):
        read_survey("'uname' is not recognized as an internal or external command\n")
