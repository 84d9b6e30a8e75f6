"""Where edgetl lies on a device, for the scripts that put it there."""

from __future__ import annotations

from edgetl.runtime.device_config import Paths

USER = "edgetl"
COMMAND = "/usr/local/bin/edgetl"
SERVICE = "edgetl.service"
UNIT = f"/etc/systemd/system/{SERVICE}"
SUDOERS = "/etc/sudoers.d/edgetl"
TMPFILES = "/etc/tmpfiles.d/edgetl.conf"
# Groups that may open cameras, pins and serial lines, by the systems that have them; a group that is not there is
# passed over.
GROUPS = ("video", "gpio", "dialout")


class Places(Paths, frozen=True, forbid_unknown_fields=True):
    """What lies below the two folders that a device's settings name."""

    @classmethod
    def of(cls, paths: Paths) -> Places:
        """Those of a device's settings."""
        return cls(root=paths.root, home=paths.home)

    @property
    def environment(self) -> str:
        """A link to the environment in use, so that a new one takes its place in one step."""
        return f"{self.home}/venv"

    @property
    def wheels(self) -> str:
        """Where packages arrive."""
        return f"{self.home}/wheels"

    @property
    def python(self) -> str:
        """The environment's."""
        return f"{self.environment}/bin/python"

    @property
    def program(self) -> str:
        """edgetl in that environment."""
        return f"{self.environment}/bin/edgetl"

    @property
    def config_file(self) -> str:
        """The settings of the board."""
        return f"{self.root}/config.yaml"

    @property
    def line_file(self) -> str:
        """The settings of the line."""
        return f"{self.root}/line.yaml"
