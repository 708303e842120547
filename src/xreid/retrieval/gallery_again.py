"""A gallery embedded again by another model, while the old one serves.

Each set is embedded into a folder of its own; killed and called again, that goes on where it was. When all
are there, one commit puts them in the place of the old ones. Rows keep their ids and labels. What was
appended meanwhile is embedded before the change; a set from which somebody was erased meanwhile is embedded
anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from xreid.core.embeddings import EmbeddingOrigin, EmbeddingSet, content_key
from xreid.core.errors import ConfigError
from xreid.core.files import sha256_of_value
from xreid.core.tracklets import TrackletTable
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.gallery_folder import NEXT
from xreid.retrieval.gallery_rows import StoredSet

Make = Callable[[TrackletTable, Path], EmbeddingSet]
_ROUNDS = 100


def embed_again(
    gallery: Gallery, make: Make, *, work: Path, note: Callable[[str], None] = lambda text: None
) -> int:
    """Embed all sets of a gallery with another model, and let it take over.

    Args:
        gallery: The gallery.
        make: Embeds a table into a folder, and resumes there (`inference.embed.embed_tracklets`).
        work: Folder for what is finished so far, of this model alone; removed at the end.
        note: Called with remarks.

    Returns:
        Tracklets embedded.

    Raises:
        ConfigError: The gallery is empty, or sets are appended faster than they can be embedded.
        DataError: Frames cannot be read.
    """
    if not gallery.sets:
        raise ConfigError(f"{gallery.address} is empty", todo="There is nothing to embed again.")
    for _ in range(_ROUNDS):
        sets, made = gallery.sets, list[tuple[StoredSet, Path]]()
        for stored in sets:
            if stored not in gallery.sets:
                break  # removed, or rewritten because somebody was erased
            made.append((_revised(stored, _made(gallery, stored, make, work, note)), _folder(work, stored)))
        with gallery.changing():
            if gallery.sets == sets:
                gallery.exchange(made)
                shutil.rmtree(work, ignore_errors=True)
                return len(gallery)
    raise ConfigError("the gallery changes faster than it can be embedded", todo="Pause the appending.")


def work_folder(address: str, chosen: Path | None, origin: EmbeddingOrigin) -> Path:
    """Where the sets of this model are made ready: one folder for each model.

    Args:
        address: Of the gallery.
        chosen: The folder that was asked for, or None.
        origin: Of the model and its options.
    """
    beside = Path(address) / NEXT if Path(address).is_dir() else Path("gallery.next")
    key = sha256_of_value([str(part) for part in origin.key])[:16]
    return (beside if chosen is None else chosen) / key


def _folder(work: Path, stored: StoredSet) -> Path:
    return work / f"{stored.key}-{stored.revision}"


def _made(
    gallery: Gallery, stored: StoredSet, make: Make, work: Path, note: Callable[[str], None]
) -> EmbeddingSet:
    out = _folder(work, stored)
    if (out / "embedding.json").is_file():
        return EmbeddingSet.load(out)
    note(f"set {stored.key[:8]} ({stored.name}): {stored.rows} tracklets")
    return make(gallery.content(stored, labels=False)[0].table, out)


def _revised(stored: StoredSet, made: EmbeddingSet) -> StoredSet:
    contents = tuple(sorted({*stored.contents, content_key(made)}))
    return replace(stored, revision=stored.revision + 1, contents=contents)
