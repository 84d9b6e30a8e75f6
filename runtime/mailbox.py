"""Hands items from one thread to the next: keeps all of them for a file, the newest ones for a camera."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """A bounded queue between two threads.

    With `keep_all` a full queue makes `put` wait (a file can wait). Otherwise `put` never waits: it drops the oldest
    item that `precious` does not protect, or the oldest of all, and hands it to the caller to be counted, so that
    what is judged is what is in front of the camera now.
    """

    def __init__(self, capacity: int, *, keep_all: bool, precious: Callable[[T], bool] = lambda _: False) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._keep_all = keep_all
        self._precious = precious
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None

    def put(self, item: T) -> T | None:
        """Adds an item; returns the one that had to go, if any. After `close` the item itself is returned."""
        with self._changed:
            while self._keep_all and len(self._items) >= self._capacity and not self._closed:
                self._changed.wait()
            if self._closed:
                return item
            dropped = self._make_room()
            self._items.append(item)
            self._changed.notify_all()
            return dropped

    def _make_room(self) -> T | None:
        if len(self._items) < self._capacity:
            return None
        for position, item in enumerate(self._items):
            if not self._precious(item):
                del self._items[position]
                return item
        return self._items.popleft()

    def get(self) -> T | None:
        """The next item; None once closed and empty. Raises what `close` was given, after the items before it."""
        with self._changed:
            while not self._items and not self._closed:
                self._changed.wait()
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            if self._error is not None:
                raise self._error
            return None

    def close(self, error: BaseException | None = None) -> None:
        """No more items will come; `error` says why, if not because of a proper end."""
        with self._changed:
            self._closed = True
            self._error = self._error or error
            self._changed.notify_all()
