"""The systemd unit of the service that inspects."""

from __future__ import annotations

from edgetl.flasher.provision import places
from edgetl.flasher.provision.places import Places
from edgetl.runtime.device_config import DeviceConfig

# Cameras, pins, serial lines, and USB devices for cameras with a driver of their own in user space. A Jetson's GPU has
# a dozen nodes more, whose names change with its system, so there all of /dev stays open to the groups that own it.
_DEVICES = ("char-video4linux", "char-gpiochip", "char-ttyUSB", "char-ttyACM", "char-usb_device")

_UNIT = """\
# Written by `edgetl device init`, which writes it again; put changes into {service}.d/*.conf.
[Unit]
Description=Inspection of parts by edgetl
Wants=network.target
After=network.target systemd-tmpfiles-setup.service
RequiresMountsFor={root} {home}
# edgetl goes back to the other slot by itself when a release crashes; this is for what it cannot mend.
StartLimitIntervalSec=600
StartLimitBurst=20

[Service]
Type=notify
SyslogIdentifier=edgetl
User={user}
Group={user}
ExecStart={python} -m edgetl {arguments}
ExecReload=/bin/kill -HUP $MAINPID
# However it ended, in the middle of a pulse too, and if it is not started again: the pusher is left in its safe state.
ExecStopPost=-{python} -m edgetl outputs safe --config {line}
Restart=always
RestartSec=2
# Fed by frames that became verdicts, so a line that hangs is started anew.
WatchdogSec=30
# A model is loaded and timed before the first verdict.
TimeoutStartSec=180
TimeoutStopSec=10
{memory}OOMPolicy=stop
UMask=0027
Environment=PYTHONUNBUFFERED=1 XDG_CACHE_HOME=/var/cache/edgetl HOME={root}
WorkingDirectory={root}

ReadWritePaths={root}
CacheDirectory=edgetl
RuntimeDirectory=edgetl
RuntimeDirectoryPreserve=yes

CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ProtectProc=invisible
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
{devices}
[Install]
WantedBy=multi-user.target
"""


def service_unit(config: DeviceConfig, arguments: str) -> str:
    """The unit's text; `arguments` are those of edgetl, for the service to run."""
    memory = config.budget.memory_mb
    where = Places.of(config.paths)
    return _UNIT.format(
        service=places.SERVICE, user=places.USER, python=where.python, root=where.root, home=where.home, line=where.line_file, arguments=arguments,
        memory=f"MemoryMax={memory}M\n" if memory else "", devices=_devices(config),
    )  # fmt: skip


def _devices(config: DeviceConfig) -> str:
    if (config.model or "").startswith("NVIDIA"):
        return ""
    # ProtectClock, if it stood alone, would close /dev to all but clocks it names; the list says what stays open.
    return "".join(["DevicePolicy=closed\n", *(f"DeviceAllow={name} rw\n" for name in _DEVICES)])
