"""Reads a GStreamer pipeline as a line does, under a Python whose OpenCV has GStreamer: `gst_program.py ADDRESS FRAMES WIDTH`.

Prints one line of JSON: the shape and the mean colour of the last picture, the faults on the way, and what is told of the camera.
"""

import json
import sys

from edgetl.errors import EdgetlError
from edgetl.runtime.capture.camera import Camera
from edgetl.runtime.capture.config import CameraConfig

try:
    camera = Camera(sys.argv[1], CameraConfig(width=int(sys.argv[3]), open_timeout_s=20, required_at_start=True))
except EdgetlError as error:
    print(json.dumps({"error": str(error)}))
    sys.exit()
faults, last, times = [], None, []
while len(times) + len(faults) < int(sys.argv[2]):
    frame = camera.read()
    if frame.image is None:
        faults.append(frame.fault)
    else:
        last = list(frame.image.shape), [float(v) for v in frame.image.reshape(-1, 3).mean(axis=0)]
        times.append(frame.arrived_s)
print(
    json.dumps({"last": last, "faults": faults, "rising": times == sorted(set(times)), "told": camera.health().detail})
)
camera.close()
