"""One update from a batch that may not fit into the accelerator's memory at once."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch

from edgetl.errors import TrainingError

_WHOLE = (
    "a batch does not fit into the device's memory, and cannot be halved where several processes learn its statistics "
    "together; choose a smaller --batch, or --statistics keep"
)

_log = logging.getLogger("edgetl.train")


def accumulate(
    gradient: Callable[[slice], tuple[float, int]],
    pictures: int,
    micro_batch: int,
    start_over: Callable[[], object],
    *,
    whole: bool = False,
) -> tuple[float, int, int]:
    """Adds up the gradients of a batch's parts; its loss, its hits, and the size of part that fits.

    `gradient` adds the gradient of some of the batch's rows and gives their share of loss and hits. Where the memory does
    not suffice, what was added is forgotten (`start_over`), and the parts are halved from then on; the sum is the same.
    With `whole` they may not be, since other processes work on theirs at the same time. Raises TrainingError.
    """
    while True:
        try:
            parts = [gradient(slice(at, at + micro_batch)) for at in range(0, pictures, micro_batch)]
        except torch.OutOfMemoryError as error:
            if whole:
                raise TrainingError(_WHOLE) from error
            require_several(min(micro_batch, pictures), error)
            start_over()
        else:
            return sum(loss for loss, _ in parts), sum(hits for _, hits in parts), micro_batch
        micro_batch = halved(min(micro_batch, pictures))


def require_several(pictures: int, error: torch.OutOfMemoryError) -> None:
    """Raises TrainingError where what did not fit was one picture."""
    if pictures <= 1:
        raise TrainingError("not even one picture fits into the device's memory; choose a smaller --imgsz") from error


def halved(pictures: int) -> int:
    """Half of a batch that did not fit, said once. To be called when the error is over: it holds the tensors of what
    failed, which are freed here."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    half = max(1, pictures // 2)
    _log.warning("out of memory on the device: batches are worked on %d pictures at a time from now on", half)
    return half
