"""The audit log: who asked for whom, when, with which filters, and how many were found.

One JSON object a line, appended and synced before the answer leaves. Each line carries the hash of the one
before it and its own, so that a changed, removed or inserted line shows. Lines cut off at the end do not
show in the file itself: keep the head (count and hash, `GET /api/v1/audit`) where the server cannot write.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from xreid.core.errors import DataError, XReidError
from xreid.core.files import sha256_of_value

START = "0" * 64
_TAIL = 1 << 16


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
    """A log that is only ever appended to; one process writes it.

    Args:
        path: The file; made where missing.

    Raises:
        DataError: Its end does not hold.
        XReidError: It cannot be written, or another server writes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = open(path, "a+b")  # noqa: SIM115 (open as long as the server runs)
            path.chmod(0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise XReidError(
                f"another server writes {path}", todo="Stop it, or give this one another --state."
            ) from error
        except OSError as error:
            raise XReidError(f"cannot write the audit log {path}: {error.strerror}") from error
        torn = self._cut_torn_line()
        self.head = self._read_head()
        if torn:
            self.write("xreid", "recovered", {"torn_bytes": torn})

    def write(self, who: str, what: str, details: Mapping[str, Any]) -> Head:
        """Append one line and sync it.

        Raises:
            XReidError: It could not be written; then what it tells of must not happen.
        """
        with self._lock:
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            entry = {"n": self.head.count + 1, "at": at, "who": who, "what": what, **details}
            entry["prev"] = self.head.hash
            entry["hash"] = sha256_of_value(entry)
            size = os.fstat(self._file.fileno()).st_size
            try:
                self._file.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
                self._file.flush()
                os.fsync(self._file.fileno())
            except OSError as error:
                os.ftruncate(self._file.fileno(), size)
                raise XReidError(
                    f"cannot write the audit log {self.path}: {error.strerror}",
                    todo="Free some space; until then nothing is searched.",
                ) from error
            self.head = Head(count=entry["n"], hash=entry["hash"])
            return self.head

    def newest(self, *, before: int | None, limit: int) -> list[dict[str, Any]]:
        """At most `limit` entries with numbers below `before`, newest first."""
        last = self.head.count if before is None else min(before - 1, self.head.count)
        first = max(1, last - limit + 1)
        with open(self.path, "rb") as file:
            found = [json.loads(line) for n, line in enumerate(file, 1) if first <= n <= last]
        return found[::-1]

    def close(self) -> None:
        """Let another server have the log."""
        self._file.close()

    def _read_head(self) -> Head:
        size = os.fstat(self._file.fileno()).st_size
        if not size:
            return Head()
        self._file.seek(max(0, size - _TAIL))
        try:
            last = json.loads(self._file.read().splitlines()[-1])
            if _hash_of(last) != last["hash"]:
                raise ValueError("its hash does not fit")
            return Head(count=last["n"], hash=last["hash"])
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise DataError(
                f"the last line of the audit log {self.path} does not hold",
                got=str(error),
                todo="Find out who changed it; to go on, put it aside and start with a new --state.",
            ) from error

    def _cut_torn_line(self) -> int:
        """Remove the half of a line that a killed server left; nobody has been told of what it says."""
        size = os.fstat(self._file.fileno()).st_size
        self._file.seek(max(0, size - _TAIL))
        rest = self._file.read()
        torn = len(rest) - (rest.rfind(b"\n") + 1)
        if torn:
            os.ftruncate(self._file.fileno(), size - torn)
        return torn


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
