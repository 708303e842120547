"""What a gallery is made of: sets of tracklets, and rows that keep their id for as long as they live."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from xreid.core.errors import ConfigError, ProtocolError
from xreid.core.tracklets import Tracklet
from xreid.retrieval.columns import UNIX_FROM_S
from xreid.retrieval.typed import record

ID_DIGITS = 20  # 80 bits: among a million rows two share an id with a chance of 4e-13
_LONGEST_LABEL = 100
_KEY = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, kw_only=True)
class StoredSet:
    """An embedding set of a gallery.

    Attributes:
        key: First 16 hexadecimal digits of the SHA-256 of what was appended; kept when people are erased and
            when the set is embedded again.
        name: Name of the folder it was appended from.
        revision: How often it was rewritten, because people were erased or another model embedded it.
        rows: Tracklets in it.
        erased: Tracklets erased from it, on request or by age.
        appended: When, ISO 8601 UTC.
        labels: Labels of all its tracklets, where they have none of their own.
        contents: Further content keys that are this set: of the same tracklets, embedded again.
        others_than: Receipts that whoever appended it said to be of others than its tracklets.
    """

    key: str
    name: str
    revision: int
    rows: int
    erased: int
    appended: str
    labels: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()
    others_than: tuple[str, ...] = ()

    def has_key(self, text: str) -> bool:
        """Whether `text` is the key, or its first four digits or more."""
        return len(text) >= 4 and self.key.startswith(text)

    def is_called(self, text: str) -> bool:
        """Whether `text` is its name or means its key."""
        return text == self.name or self.has_key(text)

    def holds(self, content: str) -> bool:
        """Whether what has this content key is in it (or was, before people were erased)."""
        return content == self.key or content in self.contents

    @property
    def folder(self) -> str:
        """Where it lies, relative to the gallery's folder."""
        return f"sets/{self.key}-{self.revision}"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One tracklet of a gallery.

    Attributes:
        id: 20 hexadecimal digits, unique in the gallery and the same for as long as the tracklet is in it.
        stored: The set it is in.
        tracklet: The tracklet.
        root: Folder that its frames are relative to.
        labels: Its labels, sorted.
    """

    id: str
    stored: StoredSet
    tracklet: Tracklet
    root: Path
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Found:
    """A tracklet found.

    Attributes:
        entry: The tracklet.
        score: Cosine, -1 to 1.
    """

    entry: Entry
    score: float


def stored_from(plain: Any, *, where: str = "set") -> StoredSet:
    """A set from plain values; those that an older version did not write have their defaults.

    Raises:
        ValueError: They are none of a set; `where` says which in the message.
    """
    found = record(StoredSet, plain, where=where)
    if not _KEY.fullmatch(found.key):  # it becomes part of a path
        raise ValueError(f"{where}.key is {found.key[:40]!r}, and should be 16 hexadecimal digits")
    if min(found.rows, found.revision + 1, found.erased + 1) < 1:
        raise ValueError(f"{where} has {found.rows} rows, revision {found.revision}, {found.erased} erased")
    if datetime.fromisoformat(found.appended).tzinfo is None:
        raise ValueError(f"{where}.appended has no time zone")
    return found


def require_sets(wanted: Sequence[str], sets: Sequence[StoredSet]) -> None:
    """Refuse sets that the gallery does not have.

    Raises:
        ProtocolError: One is not there.
    """
    for text in wanted:
        if not any(stored.is_called(text) for stored in sets):
            raise ProtocolError(
                f"the gallery has no set {text!r}",
                expected=", ".join(f"{s.key[:8]} ({s.name})" for s in sets[:5]) or "no set: it is empty",
            )


def row_id(key: str, name: str) -> str:
    """The id of the tracklet of that name in the set of that key."""
    return hashlib.sha256(f"{key}\0{name}".encode()).hexdigest()[:ID_DIGITS]


def footage_of(row: Tracklet) -> str:
    """What a row says of its footage, whatever model embeds it; the same when frames join it at its end.

    Name, modality, camera, recording and start, or, where nothing says a start, the folder of its frames; of
    an absolute one its name alone, since it may be moved.
    """
    folder = row.frames[0].rpartition("/")[0]
    begins = float(row.start_s) if row.start_s is not None else folder
    if row.start_s is None and folder.startswith("/"):
        begins = folder.rpartition("/")[2]
    return json.dumps([row.name, row.modality.value, row.camera, row.source, begins])


def valid_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """The labels, sorted, each once.

    Raises:
        ConfigError: One is empty, too long, or has control characters.
    """
    found = tuple(sorted(set(labels)))
    for label in found:
        if not label.strip() or len(label) > _LONGEST_LABEL or not label.isprintable():
            raise ConfigError(
                "that is no label",
                expected=f"1 to {_LONGEST_LABEL} printable characters",
                got=repr(label[: _LONGEST_LABEL + 1]),
            )
    return found


def last_seen_s(entry: Entry) -> float:
    """When a tracklet ended, Unix seconds; without a date, when its set was appended."""
    return seen_until_s(entry.tracklet.start_s, entry.tracklet.end_s, entry.stored)


def seen_until_s(start_s: float | None, end_s: float | None, stored: StoredSet) -> float:
    """The same, of a tracklet's start and end, seconds, and its set."""
    last = end_s if end_s is not None else start_s
    if last is not None and last >= UNIX_FROM_S:
        return last
    return datetime.fromisoformat(stored.appended).timestamp()


def plain_entry(entry: Entry) -> dict[str, object]:
    """A row as plain values, without its frames."""
    values = {**asdict(entry.tracklet), "modality": entry.tracklet.modality.value}
    values["frames"] = len(entry.tracklet.frames)
    return {"id": entry.id, "set": entry.stored.key, **values, "labels": list(entry.labels)}
