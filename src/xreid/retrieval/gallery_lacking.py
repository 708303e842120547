"""What of an embedding set a gallery does not have yet, and is not to forget again.

A row is there already where a set holds the key of its piece, or a row that says the same of itself and has,
but for rounding, the same vector: a folder that is embedded anew, as after a change of model, has new keys.
Whoever was erased is known by his vector, or, whatever model made that, by what his row says of its footage.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from xreid.core.embeddings import EmbeddingSet, content_key, pieces_of
from xreid.core.errors import DataError
from xreid.core.files import sha256_of_value
from xreid.core.tracklets import Tracklet
from xreid.retrieval.columns import UNIX_FROM_S, Filter
from xreid.retrieval.engine import Vectors
from xreid.retrieval.gallery_answers import GalleryAnswers
from xreid.retrieval.gallery_receipts import Receipt, hash_of_vector
from xreid.retrieval.gallery_rows import Entry, StoredSet

ALIKE = 0.999  # cosine; the same pictures by the same model, in other batches or on another device
_CHUNK = 500  # names asked for at once
_log = logging.getLogger(__name__)
Find = Callable[[EmbeddingSet, Sequence[int]], Mapping[int, Entry]]


@dataclass(frozen=True, kw_only=True)
class Lacking:
    """What is to be appended.

    Attributes:
        key: Of just these rows. A piece's own key does not tell which of its rows are left: under one key,
            whoever has a set's rows in memory would take them for those that are there.
        keys: Content keys of its pieces, but those that are there in part.
        embeddings: The rows; None where there is nothing.
        erased: How many rows of these pieces were erased here, and are left out.
        there: How many rows are in the gallery by another key, and are left out.
        shared: Keys of pieces that are there in part, or as a whole in other sets: the keys of these.
    """

    key: str = ""
    keys: tuple[str, ...] = ()
    embeddings: EmbeddingSet | None = None
    erased: int = 0
    there: int = 0
    shared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Erased:
    """Who was erased from a gallery.

    Attributes:
        receipts: What says so.
        others_than: Ids of receipts that somebody said to be of others than those who are asked about.
    """

    receipts: Sequence[Receipt]
    others_than: Collection[str] = ()

    def rows(self, embeddings: EmbeddingSet, rows: Iterable[int]) -> set[int]:
        """Those rows of a set that were erased, by their vector or by what they say of their footage."""
        vectors = {vector for receipt in self.receipts for vector in receipt.vectors}
        asked = [receipt for receipt in self.receipts if receipt.id not in self.others_than]
        found, by_name, by_footage = set[int](), Counter[str](), Counter[str]()
        for row in rows if self.receipts else ():
            said = next((one for one in asked if one.is_of_footage(embeddings.table[row])), None)
            if vectors and hash_of_vector(embeddings.vectors[row]) in vectors:
                found.add(row)
            elif said is not None:
                found.add(row)
                (by_name if said.knows_names_alone else by_footage).update([said.id])
        for receipt, count in by_name.items():
            _log.warning(
                "%d tracklets stay out because receipt %s, by an older version, knows who was erased by name "
                "alone; where they are others, append them with --others_than %s",
                *(count, receipt, receipt),
            )
        if by_footage:
            _log.warning(
                "%d tracklets stay out because they say the same of their footage as some that were erased "
                "(name, modality, camera, recording, start); where they are others, append them with "
                "--others_than %s",
                *(by_footage.total(), " ".join(sorted(by_footage))),
            )
        return found

    def freed(self, embeddings: EmbeddingSet, rows: Iterable[int]) -> set[int]:
        """Those rows of a set that would stay out, had nobody said that a receipt is of others."""
        asked = [receipt for receipt in self.receipts if receipt.id in self.others_than]
        return {row for row in rows if any(one.is_of_footage(embeddings.table[row]) for one in asked)}


def erased_from(gallery: GalleryAnswers, *, others_than: Collection[str] = ()) -> Erased:
    """Who was erased from a gallery.

    Args:
        gallery: The gallery.
        others_than: Ids of receipts of others, whether they can be read or not.

    Raises:
        DataError: A receipt cannot be read, or there is none of such an id.
    """
    damaged: dict[str, str] = {}
    receipts = gallery.receipts(damaged)
    strangers = set(others_than) - {receipt.id for receipt in receipts} - set(damaged)
    if strangers:
        raise DataError(
            f"{gallery.address} has no receipt {min(strangers)}", todo="List them: `xreid gallery receipts`."
        )
    unread = [text for number, text in damaged.items() if number not in others_than]
    if unread:
        raise DataError(
            f"whether these tracklets were erased from {gallery.address} cannot be told: nothing is appended",
            expected="receipts that can be read",
            got="; ".join(unread)[:1000],
            todo="Restore them from a backup, or by `gallery import` of an export; if none of these "
            f"tracklets is among those erased, say so: --others_than {' '.join(sorted(damaged))[:200]}",
        )
    return Erased(receipts=receipts, others_than=others_than)


def lacking(
    embeddings: EmbeddingSet, *, fresh: Mapping[str, Sequence[int]], erased: Erased, find: Find
) -> Lacking:
    """The rows of a set that a gallery has not, and has not erased.

    Args:
        embeddings: The set, which may have grown since it was appended last.
        fresh: As `not_held` says.
        erased: Who was erased from the gallery.
        find: Which rows are in the gallery already.
    """
    rows = [row for some in fresh.values() for row in some]
    # Of what came in before: who stayed out then.
    freed = erased.freed(embeddings, sorted(set(range(len(embeddings))) - set(rows)))
    rows = sorted({*rows, *freed})
    gone = erased.rows(embeddings, rows)
    there = find(embeddings, [row for row in rows if row not in gone])
    stay = [row for row in rows if row not in gone and row not in there]
    shared = {
        key: tuple(sorted({there[row].stored.key for row in some if row in there}))
        for key, some in fresh.items()
    }
    shared = {key: sets for key, sets in shared.items() if sets}
    left_out = Lacking(erased=len(gone), there=len(there), shared=shared)
    if not stay:
        return left_out
    keys = tuple(key for key in fresh if key not in shared)
    whole = len(stay) == len(embeddings)
    new = replace(embeddings, pieces=()) if whole else embeddings.take(stay)
    key = content_key(new) if embeddings.pieces or freed or len(stay) < len(rows) else keys[0]
    if freed:  # a set may hold the key of just these rows, which it has not
        key = sha256_of_value([key, sorted(erased.others_than)])[:16]
    added = {one: (*sets, key) for one, sets in shared.items() if set(stay) & set(fresh[one])}
    return replace(left_out, key=key, keys=keys, embeddings=new, shared={**shared, **added})


def not_held(
    embeddings: EmbeddingSet, *, known: Iterable[StoredSet], shared: Mapping[str, Sequence[str]]
) -> dict[str, list[int]]:
    """The pieces of a set (see `Piece`) that no set of a gallery holds: the rows of each, by its key.

    Args:
        embeddings: The set.
        known: The gallery's sets.
        shared: Keys of pieces that several sets hold together, and the keys of these.
    """
    sets = list(known)
    held = {key for stored in sets for key in (stored.key, *stored.contents)}
    there = {stored.key for stored in sets}
    held |= {key for key, together in shared.items() if there.issuperset(together)}
    found, start = dict[str, list[int]](), 0
    for piece in pieces_of(embeddings):
        if piece.key not in held:
            found.setdefault(piece.key, []).extend(range(start, start + piece.rows))
        start += piece.rows
    return found


def in_already(embeddings: EmbeddingSet, rows: Sequence[int], *, gallery: GalleryAnswers) -> dict[int, Entry]:
    """Which rows of a set a gallery of the same model has, under whatever key, and as what.

    Args:
        embeddings: The set.
        rows: Numbers of rows.
        gallery: The gallery.
    """
    found: dict[int, Entry] = {}
    for start in range(0, len(rows) if gallery.sets else 0, _CHUNK):
        places = {embeddings.table[row].name: row for row in rows[start : start + _CHUNK]}
        entries = [
            entry
            for entry in gallery.walk(_alike([embeddings.table[row] for row in places.values()]))
            if _says_the_same(entry.tracklet, embeddings.table[places[entry.tracklet.name]])
        ]
        if entries:
            mine = embeddings.vectors[[places[entry.tracklet.name] for entry in entries]]
            close = _cosines(gallery.vectors([entry.id for entry in entries]), mine) >= ALIKE
            for entry in (one for one, same in zip(entries, close, strict=True) if same):
                found.setdefault(places[entry.tracklet.name], entry)
    return found


def _alike(rows: Sequence[Tracklet]) -> Filter:
    """What passes rows that say the same as one of these, and few others: names repeat from day to day."""
    sources = {row.source for row in rows}
    times = [row.start_s for row in rows] + [row.end_s for row in rows if row.end_s is not None]
    known = [one for one in times if one is not None and math.isfinite(one)]
    timed = len(known) == len(times) and len({one >= UNIX_FROM_S for one in known}) == 1
    return Filter(
        names=tuple(row.name for row in rows),
        sources=() if None in sources else tuple(sorted(str(one) for one in sources)),
        from_s=min(known) if timed else None,
        to_s=max(known) if timed else None,
    )


def _says_the_same(first: Tracklet, second: Tracklet) -> bool:
    """Whether two rows list the same pictures; who it is and how good they are may have been told since."""
    names = ("name", "frames", "modality", "camera", "source", "start_s", "end_s")
    return all(getattr(first, name) == getattr(second, name) for name in names)


def _cosines(first: Vectors, second: Vectors) -> Vectors:
    """float32 [n], of unit vectors [n, D] each."""
    return np.asarray(np.einsum("nd,nd->n", first, second), dtype=np.float32)
