"""`xreid index GALLERY EMBEDDINGS...`: append embedding sets to a gallery, list it, erase from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from xreid.cli.options import parse
from xreid.core.errors import ConfigError

if TYPE_CHECKING:
    from xreid.retrieval.gallery import Gallery


@dataclass(frozen=True, kw_only=True)
class IndexOptions:
    """Append embeddings to a gallery (made where missing), or list it, or erase from it.

    Attributes:
        gallery: Folder of the gallery.
        embeddings: Folders written by `xreid embed`, all of the gallery's model.
        show: List the sets of the gallery.
        remove: Remove these sets, by key or name.
        erase: Erase these tracklets, by name, from all sets and from the disk.
        erase_identities: Erase all tracklets of these people.
    """

    gallery: Path
    embeddings: list[Path] = field(default_factory=list)
    show: bool = False
    remove: list[str] = field(default_factory=list)
    erase: list[str] = field(default_factory=list)
    erase_identities: list[str] = field(default_factory=list)


def main(argv: Sequence[str]) -> int:
    """Run the verb."""
    options = parse(IndexOptions, argv, verb="index", positional=("gallery", "embeddings"))
    from xreid.retrieval.gallery import Gallery

    actions = (options.embeddings, options.show, options.remove, options.erase or options.erase_identities)
    if sum(map(bool, actions)) != 1:
        raise ConfigError(
            "say one thing to do", expected="EMBEDDINGS, --show, --remove, or --erase", got="none or several"
        )
    if options.embeddings:
        _append(options.gallery, options.embeddings)
        return 0
    gallery = Gallery.open(options.gallery)
    for which in options.remove:
        gallery, stored = gallery.remove(which)
        print(f"removed {stored.key[:8]} ({stored.name}): {_counted(stored.rows, 'tracklet')}")
    if options.erase or options.erase_identities:
        gallery, count = gallery.erase(names=options.erase, identities=options.erase_identities)
        left = f"{len(gallery)} {'is' if len(gallery) == 1 else 'are'} left"
        print(f"erased {_counted(count, 'tracklet')}; {left} in {options.gallery}")
        print(
            "Frames, tracklet tables and the embedding sets they came from lie elsewhere: erase them there."
        )
    if options.show:
        _list(gallery)
    return 0


def _append(folder: Path, sets: Sequence[Path]) -> None:
    from xreid.core.embeddings import EmbeddingSet, require_same_origin
    from xreid.retrieval.gallery import Gallery

    loaded = [(path, EmbeddingSet.load(path)) for path in sets]  # all are sound before the first is appended
    for _, embeddings in loaded[1:]:
        require_same_origin(loaded[0][1].origin, embeddings.origin)
    gallery = Gallery.create(folder)
    for path, embeddings in loaded:
        name = path.resolve().name
        gallery, stored = gallery.append(embeddings, name=name)
        if stored is None:
            print(f"{path} is in {folder} already: nothing appended")
        else:
            print(f"appended {stored.key[:8]} ({name}): {_counted(stored.rows, 'tracklet')}")
    print(_size(gallery))


def _list(gallery: Gallery) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "set", "name", "tracklets", "visible", "infrared", "cameras", "erased", "appended", box=None
    )
    for stored in gallery.sets:
        rows = [entry.tracklet for entry in gallery.entries if entry.stored is stored]
        infrared = sum(row.modality.value == "ir" for row in rows)
        cameras = sorted({row.camera for row in rows if row.camera})
        counts = [str(n) for n in (len(rows), len(rows) - infrared, infrared)]
        shown = ", ".join(cameras[:6]) + (", ..." if len(cameras) > 6 else "")
        table.add_row(
            stored.key[:8], stored.name, *counts, shown or "-", str(stored.erased), stored.appended[:10]
        )
    console = Console(markup=False, highlight=False)
    console.width = max(console.width, 100)
    console.print(table)
    print(_size(gallery))


def _size(gallery: Gallery) -> str:
    held = _counted(len(gallery), "tracklet")
    return f"{gallery.folder}: {held} in {_counted(len(gallery.sets), 'set')}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
