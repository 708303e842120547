"""What is searched for and is not in the gallery: pictures cut from uploads, with their vector.

They lie among the gallery's answers, so that a case that needs one can be continued from anywhere.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from xreid.core.errors import DataError, XReidError
from xreid.core.files import sha256_of_file
from xreid.core.tracklets import Modality, Tracklet
from xreid.retrieval.engine import Vectors
from xreid.retrieval.gallery_parts import read_array
from xreid.retrieval.kept import KeptFolders, NotHereError, new_id
from xreid.retrieval.queries import Query
from xreid.retrieval.typed import record

FOLDER = "queries"
_MOST_FRAMES = 64  # kept of what is asked with


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

    def keep_files(self, asking: Query, *, owner: str) -> str | None:
        """Keep a query that lies elsewhere, with copies of its pictures; its id, None where none can be read.

        Raises:
            XReidError: They cannot be written.
        """
        row, room, frames = asking.tracklet, self.kept.room(), list[str]()
        step = -(-len(row.frames) // _MOST_FRAMES)
        paths = [asking.root / frame for frame in row.frames[::step]]
        files = [path for path in ([Path(row.source)] if row.source else paths) if path.is_file()]
        try:
            for path in paths:
                if path.is_file():
                    frames.append(f"{len(frames):06d}{path.suffix.lower()}")
                    shutil.copyfile(path, room / frames[-1])
            if not frames:
                return None
            return self.keep(
                room,
                name=row.name,
                owner=owner,
                modality=row.modality,
                guessed=row.modality_confidence is not None,
                frames=frames,
                uploads=[sha256_of_file(path) for path in files],
                vector=asking.vector,
            ).id
        except OSError as error:
            raise XReidError(f"cannot keep the pictures of {row.name}: {error.strerror}") from error
        finally:
            shutil.rmtree(room, ignore_errors=True)

    def get(self, name: str) -> StoredQuery:
        """A query.

        Raises:
            NotHereError: There is none, or its time is over.
        """
        plain = self.kept.record(name)
        try:
            found = record(StoredQuery, plain)
            if found.id != name:
                raise ValueError(f"its id is {found.id[:40]!r}")
            _ = found.tracklet  # refuses a query without a name or pictures
            return found
        except (DataError, ValueError) as error:
            raise _damaged(self.kept.at(name) / "query.json", error) from error

    def known(self, names: Collection[str]) -> list[StoredQuery]:
        """Those of the queries that are (still) there, and can be read."""
        found = []
        for name in names:
            try:
                found.append(self.get(name))
            except (NotHereError, DataError):
                continue
        return found

    def root(self, query: StoredQuery) -> Path:
        """Where its pictures lie."""
        return self.kept.at(query.id)

    def query(self, name: str) -> Query:
        """One as a search takes it.

        Raises:
            NotHereError: There is none, or its time is over.
            DataError: It is damaged.
        """
        stored = self.get(name)
        path = self.root(stored) / "vector.npy"
        try:
            vector: Vectors = np.array(read_array(path))
            if vector.ndim != 1 or vector.dtype != np.float32 or not np.isfinite(vector).all():
                raise ValueError(f"{vector.dtype} {list(vector.shape)}")
        except (OSError, ValueError) as error:
            raise _damaged(path, error) from error
        return Query(tracklet=stored.tracklet, root=self.root(stored), vector=vector, id=None)


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path} is damaged",
        got=str(error)[:200],
        todo="Make the query again from its file, and delete this one.",
    )
