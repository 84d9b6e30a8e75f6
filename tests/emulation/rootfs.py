"""The root file system of an arm64 Debian: unpacked, not configured under emulation (10 s instead of five minutes).

What the packages' own scripts would have done and a device needs is done by hand: users, PAM, SSH keys, networks.
"""

from __future__ import annotations

import compileall
import platform
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

from tests.emulation.store import BuildError, built, fingerprint

RELEASE = "bookworm"  # what Raspberry Pi OS was built on until autumn 2025: Python 3.11, systemd 252, glibc 2.36
PYTHON = "3.11"
PACKAGES = (
    "systemd,systemd-sysv,udev,dbus,kmod,iproute2,openssh-server,openssh-client,sudo,rsync,python3,python3-venv,"
    "python3-pip-whl,python3-setuptools-whl,ca-certificates,libstdc++6,libgcc-s1,libc-bin,bash,coreutils,login,passwd,procps,"
    "gpiod,v4l-utils,mawk,sed,grep,tar,gzip,zstd,e2fsprogs,util-linux,mount,findutils,diffutils,base-passwd,base-files,"
    "libpam-modules,libpam-modules-bin,libpam-runtime,netbase,dash,hostname"
)
# The processor of a Raspberry Pi 4 as /proc/cpuinfo shows it. Under user emulation the file shows the workstation's
# processor, at which LiteRT 2 and onnxruntime end with a segmentation fault.
CPUINFO = "\n".join(
    f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\n"
    "CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n"
    for core in range(2)
)
_MASKED = [
    # A boot under emulation is slow enough without what no test looks at.
    "getty.target",
    "systemd-logind.service",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
    "systemd-user-sessions.service",
    "systemd-hwdb-update.service",
    "e2scrub_reap.service",
    "rsync.service",
    "systemd-timesyncd.service",
    "systemd-binfmt.service",
    "proc-sys-fs-binfmt_misc.automount",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
    "dpkg-db-backup.timer",
]
_SSHD = (
    "PermitRootLogin prohibit-password\nPasswordAuthentication no\nUsePAM no\nUseDNS no\n"
    "Subsystem sftp /usr/lib/openssh/sftp-server\nMaxStartups 100\n"
)


def ensure_binfmt() -> None:
    """The kernel starts arm64 programs through qemu-user; mounts and registers what is needed once per boot."""
    where = Path("/proc/sys/fs/binfmt_misc")
    if not (where / "register").exists():
        _run("mount", "-t", "binfmt_misc", "binfmt_misc", str(where))
    if not (where / "qemu-aarch64").exists():
        _run("update-binfmts", "--enable", "qemu-aarch64")


def root_filesystem() -> Path:
    """A folder holding `root`, the tree, and `id`, the SSH key of root and of the user pi. Never write into it."""
    ensure_binfmt()
    return built("rootfs", fingerprint(sys.modules[__name__]), _build)


def _build(folder: Path) -> None:
    root = folder / "root"
    _run(
        "mmdebstrap", "--quiet", "--arch=arm64", "--variant=extract", f"--include={PACKAGES}",
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", RELEASE, str(root), mirror(),
    )  # fmt: skip
    shutil.rmtree(root / "usr/share/doc", ignore_errors=True)
    shutil.rmtree(root / "usr/share/locale", ignore_errors=True)
    _compile_library(root)
    _add_users(root)
    _add_identity(root)
    _add_ssh(root, folder / "id")
    _choose_units(root)


def _compile_library(root: Path) -> None:
    """A device's Python has its library compiled; without that each of its programs compiles it anew, which takes a
    third of a start under emulation. Another Python than the device's cannot do it for it."""
    if sys.version_info[:2] == tuple(map(int, PYTHON.split("."))):
        compileall.compile_dir(root / "usr/lib" / f"python{PYTHON}", quiet=2, stripdir=str(root), prependdir="/")


def mirror() -> str:
    """The package source of this machine where it is a Debian, else Debian's own."""
    if "debian" in platform.freedesktop_os_release().get("ID", ""):
        done = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Created-By: Packages"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        for line in done.stdout.splitlines():
            codename, _, address = line.partition(" ")
            if codename == RELEASE:
                return address
    return "http://deb.debian.org/debian"


def _add_users(root: Path) -> None:
    passwd, group = (root / "usr/share/base-passwd" / f"{kind}.master" for kind in ("passwd", "group"))
    users = passwd.read_text().replace("root:*:", "root:x:")
    users += (
        "sshd:x:105:65534::/run/sshd:/usr/sbin/nologin\nmessagebus:x:106:106::/nonexistent:/usr/sbin/nologin\n"
        "pi:x:1000:1000::/home/pi:/bin/bash\n"
    )
    (root / "etc/passwd").write_text(users)
    (root / "etc/group").write_text(group.read_text() + "messagebus:x:106:\npi:x:1000:\n")
    shadow = root / "etc/shadow"
    shadow.write_text("root:*:19000:0:99999:7:::\npi:*:19000:0:99999:7:::\n")
    shadow.chmod(0o640)
    sudoers = root / "etc/sudoers.d/010_pi-nopasswd"  # as on Raspberry Pi OS
    sudoers.write_text("pi ALL=(ALL) NOPASSWD: ALL\n")
    sudoers.chmod(0o440)
    (root / "etc/sudoers").chmod(0o440)  # as the package's own script does; visudo minds
    subprocess.run(["systemd-sysusers", f"--root={root}"], capture_output=True, check=False)
    for kind in ("auth", "account", "password", "session", "session-noninteractive"):
        rule = f"{kind.partition('-')[0]} required pam_permit.so\n"
        (root / "etc/pam.d" / f"common-{kind}").write_text(rule)


def _add_identity(root: Path) -> None:
    (root / "etc/machine-id").write_text(uuid.uuid4().hex + "\n")
    (root / "etc/hostname").write_text("edgedev\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost edgedev\n")
    (root / "etc/fstab").write_text("")
    (root / "etc/cpuinfo-pi4").write_text(CPUINFO)
    if not (root / "etc/os-release").exists():
        (root / "etc/os-release").symlink_to("../usr/lib/os-release")
    (root / "usr/bin/awk").unlink(missing_ok=True)
    (root / "usr/bin/awk").symlink_to("mawk")
    certificates = Path("/etc/ssl/certs/ca-certificates.crt")
    if certificates.exists():
        shutil.copy(certificates, root / "etc/ssl/certs/ca-certificates.crt")


def _add_ssh(root: Path, key: Path) -> None:
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    for home, owner in (("root", 0), ("home/pi", 1000)):
        folder = root / home / ".ssh"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(f"{key}.pub", folder / "authorized_keys")
        for path in (folder.parent, folder, folder / "authorized_keys"):
            path.chmod(0o700 if path.is_dir() else 0o600)
            shutil.chown(path, owner, owner)
    (root / "run/sshd").mkdir(parents=True, exist_ok=True)
    _run("ssh-keygen", "-A", "-f", str(root))
    (root / "etc/ssh/sshd_config").write_text(_SSHD)


def _choose_units(root: Path) -> None:
    units = root / "etc/systemd/system"
    wanted = units / "multi-user.target.wants"
    wanted.mkdir(parents=True, exist_ok=True)
    for name in ("ssh", "systemd-networkd"):
        link = wanted / f"{name}.service"
        link.unlink(missing_ok=True)
        link.symlink_to(f"/lib/systemd/system/{name}.service")
    for name in _MASKED:
        (units / name).unlink(missing_ok=True)
        (units / name).symlink_to("/dev/null")
    (units / "default.target").unlink(missing_ok=True)
    (units / "default.target").symlink_to("/lib/systemd/system/multi-user.target")
    # The address that QEMU's user network gives its guest.
    network = "[Match]\nType=ether\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n"
    (root / "etc/systemd/network/10-all.network").write_text(network)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command[:3])} … failed: {done.stderr.strip()[-600:]}")
