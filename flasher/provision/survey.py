"""One look at a device: a shell script that any Linux board can run, and the record that its answer is read into."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Literal

import msgspec

from edgetl.errors import ProtocolError
from edgetl.flasher.provision import places
from edgetl.flasher.provision.places import Places

# The oldest comes last: a newer Python finds more wheels. 3.13 has none of LiteRT's yet.
PYTHONS = ((3, 12), (3, 11), (3, 10))


class Installed(msgspec.Struct, frozen=True):
    """The environment on the device: versions by name, and the hash of the wheel that edgetl came from."""

    python: tuple[int, int] | None = None
    packages: dict[str, str] = {}
    edgetl_sha256: str | None = None


# A device node: there and open to the service's user, not there, or closed to that user.
Node = Literal["yes", "no", "closed"]


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What a device is and has. Sizes in MiB; `clock_s` in seconds since 1970; `files` by path: SHA-256.

    `root`: whether commands can be run as root, without a password asked for. `pythons`: those that edgetl runs on and
    that can make environments, by path. `memory_limited`: whether the kernel holds a service to a memory limit.
    """

    architecture: str
    model: str = ""
    system: str = ""
    login: str = ""
    root: bool = False
    pythons: dict[str, tuple[int, int]] = {}
    glibc: tuple[int, int] | None = None
    systemd: int | None = None
    tar: bool = False
    free_mb: int = 0
    memory_mb: int = 0
    memory_limited: bool = True
    clock_s: int = 0
    clock_synchronised: bool = False
    camera: Node | None = None
    pin_chip: Node | None = None
    user: bool = False
    groups: tuple[str, ...] = ()
    groups_there: tuple[str, ...] = ()
    folders: bool = False
    files: dict[str, str] = {}
    enabled: bool = False
    active: str = ""
    installed: Installed = Installed()


_PACKAGES = """
import importlib.metadata as m, json, re, sys
packages, sha = {}, None
for d in m.distributions():
    name = re.sub("[-_.]+", "-", d.metadata["Name"] or "").lower()
    packages[name] = d.version
    if name == "edgetl":
        try:
            sha = json.loads(d.read_text("direct_url.json") or "{}").get("archive_info", {}).get("hashes", {}).get("sha256")
        except ValueError:
            pass
print("installed", json.dumps({"python": sys.version_info[:2], "packages": packages, "edgetl_sha256": sha}))
"""

_SCRIPT = r"""
LC_ALL=C; export LC_ALL
say() { printf '%s %s\n' "$1" "$2"; }
say architecture "$(uname -m)"
say model "$(cat /proc/device-tree/model 2>/dev/null | tr -d '\000')"
say system "$(. /etc/os-release 2>/dev/null; echo "$PRETTY_NAME")"
say login "$(id -un)"
if [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; then say root yes; fi
for v in @VERSIONS@; do
  p=$(command -v python$v) || continue
  c=$("$p" -I -c 'import os, venv; print(os.confstr("CS_GNU_LIBC_VERSION"))' 2>/dev/null) && say python "$v $p" && say glibc "${c#glibc }"
done
say systemd "$(systemctl --version 2>/dev/null | sed -n '1s/systemd \([0-9]*\).*/\1/p')"
command -v tar >/dev/null && say tar yes
d=@HOME@; while [ ! -d "$d" ]; do d=$(dirname "$d"); done
say free_mb "$(df -Pm "$d" | awk 'NR==2{print $4}')"
say memory_mb "$(awk '/^MemTotal/{print int($2/1024)}' /proc/meminfo)"
grep -qsw memory /sys/fs/cgroup/cgroup.controllers || awk '$1=="memory" && $4==1{f=1} END{exit !f}' /proc/cgroups 2>/dev/null || say memory_limited no
say clock_s "$(date +%s)"
[ "$(timedatectl show -p NTPSynchronized --value 2>/dev/null)" = yes ] && say clock_synchronised yes
AS=; [ "$(id -u)" = 0 ] || AS="sudo -n"
# A device node that is there and that the service's user, once there is one, may open, as far as root can be asked.
node() {
  [ -n "$2" ] || return 0
  if [ ! -c "$2" ]; then say "$1" no
  elif id @USER@ >/dev/null 2>&1 && $AS true 2>/dev/null && ! $AS runuser -u @USER@ -- test -r "$2" 2>/dev/null; then say "$1" closed
  else say "$1" yes; fi
}
node camera @CAMERA@
node pin_chip @CHIP@
if id @USER@ >/dev/null 2>&1; then say user yes; say groups "$(id -nG @USER@)"; fi
say groups_there "$(for g in @GROUPS@; do getent group $g >/dev/null && printf '%s ' $g; done)"
[ -d @ROOT@/staging ] && say folders yes
for f in @FILES@; do h=$($AS sha256sum "$f" 2>/dev/null) && say file "${h%% *} $f"; done
systemctl is-enabled -q @SERVICE@ 2>/dev/null && say enabled yes
say active "$(systemctl is-active @SERVICE@ 2>/dev/null)"
[ -x @PYTHON@ ] && @PYTHON@ -I -c @PACKAGES@
exit 0
"""


def survey_script(files: list[str], where: Places, camera: str = "", chip: str = "") -> str:
    """The POSIX shell script whose output `read_survey` reads; it changes nothing."""
    values = {
        "VERSIONS": " ".join(f"{major}.{minor}" for major, minor in PYTHONS),
        "HOME": where.home,
        "CAMERA": shlex.quote(camera),
        "CHIP": shlex.quote(chip),
        "USER": places.USER,
        "GROUPS": " ".join(places.GROUPS),
        "ROOT": where.root,
        "FILES": shlex.join(files),
        "SERVICE": places.SERVICE,
        "PYTHON": where.python,
        "PACKAGES": shlex.quote(_PACKAGES),
    }
    script = _SCRIPT
    for name, value in values.items():
        script = script.replace(f"@{name}@", value)
    return script


def read_survey(output: str) -> Survey:
    """What the script said. Lines that it does not know, as a login shell may print, are passed over."""
    facts: dict[str, object] = {}
    pythons: dict[str, tuple[int, ...]] = {}
    files: dict[str, str] = {}
    for line in output.splitlines():
        key, _, value = line.partition(" ")
        value = value.strip()
        if key == "python":
            version, _, path = value.partition(" ")
            pythons[path] = _numbers(version)
        elif key == "file":
            digest, _, path = value.partition(" ")
            files[path] = digest
        elif key == "installed":
            facts[key] = msgspec.json.decode(value, type=Installed)
        elif key in _READ and value:
            facts[key] = _READ[key](value)
    if "architecture" not in facts:
        raise ProtocolError("the device did not answer as a Linux system with a POSIX shell does")
    return msgspec.convert({**facts, "pythons": pythons, "files": files}, Survey)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


_READ: dict[str, Callable[[str], object]] = {
    **dict.fromkeys(("architecture", "model", "system", "login", "active", "camera", "pin_chip"), str),
    **dict.fromkeys(("free_mb", "memory_mb", "clock_s", "systemd"), int),
    **dict.fromkeys(("root", "tar", "clock_synchronised", "memory_limited", "user", "folders", "enabled"),
                    lambda value: value == "yes"),
    **dict.fromkeys(("groups", "groups_there"), str.split),
    "glibc": _numbers,
}  # fmt: skip
