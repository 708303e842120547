"""A gallery that is a folder: the embedding sets themselves, one manifest, and exact search over both.

    gallery.json            which sets there are; replaced atomically, the only point of commitment
    sets/KEY-REVISION/      vectors.npy, tracklets.parquet, embedding.json (core `EmbeddingSet`)
    labels-N.json           labels of rows that have their own
    receipts/ID.json        what was erased, on whose word
    next/                   sets of another model, until they take over
    .lock                   held while the gallery is changed; readers need none

A process killed at any moment leaves files that the manifest does not name; the next change clears them away.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from xreid.core.embeddings import EmbeddingOrigin, EmbeddingSet
from xreid.core.errors import DataError, XReidError
from xreid.core.files import read_json, write_json
from xreid.evaluation.calibration import Calibration, calibration_from_json
from xreid.retrieval.columns import Filter, Labels
from xreid.retrieval.engine import Vectors
from xreid.retrieval.gallery_receipts import Receipt, hash_of_vector, hashed, now
from xreid.retrieval.gallery_rows import Entry, Found, StoredSet, stored_from
from xreid.retrieval.gallery_snapshot import (
    Part,
    Snapshot,
    StaleError,
    allow_open_files,
    open_part,
    origin_of,
)

FORMAT_VERSION = 2
NEXT = "next"  # where another model's sets are made ready
_READABLE = (1, 2)
_TRIES = 20
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What gallery.json says.

    Attributes:
        sets: The sets in order of appending.
        labels: Number of the file of labels, 0 for none.
        receipts: Ids of the receipts.
        unfinished: Those of erasures that were killed before the old files were gone.
    """

    sets: tuple[StoredSet, ...] = ()
    labels: int = 0
    receipts: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read it.

        Raises:
            DataError: There is none, or it is damaged or of a newer format.
        """
        if not (folder / "gallery.json").is_file():
            raise DataError(
                f"{folder} is no gallery", todo="Make one with `xreid gallery add GALLERY EMBEDDINGS`."
            )
        plain = read_json(folder / "gallery.json", what="gallery")
        if not isinstance(plain, dict) or plain.get("format") not in _READABLE:
            raise DataError(
                f"{folder} has another format",
                expected=f"gallery format {FORMAT_VERSION}",
                got=str(plain.get("format") if isinstance(plain, dict) else plain)[:40],
                todo="Use the xreid version that wrote it.",
            )
        try:
            sets = tuple(stored_from(entry) for entry in plain["sets"])
            lists = {name: tuple(plain.get(name, ())) for name in ("receipts", "unfinished")}
            return cls(sets=sets, labels=plain.get("labels", 0), **lists)
        except (KeyError, TypeError) as error:
            raise DataError(
                f"{folder / 'gallery.json'} is damaged",
                got=str(error),
                todo="Make the gallery again from its embedding sets.",
            ) from error

    def write(self, folder: Path) -> None:
        """Replace it, atomically."""
        write_json(folder / "gallery.json", {"format": FORMAT_VERSION, **asdict(self)})

    @property
    def labels_file(self) -> str:
        """Name of the file of labels."""
        return f"labels-{self.labels}.json"


class FolderStore:
    """The rows of a gallery's folder (see `gallery_store.Store`).

    Args:
        folder: Its folder.

    Raises:
        DataError: It is no gallery, or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: tuple[int, ...] = ()
        self._manifest, self._made_of = Manifest.read(folder), Manifest()
        self._snapshot = Snapshot((), {})
        self._origins: dict[str, EmbeddingOrigin] = {}
        self._looking = threading.RLock()

    @classmethod
    def create(cls, folder: Path) -> FolderStore:
        """Open a gallery, or make an empty one.

        Raises:
            DataError: The folder holds something else.
        """
        if not (folder / "gallery.json").is_file():
            strangers = [p.name for p in folder.iterdir() if p.name != ".lock"] if folder.is_dir() else []
            if strangers or folder.is_file():
                raise DataError(f"{folder} exists and is no gallery", todo="Choose another folder.")
            _found(folder)
        return cls(folder)

    @property
    def address(self) -> str:
        """Where it is."""
        return str(self.folder)

    # What is there. Each answer is of one moment.

    def sets(self) -> tuple[StoredSet, ...]:
        """The sets in order of appending."""
        return self._look().sets

    def origin(self) -> EmbeddingOrigin | None:
        """What made the vectors, None while the gallery is empty."""
        sets = self._look().sets
        if not sets:
            return None
        if sets[0].folder not in self._origins:  # without opening all sets: appending asks for it
            try:
                meta = read_json(self.folder / sets[0].folder / "embedding.json", what="embedding set")
                self._origins = {**self._origins, sets[0].folder: origin_of(meta)}
            except DataError:  # rewritten in this moment
                parts = self.snapshot().parts
                return parts[0].origin if parts else None
        return self._origins[sets[0].folder]

    def calibration(self) -> Calibration | None:
        """What the scores mean, from the last appended set that says so."""
        for part in reversed(self.snapshot().parts):
            plain = part.meta.get("calibration")
            if plain is not None:
                return calibration_from_json(plain, what=f"the calibration in {part.folder}")
        return None

    def known(self, column: str) -> tuple[str, ...]:
        """What occurs in the column camera, place, identity or source, sorted."""
        values: tuple[str, ...] = getattr(self.snapshot().columns, column).values
        return values

    def count(self, rules: Filter, exclude: Collection[str]) -> int:
        """Rows that pass, but those excluded."""
        return int(self._read(lambda now: now.allowed([rules], [exclude]).sum()))

    def entries(self, ids: Sequence[str]) -> list[Entry]:
        """The rows of these ids."""
        return self._read(lambda now: now.entries(now.rows(ids)))

    def vectors(self, ids: Sequence[str]) -> Vectors:
        """Their vectors, float32 [n, D]."""
        return self._read(lambda now: now.vectors(now.rows(ids)))

    def nearest(
        self, vectors: Vectors, *, k: int, rules: Sequence[Filter], exclude: Sequence[Collection[str]]
    ) -> list[list[Found]]:
        """The k best rows for each query."""

        def search(now: Snapshot) -> list[list[Found]]:
            allowed = now.allowed(rules, exclude)
            best = now.engine.top(vectors, k=k, allowed=lambda start, stop: allowed[:, start:stop])
            return [
                [
                    Found(entry=entry, score=float(score))
                    for entry, score in zip(now.entries(b.rows), b.scores, strict=True)
                ]
                for b in best
            ]

        return self._read(search)

    def page(self, rules: Filter, *, after: str | None, limit: int) -> list[Entry]:
        """The next rows in order of time."""

        def listed(now: Snapshot) -> list[Entry]:
            order = now.by_time
            start = 0
            if after is not None:
                start = int(np.flatnonzero(order == now.rows([after])[0])[0]) + 1
            rest = order[start:]
            return now.entries(rest[now.mask(rules)[rest]][:limit])

        return self._read(listed)

    def receipts(self) -> list[Receipt]:
        """What was erased, in order."""
        return [Receipt.load(self._receipt(number)) for number in self._look().receipts]

    # Changes. Each is there as a whole or not at all, whenever the process is killed.

    @contextmanager
    def changing(self) -> Iterator[None]:
        """The gallery for us alone; what killed processes left is cleared away first."""
        with _locked(self.folder):
            self._look()
            self._clear()
            for number in self._manifest.unfinished:
                self._finish(Receipt.load(self._receipt(number)))
            yield

    def add(self, stored: StoredSet, embeddings: EmbeddingSet, *, labels: Mapping[str, Labels]) -> None:
        """Append a set, and labels of its rows. Within `changing`."""
        embeddings.save(self.folder / stored.folder)
        self._commit(replace(self._manifest, sets=(*self._manifest.sets, stored)), add=labels)

    def drop(self, stored: StoredSet) -> None:
        """Remove a set. Within `changing`."""
        kept = tuple(s for s in self._manifest.sets if s != stored)
        self._commit(replace(self._manifest, sets=kept), drop=self._ids_of(stored))

    def set_labels(self, labels: Mapping[str, Labels]) -> None:
        """Give rows these labels instead of those they have. Within `changing`."""
        self._commit(self._manifest, add=labels)

    def erase(self, ids: Collection[str], receipt: Receipt) -> Receipt:
        """Erase rows from the gallery and from the disk. Within `changing`.

        Returns:
            The receipt, finished.

        Raises:
            XReidError: Something of them is left; the receipt stays unfinished.
        """
        gone = {i.encode() for i in ids}
        sets = [self._without(part.stored, part.ids, gone) for part in self.snapshot().parts]
        receipt.save(self._receipt(receipt.id))
        manifest = replace(
            self._manifest,
            sets=tuple(stored for stored in sets if stored is not None),
            receipts=(*self._manifest.receipts, receipt.id),
            unfinished=(*self._manifest.unfinished, receipt.id),
        )
        self._commit(manifest, drop=ids)
        return self._finish(receipt)

    def exchange(self, sets: Sequence[tuple[StoredSet, Path]]) -> None:
        """Put these sets, which lie in folders, in the place of all that are there. Within `changing`."""
        for stored, folder in sets:
            shutil.copytree(folder, self.folder / stored.folder, copy_function=_link)
        self._commit(replace(self._manifest, sets=tuple(stored for stored, _ in sets)))

    def content(self, stored: StoredSet) -> tuple[EmbeddingSet, dict[str, Labels]]:
        """A whole set, and the labels of its rows that have their own."""
        ids, own = self._ids_of(stored), self.snapshot().own_labels
        return EmbeddingSet.load(self.folder / stored.folder), {i: own[i] for i in ids if i in own}

    def keep(self, receipt: Receipt) -> None:
        """Keep a receipt that another gallery gave. Within `changing`."""
        receipt.save(self._receipt(receipt.id))
        self._commit(replace(self._manifest, receipts=(*self._manifest.receipts, receipt.id)))

    def snapshot(self) -> Snapshot:
        """The gallery as it is now."""
        for _ in range(_TRIES):
            try:
                return self._load()
            except StaleError:
                continue
        raise DataError(
            f"{self.folder} lacks sets that its gallery.json names",
            todo="Restore them from a backup, or remove the sets.",
        )

    # Reading

    def _read(self, answer: Callable[[Snapshot], T]) -> T:
        for _ in range(_TRIES):
            try:
                return answer(self.snapshot())
            except StaleError:
                continue
        raise DataError(f"{self.folder} lacks files that its gallery.json names", todo="Restore a backup.")

    def _look(self) -> Manifest:
        """The manifest, read again where it has been replaced."""
        with self._looking:
            try:
                stat = (self.folder / "gallery.json").stat()
            except OSError as error:
                raise DataError(f"{self.folder} is no gallery any more: {error.strerror}") from error
            seen = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if seen != self._seen:
                self._manifest = Manifest.read(self.folder)
                self._seen = seen
            return self._manifest

    def _load(self) -> Snapshot:
        with self._looking:
            manifest = self._look()
            if manifest != self._made_of:
                allow_open_files(len(manifest.sets))
                known = {part.stored.folder: part for part in self._snapshot.parts}
                parts = [
                    replace(known[stored.folder], stored=stored)
                    if stored.folder in known
                    else open_part(self.folder / stored.folder, stored)
                    for stored in manifest.sets
                ]
                self._snapshot, self._made_of = Snapshot(parts, self._labels(manifest)), manifest
            return self._snapshot

    def _ids_of(self, stored: StoredSet) -> list[str]:
        """The ids of a set's rows; none where it is damaged, so that it can be removed all the same."""
        try:
            part = open_part(self.folder / stored.folder, stored)
        except (DataError, StaleError):
            return []
        return [entry_id.decode() for entry_id in part.ids.tolist()]

    def _labels(self, manifest: Manifest) -> dict[str, Labels]:
        if not manifest.labels:
            return {}
        try:
            plain = read_json(self.folder / manifest.labels_file, what="labels")
            return {entry_id: tuple(labels) for entry_id, labels in plain.items()}
        except (AttributeError, TypeError) as error:
            raise DataError(f"{self.folder / manifest.labels_file} is damaged", got=str(error)) from error

    # Writing

    def _without(self, stored: StoredSet, ids: Any, gone: Collection[bytes]) -> StoredSet | None:
        """Write the set's next revision without some of its tracklets; None where none is left."""
        kept = np.flatnonzero(~np.isin(ids, list(gone)))
        if len(kept) == len(ids):
            return stored
        if not len(kept):
            return None
        embeddings = EmbeddingSet.load(self.folder / stored.folder)
        revised = replace(
            stored,
            revision=stored.revision + 1,
            rows=len(kept),
            erased=stored.erased + len(ids) - len(kept),
        )
        embeddings.take(kept.tolist()).save(self.folder / revised.folder)
        return revised

    def _commit(
        self, manifest: Manifest, *, add: Mapping[str, Labels] | None = None, drop: Collection[str] = ()
    ) -> None:
        old = self._labels(self._manifest)
        new = {**{i: labels for i, labels in old.items() if i not in set(drop)}, **(add or {})}
        if new != old:
            manifest = replace(manifest, labels=self._manifest.labels + 1)
            write_json(self.folder / manifest.labels_file, {i: list(labels) for i, labels in new.items()})
        manifest.write(self.folder)
        self._look()
        self._clear()

    def _clear(self) -> None:
        """Delete what lies beside the files of the manifest: erased revisions, halves of killed writers."""
        named = {Path(stored.folder).name for stored in self._manifest.sets}
        for entry in _listed(self.folder / "sets"):
            if entry.name not in named:
                shutil.rmtree(entry, ignore_errors=True)
        for entry in _listed(self.folder / "receipts"):
            if entry.stem not in self._manifest.receipts:
                entry.unlink(missing_ok=True)
        for entry in self.folder.glob("labels-*.json"):
            if entry.name != self._manifest.labels_file:
                entry.unlink(missing_ok=True)
        for entry in self.folder.glob(".*.json*"):  # what `write_json` left when it was killed
            entry.unlink(missing_ok=True)

    def _finish(self, receipt: Receipt) -> Receipt:
        """Look whether anything is left, and say in the receipt that nothing is."""
        for key in receipt.sets:  # of an unfinished change of model
            for folder in (*self.folder.glob(f"{NEXT}/*/{key}-*"), *self.folder.glob(f"{NEXT}/*/.{key}-*")):
                shutil.rmtree(folder, ignore_errors=True)
        left = [part.stored.key for part in self.snapshot().parts if any(erased_rows(part, receipt))]
        if left:
            raise XReidError(f"erased vectors are still in the sets {', '.join(left)}", todo="Erase again.")
        finished = replace(receipt, finished=now())
        finished.save(self._receipt(receipt.id))
        rest = tuple(number for number in self._manifest.unfinished if number != receipt.id)
        self._commit(replace(self._manifest, unfinished=rest))
        return finished

    def _receipt(self, number: str) -> Path:
        return self.folder / "receipts" / f"{number}.json"


def erased_rows(part: Part, receipt: Receipt) -> Iterator[str]:
    """Names in a set that, with their vectors, are among what a receipt says was erased."""
    names, vectors = set(receipt.names), set(receipt.vectors)
    for i, name in enumerate(part.table["name"].to_pylist()):
        if hashed(name, salt=receipt.salt) in names and hash_of_vector(part.vectors[i]) in vectors:
            yield name


def _link(source: str, target: str) -> None:
    """The same file under a second name, or a copy where the disk is another."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _listed(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


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
            Manifest().write(folder)
