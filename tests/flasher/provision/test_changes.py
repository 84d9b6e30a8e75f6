"""What must change on a device follows from how it is: all of it once, nothing twice."""

from __future__ import annotations

import getpass
import subprocess
from pathlib import Path

import msgspec
import pytest

from edgetl.errors import UsageError
from edgetl.flasher.provision.card import Login, firstrun, setup_files
from edgetl.flasher.provision.changes import changes, chosen_python, missing_wheels
from edgetl.flasher.provision.desired import ManagedFile, managed_files
from edgetl.flasher.provision.places import Places
from edgetl.flasher.provision.survey import Installed, Survey, survey_script
from edgetl.runtime.device_config import Paths
from tests.flasher.provision.devices import BARE, PACKAGES, PI, WANTED, files, set_up


def whats(survey: Survey) -> list[str]:
    return [change.what for change in changes(survey, files(), PACKAGES, Places())]


def with_installed(**facts: object) -> Survey:
    survey = set_up()
    return msgspec.structs.replace(survey, installed=msgspec.structs.replace(survey.installed, **facts))


def test_a_bare_device_gets_user_environment_files_slots_and_service_in_that_order() -> None:
    found = whats(BARE)
    assert found[0] == "user edgetl, in video, gpio"
    assert found[1].startswith("edgetl 0.1.0 in /opt/edgetl/venv: 3 wheels")
    assert found[2:-3] == [file.path for file in files()]
    assert found[-3].startswith("slots")
    assert found[-1] == "edgetl.service enabled and started"


def test_a_device_that_is_as_it_should_be_is_left_alone() -> None:
    assert whats(set_up()) == []


def test_one_file_that_differs_is_written_and_the_service_started_anew() -> None:
    survey = set_up()
    path = "/var/lib/edgetl/config.yaml"
    assert whats(msgspec.structs.replace(survey, files={**survey.files, path: "0" * 64})) == [
        path, "edgetl.service enabled and started",
    ]  # fmt: skip


def test_a_file_s_folder_that_was_not_there_lets_others_through(tmp_path: Path) -> None:
    """As /usr/local/bin on a bare system: the login must find the command that root wrote there."""
    file = ManagedFile(str(tmp_path / "local" / "bin" / "edgetl"), "#!/bin/sh\n", 0o755, owner=getpass.getuser())
    [change] = [c for c in changes(set_up(), [*files(), file], PACKAGES, Places()) if c.what == file.path]
    shell = ["sh", "-c", f"umask 077; {change.script}"]
    done = subprocess.run(shell, input=file.content, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(file.path).read_text() == file.content
    found = [path.stat().st_mode & 0o777 for path in (tmp_path / "local", tmp_path / "local" / "bin", Path(file.path))]
    assert found == [0o755] * 3


@pytest.mark.parametrize("state", ["failed", "inactive", ""])
def test_a_service_that_does_not_run_is_started(state: str) -> None:
    assert whats(msgspec.structs.replace(set_up(), active=state)) == ["edgetl.service enabled and started"]


def test_only_what_the_environment_lacks_is_carried_with_pip_to_install_it() -> None:
    stale = with_installed(packages={"edgetl": "0.1.0", "numpy": "1.25.0"}).installed
    assert [wheel.name for wheel in missing_wheels(stale, PACKAGES)] == ["edgetl", "pip", "numpy"]
    other = with_installed(edgetl_sha256="cd" * 32).installed
    assert [wheel.name for wheel in missing_wheels(other, PACKAGES)] == ["edgetl", "pip"]
    assert missing_wheels(set_up().installed, PACKAGES) == []


def test_with_internet_a_missing_package_alone_leads_to_an_install() -> None:
    online = msgspec.structs.replace(PACKAGES, wheels=PACKAGES.wheels[::2], offline=False)
    assert missing_wheels(set_up().installed, online) == []
    lacking = Installed(python=(3, 11), packages={"edgetl": "0.1.0"}, edgetl_sha256="ab" * 32)
    assert [wheel.name for wheel in missing_wheels(lacking, online)] == ["edgetl", "pip"]


def test_the_environment_keeps_its_python_while_that_is_there() -> None:
    both = {"/usr/bin/python3.12": (3, 12), "/usr/bin/python3.11": (3, 11)}
    assert chosen_python(msgspec.structs.replace(BARE, pythons=both)) == ("/usr/bin/python3.12", (3, 12))
    assert chosen_python(msgspec.structs.replace(set_up(), pythons=both)) == ("/usr/bin/python3.11", (3, 11))


def test_root_needs_no_rights_given_to_it() -> None:
    assert "/etc/sudoers.d/edgetl" not in [file.path for file in managed_files(WANTED, "root")]


@pytest.mark.parametrize("login", ["pi ALL=(ALL) NOPASSWD: ALL\nx", "a b", "%wheel", "", "p#i", "x" * 40])
def test_a_login_that_would_be_read_as_more_never_reaches_sudoers(login: str) -> None:
    with pytest.raises(UsageError, match="sudoers"):
        managed_files(WANTED, login)


def test_a_device_that_keeps_edgetl_on_another_disk_has_it_nowhere_else() -> None:
    config = msgspec.structs.replace(PI, paths=Paths(root="/data/edgetl", home="/data/program"))
    wanted = msgspec.structs.replace(WANTED, config=config, config_text="")
    where = Places.of(config.paths)
    written = managed_files(wanted, "pi")
    texts = [file.content + file.path for file in written]
    texts += [change.script for change in changes(BARE, written, PACKAGES, where)]
    texts += setup_files([], where, bundle=True).values()
    texts += firstrun(Login("pi", "line-3", ()), "/boot", where).values()
    texts.append(survey_script([], where))
    for text in texts:
        assert "/var/lib/edgetl" not in text and "/opt/edgetl" not in text
    assert {"/data/edgetl/config.yaml", "/data/edgetl/line.yaml"} < {file.path for file in written}
