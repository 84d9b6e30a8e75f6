"""Whether a frame may be judged at all: fresh, moving, whole, of the right size, and as well lit and sharp as training's."""

from edgetl.runtime.trust.frames import Trust
from edgetl.runtime.trust.settings import TrustSettings

__all__ = ["Trust", "TrustSettings"]
