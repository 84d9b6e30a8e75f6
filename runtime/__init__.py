"""Everything that runs on a device: the preprocessing contract, bundles, interpreters, sources, the loop, verdicts.

Imports numpy, OpenCV, one interpreter, click and msgspec; never torch, TensorFlow or matplotlib.
"""

import os

# OpenCV reads these once, at import. The pixel limit keeps a 121 KB PNG of 32,000 × 32,000 from taking 5.9 GB;
# the V4L2 timeout keeps a frozen camera from blocking a read for 10 s.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(100_000_000))
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "2")
# What OpenCV and FFmpeg would add on stderr is said by our own one line, with what to do.
os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
