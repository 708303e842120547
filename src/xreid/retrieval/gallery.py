"""The smallest useful gallery: a folder of appended embedding sets, of one model, with one manifest.

    gallery.json            which sets there are; replaced atomically, the only point of commitment
    sets/KEY-REVISION/      vectors.npy, tracklets.parquet, embedding.json (core `EmbeddingSet`)
    .lock                   held while the gallery is changed

A set's key is the hash of its content, so that appending it twice is noticed. A process killed at any moment
leaves a folder that the manifest does not name; the next change clears it away.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from xreid.core.embeddings import EmbeddingOrigin, EmbeddingSet, read_table, require_same_origin
from xreid.core.errors import DataError, ProtocolError, XReidError
from xreid.core.files import read_json, sha256_of_value, write_json
from xreid.core.tracklets import Tracklet
from xreid.evaluation.calibration import Calibration, calibration_from_json
from xreid.retrieval.columns import Columns
from xreid.retrieval.engine import Engine, ExactEngine, Vectors

FORMAT_VERSION = 1
EngineBuilder = Callable[[Sequence[Vectors]], Engine]


@dataclass(frozen=True, kw_only=True)
class StoredSet:
    """An embedding set of a gallery.

    Attributes:
        key: First 16 hexadecimal digits of the SHA-256 of what was appended; kept when people are erased.
        name: Name of the folder it was appended from.
        revision: How often people were erased from it.
        rows: Tracklets in it.
        erased: Tracklets erased from it.
        appended: When, ISO 8601 UTC.
    """

    key: str
    name: str
    revision: int
    rows: int
    erased: int
    appended: str

    def has_key(self, text: str) -> bool:
        """Whether `text` is the key, or its first four digits or more."""
        return len(text) >= 4 and self.key.startswith(text)

    @property
    def folder(self) -> str:
        """Where it lies, relative to the gallery."""
        return f"sets/{self.key}-{self.revision}"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One tracklet of a gallery.

    Attributes:
        row: Its row, counted over all sets.
        stored: The set it is in.
        tracklet: The tracklet.
        root: Folder that its frames are relative to.
    """

    row: int
    stored: StoredSet
    tracklet: Tracklet
    root: Path


class Gallery:
    """A gallery as it was when opened; changing it returns it anew.

    Args:
        folder: Its folder.
        sets: Its sets in order of appending.
        engine: What finds nearest vectors.
    """

    def __init__(
        self, folder: Path, *, sets: tuple[StoredSet, ...], engine: EngineBuilder = ExactEngine
    ) -> None:
        self.folder, self.sets, self._engine = folder, sets, engine

    @classmethod
    def open(cls, folder: Path, *, engine: EngineBuilder = ExactEngine) -> Gallery:
        """Open a gallery.

        Raises:
            DataError: There is none, or it is damaged or of a newer format.
        """
        if not (folder / "gallery.json").is_file():
            raise DataError(f"{folder} is no gallery", todo="Make one with `xreid index GALLERY EMBEDDINGS`.")
        manifest = read_json(folder / "gallery.json", what="gallery")
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT_VERSION:
            raise DataError(
                f"{folder} has another format",
                expected=f"gallery format {FORMAT_VERSION}",
                got=str(manifest.get("format") if isinstance(manifest, dict) else manifest)[:40],
                todo="Use the xreid version that wrote it.",
            )
        try:
            sets = tuple(StoredSet(**entry) for entry in manifest["sets"])
        except (KeyError, TypeError) as error:
            raise DataError(
                f"{folder / 'gallery.json'} is damaged",
                got=str(error),
                todo="Make the gallery again from its embedding sets.",
            ) from error
        return cls(folder, sets=sets, engine=engine)

    @classmethod
    def create(cls, folder: Path, *, engine: EngineBuilder = ExactEngine) -> Gallery:
        """Open a gallery, or make an empty one.

        Raises:
            DataError: The folder holds something else.
        """
        if not (folder / "gallery.json").is_file():
            strangers = [p.name for p in folder.iterdir() if p.name != ".lock"] if folder.is_dir() else []
            if strangers or folder.is_file():
                raise DataError(f"{folder} exists and is no gallery", todo="Choose another folder.")
            _found(folder)
        return cls.open(folder, engine=engine)

    def __len__(self) -> int:
        return sum(stored.rows for stored in self.sets)

    @cached_property
    def origin(self) -> EmbeddingOrigin | None:
        """What made the vectors, None while the gallery is empty."""
        return read_origin(self.folder / self.sets[0].folder) if self.sets else None

    @cached_property
    def calibration(self) -> Calibration | None:
        """What the scores mean, from the last appended set that says so; None where none does.

        Raises:
            DataError: It is damaged.
        """
        for stored in reversed(self.sets):
            file = self.folder / stored.folder / "embedding.json"
            plain = read_json(file, what="embedding set").get("calibration")
            if plain is not None:
                return calibration_from_json(plain, what=f"the calibration in {file}")
        return None

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """All tracklets, set after set."""
        entries: list[Entry] = []
        for stored in self.sets:
            folder = self.folder / stored.folder
            root = Path(read_json(folder / "embedding.json", what="embedding set")["root"])
            table = read_table(folder / "tracklets.parquet", root=root, source=stored.name)
            entries += [
                Entry(row=len(entries) + i, stored=stored, tracklet=tracklet, root=root)
                for i, tracklet in enumerate(table)
            ]
        return tuple(entries)

    @cached_property
    def columns(self) -> Columns:
        """Camera, modality, times and identity of all tracklets, for filters."""
        return Columns.of([entry.tracklet for entry in self.entries])

    @cached_property
    def arrays(self) -> tuple[Vectors, ...]:
        """The vectors of each set, memory-mapped, float32 [n, D].

        Raises:
            DataError: They do not fit the manifest.
        """
        return tuple(self._array(stored) for stored in self.sets)

    @cached_property
    def engine(self) -> Engine:
        """What finds nearest vectors, over `arrays`."""
        return self._engine(self.arrays)

    def vectors(self, rows: Sequence[int]) -> Vectors:
        """The vectors of the given rows, float32 [len(rows), D]."""
        starts = np.cumsum([0, *(stored.rows for stored in self.sets)])
        which = np.searchsorted(starts, rows, side="right") - 1
        picked = [self.arrays[s][row - starts[s]] for s, row in zip(which, rows, strict=True)]
        return np.stack(picked).astype(np.float32)

    def find(self, name: str) -> Entry:
        """The tracklet of that name; "SET:NAME" where several sets have it (SET is a key or a set's name).

        Raises:
            ProtocolError: There is none, or several.
        """
        found = [entry for entry in self.entries if entry.tracklet.name == name]
        if not found and ":" in name:
            prefix, _, rest = name.partition(":")
            named = [entry for entry in self.entries if entry.tracklet.name == rest]
            found = [entry for entry in named if prefix == entry.stored.name or entry.stored.has_key(prefix)]
        if len(found) == 1:
            return found[0]
        if found:
            sets = ", ".join(f"{entry.stored.name} ({entry.stored.key[:8]})" for entry in found)
            raise ProtocolError(f"{name!r} is in the sets {sets}", todo=f"Say which, as SET:{name}.")
        raise ProtocolError(
            f"{self.folder} has no tracklet {name!r}",
            expected=", ".join(entry.tracklet.name for entry in self.entries[:5]) + ", ...",
        )

    def append(self, embeddings: EmbeddingSet, *, name: str) -> tuple[Gallery, StoredSet | None]:
        """Append an embedding set.

        Returns:
            The gallery with it, and the stored set; None for the latter where it was in already (also where
            people have been erased from it since).

        Raises:
            ProtocolError: Another model or preprocessing made it.
            XReidError: The folder cannot be written.
        """
        key = content_key(embeddings)
        with self._changing() as now:
            if any(stored.key == key for stored in now.sets):
                return now, None
            if now.origin is not None:
                require_same_origin(now.origin, embeddings.origin)
            stored = StoredSet(
                key=key,
                name=name,
                revision=0,
                rows=len(embeddings),
                erased=0,
                appended=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            embeddings.save(self.folder / stored.folder)
            return now._commit((*now.sets, stored)), stored

    def remove(self, which: str) -> tuple[Gallery, StoredSet]:
        """Remove a set, by key (or its beginning) or by name; returns the gallery without it, and the set.

        Raises:
            ProtocolError: No set, or several, are meant.
        """
        with self._changing() as now:
            meant = [s for s in now.sets if s.name == which or s.has_key(which)]
            if len(meant) != 1:
                raise ProtocolError(
                    f"{'several sets are' if meant else 'no set is'} called {which!r}",
                    expected="the key or the name of one set",
                    got=", ".join(f"{s.key} ({s.name})" for s in meant or now.sets) or "an empty gallery",
                )
            return now._commit(tuple(s for s in now.sets if s != meant[0])), meant[0]

    def erase(self, *, names: Collection[str] = (), identities: Collection[str] = ()) -> tuple[Gallery, int]:
        """Erase all tracklets of those names, and of those people, from every set and from the disk.

        Returns:
            The gallery without them, and how many there were.

        Raises:
            ProtocolError: A name or a person is not in the gallery; nothing is erased.
        """
        with self._changing() as now:
            known = {(row.name, row.identity) for row in (entry.tracklet for entry in now.entries)}
            missing = [n for n in names if n not in {name for name, _ in known}]
            missing += [n for n in identities if n not in {identity for _, identity in known}]
            if missing:
                raise ProtocolError(
                    f"not in {self.folder}: {', '.join(missing[:5])}",
                    expected="names of tracklets, or identities, that the gallery holds",
                    todo="Nothing was erased.",
                )
            sets = [now._without(stored, set(names), set(identities)) for stored in now.sets]
            after = now._commit(tuple(stored for stored in sets if stored is not None))
            return after, len(now) - len(after)

    def _without(self, stored: StoredSet, names: set[str], identities: set[str]) -> StoredSet | None:
        """Write the set's next revision without some of its tracklets; None where none is left."""
        embeddings = EmbeddingSet.load(self.folder / stored.folder)
        kept = [
            i
            for i, row in enumerate(embeddings.table)
            if row.name not in names and (row.identity is None or row.identity not in identities)
        ]
        if len(kept) == len(embeddings):
            return stored
        if not kept:
            return None
        revised = replace(
            stored,
            revision=stored.revision + 1,
            rows=len(kept),
            erased=stored.erased + len(embeddings) - len(kept),
        )
        embeddings.take(kept).save(self.folder / revised.folder)
        return revised

    def _commit(self, sets: tuple[StoredSet, ...]) -> Gallery:
        manifest = {"format": FORMAT_VERSION, "sets": [asdict(stored) for stored in sets]}
        write_json(self.folder / "gallery.json", manifest)
        _clear(self.folder, sets)
        return Gallery(self.folder, sets=sets, engine=self._engine)

    @contextmanager
    def _changing(self) -> Iterator[Gallery]:
        """The gallery as it is on disk now, for us alone; what killed processes left is cleared away."""
        with _locked(self.folder):
            now = Gallery.open(self.folder, engine=self._engine)
            _clear(self.folder, now.sets)
            yield now

    def _array(self, stored: StoredSet) -> Vectors:
        path = self.folder / stored.folder / "vectors.npy"
        try:
            array: Any = np.load(path, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise DataError(f"cannot read {path}", got=str(error), todo="Remove that set.") from error
        if array.ndim != 2 or len(array) != stored.rows or array.dtype != np.float32:
            raise DataError(
                f"{path} does not fit the gallery",
                expected=f"float32 [{stored.rows}, D]",
                got=f"{array.dtype} {list(array.shape)}",
                todo="Remove that set and append it again.",
            )
        return array


@contextmanager
def _locked(folder: Path, *, make: bool = False) -> Iterator[None]:
    """Hold the gallery's lock; `make` its folder first."""
    try:
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "a")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise XReidError(f"cannot write {folder}: {error.strerror}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _found(folder: Path) -> None:
    """Write an empty manifest, unless another process has made the gallery meanwhile."""
    with _locked(folder, make=True):
        if not (folder / "gallery.json").is_file():
            write_json(folder / "gallery.json", {"format": FORMAT_VERSION, "sets": []})


def content_key(embeddings: EmbeddingSet) -> str:
    """16 hexadecimal digits of a hash of vectors, tracklets and origin; not of where the frames lie."""
    import hashlib

    vectors = hashlib.sha256(np.ascontiguousarray(embeddings.vectors).tobytes()).hexdigest()
    rows = [[getattr(row, field) for field in Tracklet.__dataclass_fields__] for row in embeddings.table]
    return sha256_of_value([vectors, rows, asdict(embeddings.origin)])[:16]


def read_origin(folder: Path) -> EmbeddingOrigin:
    """The origin of a stored embedding set, without its vectors."""
    origin = read_json(folder / "embedding.json", what="embedding set")["origin"]
    layout = tuple((name, int(width)) for name, width in origin["layout"])
    return EmbeddingOrigin(**{**origin, "layout": layout})


def _clear(folder: Path, sets: Sequence[StoredSet]) -> None:
    """Delete what lies beside the sets of the manifest: erased revisions, halves of killed writers."""
    named = {Path(stored.folder).name for stored in sets}
    if (folder / "sets").is_dir():
        for entry in (folder / "sets").iterdir():
            if entry.name not in named:
                shutil.rmtree(entry, ignore_errors=True)
