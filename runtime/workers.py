"""Worker processes that leave Ctrl-C to the process that started them.

A terminal sends it to all of them. A worker that is only being started then ends with a traceback of whatever it was importing, in
front of a user who has stopped the work on purpose; the process that started it says what there is to say, and ends its workers.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context


@contextmanager
def workers(count: int, initializer: Callable[[], None] | None = None) -> Iterator[ProcessPoolExecutor]:
    """So many processes, each with its `initializer` run; tasks that have not begun are dropped where the block is left early."""
    context = get_context("spawn")  # a fork of a process with threads may hang
    with _ignoring_ctrl_c():
        executor = ProcessPoolExecutor(count, context, initializer=initializer)
        for _ in range(count):  # each task starts another while none is idle, which takes some milliseconds
            executor.submit(int)
    with executor:
        try:
            yield executor
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def _ignoring_ctrl_c() -> Iterator[None]:
    """For the few milliseconds in which processes are started: what is ignored then stays ignored in them."""
    if threading.current_thread() is not threading.main_thread():  # only that one may say what becomes of signals
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
