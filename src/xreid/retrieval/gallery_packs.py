"""Packs: many small sets of a gallery's folder, in the files of one.

    sets/pack-ID/vectors.npy, tracklets.parquet     the rows of all, one set after the other
    sets/pack-ID/pack.json                          which sets, and what each set's embedding.json said

A site that appends every few minutes has thousands of sets of some rows each; three files for every one make
opening and searching slow. A set in a pack is the same set: its key, name, labels, erasures, checksum and the
ids of its rows stay. Only the manifest says where it lies, so that a kill in the middle changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from xreid.core.embeddings import EmbeddingSet, table_from
from xreid.core.errors import DataError
from xreid.core.files import atomic_folder, sha256_of_file, write_json
from xreid.retrieval.engine import Rows, Vectors
from xreid.retrieval.gallery_manifest import SETS, Manifest
from xreid.retrieval.gallery_parts import (
    PACK,
    PACK_PREFIX,
    PACK_VERSION,
    Member,
    Part,
    StaleError,
    open_part,
    origin_of,
    whole_table,
)
from xreid.retrieval.gallery_rows import StoredSet

SMALL = 1024  # rows; a set of fewer is packed
FULL = 8192  # rows; a pack of as many is left alone, a smaller one is packed again
MANY = 64  # small folders that are put up with
_MOVED = ("root", "origin", "calibration")  # what embedding.json says beside the checksum


@dataclass(frozen=True, kw_only=True)
class Content:
    """A set, as it is moved from one folder to another.

    Attributes:
        stored: What the manifest says of it.
        meta: What its embedding.json says.
        vectors: float32 [n, D].
        table: Its tracklets with their frames, Arrow [n].
        digest: SHA-256 of its vectors' bytes, as it was when they were written.
    """

    stored: StoredSet
    meta: dict[str, Any]
    vectors: Vectors
    table: pa.Table
    digest: str

    def take(self, rows: Rows) -> Content:
        """Some of its rows, as the set's next revision."""
        count = len(self.vectors) - len(rows)
        stored = replace(
            self.stored,
            revision=self.stored.revision + 1,
            rows=len(rows),
            erased=self.stored.erased + count,
        )
        vectors = self.vectors[rows]
        return replace(
            self,
            stored=stored,
            vectors=vectors,
            table=self.table.take(pa.array(rows)),
            digest=_digest(vectors),
        )


def small_folders(folders: Sequence[tuple[str, Sequence[StoredSet]]]) -> list[str]:
    """The folders to pack now, enough for one pack; none as long as few of them are small.

    One pack at a time, so that no appending waits long. A row is copied again with every pack that grows:
    about four times for sets of 20 rows.
    """
    small = [(name, sum(s.rows for s in sets)) for name, sets in folders if _is_small(sets)]
    if len(small) < MANY:
        return []
    chosen, rows = [], 0
    for name, count in small:
        chosen.append(name)
        rows += count
        if rows >= FULL:
            break
    return chosen


def _is_small(sets: Sequence[StoredSet]) -> bool:
    return sum(stored.rows for stored in sets) < (SMALL if len(sets) == 1 else FULL)


def content_of(part: Part, member: Member, table: pa.Table, *, checked: bool = True) -> Content:
    """One set of a folder.

    Args:
        part: The folder.
        member: The set.
        table: `whole_table` of the folder.
        checked: Whether its checksum must be right. Moved from pack to pack, a set keeps its checksum, so
            that a damaged one hinders nobody and is still found.

    Raises:
        DataError: The checksum is wrong.
    """
    vectors = np.asarray(part.vectors[member.start : member.stop])
    expected = digest = str(member.meta["vectors_sha256"])
    if not part.packed:
        found, digest = sha256_of_file(part.folder / "vectors.npy"), _digest(vectors)
    elif checked:
        found = _digest(vectors)
    else:
        found = expected
    if found != expected:
        raise DataError(
            f"{part.folder}/vectors.npy is damaged, in the set {member.stored.key}",
            todo="Restore it from a backup, or remove that set and append it again.",
        )
    rows = table.slice(member.start, member.stored.rows)
    return Content(stored=member.stored, meta=member.meta, vectors=vectors, table=rows, digest=digest)


def embedding_set(content: Content, *, what: str) -> EmbeddingSet:
    """A set as an embedding set; `what` is its name in messages."""
    origin = origin_of(content.meta)
    root = Path(content.meta["root"])
    table = table_from(content.table.to_pylist(), root=root, source=origin.source, what=what)
    return EmbeddingSet(
        vectors=np.array(content.vectors),
        table=replace(table, licence=origin.licence),
        origin=origin,
        calibration=content.meta.get("calibration"),
    )


def packed_again(manifest: Manifest, folders: Sequence[str], *, home: Path) -> Manifest:
    """Write the sets of some folders as one pack; returns the manifest that says so.

    Args:
        manifest: Of the gallery.
        folders: Relative to it.
        home: The gallery's folder.

    Raises:
        DataError: A set is damaged.
        StaleError: A folder is not there.
        XReidError: The pack cannot be written.
    """
    parts = [open_part(home / folder, manifest.folders[folder]) for folder in folders]
    packed = []
    for part in parts:
        table = whole_table(part.folder)
        packed += [content_of(part, member, table, checked=False) for member in part.members]
    return _as_pack(manifest, packed, folders, home)


def rewritten(manifest: Manifest, part: Part, keep: Mapping[str, Rows], *, home: Path) -> Manifest:
    """Write a folder of sets without some rows; returns the manifest that says so.

    Args:
        manifest: Of the gallery.
        part: The folder.
        keep: By key, the rows of each set that stay; a set of which none stays goes.
        home: The gallery's folder.

    Raises:
        DataError: A set of which rows stay is damaged, or has gone.
        XReidError: The new folder cannot be written.
    """
    try:
        table = whole_table(part.folder)
    except StaleError as error:
        raise DataError(f"{part.folder} has gone", todo="Restore it from a backup.") from error
    left, sets = [], dict[str, StoredSet | None]()
    for member in part.members:
        rows = keep[member.stored.key]
        if not len(rows):
            sets[member.stored.key] = None
            continue
        whole = len(rows) == member.stored.rows
        content = content_of(part, member, table, checked=not whole)
        left.append(content if whole else content.take(rows))
        sets[member.stored.key] = left[-1].stored
    if not part.packed:
        for content in left:
            embedding_set(content, what=str(part.folder)).save(home / content.stored.folder)
        return manifest.revised(sets)
    return _as_pack(manifest.revised(sets), left, [part.folder.name], home)


def _as_pack(manifest: Manifest, packed: Sequence[Content], gone: Sequence[str], home: Path) -> Manifest:
    names = [Path(folder).name for folder in gone]
    if not packed:
        return manifest.revised({}, gone=names)
    name = f"{PACK_PREFIX}{secrets.token_hex(8)}"
    write_pack(home / SETS / name, packed)
    return manifest.revised({}, packs={name: [one.stored.key for one in packed]}, gone=names)


def write_pack(folder: Path, packed: Sequence[Content]) -> None:
    """Write sets as one pack, which appears when it is whole.

    Raises:
        XReidError: It cannot be written.
    """
    rows, width = sum(len(one.vectors) for one in packed), packed[0].vectors.shape[1]
    about: dict[str, int] = {}
    sets = []
    for one in packed:
        said = json.dumps({name: one.meta[name] for name in _MOVED if name in one.meta}, sort_keys=True)
        number = about.setdefault(said, len(about))
        plain = {"key": one.stored.key, "rows": len(one.vectors), "about": number}
        sets.append({**plain, "vectors_sha256": one.digest})
    with atomic_folder(folder) as temporary:
        with open(temporary / "vectors.npy", "wb") as file:
            shape = {"descr": "<f4", "fortran_order": False, "shape": (rows, width)}
            np.lib.format.write_array_header_1_0(file, shape)
            for one in packed:
                file.write(np.ascontiguousarray(one.vectors, dtype="<f4").tobytes())
        pq.write_table(pa.concat_tables([one.table for one in packed]), temporary / "tracklets.parquet")
        whole = {"format": PACK_VERSION, "about": [json.loads(said) for said in about], "sets": sets}
        write_json(temporary / PACK, whole)


def _digest(vectors: Vectors) -> str:
    return hashlib.sha256(np.ascontiguousarray(vectors, dtype="<f4").tobytes()).hexdigest()
