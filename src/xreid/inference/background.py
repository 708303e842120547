"""Run an iterator ahead of its consumer, in a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")
_POLL_SECONDS = 0.1


def ahead(items: Iterator[T], *, depth: int) -> Generator[T, None, None]:
    """The items in order, up to `depth` of them prepared in advance.

    Loading (decoding, tensor arithmetic) lets go of Python's lock, so that it overlaps with the model.
    An exception of the iterator is raised here; closing this generator ends the thread.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(entry: tuple[T | None, BaseException | None]) -> None:
        while not stop.is_set():
            with suppress(queue.Full):
                ready.put(entry, timeout=_POLL_SECONDS)
                return

    def work() -> None:
        failure: BaseException | None = None
        try:
            for item in items:
                put((item, None))
                if stop.is_set():
                    break
            if isinstance(items, Generator):
                items.close()  # a loader's processes end with it
        except BaseException as error:  # noqa: BLE001 - handed to the consumer, whatever it is
            failure = error
        put((None, failure or _Done()))

    thread = threading.Thread(target=work, name="xreid-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, failure = ready.get()
            if isinstance(failure, _Done):
                return
            if failure is not None:
                raise failure
            assert item is not None
            yield item
    finally:
        stop.set()
        thread.join()


class _Done(Exception):  # noqa: N818 - no error: the end of the iterator
    """The iterator has ended."""
