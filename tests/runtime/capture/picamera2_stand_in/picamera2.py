"""A Raspberry Pi camera to test with where there is none: the part of Picamera2's interface that edgetl uses.

One sensor that looks at an orange wall. It behaves as the real one is documented to: `RGB888` lies in memory as B, G, R and
`BGR888` as R, G, B; sizes are rounded to what the hardware can; a control that is not offered is refused; exposure is counted
in rows, and a new one is in the pictures after three frames; times are those of CLOCK_BOOTTIME; and who does not give requests
back gets no more of them.
"""

import time

import numpy as np

WALL_RGB = (200, 120, 40)  # at an exposure of 10 ms and a gain of 1
_ROW_US = 29
_BUFFERS = 4


class Picamera2:
    """Camera 0; there is no other."""

    def __init__(self, camera_num=0):
        if camera_num != 0:
            raise IndexError("list index out of range")
        self.camera_controls = {
            "AeEnable": (False, True, None),
            "AwbEnable": (False, True, None),
            "ExposureTime": (29, 200_000, 10_000),
            "AnalogueGain": (1.0, 16.0, 1.0),
            "ColourTemperature": (2500, 8000, 4600),
            "FrameRate": (1.0, 60.0, 30.0),
        }
        self._wanted, self._frames, self._held = {}, 0, 0
        self._configuration = None
        self._running = False

    def create_video_configuration(self, main, controls):
        """A configuration as asked."""
        return {"main": dict(main), "controls": dict(controls)}

    def configure(self, configuration):
        """Takes a configuration over, with the sizes that the hardware can."""
        for name in configuration["controls"]:
            if name not in self.camera_controls:
                raise RuntimeError(f"Control {name} is not advertised by libcamera")
        width, height = configuration["main"]["size"]
        configuration["main"]["size"] = (width // 32 * 32, height // 2 * 2)
        self._configuration, self._wanted = configuration, configuration["controls"]

    def camera_configuration(self):
        """What is set."""
        return self._configuration

    def start(self):
        """Frames come from now on."""
        self._running = True

    def capture_metadata(self):
        """What the next frame says of itself."""
        request = self.capture_request()
        metadata = request.get_metadata()
        request.release()
        return metadata

    def capture_request(self):
        """The next frame, which is lent."""
        if not self._running:
            raise RuntimeError("Camera must be started before capturing")
        if self._held >= _BUFFERS:
            raise RuntimeError("no buffer is left: requests were not released")
        time.sleep(1 / self._now("FrameRate", 30.0))
        self._frames += 1
        self._held += 1
        return _Request(self)

    def _now(self, name, default):
        """A control's value in the frame at hand, within its range."""
        value = self._wanted.get(name, default) if self._frames > 3 or name == "FrameRate" else default
        least, most, _ = self.camera_controls[name]
        return min(max(value, least), most)

    def stop(self):
        """No more frames."""
        self._running = False

    def close(self):
        """Gives the camera back."""


class _Request:
    """A frame with what is known of it."""

    def __init__(self, camera):
        self._camera = camera
        self._metadata = {
            "SensorTimestamp": int((time.clock_gettime(time.CLOCK_BOOTTIME) - 0.02) * 1e9),
            "ExposureTime": camera._now("ExposureTime", 10_000) // _ROW_US * _ROW_US,
            "AnalogueGain": camera._now("AnalogueGain", 1.0),
            "ColourTemperature": camera._now("ColourTemperature", 4600),
            "FrameDuration": int(1e6 / camera._now("FrameRate", 30.0)),
        }

    def get_metadata(self):
        """The frame's own facts."""
        return self._metadata

    def release(self):
        """Gives the buffer back."""
        self._camera._held -= 1

    def _array(self):
        main = self._camera._configuration["main"]
        width, height = main["size"]
        light = self._metadata["ExposureTime"] * self._metadata["AnalogueGain"] / 10_000
        channels = np.clip(np.array(WALL_RGB) * light, 0, 255)
        order = {"RGB888": [2, 1, 0], "BGR888": [0, 1, 2]}[main["format"]]
        return np.broadcast_to(channels[order].astype(np.uint8), (height, width, 3))


class MappedArray:
    """A request's picture, while it is mapped."""

    def __init__(self, request, stream):
        if stream != "main":
            raise KeyError(stream)
        self._request = request

    def __enter__(self):
        self.array = self._request._array()
        return self

    def __exit__(self, *_):
        del self.array
