"""What is searched for and is not in the gallery: pictures cut from uploads, with their vector."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from xreid.core.errors import XReidError
from xreid.core.files import read_json, write_json
from xreid.core.tracklets import Modality, Tracklet
from xreid.retrieval.engine import Vectors
from xreid.serving.ids import checked, new_id
from xreid.serving.problems import Refusal


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
        folder: Where.
        keep_s: Seconds that a query is kept, unless a case needs it.
    """

    def __init__(self, folder: Path, *, keep_s: float) -> None:
        self.folder, self.keep_s = folder, keep_s
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise XReidError(f"cannot write {folder}: {error.strerror}") from error
        for stray in folder.glob(".*"):
            shutil.rmtree(stray, ignore_errors=True)

    def room(self) -> Path:
        """A new temporary folder for a query's pictures."""
        return Path(tempfile.mkdtemp(prefix=".", dir=self.folder))

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
        """Keep a query whose pictures lie in `room`."""
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
        write_json(room / "query.json", asdict(query))
        room.rename(self.folder / query.id)
        return query

    def get(self, name: str) -> StoredQuery:
        """A query.

        Raises:
            Refusal: 404: there is none, or its time is over.
        """
        path = self.folder / checked(name, what="query") / "query.json"
        if not path.is_file():
            raise Refusal(404, f"there is no query {name}", todo="Make it again from the file.")
        plain = read_json(path, what="query")
        return StoredQuery(**{**plain, "frames": tuple(plain["frames"]), "uploads": tuple(plain["uploads"])})

    def root(self, query: StoredQuery) -> Path:
        """Where its pictures lie."""
        return self.folder / query.id

    def vector(self, query: StoredQuery) -> Vectors:
        """float32 [D] of unit length."""
        vector: Vectors = np.load(self.folder / query.id / "vector.npy")
        return vector

    def delete(self, name: str) -> None:
        """Delete a query."""
        shutil.rmtree(self.folder / checked(name, what="query"), ignore_errors=True)

    def sweep(self, *, spare: Collection[str] = ()) -> None:
        """Delete queries whose time is over, but for those that are still needed."""
        for path in self.folder.glob("[0-9a-f]*"):
            if path.name not in spare and path.stat().st_mtime < time.time() - self.keep_s:
                self.delete(path.name)
