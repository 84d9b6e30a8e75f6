"""Hands items from one thread to the next: keeps all of them for a file, the newest ones for a camera."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


def _nothing(_: object) -> None:
    return None


class Mailbox(Generic[T]):
    """A bounded queue between two threads.

    With `keep_all` a full queue makes `put` wait (a file can wait). Otherwise `put` never waits: an older item has to
    go, and is handed to the caller to be counted, so that what is judged is what is in front of the camera now.
    `remains` says what must be left of an item in its place: None for nothing, and then it goes first; or a light
    note, which takes no room, so that whatever the item announced is still heard of, and in order.
    """

    def __init__(self, capacity: int, *, keep_all: bool, remains: Callable[[T], T | None] = _nothing) -> None:
        self._items: deque[tuple[T, bool]] = deque()  # with whether it takes room
        self._capacity = capacity
        self._keep_all = keep_all
        self._remains = remains
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None

    def put(self, item: T) -> T | None:
        """Adds an item; returns the one that had to go, if any. After `close` the item itself is returned."""
        with self._changed:
            while self._keep_all and self._is_full() and not self._closed:
                self._changed.wait()
            if self._closed:
                return item
            dropped = self._make_room() if self._is_full() else None
            self._items.append((item, True))
            self._changed.notify_all()
            return dropped

    def _is_full(self) -> bool:
        return sum(heavy for _, heavy in self._items) >= self._capacity

    def _make_room(self) -> T:
        """Drops the oldest item of which nothing must remain, or makes a note of the oldest that takes room."""
        heavy = [position for position, (_, takes_room) in enumerate(self._items) if takes_room]
        notes = {position: self._remains(self._items[position][0]) for position in heavy}
        position = next((p for p in heavy if notes[p] is None), heavy[0])
        dropped, note = self._items[position][0], notes[position]
        if note is None:
            del self._items[position]
        else:
            self._items[position] = (note, False)
        return dropped

    def get(self) -> T | None:
        """The next item; None once closed and empty. Raises what `close` was given, after the items before it."""
        with self._changed:
            while not self._items and not self._closed:
                self._changed.wait()
            if self._items:
                item, _ = self._items.popleft()
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
