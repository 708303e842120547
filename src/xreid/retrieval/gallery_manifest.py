"""gallery.json: which sets a gallery's folder holds, and in which folders they lie."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from xreid.core.errors import DataError
from xreid.core.files import atomic_file, read_json
from xreid.retrieval.gallery_rows import StoredSet, stored_from
from xreid.retrieval.typed import record

FORMAT_VERSION = 3  # 2 knew no packs, 1 no labels and no receipts
_READABLE = (1, 2, 3)
_FILE = "gallery.json"
SETS = "sets"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True, kw_only=True)
class _Plain:
    """gallery.json as it is written."""

    format: int
    sets: tuple[Any, ...]
    packs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    labels: int = 0
    receipts: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    shared: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What gallery.json says.

    Attributes:
        sets: The sets in order of appending.
        packs: Folders that hold several small sets: name -> keys of those sets, in order of their rows. Any
            other set lies in a folder of its own.
        labels: Number of the file of labels, 0 for none.
        receipts: Ids of the receipts.
        unfinished: Those of erasures that were killed before the old files were gone.
        shared: Content keys of pieces whose rows several sets hold together, and the keys of these.
    """

    sets: tuple[StoredSet, ...] = ()
    packs: tuple[tuple[str, tuple[str, ...]], ...] = ()
    labels: int = 0
    receipts: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    shared: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read it.

        Raises:
            DataError: There is none, or it is damaged or of a newer format.
        """
        path = folder / _FILE
        if not path.is_file():
            raise DataError(
                f"{folder} is no gallery", todo="Make one with `xreid gallery add GALLERY EMBEDDINGS`."
            )
        plain = read_json(path, what="gallery")
        if not isinstance(plain, dict) or plain.get("format") not in _READABLE:
            raise DataError(
                f"{path} has another format",
                expected=f"gallery format {FORMAT_VERSION}",
                got=str(plain.get("format") if isinstance(plain, dict) else plain)[:40],
                todo="Use the xreid version that wrote it.",
            )
        try:
            return cls._of(plain)
        except ValueError as error:
            raise DataError(
                f"{path} is damaged",
                got=str(error)[:200],
                todo="Make the gallery again from its embedding sets.",
            ) from error

    @classmethod
    def _of(cls, plain: dict[str, Any]) -> Manifest:
        read = record(_Plain, plain)
        sets = tuple(stored_from(entry, where=f"sets[{number}]") for number, entry in enumerate(read.sets))
        known, packed = [stored.key for stored in sets], [key for keys in read.packs.values() for key in keys]
        if len(set(known)) < len(known) or len(set(packed)) < len(packed) or not all(read.packs.values()):
            raise ValueError("a set is named twice, or a pack holds none")
        strangers = set(packed) - set(known)
        if strangers:
            raise ValueError(f"a pack holds the set {min(strangers)}, which is none of the gallery's")
        for name in (*read.packs, *read.receipts, *read.unfinished):
            if not _NAME.fullmatch(name):  # it becomes part of a path
                raise ValueError(f"{name[:40]!r} is no name of a pack or a receipt")
        return cls(
            sets=sets,
            packs=tuple(read.packs.items()),
            labels=read.labels,
            receipts=read.receipts,
            unfinished=read.unfinished,
            shared=tuple(read.shared.items()),
        )

    def write(self, folder: Path) -> None:
        """Replace it, atomically; a line for each set, so that thousands are written fast."""
        head = {"format": FORMAT_VERSION, "labels": self.labels}
        lists = {"receipts": self.receipts, "unfinished": self.unfinished}
        parts = [f'"{name}": {json.dumps(value)}' for name, value in {**head, **lists}.items()]
        packs = [f"{json.dumps(name)}: {json.dumps(keys)}" for name, keys in self.packs]
        parts.append('"packs": {\n' + ",\n".join(packs) + "\n}")
        if self.shared:  # older versions read a gallery without
            parts.append(f'"shared": {json.dumps(dict(self.shared))}')
        parts.append('"sets": [\n' + ",\n".join(json.dumps(vars(stored)) for stored in self.sets) + "\n]")
        with atomic_file(folder / _FILE) as temporary:
            temporary.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")

    @property
    def labels_file(self) -> str:
        """Name of the file of labels."""
        return f"labels-{self.labels}.json"

    @cached_property
    def folders(self) -> dict[str, tuple[StoredSet, ...]]:
        """The folders of sets, relative to the gallery's, and what each holds in order of its rows."""
        by_key = {stored.key: stored for stored in self.sets}
        packed = {f"{SETS}/{name}": tuple(by_key[key] for key in keys) for name, keys in self.packs}
        inside = {key for _, keys in self.packs for key in keys}
        alone = {stored.folder: (stored,) for stored in self.sets if stored.key not in inside}
        return {**packed, **alone}

    def home_of(self, stored: StoredSet) -> tuple[str, tuple[StoredSet, ...]]:
        """The folder that a set lies in, and all sets that do.

        Raises:
            DataError: It is not (any more) in the gallery.
        """
        for folder, sets in self.folders.items():
            if stored in sets:
                return folder, sets
        raise DataError(f"set {stored.key} is not in the gallery any more", todo="List its sets again.")

    def without(self, stored: StoredSet) -> Manifest:
        """The same without a set, whose rows a pack may still hold."""
        packs = ((name, tuple(key for key in keys if key != stored.key)) for name, keys in self.packs)
        kept = tuple(one for one in self.sets if one != stored)
        return replace(self, sets=kept, packs=tuple((name, keys) for name, keys in packs if keys))

    def revised(
        self,
        sets: Mapping[str, StoredSet | None],
        *,
        packs: Mapping[str, Sequence[str]] = MappingProxyType({}),
        gone: Collection[str] = (),
    ) -> Manifest:
        """The same with other sets and packs.

        Args:
            sets: By key, what comes in the place of a set; None: it goes.
            packs: New packs, and the keys in them.
            gone: Packs that go.
        """
        kept = tuple(pack for pack in self.packs if pack[0] not in gone)
        new = tuple((name, tuple(keys)) for name, keys in packs.items())
        changed = (sets.get(stored.key, stored) for stored in self.sets)
        return replace(self, sets=tuple(s for s in changed if s is not None), packs=(*kept, *new))
