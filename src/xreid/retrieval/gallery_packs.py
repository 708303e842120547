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
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from xreid.core.embeddings import EmbeddingSet, table_from
from xreid.core.errors import DataError
from xreid.core.files import atomic_folder, sha256_of_file, write_json
from xreid.retrieval.engine import Rows, Vectors
from xreid.retrieval.gallery_manifest import SETS, Manifest
from xreid.retrieval.gallery_parts import Member, Part, open_part, whole_table
from xreid.retrieval.gallery_rows import StoredSet
from xreid.retrieval.gallery_said import PACK, PACK_PREFIX, PACK_VERSION, Said, StaleError

SMALL = 1024  # rows; a set of fewer is packed
FULL = 8192  # rows; a pack of as many is left alone, a smaller one is packed again
MANY = 64  # small folders that are put up with
_NONE = "0" * 64  # a checksum that fits nothing


@dataclass(frozen=True, kw_only=True)
class Content:
    """A set, as it is moved from one folder to another.

    Attributes:
        stored: What the manifest says of it.
        said: What its embedding.json says.
        vectors: float32 [n, D].
        table: Its tracklets with their frames, Arrow [n].
        digest: SHA-256 of its vectors' bytes, as it was when they were written.
    """

    stored: StoredSet
    said: Said
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
            digest=_NONE if self.damaged else _digest(vectors),
        )

    @property
    def damaged(self) -> bool:
        """Whether its vectors are not those that were written."""
        return self.digest != _digest(self.vectors)


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
        checked: Whether its checksum must be right. Moved to a pack, a damaged set keeps a checksum that does
            not fit, so that it hinders nobody and is still found.

    Raises:
        DataError: The checksum is wrong.
    """
    vectors = np.asarray(part.vectors[member.start : member.stop])
    digest = member.digest
    if not part.packed:  # in a folder of its own it is that of the file
        whole = sha256_of_file(part.folder / "vectors.npy") == member.digest
        digest = _digest(vectors) if whole else _NONE
    if checked and digest != _digest(vectors):
        raise DataError(
            f"{part.folder}/vectors.npy is damaged, in the set {member.stored.key}",
            todo="Restore it from a backup, or remove that set and append it again.",
        )
    rows = table.slice(member.start, member.stored.rows)
    return Content(stored=member.stored, said=member.said, vectors=vectors, table=rows, digest=digest)


def embedding_set(content: Content, *, what: str) -> EmbeddingSet:
    """A set as an embedding set; `what` is its name in messages."""
    origin, root = content.said.origin, Path(content.said.root)
    table = table_from(content.table.to_pylist(), root=root, source=origin.source, what=what)
    return EmbeddingSet(
        vectors=np.array(content.vectors),
        table=replace(table, licence=origin.licence),
        origin=origin,
        calibration=content.said.calibration,
    )


def packed_again(
    manifest: Manifest, folders: Sequence[str], *, home: Path
) -> tuple[Manifest, dict[str, str]]:
    """Write the sets of some folders as one pack.

    Args:
        manifest: Of the gallery.
        folders: Relative to it.
        home: The gallery's folder.

    Returns:
        The manifest that says so, and what was left where it is, because it is damaged: text for each folder,
        by its name. The manifest is the same where fewer than two folders could be packed.

    Raises:
        XReidError: The pack cannot be written.
    """
    packed, gone, left = list[Content](), list[str](), dict[str, str]()
    for folder in folders:
        try:
            part = open_part(home / folder, manifest.folders[folder])
            table = whole_table(part.folder)
            checked = not part.packed  # in a folder of its own it can still be restored from a backup
            contents = [content_of(part, member, table, checked=checked) for member in part.members]
            if packed and contents[0].vectors.shape[1] != packed[0].vectors.shape[1]:
                raise DataError(f"{part.folder / 'vectors.npy'} is of another width")
        except (DataError, StaleError) as error:
            left[folder] = str(error) or "it is not there"
            continue
        packed += contents
        gone.append(folder)
    return (_as_pack(manifest, packed, gone, home) if len(gone) > 1 else manifest), left


def rewritten(manifest: Manifest, part: Part, keep: Mapping[str, Rows], *, home: Path) -> Manifest:
    """Write a folder of sets without some rows; returns the manifest that says so.

    Args:
        manifest: Of the gallery.
        part: The folder.
        keep: By key, the rows of each set that stay; a set of which none stays goes.
        home: The gallery's folder.

    A set whose vectors are not as they were written is rewritten all the same: whoever is to be erased must
    not stay because of it. It becomes a pack of its own, with a checksum that does not fit, so that `check`
    still finds it.

    Raises:
        DataError: The folder cannot be read, or has gone.
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
        content = content_of(part, member, table, checked=False)
        left.append(content if len(rows) == member.stored.rows else content.take(rows))
        sets[member.stored.key] = left[-1].stored
    if part.packed or any(content.damaged for content in left):
        return _as_pack(manifest.revised(sets), left, [part.folder.name], home)
    for content in left:
        embedding_set(content, what=str(part.folder)).save(home / content.stored.folder)
    return manifest.revised(sets)


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
        said = json.dumps(_plain(one.said), sort_keys=True)
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


def _plain(said: Said) -> dict[str, object]:
    plain: dict[str, object] = {"root": said.root, "origin": asdict(said.origin)}
    return plain if said.calibration is None else {**plain, "calibration": said.calibration}


def _digest(vectors: Vectors) -> str:
    return hashlib.sha256(np.ascontiguousarray(vectors, dtype="<f4").tobytes()).hexdigest()
