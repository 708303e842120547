"""What is searched for and is not in the gallery: pictures cut from uploads, with their vector.

They lie among the gallery's answers, so that a case that needs one can be continued from anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from xreid.core.tracklets import Modality, Tracklet
from xreid.retrieval.engine import Vectors
from xreid.retrieval.kept import KeptFolders, NotHereError, new_id
from xreid.retrieval.queries import Query

FOLDER = "queries"


@dataclass(frozen=True, kw_only=True)
class StoredQuery:
    """A query made of uploads.

    Attributes:
        id: 16 hexadecimal digits.
        name: What it is called on the page.
        owner: Who made it.
        modality: vis or ir.
        guessed: Whether the modality was found from the pixels.
        frames: Names of its pictures.
        uploads: SHA-256 of each file that they were cut from.
        made: Unix seconds.
    """

    id: str
    name: str
    owner: str
    modality: Literal["vis", "ir"]
    guessed: bool
    frames: tuple[str, ...]
    uploads: tuple[str, ...]
    made: float

    @property
    def tracklet(self) -> Tracklet:
        """As a tracklet, under the folder of the query."""
        return Tracklet(name=self.name, frames=self.frames, modality=Modality(self.modality))


class Queries:
    """The queries kept.

    Args:
        answers: Folder of the gallery's answers.
    """

    def __init__(self, answers: Path) -> None:
        self.kept = KeptFolders(answers / FOLDER, what="query", todo="Make it again from the file.")

    def keep(
        self,
        room: Path,
        *,
        name: str,
        owner: str,
        modality: Modality,
        guessed: bool,
        frames: Collection[str],
        uploads: Collection[str],
        vector: Vectors,
    ) -> StoredQuery:
        """Keep a query whose pictures lie in `room` (of `kept`)."""
        query = StoredQuery(
            id=new_id(),
            name=name,
            owner=owner,
            modality=modality.value,
            guessed=guessed,
            frames=tuple(frames),
            uploads=tuple(uploads),
            made=time.time(),
        )
        np.save(room / "vector.npy", vector)
        self.kept.put(room, query.id, asdict(query))
        return query

    def get(self, name: str) -> StoredQuery:
        """A query.

        Raises:
            NotHereError: There is none, or its time is over.
        """
        plain = self.kept.record(name)
        return StoredQuery(**{**plain, "frames": tuple(plain["frames"]), "uploads": tuple(plain["uploads"])})

    def known(self, names: Collection[str]) -> list[StoredQuery]:
        """Those of the queries that are (still) there."""
        found = []
        for name in names:
            try:
                found.append(self.get(name))
            except NotHereError:
                continue
        return found

    def root(self, query: StoredQuery) -> Path:
        """Where its pictures lie."""
        return self.kept.at(query.id)

    def query(self, name: str) -> Query:
        """One as a search takes it.

        Raises:
            NotHereError: There is none, or its time is over.
        """
        stored = self.get(name)
        vector: Vectors = np.load(self.root(stored) / "vector.npy")
        return Query(tracklet=stored.tracklet, root=self.root(stored), vector=vector, id=None)
