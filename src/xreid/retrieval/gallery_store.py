"""What a gallery needs of the place its rows are kept in: a folder, or a Milvus server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from xreid.core.embeddings import EmbeddingOrigin, EmbeddingSet
from xreid.core.errors import DataError
from xreid.evaluation.calibration import Calibration
from xreid.retrieval.columns import Filter, Labels
from xreid.retrieval.engine import Vectors
from xreid.retrieval.gallery_receipts import Receipt
from xreid.retrieval.gallery_rows import Entry, Found, StoredSet
from xreid.retrieval.gallery_seen import Seen


class Store(Protocol):
    """Keeps rows. Answers are exact and of one moment; changes are there as a whole or not at all.

    Attributes:
        on_finished: Called with the receipt of an older erasure that a change has finished.
    """

    on_finished: Callable[[Receipt], None]

    @property
    def address(self) -> str:
        """Where it is."""
        ...

    def sets(self) -> tuple[StoredSet, ...]:
        """The sets in order of appending."""
        ...

    def origin(self) -> EmbeddingOrigin | None:
        """What made the vectors, None while the gallery is empty."""
        ...

    def calibration(self) -> Calibration | None:
        """What the scores mean, from the last appended set that says so."""
        ...

    def known(self, column: str) -> tuple[str, ...]:
        """What occurs in the column camera, place, identity or source, sorted."""
        ...

    def count(self, rules: Filter, exclude: Collection[str]) -> int:
        """Rows that pass, but those excluded."""
        ...

    def entries(self, ids: Sequence[str]) -> list[Entry]:
        """The rows of these ids, in their order; ProtocolError where one is not there."""
        ...

    def present(self, ids: Collection[str]) -> set[str]:
        """Those of these ids that are there."""
        ...

    def vectors(self, ids: Sequence[str]) -> Vectors:
        """Their vectors, float32 [n, D]."""
        ...

    def nearest(
        self, vectors: Vectors, *, k: int, rules: Sequence[Filter], exclude: Sequence[Collection[str]]
    ) -> list[list[Found]]:
        """The k best rows for each query, best first, ties by id; `rules` and `exclude` one per query."""
        ...

    def page(self, rules: Filter, *, after: str | None, limit: int, skip: int = 0) -> list[Entry]:
        """The next rows after that id in order of time but the first `skip`; unknown last, ties by id."""
        ...

    def seen(self) -> list[Seen]:
        """What each camera has seen, by name, the unknown one last."""
        ...

    def labels(self) -> Counter[str]:
        """How many rows carry each label."""
        ...

    def infrared(self) -> dict[str, int]:
        """How many tracklets of each set are infrared, by its key."""
        ...

    def receipts(self, damaged: dict[str, str] | None = None) -> list[Receipt]:
        """What was erased, in order; `damaged` takes the faults of what cannot be read, by id."""
        ...

    def unread(self) -> dict[str, str]:
        """Sets that are left out of all answers, and why, by key; none but for those of `partly`."""
        ...

    def partly(self) -> Store | None:
        """The same, without sets that cannot be read; None where it is read as a whole or not at all."""
        ...

    def changing(self) -> AbstractContextManager[None]:
        """The gallery for one writer alone; the methods below are called within."""
        ...

    def add(self, stored: StoredSet, embeddings: EmbeddingSet, *, labels: Mapping[str, Labels]) -> None:
        """Append a set, and labels of rows that have their own."""
        ...

    def drop(self, stored: StoredSet) -> None:
        """Remove a set."""
        ...

    def set_labels(self, labels: Mapping[str, Labels]) -> None:
        """Give rows these labels instead of those they have."""
        ...

    def labels_fault(self) -> DataError | None:
        """Why labels cannot be read, where everything else can: rows are shown with those of their sets."""
        ...

    def shared(self) -> Mapping[str, tuple[str, ...]]:
        """Content keys of pieces whose rows several sets hold together, and the keys of these."""
        ...

    def share(self, pieces: Mapping[str, Sequence[str]]) -> None:
        """Remember such pieces."""
        ...

    def content(self, stored: StoredSet, *, labels: bool = True) -> tuple[EmbeddingSet, dict[str, Labels]]:
        """A whole set, and, where asked for, the labels of its rows that have their own."""
        ...

    def keep(self, receipt: Receipt) -> None:
        """Keep a receipt that another gallery gave."""
        ...

    def exchange(self, sets: Sequence[tuple[StoredSet, Path]]) -> None:
        """Put these sets, which lie in folders, in the place of all that are there: all at once."""
        ...

    def erase(self, ids: Collection[str], receipt: Receipt) -> Receipt:
        """Erase rows, and make sure that nothing of them is left; returns the receipt, finished.

        Raises:
            UnfinishedError: Something may be left.
        """
        ...

    def finish(self, number: str) -> Receipt:
        """Look again whether anything is left of an erasure; raises as `erase` does."""
        ...
