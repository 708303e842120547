"""Names that the server gives to what it stores; nothing that a client sends ever becomes part of a path."""

from __future__ import annotations

import re
import secrets
import threading
from typing import Annotated

from fastapi import Path

from xreid.serving.problems import Refusal

_ID = re.compile(r"[0-9a-f]{16}")
Id = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="16 hexadecimal digits")]
TrackletId = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[0-9a-f]+$")]


def new_id() -> str:
    """64 random bits, as 16 hexadecimal digits."""
    return secrets.token_hex(8)


def checked(name: str, *, what: str) -> str:
    """The name, where it is one that we may have given.

    Raises:
        Refusal: 404: it is not.
    """
    if not _ID.fullmatch(name):
        raise Refusal(404, f"there is no {what} {name[:40]!r}")
    return name


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
