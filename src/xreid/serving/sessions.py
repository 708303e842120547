"""Sessions of browsers: a random name in a cookie that scripts cannot read, and a secret that they must send.

They live in memory: a restart of the server ends them all.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

COOKIE = "xreid_session"
CSRF_HEADER = "x-csrf-token"
_MOST_SESSIONS = 1000


@dataclass(kw_only=True)
class Session:
    """One browser that has shown a token.

    Attributes:
        token_sha256: Of the token; asked of the token file at each request, so that a revoked one ends it.
        csrf: What a page must send in a header with each change.
        seen: Monotonic seconds of the last request.
    """

    token_sha256: str
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    seen: float


class Sessions:
    """The open sessions.

    Args:
        idle_s: Seconds without a request that end one.
        clock: Monotonic seconds.
    """

    def __init__(self, *, idle_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._idle_s, self._clock = idle_s, clock
        self._open: dict[str, Session] = {}
        self._lock = threading.Lock()

    def start(self, token_sha256: str) -> tuple[str, Session]:
        """A new session, and the name for its cookie."""
        name, session = secrets.token_urlsafe(32), Session(token_sha256=token_sha256, seen=self._clock())
        with self._lock:
            self._drop_old()
            while len(self._open) >= _MOST_SESSIONS:
                del self._open[min(self._open, key=lambda key: self._open[key].seen)]
            self._open[name] = session
        return name, session

    def get(self, name: str | None) -> Session | None:
        """The session of a cookie, kept alive by this; None where there is none any more."""
        with self._lock:
            self._drop_old()
            session = self._open.get(name or "")
            if session is not None:
                session.seen = self._clock()
            return session

    def end(self, name: str | None) -> None:
        """Forget a session."""
        with self._lock:
            self._open.pop(name or "", None)

    def _drop_old(self) -> None:
        before = self._clock() - self._idle_s
        for name in [name for name, session in self._open.items() if session.seen < before]:
            del self._open[name]


class Attempts:
    """Failed attempts to sign in, by address, so that guessing is slow as well as hopeless.

    Args:
        most: Attempts within the window.
        window_s: Seconds.
        clock: Monotonic seconds.
    """

    def __init__(
        self, *, most: int = 10, window_s: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._window_s, self._clock = most, window_s, clock
        self._failed: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def wait_s(self, address: str) -> float:
        """Seconds until this address may try again; 0 where it may now."""
        with self._lock:
            times = self._recent(address)
            return 0.0 if len(times) < self._most else times[0] + self._window_s - self._clock()

    def failed(self, address: str) -> None:
        """Note a failed attempt."""
        with self._lock:
            if len(self._failed) > 10_000:
                self._failed.clear()  # an attacker with that many addresses gains nothing against 256 bits
            times = self._recent(address)
            times.append(self._clock())
            self._failed[address] = times

    def _recent(self, address: str) -> deque[float]:
        times = self._failed.get(address, deque())
        while times and times[0] <= self._clock() - self._window_s:
            times.popleft()
        return times
