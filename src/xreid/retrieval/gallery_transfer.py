"""Galleries as folders that can be carried elsewhere: out of any gallery, into any other.

    export.json             the sets, labels of rows that have their own, SHA-256 of every other file
    sets/KEY/               vectors.npy, tracklets.parquet, embedding.json (core `EmbeddingSet`)
    receipts/ID.json        what was erased

Ids, labels and receipts come along, so that this is also the way from a folder to a server and back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ConfigError, DataError
from xreid.core.files import atomic_folder, read_json, sha256_of_file, write_json
from xreid.core.pacing import Tell
from xreid.retrieval.columns import Labels
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.gallery_receipts import Receipt
from xreid.retrieval.gallery_rows import StoredSet, row_id, stored_from
from xreid.retrieval.typed import record

FORMAT_VERSION = 1
_INDEX = "export.json"


def export_gallery(gallery: Gallery, out: Path, *, tell: Tell = lambda done, total: None) -> int:
    """Write a gallery as a folder, which appears when it is whole.

    Args:
        gallery: The gallery.
        out: Folder to make.
        tell: Called with tracklets done and to do.

    Returns:
        Tracklets written.

    Raises:
        ConfigError: `out` exists.
        XReidError: It cannot be written.
    """
    if out.exists():
        raise ConfigError(f"{out} exists", todo="Choose another folder.")
    sets, done, labels = gallery.sets, 0, dict[str, list[str]]()
    total = sum(stored.rows for stored in sets)
    with atomic_folder(out) as folder:
        for stored in sets:
            embeddings, own = gallery.content(stored)
            embeddings.save(folder / "sets" / stored.key)
            labels.update({entry_id: list(words) for entry_id, words in own.items()})
            done += len(embeddings)
            tell(done, total)
        for receipt in gallery.receipts():
            receipt.save(folder / "receipts" / f"{receipt.id}.json")
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        index = {
            "format": FORMAT_VERSION,
            "gallery": gallery.name,
            "sets": [asdict(stored) for stored in sets],
            "labels": labels,
            "files": {path.relative_to(folder).as_posix(): sha256_of_file(path) for path in files},
        }
        write_json(folder / _INDEX, index)
    return done


def import_gallery(
    gallery: Gallery, folder: Path, *, note: Callable[[str], None] = lambda text: None
) -> list[StoredSet]:
    """Append what `export_gallery` wrote; sets that are in already are left alone.

    Args:
        gallery: Where to.
        folder: The export.
        note: Called with remarks: sets that were in already.

    Returns:
        The sets that were appended.

    Raises:
        DataError: It is no export, or a file of it is damaged or missing; nothing is appended.
        ProtocolError: Another model made it.
    """
    index = read_export(folder)
    labels, appended = index.labels, []
    for stored in index.sets:
        embeddings = EmbeddingSet.load(folder / "sets" / stored.key)
        ids = {row_id(stored.key, row.name) for row in embeddings.table}
        own = {entry_id: words for entry_id, words in labels.items() if entry_id in ids}
        if gallery.adopt(stored, embeddings, labels=own) is None:
            note(f"set {stored.key[:8]} ({stored.name}) is in already")
        else:
            appended.append(stored)
    for path in sorted((folder / "receipts").glob("*.json")):
        gallery.keep(Receipt.load(path))
    return appended


@dataclass(frozen=True, kw_only=True)
class Export:
    """What export.json says.

    Attributes:
        sets: The sets.
        labels: Labels of rows that have their own, by id.
        files: SHA-256 of every other file, by its path.
    """

    sets: tuple[StoredSet, ...]
    labels: dict[str, Labels]
    files: dict[str, str]


def read_export(folder: Path) -> Export:
    """What export.json says, once all files are found to be as it says.

    Raises:
        DataError: They are not.
    """
    path = folder / _INDEX
    plain = read_json(path, what="export")
    if not isinstance(plain, dict) or plain.get("format") != FORMAT_VERSION:
        raise DataError(
            f"{folder} is no export of a gallery",
            expected=f"format {FORMAT_VERSION}",
            todo="Make one with `xreid gallery export`.",
        )
    try:
        said = record(Export, {name: plain[name] for name in Export.__dataclass_fields__ if name in plain})
        for number, one in enumerate(plain["sets"]):
            stored_from(one, where=f"sets[{number}]")
    except ValueError as error:
        raise DataError(f"{path} is damaged", got=str(error)[:200], todo="Copy the export again.") from error
    for name, expected in said.files.items():
        path = folder / name
        if ".." in Path(name).parts or Path(name).is_absolute() or not path.is_file():
            raise DataError(f"{folder} lacks {name}", todo="Copy the export again.")
        if sha256_of_file(path) != expected:
            raise DataError(f"{path} is damaged", todo="Copy the export again.")
    return said
