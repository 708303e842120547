"""The audit log: who asked for whom, when, with which filters, and how many were found.

One JSON object a line, appended and synced before the answer leaves. A server and any number of command
lines may write one log: each appends behind what is there by then, under a lock that is held for the line
alone. A server says in the folder of a gallery's answers where its log lies:

    GALLERY/answers/audit.json       {"log": path, relative to this folder}

Each line carries the hash of the one
before it and its own, so that a changed, removed or inserted line shows. Lines cut off at the end do not
show in the file itself: keep the head (count and hash, `GET /api/v1/audit`) where the server cannot write.

Where the file was moved away, as logrotate does, whoever writes goes on in a new one under the old name. Its
chain begins anew, with a line "continued" that holds count and hash of the end of the one before.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from xreid.core.errors import DataError, XReidError
from xreid.core.files import read_json, sha256_of_value, write_json
from xreid.retrieval.typed import record

START = "0" * 64
ENVIRONMENT = "XREID_AUDIT"
_warnings = logging.getLogger(__name__)
_POINTER = "audit.json"
_TAIL, _PATIENCE_S = 1 << 16, 30.0
_REMEDY = (
    "Start `xreid serve` on this gallery, which says anew where its log is; name one in the variable "
    "XREID_AUDIT; or, where this is a copy that nobody audits, delete audit.json in its answers."
)


@dataclass(frozen=True, kw_only=True)
class Head:
    """The end of a log.

    Attributes:
        count: Its lines.
        hash: Of the last line; 64 zeros for an empty log.
    """

    count: int = 0
    hash: str = START


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a check of a log found.

    Attributes:
        head: Its end, as far as it holds.
        broken_at: Number of the first line that does not hold, from 1; None where all do.
        why: What is wrong there.
    """

    head: Head
    broken_at: int | None = None
    why: str = ""


class AuditLog:
    """A log that is only ever appended to, by any number of processes.

    Args:
        path: The file; made where missing.

    Raises:
        DataError: Its end does not hold.
        XReidError: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock, self._closed = threading.RLock(), False
        self._head, self._size = Head(), 0
        self._file = self._opened(make=True)
        with self._alone():
            pass

    @property
    def head(self) -> Head:
        """Its end as it is now; after `close` as it was then."""
        if self._closed:
            return self._head
        with self._alone():
            return self._head

    def write(self, who: str, what: str, details: Mapping[str, Any]) -> Head:
        """Append one line and sync it.

        Raises:
            XReidError: It could not be written; then what it tells of must not happen.
        """
        with self._alone():
            return self._append(who, what, details)

    def _append(self, who: str, what: str, details: Mapping[str, Any]) -> Head:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        entry = {"n": self._head.count + 1, "at": at, "who": who, "what": what, **details}
        entry["prev"] = self._head.hash
        entry["hash"] = sha256_of_value(entry)
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        try:
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())
        except OSError as error:
            os.ftruncate(self._file.fileno(), self._size)
            raise XReidError(
                f"cannot write the audit log {self.path}: {error.strerror}",
                todo="Free some space; until then nothing is searched.",
            ) from error
        self._head, self._size = Head(count=entry["n"], hash=entry["hash"]), self._size + len(line)
        return self._head

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else writes within, and the end is known, whoever has written meanwhile."""
        with self._lock:
            self._wait()
            try:
                while self._was_moved():
                    self._follow()
                if os.fstat(self._file.fileno()).st_size != self._size:
                    self._look_again()
                yield
            finally:
                with suppress(OSError):
                    fcntl.flock(self._file.fileno(), fcntl.LOCK_UN)

    def _opened(self, *, make: bool = False) -> IO[bytes]:
        """The file, made where missing, and its folder where we may `make` that."""
        try:
            if make:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: what a full disk refuses must not come with the next line.
            return open(self.path, "a+b", buffering=0, opener=_for_us_alone)
        except OSError as error:
            raise XReidError(
                f"cannot write the audit log {self.path}: {error.strerror}",
                todo="What is not written down is not done: ask who keeps the log, or search on the page.",
            ) from error

    def _was_moved(self) -> bool:
        """Whether the path names another file than the open one, or none."""
        try:
            return not os.path.samestat(os.stat(self.path), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return True
        except OSError as error:
            raise XReidError(f"cannot look at the audit log {self.path}: {error.strerror}") from error

    def _follow(self) -> None:
        """Go on in the file that the path names now, with a line that says where the one before ended."""
        if os.fstat(self._file.fileno()).st_size != self._size:
            self._look_again()
        before, size, moved = self._head, self._size, self._file
        self._file = self._opened()
        try:
            self._wait()
            self._head, self._size = Head(), 0
            self._look_again()
            self._file.seek(0)
            if before.count and before.hash.encode() not in self._file.read():  # nobody else has said so
                self._append("xreid", "continued", {"before": {"count": before.count, "hash": before.hash}})
        except BaseException:  # the next line tries again
            self._file.close()
            self._file, self._head, self._size = moved, before, size
            raise
        moved.close()  # with its lock

    def _wait(self) -> None:
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise XReidError(
                        f"another process does not let go of the audit log {self.path}",
                        todo="Find out which (`fuser`), and stop it; until then nothing is searched.",
                    ) from error
                time.sleep(0.01)
            except OSError:  # a file system without locks: the chain says where two wrote at once
                return

    def newest(self, *, before: int | None, limit: int) -> list[dict[str, Any]]:
        """At most `limit` entries with numbers below `before`, newest first."""
        count = self.head.count
        last = count if before is None else min(before - 1, count)
        first = max(1, last - limit + 1)
        with open(self.path, "rb") as file:
            found = [json.loads(line) for n, line in enumerate(file, 1) if first <= n <= last]
        return found[::-1]

    def close(self) -> None:
        """Write no more."""
        self._closed = True
        self._file.close()

    def _look_again(self) -> None:
        """The end, after others have written: their lines must follow those that are known."""
        torn, (start, lines) = self._cut_torn_line(), self._rest()
        head, known = self._head, self._size > 0
        if start < self._size:
            raise self._broken("it was cut off")
        for line in lines:
            try:
                entry = json.loads(line)
                fault = _fault(entry, head) if known else ""
                if fault or _hash_of(entry) != entry["hash"]:
                    raise ValueError(fault or "its hash does not fit")
                head = Head(count=entry["n"], hash=entry["hash"])
            except (ValueError, KeyError, TypeError) as error:
                raise self._broken(str(error)) from error
        self._head, self._size = head, os.fstat(self._file.fileno()).st_size
        if torn:
            self._append("xreid", "recovered", {"torn_bytes": torn})

    def _rest(self) -> tuple[int, list[bytes]]:
        """Where the lines begin that are not known yet, and these; of a log that was just opened the last."""
        size = os.fstat(self._file.fileno()).st_size
        start = min(self._size, size) if self._size else self._line_before(size)
        self._file.seek(start)
        return start, self._file.read().splitlines()

    def _line_before(self, end: int) -> int:
        """Where the last line before a place begins that is the end of one."""
        reach = _TAIL
        while True:
            start = max(0, end - reach)
            self._file.seek(start)
            found = self._file.read(end - start)[:-1].rfind(b"\n")
            if found >= 0 or start == 0:
                return start + found + 1
            reach *= 2

    def _cut_torn_line(self) -> int:
        """Remove the half of a line that a killed process left; nobody has been told of what it says."""
        size = os.fstat(self._file.fileno()).st_size
        self._file.seek(max(0, size - 1))
        if not size or self._file.read(1) == b"\n":
            return 0
        start = self._line_before(size + 1)
        os.ftruncate(self._file.fileno(), start)
        return size - start

    def _broken(self, why: str) -> DataError:
        return DataError(
            f"the end of the audit log {self.path} does not hold",
            got=why,
            todo="Find out who changed it; to go on, put it aside and start with a new --state.",
        )


def _for_us_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def tell_where(answers: Path, log: Path) -> None:
    """Say in a folder of answers where searches are written down; where it cannot be written, nowhere."""
    pointer = answers / _POINTER
    try:
        write_json(pointer, {"log": os.path.relpath(log.resolve(), answers.resolve())})
    except XReidError as error:
        _warnings.warning("what the command line does is not in the audit log: %s", error)


def audit_of(answers: Path | None) -> AuditLog | None:
    """The log that searches elsewhere than on a server are written into; None where nobody keeps one.

    Args:
        answers: Folder of a gallery's answers; None where there is none.

    Raises:
        DataError: A server keeps one, and it is not where the server said, or the pointer is damaged.
        XReidError: It cannot be written.
    """
    named = os.environ.get(ENVIRONMENT)
    if named:
        return AuditLog(Path(named))
    pointer = None if answers is None else answers / _POINTER
    if pointer is None or not _is_there(pointer):
        return None
    try:
        path = pointer.parent.resolve() / record(dict[str, str], read_json(pointer, what="pointer"))["log"]
    except (KeyError, ValueError) as error:
        raise DataError(f"{pointer} is damaged", got=str(error)[:200], todo=_REMEDY) from error
    if not _is_there(path):
        raise DataError(
            f"searches of this gallery are written into an audit log that is not there: {path}", todo=_REMEDY
        )
    return AuditLog(path)


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise XReidError(
            f"cannot tell whether searches of this gallery are written down: {path}: {error.strerror}",
            todo="Ask who keeps the gallery, or search on the page.",
        ) from error


def check(path: Path) -> Verdict:
    """Follow the chain of a log from its first line.

    Raises:
        DataError: The file cannot be read.
    """
    head = Head()
    for number, line in _lines(path):
        try:
            entry = json.loads(line)
            fault = _fault(entry, head)
        except (ValueError, KeyError, TypeError) as error:
            fault = f"it is no entry: {error}"
        if fault:
            return Verdict(head=head, broken_at=number, why=fault)
        head = Head(count=number, hash=entry["hash"])
    return Verdict(head=head)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with open(path, "rb") as file:
            yield from enumerate(file, 1)
    except OSError as error:
        raise DataError(f"cannot read the audit log {path}: {error.strerror}") from error


def _fault(entry: dict[str, Any], head: Head) -> str:
    if entry["n"] != head.count + 1:
        return f"its number is {entry['n']}"
    if entry["prev"] != head.hash:
        return "it does not follow the line before it"
    return "" if entry["hash"] == _hash_of(entry) else "its hash does not fit what it says"


def _hash_of(entry: Mapping[str, Any]) -> str:
    return sha256_of_value({key: value for key, value in entry.items() if key != "hash"})
