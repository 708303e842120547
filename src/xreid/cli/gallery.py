"""`xreid gallery VERB GALLERY ...`: what is in a gallery, and what is done to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xreid.cli.options import parse
from xreid.core.errors import ConfigError

if TYPE_CHECKING:
    from xreid.retrieval.gallery import Gallery, Receipt


@dataclass(frozen=True, kw_only=True)
class AddOptions:
    """Append embeddings to a gallery, which is made where missing.

    Attributes:
        gallery: Folder of the gallery.
        embeddings: Folders written by `xreid embed`, all of the gallery's model.
        label: Labels for all of their tracklets.
    """

    gallery: str
    embeddings: list[Path] = field(default_factory=list)
    label: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ShowOptions:
    """Show the sets of a gallery.

    Attributes:
        gallery: Folder of the gallery.
    """

    gallery: str


@dataclass(frozen=True, kw_only=True)
class RemoveOptions:
    """Remove sets from a gallery.

    Attributes:
        gallery: Folder of the gallery.
        sets: Their keys, or the first four digits or more, or their names.
    """

    gallery: str
    sets: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class EraseOptions:
    """Erase tracklets or people from every set and from the disk, with a receipt.

    Attributes:
        gallery: Folder of the gallery.
        tracklets: Names of tracklets.
        person: Identities, all of whose tracklets are erased.
        by: On whose word; default the name you are logged in with.
        reason: Why; stands in the receipt.
        dry_run: Only say what would be erased.
        receipt: Write a copy of the receipt to this file.
    """

    gallery: str
    tracklets: list[str] = field(default_factory=list)
    person: list[str] = field(default_factory=list)
    by: str | None = None
    reason: str = ""
    dry_run: bool = False
    receipt: Path | None = None


def main(argv: Sequence[str]) -> int:
    """Run the verb."""
    verb = argv[0] if argv else ""
    if verb in ("-h", "--help"):
        print(_usage())
        raise SystemExit(0)
    if verb not in _VERBS:
        raise ConfigError(
            f"{verb!r} is nothing to do to a gallery" if verb else "say what to do to which gallery",
            expected=f"one of {', '.join(_VERBS)}, and a gallery",
            todo="See `xreid gallery --help`.",
        )
    function, options, positional = _VERBS[verb]
    function(parse(options, argv[1:], verb=f"gallery {verb}", positional=("gallery", *positional)))
    return 0


def _add(options: AddOptions) -> None:
    if not options.embeddings:
        raise ConfigError("no embeddings were named", expected="folders written by `xreid embed`")
    from xreid.core.embeddings import EmbeddingSet, require_same_origin
    from xreid.retrieval.gallery import Gallery
    from xreid.retrieval.gallery_rows import valid_labels

    labels = valid_labels(options.label)
    # All are sound before the first is appended.
    loaded = [(path, EmbeddingSet.load(path)) for path in options.embeddings]
    for _, embeddings in loaded[1:]:
        require_same_origin(loaded[0][1].origin, embeddings.origin)
    gallery = Gallery.create(options.gallery)
    for path, embeddings in loaded:
        name = path.resolve().name
        stored = gallery.append(embeddings, name=name, labels=labels)
        if stored is None:
            print(f"{path} is in {options.gallery} already: nothing appended")
        else:
            print(f"appended {stored.key[:8]} ({name}): {_counted(stored.rows, 'tracklet')}")
    print(_size(gallery))


def _show(options: ShowOptions) -> None:
    from rich.console import Console
    from rich.table import Table

    from xreid.core.tracklets import Modality
    from xreid.retrieval.gallery import Filter, Gallery

    gallery = Gallery.open(options.gallery)
    table = Table("set", "name", "tracklets", "visible", "infrared", "erased", "appended", "labels", box=None)
    for stored in gallery.sets:
        infrared = gallery.count(Filter(sets=(stored.key,), modality=Modality.INFRARED))
        counts = [str(n) for n in (stored.rows, stored.rows - infrared, infrared, stored.erased)]
        table.add_row(
            stored.key[:8], stored.name, *counts, stored.appended[:10], ", ".join(stored.labels) or "-"
        )
    console = Console(markup=False, highlight=False)
    console.width = max(console.width, 100)
    console.print(table)
    for what, values in (("cameras", gallery.cameras), ("places", gallery.places)):
        if values:
            print(f"{what}: {', '.join(values[:12])}{', ...' if len(values) > 12 else ''}")
    print(_size(gallery))


def _remove(options: RemoveOptions) -> None:
    if not options.sets:
        raise ConfigError("no set was named", expected="the key or the name of a set")
    from xreid.retrieval.gallery import Gallery

    gallery = Gallery.open(options.gallery)
    for which in options.sets:
        stored = gallery.remove(which)
        print(f"removed {stored.key[:8]} ({stored.name}): {_counted(stored.rows, 'tracklet')}")


def _erase(options: EraseOptions) -> None:
    from xreid.retrieval.gallery import Gallery

    gallery = Gallery.open(options.gallery)
    receipt = gallery.erase(
        names=options.tracklets,
        identities=options.person,
        asked_by=_login() if options.by is None else options.by,
        reason=options.reason,
        dry_run=options.dry_run,
    )
    _tell(gallery, receipt, copy=options.receipt)


def _tell(gallery: Gallery, receipt: Receipt, *, copy: Path | None) -> None:
    if copy is not None:
        receipt.save(copy)
    if receipt.dry_run:
        print(f"would erase {_counted(receipt.tracklets, 'tracklet')}; nothing was changed")
        return
    if not receipt.tracklets:
        print(f"nothing to erase; {_size(gallery)}")
        return
    left = f"{len(gallery)} {'is' if len(gallery) == 1 else 'are'} left"
    print(f"erased {_counted(receipt.tracklets, 'tracklet')}; {left} in {gallery.address}")
    print(f"receipt {receipt.id}{f', copied to {copy}' if copy else ''}")
    print("Frames, tracklet tables and the embedding sets they came from lie elsewhere: erase them there.")


_VERBS: dict[str, tuple[Callable[[Any], None], type[Any], tuple[str, ...]]] = {
    "add": (_add, AddOptions, ("embeddings",)),
    "show": (_show, ShowOptions, ()),
    "remove": (_remove, RemoveOptions, ("sets",)),
    "erase": (_erase, EraseOptions, ("tracklets",)),
}


def _usage() -> str:
    width = max(map(len, _VERBS))
    lines = [f"  {name:<{width}}  {(v[1].__doc__ or '').splitlines()[0]}" for name, v in _VERBS.items()]
    return "\n".join(
        [
            "usage: xreid gallery VERB GALLERY [options]      xreid gallery VERB --help",
            "",
            "What is in a gallery, and what is done to it. GALLERY is a folder.",
            "",
            *lines,
        ]
    )


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def _size(gallery: Gallery) -> str:
    held = _counted(len(gallery), "tracklet")
    return f"{gallery.address}: {held} in {_counted(len(gallery.sets), 'set')}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
