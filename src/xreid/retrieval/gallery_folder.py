"""A gallery that is a folder: the embedding sets themselves, one manifest, and exact search over both.

    gallery.json            which sets there are; replaced atomically, the only point of commitment
    sets/KEY-REVISION/      vectors.npy, tracklets.parquet, embedding.json (core `EmbeddingSet`)
    sets/pack-ID/           many small sets together (see `gallery_packs`)
    labels-N.json           labels of rows that have their own
    receipts/ID.json        what was erased, on whose word
    next/                   sets of another model, until they take over
    answers/                what people said about people (see `answers`); erased with them
    .lock                   held while the gallery is changed; readers need none

A process killed at any moment leaves files that the manifest does not name; the next change clears them away.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import DataError, XReidError
from xreid.core.files import write_json
from xreid.retrieval.answers import FOLDER
from xreid.retrieval.columns import Labels
from xreid.retrieval.engine import Rows
from xreid.retrieval.forgetting import forget_erased
from xreid.retrieval.gallery_folder_answers import FolderAnswers
from xreid.retrieval.gallery_manifest import SETS, Manifest
from xreid.retrieval.gallery_packs import packed_again, rewritten, small_folders
from xreid.retrieval.gallery_parts import Member, Part, names_in, open_part
from xreid.retrieval.gallery_receipts import Receipt, UnfinishedError, hash_of_vector, hashed, now
from xreid.retrieval.gallery_rows import StoredSet, row_id, seen_until_s
from xreid.retrieval.gallery_said import StaleError

NEXT = "next"  # where another model's sets are made ready
_log = logging.getLogger(__name__)


class FolderStore(FolderAnswers):
    """The rows of a gallery's folder (see `gallery_store.Store`): answers, and changes.

    Each change is there as a whole or not at all, whenever the process is killed.
    """

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

    @contextmanager
    def changing(self) -> Iterator[None]:
        """The gallery for us alone; what killed processes left is cleared away first."""
        with _locked(self.folder):
            self._look()
            self._clear()
            self._finish_all()
            yield

    def add(self, stored: StoredSet, embeddings: EmbeddingSet, *, labels: Mapping[str, Labels]) -> None:
        """Append a set, and labels of its rows. Within `changing`."""
        embeddings.save(self.folder / stored.folder)
        self._commit(replace(self._manifest, sets=(*self._manifest.sets, stored)), add=labels)
        self._pack()

    def drop(self, stored: StoredSet) -> None:
        """Remove a set, with the labels of its rows. Within `changing`."""
        folder, sets = self._manifest.home_of(stored)
        try:
            part = open_part(self.folder / folder, sets)
            keep = {s.key: np.arange(0 if s == stored else s.rows) for s in sets}
            manifest = rewritten(self._manifest, part, keep, home=self.folder)
        except (DataError, StaleError):  # damaged: it can be removed all the same
            manifest = self._manifest.without(stored)
        self._commit(manifest, drop=self._without_rows(manifest))

    def _without_rows(self, manifest: Manifest) -> set[str]:
        """Ids that have labels and no row; none as long as a set cannot be read, whose they may be."""
        labels = self._labels_or_fault(self._manifest)
        if isinstance(labels, DataError):
            return set()
        labelled = set(labels)
        for folder, sets in manifest.folders.items() if labelled else ():
            names = names_in(self.folder / folder)
            if len(names) != sum(stored.rows for stored in sets):
                return set()
            keys = (stored.key for stored in sets for _ in range(stored.rows))
            labelled -= {row_id(key, name) for key, name in zip(keys, names, strict=True)}
        return labelled

    def set_labels(self, labels: Mapping[str, Labels]) -> None:
        """Give rows these labels instead of those they have. Within `changing`."""
        self._commit(self._manifest, add=labels)

    def erase(self, ids: Collection[str], receipt: Receipt) -> Receipt:
        """Erase rows from the gallery and from the disk. Within `changing`.

        Returns:
            The receipt, finished.

        Raises:
            UnfinishedError: Something of them may be left.
        """
        gone, manifest = [i.encode() for i in ids], self._manifest
        for part in self.snapshot().parts:
            keep = {member.stored.key: _kept(part, member, gone) for member in part.members}
            if any(len(keep[member.stored.key]) < member.stored.rows for member in part.members):
                manifest = rewritten(manifest, part, keep, home=self.folder)
        receipt.save(self._receipt(receipt.id))
        manifest = replace(
            manifest,
            receipts=(*manifest.receipts, receipt.id),
            unfinished=(*manifest.unfinished, receipt.id),
        )
        self._commit(manifest, drop=ids)
        finished = self._finish(receipt, ids)
        self._finish_all()  # of those that waited for what this one has erased
        return finished

    def partly(self) -> FolderStore:
        """The same, without sets that cannot be read."""
        store = FolderStore(self.folder, partly=True)
        store.on_finished = self.on_finished
        return store

    def finish(self, number: str) -> Receipt:
        """Look again whether anything is left of an erasure. Within `changing`."""
        receipt = Receipt.load(self._receipt(number))
        return receipt if receipt.finished else self._finish(receipt)

    def exchange(self, sets: Sequence[tuple[StoredSet, Path]]) -> None:
        """Put these sets, which lie in folders, in the place of all that are there. Within `changing`."""
        try:
            for stored, folder in sets:
                shutil.copytree(folder, self.folder / stored.folder, copy_function=_link)
        except OSError as error:
            raise XReidError(f"cannot write {self.folder}: {error}", todo="Free some space.") from error
        self._commit(replace(self._manifest, sets=tuple(stored for stored, _ in sets), packs=()))
        while self._pack():
            pass

    def keep(self, receipt: Receipt) -> None:
        """Keep a receipt that another gallery gave, in the place of a damaged one. Within `changing`."""
        receipt.save(self._receipt(receipt.id))
        numbers = tuple(dict.fromkeys((*self._manifest.receipts, receipt.id)))
        self._commit(replace(self._manifest, receipts=numbers))

    def share(self, pieces: Mapping[str, Sequence[str]]) -> None:
        """Remember pieces that several sets hold together, but of sets that are gone. Within `changing`."""
        there = {stored.key for stored in self._manifest.sets}
        known = {**dict(self._manifest.shared), **pieces}
        held = tuple((key, tuple(sets)) for key, sets in known.items() if there.issuperset(sets))
        if held != self._manifest.shared:
            self._commit(replace(self._manifest, shared=held))

    def _pack(self) -> bool:
        """Pack small sets, where there are many; whether a pack was made. Damaged ones are left alone."""
        left: dict[str, str] = {}
        while names := small_folders(
            [each for each in self._manifest.folders.items() if each[0] not in left]
        ):
            try:
                packed, damaged = packed_again(self._manifest, names, home=self.folder)
            except XReidError as error:  # what was appended stays appended
                _log.warning("%s: small sets could not be packed: %s", self.folder, error)
                return False
            for name, why in damaged.items():
                _log.warning("%s: %s is damaged and was not packed: %s", self.folder, name, why)
            left |= damaged
            if packed != self._manifest:
                self._commit(packed)
                return True
            if not damaged:
                break
        return False

    def _commit(
        self, manifest: Manifest, *, add: Mapping[str, Labels] | None = None, drop: Collection[str] = ()
    ) -> None:
        old = self._labels_or_fault(self._manifest)
        if isinstance(old, DataError):
            if add:
                raise old
            old = drop = {}  # left as they are: `_finish` says so, and drops them when they can be read
        new = {**{i: labels for i, labels in old.items() if i not in set(drop)}, **(add or {})}
        if new != old:
            manifest = replace(manifest, labels=self._manifest.labels + 1)
            write_json(self.folder / manifest.labels_file, {i: list(labels) for i, labels in new.items()})
        manifest.write(self.folder)
        self._look()
        self._clear()

    def _clear(self) -> None:
        """Delete what lies beside the files of the manifest: erased revisions, halves of killed writers."""
        named = {Path(folder).name for folder in self._manifest.folders}
        for entry in _listed(self.folder / SETS):
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

    def _finish_all(self) -> None:
        for number in self._manifest.unfinished:
            try:
                self._finish(Receipt.load(self._receipt(number)), tell=self.on_finished)
            except XReidError as error:  # `check` and `receipts` say so, too
                _log.warning("erasure %s is not finished: %s", number, error)

    def _finish(
        self,
        receipt: Receipt,
        ids: Collection[str] = (),
        *,
        tell: Callable[[Receipt], None] = lambda receipt: None,
    ) -> Receipt:
        """Look whether anything is left, and say in the receipt that nothing is.

        Args:
            receipt: The receipt.
            ids: What was erased just now.
            tell: Called before the receipt says so: where it raises, the next change goes on.
        """
        for key in receipt.sets:  # of an unfinished change of model
            for folder in (*self.folder.glob(f"{NEXT}/*/{key}-*"), *self.folder.glob(f"{NEXT}/*/.{key}-*")):
                shutil.rmtree(folder, ignore_errors=True)
        left = self._left(receipt)
        # What is in no set that can be read may be in one that cannot: then only what was erased now is gone.
        unread = self.unread()
        forgotten = forget_erased(self, self.folder / FOLDER, only=set(ids) if unread else None)
        if not ids:  # whom an earlier try has erased, and left in the answers, nobody knows then
            known = receipt.unread | receipt.sets
            left += [f"set {key}: {why}" for key, why in unread.items() if key not in known]
        if (fault := self.snapshot().labels_fault) is not None:
            left.append(str(fault))
        if left or forgotten.left:
            raise UnfinishedError(receipt, [*left, *forgotten.left])
        finished = replace(receipt, finished=now(), forgotten=forgotten.counts)
        tell(finished)
        finished.save(self._receipt(receipt.id))
        rest = tuple(number for number in self._manifest.unfinished if number != receipt.id)
        old = () if ids else self._without_rows(self._manifest)  # where labels could not be read before
        self._commit(replace(self._manifest, unfinished=rest), drop=old)
        return finished

    def _left(self, receipt: Receipt) -> list[str]:
        """What of an erasure is left among the sets, or could not be looked into."""
        unread = self.unread()
        left = [f"set {key}: {why}" for key, why in unread.items() if key in receipt.unread | receipt.sets]
        for part in self.snapshot().parts:
            for member in part.members:
                key = member.stored.key
                there = key in receipt.sets and any(erased_rows(part, member, receipt))
                if there or (key in receipt.unread and any(asked_rows(part, member, receipt))):
                    left.append(f"set {key} holds some of them")
        named = {Path(folder).name for folder in self._manifest.folders}
        left += [
            f"{entry} is still there" for entry in _listed(self.folder / SETS) if entry.name not in named
        ]
        return left


def asked_rows(part: Part, member: Member, receipt: Receipt) -> Iterator[str]:
    """Names in a set that an erasure asked for, by name, by person or by age."""
    rows = part.table.slice(member.start, member.stored.rows)
    columns = (rows[column].to_pylist() for column in ("name", "identity", "start_s", "end_s"))
    for name, person, start_s, end_s in zip(*columns, strict=True):
        asked = receipt.asked_for("names", name) or receipt.asked_for("identities", person)
        if asked or seen_until_s(start_s, end_s, member.stored) < receipt.ended_before_s:
            yield name


def erased_rows(part: Part, member: Member, receipt: Receipt) -> Iterator[str]:
    """Names in a set that, with their vectors, are among what a receipt says was erased."""
    names, vectors = set(receipt.names), set(receipt.vectors)
    rows = part.table["name"].slice(member.start, member.stored.rows).to_pylist()
    for row, name in enumerate(rows, start=member.start):
        if hashed(name, salt=receipt.salt) in names and hash_of_vector(part.vectors[row]) in vectors:
            yield name


def _kept(part: Part, member: Member, gone: Sequence[bytes]) -> Rows:
    return np.flatnonzero(~np.isin(part.ids[member.start : member.stop], gone))


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
