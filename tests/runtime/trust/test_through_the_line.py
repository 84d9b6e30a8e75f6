"""Pictures that say nothing of the part get no class, through a real camera's process and the whole loop."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from edgetl.runtime.capture.camera import Camera
from edgetl.runtime.capture.config import CameraConfig
from edgetl.runtime.inspector import Inspector
from edgetl.runtime.line import Line
from edgetl.runtime.preprocess import Image
from edgetl.runtime.sim import Conveyor, ConveyorSettings
from edgetl.runtime.sources import Frame
from edgetl.runtime.trust import Trust, TrustSettings
from edgetl.runtime.verdict import Verdict
from tests.runtime import pictures as pic
from tests.runtime import tiny
from tests.runtime.line_rig import Kept, ListSource, SlowInterpreter
from tests.runtime.servers import parts_server
from tests.runtime.trust.test_quality import reference_of

STILL = "the picture has stood still"


class UntilItMovesAgain(Kept):
    """Ends the line some verdicts after the last one about a picture that stood still."""

    line: Line

    def show(self, frame: Frame, verdict: Verdict | None) -> None:
        super().show(frame, verdict)
        still = [STILL in str(v.reason) for v in self.verdicts]
        if any(still) and not any(still[-10:]):
            self.line.stop()


@pytest.mark.fault("C6")
def test_camera_that_repeats_one_jpeg_is_unknown_until_it_sends_another() -> None:
    """Fifty a second: some pictures, the same one for two seconds, and pictures again, for ever."""
    moving = [pic.jpeg(pic.noise(64, 48, seed)) for seed in range(20)]

    def sent() -> Iterator[bytes]:
        yield from moving
        yield from moving[:1] * 100
        while True:
            yield from moving

    kept = UntilItMovesAgain()
    with parts_server(sent, pause_s=0.02) as port:
        camera = Camera(f"http://127.0.0.1:{port}/", CameraConfig(open_timeout_s=5, frame_timeout_s=5))
        trust = Trust(TrustSettings(quality=False), None, camera)
        inspector = Inspector(SlowInterpreter(), tiny.HOW, tiny.RULE)
        kept.line = Line(camera, inspector, [kept], trust=trust.frame, quality=trust.inputs)
        kept.line.run()
    still = [STILL in str(v.reason) for v in kept.verdicts]
    first, last = still.index(True), len(still) - still[::-1].index(True)
    assert first > 0 and all(still[first:last]) and last < len(still)
    assert all((v.verdict, v.label) == ("UNKNOWN", None) for v in kept.verdicts[first:last])
    assert all(v.label in tiny.LABELS for v in (*kept.verdicts[:first], *kept.verdicts[last:]))


def drawn() -> list[Image]:
    frames = Conveyor(ConveyorSettings(seed=3, parts=12)).frames()
    return [frame.image for frame in frames if frame.part is not None]


def as_input(image: Image) -> Image:
    return np.ascontiguousarray(cv2.resize(image, (96, 96), interpolation=cv2.INTER_AREA)[:, :, ::-1])


def exposed(image: Image, factor: float) -> Image:
    return np.clip(image * float(factor), 0, 255).astype(np.uint8)


@pytest.mark.fault("I5")
@pytest.mark.parametrize("factor", [0.0, 0.1, 20.0, 1e9])
def test_badly_exposed_part_gets_no_class_and_those_around_it_do(factor: float) -> None:
    images = drawn()
    given = [exposed(image, factor if n % 3 == 1 else 1.0) for n, image in enumerate(images)]
    source = ListSource([Frame(n, "x", image, 0.0, 0.0) for n, image in enumerate(given)])
    trust = Trust(TrustSettings(), reference_of([as_input(image) for image in images]), source)
    kept, inspector = Kept(), Inspector(SlowInterpreter(), tiny.HOW, tiny.RULE)
    Line(source, inspector, [kept], trust=trust.frame, quality=trust.inputs).run()
    assert len(kept.verdicts) == len(given)
    for n, verdict in enumerate(kept.verdicts):
        assert (verdict.label is None) == (n % 3 == 1)
        if n % 3 == 1:
            assert verdict.verdict == "UNKNOWN" and str(verdict.reason).startswith("image quality: ")


@pytest.mark.fault("I5")
def test_test_picture_of_a_camera_without_its_sensor_is_unknown_once_it_has_stood_still() -> None:
    """Colour bars are sharp, bright and full of contrast; but no sensor gives the same numbers twice."""
    colours = [(192, 192, 192), (0, 192, 192), (192, 192, 0), (0, 192, 0), (192, 0, 192), (0, 0, 192), (192, 0, 0)]
    bars = np.repeat(np.array(colours, np.uint8)[None], 96, axis=0).repeat(20, axis=1)
    source = ListSource([Frame(n, "x", bars, n / 10, n / 10) for n in range(30)], live=False)
    source.live, source.still_limit_s = True, 1.0  # type: ignore[attr-defined]
    trust = Trust(TrustSettings(max_age_s=3600), None, source, clock=lambda: 3.0)
    source.live = False  # nothing of this list is dropped
    kept, inspector = Kept(), Inspector(SlowInterpreter(), tiny.HOW, tiny.RULE)
    Line(source, inspector, [kept], trust=trust.frame, quality=trust.inputs).run()
    assert len(kept.verdicts) == 30
    assert all((v.verdict, v.label) == ("UNKNOWN", None) and STILL in str(v.reason) for v in kept.verdicts[10:])
