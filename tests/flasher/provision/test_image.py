"""A card is written whole or refused, only where it was named and confirmed, and says all that its first boot needs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from edgetl.errors import UsageError
from edgetl.flasher.provision.boot_partition import FatPartition, mounted_at, open_partition
from edgetl.flasher.provision.card import Login, cloud_init, command_line, firstrun, setup_files
from edgetl.flasher.provision.changes import changes
from edgetl.flasher.provision.places import Places
from tests.conftest import edgetl
from tests.flasher.provision.cards import BOOT_FILES, CLOUD_INIT_FILES, card_image, content, need_tools, with_system
from tests.flasher.provision.devices import BARE, PACKAGES, files

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUl engineer@plant"
LOGIN = Login("pi", "line-3", (KEY,), ("Plant: 'Hall' 3", 'a"b$(c)', "DE"))


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Path:
    """Wheels by their names; what is in them does not matter to a card."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in (
        "edgetl-0.1.0-py3-none-any",
        "pip-25.0-py3-none-any",
        "numpy-1.26.4-cp311-cp311-manylinux2014_aarch64",
    ):
        (folder / f"{name}.whl").write_bytes(os.urandom(100_000))
    return folder


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "id.pub"
    path.write_text(KEY + "\n")
    return path


def write(target: Path, wheelhouse: Path, key: Path, *more: object) -> subprocess.CompletedProcess[str]:
    return edgetl(
        "device", "image", target, "--config", "raspberry-pi-5", "--key", key, "--wheelhouse", wheelhouse, *more
    )


def test_an_image_with_cloud_init_gets_what_cloud_init_reads(tmp_path: Path, wheelhouse: Path, key: Path) -> None:
    bundle = tmp_path / "part.edgetl"
    bundle.write_bytes(os.urandom(3 << 20))
    target = card_image(tmp_path / "os.img", CLOUD_INIT_FILES)
    done = write(target, wheelhouse, key, "--hostname", "line-3", "--bundle", bundle)
    assert done.returncode == 0, done.stderr
    assert "ready (cloud-init)" in done.stdout
    found = content(target, tmp_path / "found")
    assert (found / "edgetl/bundle.edgetl").read_bytes() == bundle.read_bytes()
    for wheel in wheelhouse.iterdir():
        assert (found / "edgetl/wheels" / wheel.name).read_bytes() == wheel.read_bytes()
    user_data = (found / "user-data").read_text()
    assert user_data.startswith("#cloud-config\n")
    told = yaml.safe_load(user_data)
    assert (told["hostname"], told["users"][0]["ssh_authorized_keys"]) == ("line-3", [KEY])
    assert (found / "cmdline.txt").read_text() == BOOT_FILES["cmdline.txt"]


def test_an_older_image_gets_a_first_run_script_and_its_flag_once(tmp_path: Path, wheelhouse: Path, key: Path) -> None:
    target = card_image(tmp_path / "os.img", BOOT_FILES)
    for _ in range(2):
        done = write(target, wheelhouse, key)
        assert done.returncode == 0, done.stderr
    assert "ready (firstrun)" in done.stdout
    found = content(target, tmp_path / "found")
    flags = (found / "cmdline.txt").read_text().split()
    assert flags.count("systemd.run=/boot/firmware/firstrun.sh") == 1
    assert flags[:4] == BOOT_FILES["cmdline.txt"].split()
    assert KEY in (found / "firstrun.sh").read_text()


def test_a_mounted_boot_folder_is_written_as_an_image_is(tmp_path: Path, wheelhouse: Path, key: Path) -> None:
    folder = tmp_path / "bootfs"
    folder.mkdir()
    for name, text in CLOUD_INIT_FILES.items():
        (folder / name).write_text(text)
    done = write(folder, wheelhouse, key)
    assert done.returncode == 0, done.stderr
    assert (folder / "edgetl/setup.sh").is_file()


def test_what_is_no_boot_partition_is_left_alone(tmp_path: Path, wheelhouse: Path, key: Path) -> None:
    target = card_image(tmp_path / "os.img", {"holiday.txt": "mine"})
    before = target.read_bytes()
    done = write(target, wheelhouse, key)
    assert done.returncode == 2
    assert "config.txt and cmdline.txt are missing" in done.stderr
    assert target.read_bytes() == before


@pytest.mark.parametrize("data", [b"", b"no image" * 1000, b"\xfd7zXZ\x00" + bytes(5000)])
def test_what_has_no_partition_table_is_told(data: bytes, tmp_path: Path, wheelhouse: Path, key: Path) -> None:
    need_tools()
    target = tmp_path / "os.img"
    target.write_bytes(data)
    done = write(target, wheelhouse, key)
    assert done.returncode in (1, 2)
    assert len(done.stderr.splitlines()) == 1
    assert "partition" in done.stderr
    assert target.read_bytes() == data


def test_a_partition_that_is_too_small_is_told(tmp_path: Path, wheelhouse: Path, key: Path) -> None:
    bundle = tmp_path / "part.edgetl"
    bundle.write_bytes(bytes(70 << 20))
    done = write(card_image(tmp_path / "os.img", BOOT_FILES), wheelhouse, key, "--bundle", bundle)
    assert done.returncode == 1
    assert "partition is full" in done.stderr


def test_the_disk_that_this_system_runs_from_is_refused() -> None:
    mounts = [line.split()[:2] for line in Path("/proc/self/mounts").read_text().splitlines()]
    disks = [name for name, place in mounts if name.startswith("/dev/") and Path(name).is_block_device()]
    if not disks:
        pytest.skip("no disk of this machine is visible here")
    assert mounted_at(Path(disks[0]))
    with pytest.raises(UsageError, match="in use, mounted at"):
        open_partition(Path(disks[0]))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a block device of a file")
def test_a_card_is_written_only_when_its_name_is_given_again(tmp_path: Path, wheelhouse: Path, key: Path) -> None:
    target = card_image(tmp_path / "os.img", BOOT_FILES)
    made = subprocess.run(["losetup", "--find", "--show", str(target)], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"needs loop devices: {made.stderr.strip()}")
    card = Path(made.stdout.strip())
    try:
        for wrong in ("", "/dev/sda", "yes"):
            done = write(card, wheelhouse, key, "--yes", wrong)
            assert done.returncode == 2
            assert "nothing was written" in done.stderr
            assert card.name in done.stderr  # it was shown
        assert "firstrun.sh" not in FatPartition(card, 8192 * 512).names()
        assert write(card, wheelhouse, key, "--yes", card).returncode == 0
        assert "firstrun.sh" in FatPartition(card, 8192 * 512).names()
    finally:
        subprocess.run(["losetup", "--detach", str(card)], check=True)


@pytest.mark.parametrize(
    ("python", "flags", "said"),
    [
        ("3.13", [], "its system has Python 3.13, edgetl runs on Python 3.10 to 3.12; take an image of bookworm"),
        ("3.12", [], "its system has Python 3.12, the wheels are for 3.11; give --python 3.12"),
        ("3.13", ["--python", "3.13"], "--python 3.13: edgetl runs on Python 3.10 to 3.12"),
    ],
)
def test_a_system_whose_python_would_not_do_is_refused_before_anything_is_written(
    python: str, flags: list[str], said: str, tmp_path: Path, wheelhouse: Path, key: Path
) -> None:
    target = with_system(card_image(tmp_path / "os.img", CLOUD_INIT_FILES), python)
    before = target.read_bytes()
    done = write(target, wheelhouse, key, *flags)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert said in done.stderr
    assert target.read_bytes() == before


def test_a_system_with_the_python_of_the_wheels_is_written(tmp_path: Path, wheelhouse: Path, key: Path) -> None:
    target = with_system(card_image(tmp_path / "os.img", BOOT_FILES), "3.12")
    done = write(target, wheelhouse, key, "--python", "3.12")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("files", "warned"),
    [
        ({**CLOUD_INIT_FILES, "issue.txt": "Raspberry Pi reference 2025-12-04\n"}, True),
        ({**BOOT_FILES, "issue.txt": "Raspberry Pi reference 2025-05-13\n"}, False),
        (CLOUD_INIT_FILES, False),
    ],
)
def test_a_boot_folder_that_can_only_be_trixies_is_warned_of(
    files: dict[str, str], warned: bool, tmp_path: Path, wheelhouse: Path, key: Path
) -> None:
    folder = tmp_path / "bootfs"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    done = write(folder, wheelhouse, key)
    assert done.returncode == 0
    assert ("which has Python 3.13, and edgetl does not run on that" in done.stderr) == warned


def test_a_private_key_never_reaches_a_card(tmp_path: Path, wheelhouse: Path) -> None:
    key = tmp_path / "id"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n")
    done = write(card_image(tmp_path / "os.img", BOOT_FILES), wheelhouse, key)
    assert done.returncode == 2
    assert "not a public SSH key" in done.stderr


def test_a_passphrase_survives_yaml() -> None:
    told = yaml.safe_load(cloud_init(LOGIN)["network-config"])
    assert told["wifis"]["wlan0"]["access-points"] == {"Plant: 'Hall' 3": {"password": 'a"b$(c)'}}
    assert yaml.safe_load(cloud_init(LOGIN)["meta-data"])["local-hostname"] == "line-3"


def test_cloud_init_itself_finds_no_fault_with_it(tmp_path: Path) -> None:
    if shutil.which("cloud-init") is None:
        pytest.skip("needs cloud-init")
    path = tmp_path / "user-data"
    path.write_text(cloud_init(LOGIN)["user-data"])
    done = subprocess.run(
        ["cloud-init", "schema", "--config-file", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("boot", ["/boot", "/boot/firmware"])
def test_the_scripts_are_shell(boot: str) -> None:
    scripts = {
        **firstrun(LOGIN, boot, Places()),
        **setup_files(changes(BARE, files(), PACKAGES, Places()), Places(), bundle=True),
    }
    for name, text in scripts.items():
        if name.endswith(".sh"):
            done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, ""), name


def test_the_kernel_is_told_once_and_as_the_system_mounts_it() -> None:
    once = command_line("console=tty1 quiet\n", "/boot")
    assert once == command_line(once, "/boot")
    assert "systemd.run=/boot/firstrun.sh" in once


def test_an_instance_is_new_only_when_something_changed() -> None:
    first = json.loads(cloud_init(LOGIN)["meta-data"])["instance-id"]
    assert json.loads(cloud_init(LOGIN)["meta-data"])["instance-id"] == first
    other = Login("pi", "line-4", (KEY,))
    assert json.loads(cloud_init(other)["meta-data"])["instance-id"] != first
