"""The ids in addresses; and a place in a queue."""

from __future__ import annotations

import threading
from typing import Annotated

from fastapi import Path

from xreid.serving.problems import Refusal

Id = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="16 hexadecimal digits")]
TrackletId = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[0-9a-f]+$")]


class Busy:
    """Lets one thread at a time do a thing, and refuses where too many wait.

    Args:
        what: The thing, for the message.
        waiting: How many may wait.
    """

    def __init__(self, what: str, *, waiting: int) -> None:
        self._what, self._lock, self._places = what, threading.Lock(), threading.Semaphore(waiting)

    def __enter__(self) -> None:
        if not self._places.acquire(blocking=False):
            raise Refusal(503, f"too many are waiting for {self._what}", headers={"retry-after": "5"})
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        self._places.release()
