"""A simulated production line: drawn machined parts under a camera, with ground truth."""

from .conveyor import Conveyor, ConveyorSettings, SimFrame
from .dataset import write_dataset
from .outages import Outages
from .part import LABELS
from .scene import draw_picture

__all__ = ["LABELS", "Conveyor", "ConveyorSettings", "Outages", "SimFrame", "draw_picture", "write_dataset"]
