"""Whether a gallery is whole, and whether anybody who was erased has come back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import XReidError
from xreid.core.files import read_json
from xreid.core.pacing import Tell
from xreid.evaluation.site_check import site_check_from
from xreid.retrieval.alerts import AlertLog
from xreid.retrieval.answers import FOLDER
from xreid.retrieval.cases import Cases
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.gallery_receipts import Receipt, hash_of_vector
from xreid.retrieval.gallery_rows import StoredSet
from xreid.retrieval.uploaded_queries import Queries
from xreid.retrieval.watch import WatchList


def check_gallery(gallery: Gallery, *, tell: Tell = lambda done, total: None) -> Iterator[str]:
    """What is wrong with a gallery, in words; nothing where all is well.

    Reads every set (checksums, table, vectors of unit length) and compares it with all receipts.

    Args:
        gallery: The gallery.
        tell: Called with tracklets done and to do.
    """
    damaged: dict[str, str] = {}
    receipts, done, total = gallery.receipts(damaged), 0, len(gallery)
    yield from damaged.values()
    if gallery.labels_fault is not None:
        yield str(gallery.labels_fault)
    for receipt in receipts:
        if receipt.finished is None:
            yield f"receipt {receipt.id} is not finished: erase again, under the names that were asked for"
    for stored in gallery.sets:
        what = f"set {stored.key[:8]} ({stored.name})"
        try:
            embeddings = gallery.content(stored, labels=False)[0]
        except XReidError as error:
            yield f"{what}: {error}"
            continue
        if len(embeddings) != stored.rows:
            yield f"{what} has {len(embeddings)} tracklets, and should have {stored.rows}"
        for receipt in receipts:
            back = erased_in(embeddings, receipt, stored)
            if back:
                yield f"{what}: {back} tracklets that receipt {receipt.id} says are erased are here again"
        done += len(embeddings)
        tell(done, total)


def check_answers(gallery: Gallery) -> Iterator[str]:
    """What is wrong with the watch list, alerts, cases and their pictures, and checks of the calibration."""
    folder = Path(gallery.address) / FOLDER
    if not folder.is_dir():
        return
    damaged: dict[str, str] = {}
    cases = Cases(folder).all(damaged)
    yield from damaged.values()
    for read in (lambda: WatchList(folder).people, AlertLog(folder).alerts):
        try:
            read()
        except XReidError as error:
            yield str(error)
    for path in folder.glob("strangers*.json"):
        try:
            site_check_from(read_json(path, what="check"), what=str(path))
        except XReidError as error:
            yield str(error)
    for name in dict.fromkeys(name for case in cases for name in case.queries):
        try:
            Queries(folder).query(name)
        except XReidError as error:
            yield str(error)


def erased_in(embeddings: EmbeddingSet, receipt: Receipt, stored: StoredSet) -> int:
    """How many tracklets of a set a receipt says were erased.

    By name and vector; of a set that came after the erasure also by their footage, since another model may
    have embedded it, unless whoever appended it said that they are others.

    Args:
        embeddings: The set.
        receipt: The receipt.
        stored: What the gallery says of the set.
    """
    vectors = set(receipt.vectors)
    after = stored.appended >= receipt.requested and receipt.id not in stored.others_than
    return sum(
        (receipt.is_of(row.name) and hash_of_vector(vector) in vectors)
        or (after and bool(receipt.footage) and receipt.is_of_footage(row))
        for row, vector in zip(embeddings.table, embeddings.vectors, strict=True)
    )
