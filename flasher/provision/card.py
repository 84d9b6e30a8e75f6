"""What a card's boot partition must hold so that the device sets itself up at its first boot. Pure: texts by path.

The steps are those of `edgetl device init`, written down instead of sent: one script and its input each.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from pathlib import PurePosixPath
from typing import Literal

import msgspec

from edgetl.flasher.provision import places
from edgetl.flasher.provision.changes import Change, Packages, changes
from edgetl.flasher.provision.desired import Wanted, managed_files
from edgetl.flasher.provision.places import Places
from edgetl.flasher.provision.survey import Survey
from edgetl.flasher.provision.wheelhouse import Target

Style = Literal["cloud-init", "firstrun"]
FOLDER = "edgetl"  # on the boot partition
BUNDLE = f"{FOLDER}/bundle.edgetl"
_KERNEL_FLAGS = (
    "systemd.run={boot}/firstrun.sh systemd.run_success_action=reboot systemd.unit=kernel-command-line.target"
)


class Login(msgspec.Struct, frozen=True):
    """Who may log in to the device, and by which name it answers."""

    user: str
    hostname: str
    keys: tuple[str, ...]
    wifi: tuple[str, str, str] | None = None  # network, passphrase, country


def steps(wanted: Wanted, login: Login, target: Target, packages: Packages) -> list[Change]:
    """Everything that init would do to a bare device of this target."""
    bare = Survey(
        architecture=target.architecture, login=login.user, root=True, glibc=target.glibc,
        pythons={f"/usr/bin/python{target.python[0]}.{target.python[1]}": target.python}, groups_there=places.GROUPS,
    )  # fmt: skip
    return changes(bare, managed_files(wanted, login.user), packages, Places.of(wanted.config.paths))


def setup_files(todo: list[Change], where: Places, *, bundle: bool) -> dict[str, str]:
    """The steps as files, and the script that takes them in order; run again, it starts over and converges."""
    files: dict[str, str] = {}
    script = f"""#!/bin/sh
# Written by `edgetl device image`: sets this device up. What it says is in the journal and in {where.root}.
set -eu
cd "$(dirname "$0")"
[ ! -e {where.root}/.set-up ] || exit 0
"""
    for number, change in enumerate(todo):
        name = f"steps/{number:02}"
        files[f"{FOLDER}/{name}.sh"] = change.script
        script += f"echo {shlex.quote('edgetl: ' + change.what)}\n"
        if change.wheels:
            script += f'tar -c -f - -C wheels . | sh -c "$(cat {name}.sh)"\n'
        else:
            files[f"{FOLDER}/{name}.in"] = change.text
            script += f'sh -c "$(cat {name}.sh)" < {name}.in\n'
    if bundle:
        script += f"""echo edgetl: first release
install -o {places.USER} -g {places.USER} -m 600 bundle.edgetl {where.root}/first.edgetl
cd {where.root}
# The service has the camera, or waits for it, and its frames are looked at during the trial.
systemctl start {places.SERVICE} || true
runuser -u {places.USER} -- {where.python} -m edgetl flash first.edgetl --to local:{where.root} --no-camera
rm -f first.edgetl
"""
    files[f"{FOLDER}/setup.sh"] = script + f"touch {where.root}/.set-up\n"
    return files


def cloud_init(login: Login) -> dict[str, str]:
    """user-data, meta-data and network-config, which current Raspberry Pi OS (from trixie on) and Ubuntu read.

    JSON is YAML, and cannot be broken by a colon in a passphrase.
    """
    data = {
        "hostname": login.hostname,
        "manage_etc_hosts": True,
        "ssh_pwauth": False,
        "users": [
            {"name": login.user, "shell": "/bin/bash", "lock_passwd": True, "sudo": "ALL=(ALL) NOPASSWD:ALL",
             "groups": ["users", "adm", "video"], "ssh_authorized_keys": list(login.keys)}
        ],
        "runcmd": [
            ["systemctl", "enable", "--now", "ssh"],
            ["sh", "-c", f"for b in /boot/firmware /boot; do [ ! -e $b/{FOLDER}/setup.sh ] || exec sh $b/{FOLDER}/setup.sh; done"],
        ],
    }  # fmt: skip
    # cloud-init acts once for each instance; the same card written again is a new one only if something changed.
    instance = hashlib.sha256(json.dumps(data).encode()).hexdigest()[:16]
    return {
        "user-data": "#cloud-config\n" + json.dumps(data, indent=1) + "\n",
        "meta-data": json.dumps({"instance-id": f"edgetl-{instance}", "local-hostname": login.hostname}) + "\n",
        "network-config": json.dumps(_network(login), indent=1) + "\n",
    }


def _network(login: Login) -> dict[str, object]:
    network: dict[str, object] = {"version": 2, "ethernets": {"eth0": {"dhcp4": True, "optional": True}}}
    if login.wifi:
        name, passphrase, country = login.wifi
        network["wifis"] = {
            "wlan0": {"dhcp4": True, "optional": True, "regulatory-domain": country,
                      "access-points": {name: {"password": passphrase}}}
        }  # fmt: skip
    return network


def firstrun(login: Login, boot: str, where: Places) -> dict[str, str]:
    """firstrun.sh, which Raspberry Pi OS up to bookworm starts once by a flag of its kernel's command line.

    It runs before the network and the login are up, so it only leaves a service that sets the device up at the next boot.
    """
    keys = shlex.quote("\n".join(login.keys) + "\n")
    user, host = shlex.quote(login.user), shlex.quote(login.hostname)
    script = f"""#!/bin/bash
# Written by `edgetl device image`.
set +e
old=$(cat /etc/hostname); echo {host} > /etc/hostname
sed -i "s/127.0.1.1.*$old/127.0.1.1\\t"{host}/ /etc/hosts
if [ -x /usr/lib/userconf-pi/userconf ]; then /usr/lib/userconf-pi/userconf {user} '*'
elif ! id {user} >/dev/null 2>&1; then useradd -m -s /bin/bash -G users,adm,video {user}; fi
home=$(getent passwd {user} | cut -d: -f6)
install -d -o {user} -g {user} -m 700 "$home/.ssh"
printf %s {keys} > "$home/.ssh/authorized_keys"
chown {user}:{user} "$home/.ssh/authorized_keys"; chmod 600 "$home/.ssh/authorized_keys"
echo {user}' ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/010_edgetl_login; chmod 440 /etc/sudoers.d/010_edgetl_login
systemctl enable ssh
{_wifi_script(login)}cat > /etc/systemd/system/edgetl-first-boot.service <<'END'
[Unit]
Description=Sets edgetl up at the first boot
After=local-fs.target
ConditionPathExists=!{where.root}/.set-up
[Service]
Type=oneshot
ExecStart=/bin/sh {boot}/{FOLDER}/setup.sh
[Install]
WantedBy=multi-user.target
END
systemctl enable edgetl-first-boot.service
rm -f {boot}/firstrun.sh
sed -i 's| systemd\\.[^ ]*||g' {boot}/cmdline.txt
exit 0
"""
    return {"firstrun.sh": script, "ssh": ""}


def _wifi_script(login: Login) -> str:
    if not login.wifi:
        return ""
    name, passphrase, country = map(shlex.quote, login.wifi)
    return (
        f"raspi-config nonint do_wifi_country {country}\n"
        f"raspi-config nonint do_wifi_ssid_passphrase {name} {passphrase}\n"
    )


def command_line(text: str, boot: str) -> str:
    """cmdline.txt with the flags that start firstrun.sh, once however often it is written."""
    flags = [flag for flag in text.split() if not flag.startswith("systemd.")]
    return " ".join([*flags, _KERNEL_FLAGS.format(boot=boot)]) + "\n"


def detected_style(names: set[str]) -> Style:
    """What the system on a card reads, by the files on its boot partition: images with cloud-init bring a meta-data."""
    return "cloud-init" if {"meta-data", "user-data"} & names else "firstrun"


def is_boot_partition(names: set[str]) -> bool:
    """Whether these are the files of a Raspberry Pi's boot partition."""
    return {"cmdline.txt", "config.txt"} <= {PurePosixPath(name).name for name in names}
