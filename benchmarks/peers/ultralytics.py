"""Ultralytics' YOLOv8n classifier, a net of about the size of a MobileNetV2 (1.4 and 2.2 million weights)."""

from __future__ import annotations

from pathlib import Path

from edgetl.benchmarks.commands_of import Cost
from edgetl.benchmarks.peers.environments import run
from edgetl.errors import EdgetlError

NET = "yolov8n-cls.yaml"  # its weights lie on a hub; from this file it begins from nothing
_EXPORT = """
import sys
from pathlib import Path
from ultralytics import YOLO
from ultralytics.nn.tasks import ClassificationModel
data, net, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
classes = len([folder for folder in (data / "train").iterdir() if folder.is_dir()])
model = YOLO(net)
made = ClassificationModel(net, nc=classes, verbose=False)  # the file says 1000
made.args, made.task = model.model.args, model.model.task
model.model = made
model.export(format="tflite", int8=True, imgsz=size, data=str(data))
"""


def exported(python: Path, data: Path, size: int, folder: Path) -> tuple[Path, Cost]:
    """Ultralytics' own int8 TFLite of an untrained net for the classes of DATA/{train,val}/<class>, and what making it cost.
    Raises EdgetlError."""
    _, cost = run(python, _EXPORT, data.resolve(), NET, size, folder=folder, name="ultralytics")
    found = sorted(folder.rglob("*int8*.tflite"))
    if not found:
        raise EdgetlError("ultralytics exported no int8 TFLite file")
    return found[0], cost
