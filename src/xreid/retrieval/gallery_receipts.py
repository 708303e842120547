"""Receipts: what was erased, when and on whose word, without saying whom.

A receipt holds no name. Whoever knows a name can check that it is meant: `hashed(name, salt=receipt.salt)`.
Names that can be guessed (gate-0001) can be found out by guessing, too: keep receipts like other records.
"""

from __future__ import annotations

import hashlib
import math
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from xreid.core.errors import DataError, XReidError
from xreid.core.files import read_json, write_json
from xreid.core.tracklets import Tracklet
from xreid.retrieval.columns import UNIX_FROM_S
from xreid.retrieval.engine import Vectors
from xreid.retrieval.gallery_rows import Entry, footage_of
from xreid.retrieval.typed import record

FORMAT_VERSION = 1
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
Kind = Literal["erase", "expire"]


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """Record of an erasure.

    Attributes:
        id: Its own; the receipt of a folder lies in receipts/ID.json.
        kind: "erase" (people or tracklets that were named) or "expire" (by age).
        gallery: Where.
        asked_by: On whose word.
        reason: Why, in words.
        requested: When, ISO 8601 UTC.
        finished: When nothing of it was left on the disk, or in the server's collections; None before.
        criteria: What was asked for; names and identities as hashes.
        tracklets: How many were erased (for a dry run: would have been).
        sets: How many of each set, by its key.
        salt: Hexadecimal digits that were hashed before each name.
        names: Hashes of the erased tracklets' names, sorted.
        vectors: SHA-256 of the erased vectors' float32 bytes, sorted.
        footage: Hashes of what the erased tracklets' rows say of their footage (`gallery_rows.footage_of`),
            sorted; empty where an older version wrote it, which knows them by name and vector alone.
        dry_run: Whether nothing was erased.
        note: What else must be known.
        unread: Sets that could not be read, and why, by key: the people may be in them, too.
        forgotten: What went from the gallery's own answers with it: examples and people of the watch list,
            alerts, judgements of cases (`forgetting.Forgotten`); empty where answers lie elsewhere.
        format: Of the file.
    """

    id: str
    kind: Kind
    gallery: str
    asked_by: str
    reason: str
    requested: str
    finished: str | None
    criteria: dict[str, Any]
    tracklets: int
    sets: dict[str, int]
    salt: str
    names: tuple[str, ...]
    vectors: tuple[str, ...]
    dry_run: bool = False
    note: str = ""
    forgotten: dict[str, int] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    footage: tuple[str, ...] = ()
    format: int = FORMAT_VERSION

    def is_of(self, name: str) -> bool:
        """Whether a tracklet of that name is among those erased."""
        return hashed(name, salt=self.salt) in self._names

    def is_of_footage(self, row: Tracklet) -> bool:
        """Whether a row tells of footage that was erased, whatever model made the vector beside it.

        What an older version wrote knows names, so that a tracklet of the name of somebody who was erased is
        held to be his, unless a date says otherwise; and of what was too old only what is by its date.
        """
        if self.footage or not self.names:
            return hashed(footage_of(row), salt=self.salt) in self._footage
        return not self._surely_other(row) and self.is_of(row.name)

    @property
    def knows_names_alone(self) -> bool:
        """Whether an older version wrote it."""
        return bool(self.names) and not self.footage

    @cached_property
    def _names(self) -> frozenset[str]:
        """`names`, of which there may be a hundred thousand."""
        return frozenset(self.names)

    @cached_property
    def _footage(self) -> frozenset[str]:
        return frozenset(self.footage)

    def _surely_other(self, row: Tracklet) -> bool:
        start, end = row.start_s, row.end_s if row.end_s is not None else row.start_s
        if self.kind == "expire":
            return end is None or not UNIX_FROM_S <= end < self.ended_before_s
        return start is not None and start > datetime.fromisoformat(self.requested).timestamp()

    def asked_for(self, column: str, text: str | None) -> bool:
        """Whether a name ("names") or a person ("identities") is among those that were asked for."""
        return text is not None and hashed(text, salt=self.salt) in self.criteria.get(column, ())

    @property
    def ended_before_s(self) -> float:
        """What ended before was to be erased, Unix seconds; minus infinity where nobody asked for an age."""
        before = self.criteria.get("ended_before_s", -math.inf)
        if isinstance(before, bool) or not isinstance(before, int | float):
            raise ValueError(f"criteria.ended_before_s is {str(before)[:40]!r}")
        return before

    def save(self, path: Path) -> None:
        """Write it as JSON, atomically."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> Receipt:
        """Read what `save` wrote.

        Raises:
            DataError: It is missing or no receipt.
        """
        return cls.of(read_json(path, what="receipt"), what=str(path))

    @classmethod
    def of(cls, plain: Any, *, what: str) -> Receipt:
        """From plain values.

        Raises:
            DataError: They are no receipt.
        """
        try:
            found = record(cls, plain)
            _ = found.ended_before_s, datetime.fromisoformat(found.requested)
            if not _ID.fullmatch(found.id):  # it becomes part of a path
                raise ValueError(f"its id is {found.id[:40]!r}")
        except ValueError as error:
            raise DataError(
                f"{what} is no receipt, or damaged", got=str(error)[:200], todo="Restore it from a backup."
            ) from error
        return found


class UnfinishedError(XReidError):
    """People were erased, and something that may be of them is left: the receipt is not finished.

    Args:
        receipt: The receipt.
        left: What is left, or could not be looked into.
    """

    def __init__(self, receipt: Receipt, left: Sequence[str]) -> None:
        count = "1 tracklet was" if receipt.tracklets == 1 else f"{receipt.tracklets} tracklets were"
        super().__init__(
            f"{count} erased, and the erasure is not complete",
            got="; ".join(text.rstrip(". ") for text in left)[:1000],
            todo=f"Mend that, and {receipt.kind} the same again; until then receipt {receipt.id} is not "
            "finished.",
        )
        self.receipt = receipt
        self.left = tuple(left)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.receipt, self.left)


def hashed(text: str, *, salt: str) -> str:
    """SHA-256 of salt and text, hexadecimal."""
    return hashlib.sha256(f"{salt}:{text}".encode()).hexdigest()


def hash_of_vector(vector: Vectors) -> str:
    """SHA-256 of a vector's float32 bytes, hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(vector, dtype=np.float32).tobytes()).hexdigest()


def now() -> str:
    """ISO 8601 UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be erased, and on whose word.

    Attributes:
        kind: "erase" or "expire".
        asked_by: On whose word.
        reason: Why.
        texts: Names and identities that were asked for; the receipt holds their hashes.
        criteria: What else was asked for, in plain values.
        dry_run: Only say what would be erased.
    """

    kind: Kind
    asked_by: str
    reason: str
    texts: Mapping[str, Sequence[str]]
    criteria: dict[str, Any]
    dry_run: bool = False


def receipt_of(request: Request, entries: Iterable[Entry], vectors: Vectors, *, gallery: str) -> Receipt:
    """The receipt of these tracklets, not finished yet.

    Args:
        request: What was asked for.
        entries: What will be erased, N.
        vectors: float32 [N, D], theirs.
        gallery: Where.
    """
    salt, requested, gone = secrets.token_hex(16), now(), list(entries)
    sets: dict[str, int] = {}
    for entry in gone:
        sets[entry.stored.key] = sets.get(entry.stored.key, 0) + 1
    hidden = {name: [hashed(text, salt=salt) for text in texts] for name, texts in request.texts.items()}
    stamp = "".join(letter for letter in requested[:19] if letter.isdigit())
    return Receipt(
        id=f"{request.kind}-{stamp}-{salt[:8]}",
        kind=request.kind,
        gallery=gallery,
        asked_by=request.asked_by,
        reason=request.reason,
        requested=requested,
        finished=None,
        criteria={**request.criteria, **hidden},
        tracklets=len(gone),
        sets=sets,
        salt=salt,
        names=tuple(sorted({hashed(entry.tracklet.name, salt=salt) for entry in gone})),
        vectors=tuple(sorted(hash_of_vector(vector) for vector in vectors)),
        footage=tuple(sorted({hashed(footage_of(entry.tracklet), salt=salt) for entry in gone})),
        dry_run=request.dry_run,
    )
