"""What announces a part: pins, messages and requests from outside, and the gate that the line's file asks for."""

from edgetl.runtime.triggers.base import Inbox, Trigger
from edgetl.runtime.triggers.registry import open_gate

__all__ = ["Inbox", "Trigger", "open_gate"]
