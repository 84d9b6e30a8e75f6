"""`edgetl slot`: what the workstation calls on the device. Each command answers with one JSON line and is idempotent."""

from edgetl.runtime.flashing.commands.slot import slot

__all__ = ["slot"]
