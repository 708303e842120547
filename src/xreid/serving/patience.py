"""A protocol for uvicorn that does not wait for ever: clients that are slow on purpose are shown the door.

uvicorn has a time limit between two requests of a connection, and none within one: a client that sends its
request a byte a minute, or never reads its answer, holds a connection as long as it likes.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol


def patient_protocol(*, header_seconds: float, idle_seconds: float) -> type[H11Protocol]:
    """H11Protocol with two limits.

    Args:
        header_seconds: From a request's first byte (or the connection's start) until its head is there.
        idle_seconds: Longest time that a client reads nothing of an answer that waits for it.
    """

    class PatientProtocol(H11Protocol):
        """See `patient_protocol`."""

        _head: asyncio.TimerHandle | None = None
        _unread: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._head = self.loop.call_later(header_seconds, self._give_up)

        def data_received(self, data: bytes) -> None:
            if self._head is None and (self.cycle is None or self.cycle.response_complete):
                self._head = self.loop.call_later(header_seconds, self._give_up)
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._stop_waiting()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._unread = self.loop.call_later(idle_seconds, self._give_up)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._stop_unread()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            self._stop_unread()
            super().connection_lost(exc)

        def _stop_waiting(self) -> None:
            if self._head is not None:
                self._head.cancel()
                self._head = None

        def _stop_unread(self) -> None:
            if self._unread is not None:
                self._unread.cancel()
                self._unread = None

        def _give_up(self) -> None:
            self.transport.abort()  # `close` would wait until what is unsent has been read

    return PatientProtocol
