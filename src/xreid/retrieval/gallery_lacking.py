"""What of an embedding set a gallery does not have yet, and is not to forget again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from xreid.core.embeddings import EmbeddingSet, Piece, content_key
from xreid.retrieval.gallery_receipts import Receipt, hash_of_vector
from xreid.retrieval.gallery_rows import StoredSet


@dataclass(frozen=True, kw_only=True)
class Lacking:
    """What is to be appended.

    Attributes:
        key: Of just these rows. A piece's own key does not tell which of its rows are left: under one key,
            whoever has a set's rows in memory would take them for those that are there.
        keys: Content keys of its pieces.
        embeddings: The rows, one or more.
        erased: How many rows of these pieces were erased here, and are left out.
    """

    key: str
    keys: tuple[str, ...]
    embeddings: EmbeddingSet
    erased: int


def lacking(
    embeddings: EmbeddingSet, *, known: Iterable[StoredSet], receipts: Iterable[Receipt]
) -> Lacking | None:
    """The pieces of a set (see `Piece`) that no set of a gallery holds; None where there is nothing.

    Whoever was erased from the gallery, or was too old for it, does not come back by what still holds him: a
    receipt has the hashes of his vectors.

    Args:
        embeddings: The set, which may have grown since it was appended last.
        known: The gallery's sets.
        receipts: What was erased there.
    """
    held = {key for stored in known for key in (stored.key, *stored.contents)}
    keys, rows, start = list[str](), list[int](), 0
    for piece in embeddings.pieces or (Piece(key=content_key(embeddings), rows=len(embeddings)),):
        if piece.key not in held:
            keys.append(piece.key)
            rows += range(start, start + piece.rows)
        start += piece.rows
    gone = (
        {vector for receipt in receipts if not receipt.dry_run for vector in receipt.vectors}
        if rows
        else set()
    )
    stay = [row for row in rows if not gone or hash_of_vector(embeddings.vectors[row]) not in gone]
    if not stay:
        return None
    new = replace(embeddings, pieces=()) if len(stay) == len(embeddings) else embeddings.take(stay)
    key = content_key(new) if embeddings.pieces or len(stay) < len(rows) else keys[0]
    return Lacking(key=key, keys=tuple(keys), embeddings=new, erased=len(rows) - len(stay))
