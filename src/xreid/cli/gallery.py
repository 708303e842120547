"""`xreid gallery VERB GALLERY ...`: what is in a gallery, and what is done to it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xreid.cli import gallery_care as care
from xreid.cli.audited import Audited
from xreid.cli.gallery_options import GalleryOptions
from xreid.cli.gallery_strangers import StrangersOptions, strangers
from xreid.cli.sub_verbs import SubVerbs, run_sub_verb
from xreid.core.errors import ConfigError

if TYPE_CHECKING:
    from xreid.retrieval.gallery import Entry, Gallery


@dataclass(frozen=True, kw_only=True)
class AddOptions(GalleryOptions):
    """Append embeddings to a gallery, which is made where missing; of a set that has grown, what is new.

    Attributes:
        embeddings: Folders written by `xreid embed`, all of the gallery's model.
        label: Labels for all of their tracklets.
        others_than: Receipts (ids) of people whom these tracklets do not show, on your word: where names
            repeat, or a receipt cannot be read.
    """

    embeddings: list[Path] = field(default_factory=list)
    label: list[str] = field(default_factory=list)
    others_than: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ShowOptions(GalleryOptions):
    """Show the sets of a gallery."""


@dataclass(frozen=True, kw_only=True)
class RemoveOptions(GalleryOptions):
    """Remove sets from a gallery.

    Attributes:
        sets: Their keys, or the first four digits or more, or their names.
    """

    sets: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ListOptions(GalleryOptions):
    """List tracklets in order of time.

    Attributes:
        modality: Only visible or infrared tracklets.
        camera: Only these cameras.
        place: Only cameras of these places.
        from_time: Only tracklets seen at this time or later (also --from): ISO 8601, or seconds.
        to_time: Only tracklets seen at this time or before (also --to).
        known: Only tracklets of known people.
        person: Only tracklets of these people.
        min_quality: Only tracklets of this quality or better, 0 to 1.
        label: Only tracklets that carry all of these labels.
        set: Only tracklets of these sets, by key or name.
        after: Go on after the tracklet of this id.
        limit: Most tracklets.
        json: Print JSON instead of a table.
    """

    modality: Literal["vis", "ir", "any"] = "any"
    camera: list[str] = field(default_factory=list)
    place: list[str] = field(default_factory=list)
    from_time: str | None = None
    to_time: str | None = None
    known: bool = False
    person: list[str] = field(default_factory=list)
    min_quality: float | None = None
    label: list[str] = field(default_factory=list)
    set: list[str] = field(default_factory=list)
    after: str | None = None
    limit: int = 50
    json: bool = False


@dataclass(frozen=True, kw_only=True)
class LabelOptions(GalleryOptions):
    """Give tracklets labels, or take labels from them.

    Attributes:
        tracklets: Their names or ids; SET:NAME where several sets hold a name.
        add: Labels to give.
        remove: Labels to take.
    """

    tracklets: list[str] = field(default_factory=list)
    add: list[str] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)


def main(argv: Sequence[str]) -> int:
    """Run the verb."""
    return run_sub_verb(_VERBS, argv, of="gallery", to="to a gallery", about=_ABOUT)


def _add(options: AddOptions) -> None:
    if not options.embeddings:
        raise ConfigError("no embeddings were named", expected="folders written by `xreid embed`")
    from xreid.cli.watch import check_after_append
    from xreid.core.embeddings import EmbeddingSet, require_same_origin
    from xreid.retrieval.gallery import Gallery
    from xreid.retrieval.gallery_rows import valid_labels

    labels = valid_labels(options.label)
    # All are sound before the first is appended.
    loaded = [(path, EmbeddingSet.load(path)) for path in options.embeddings]
    for _, embeddings in loaded[1:]:
        require_same_origin(loaded[0][1].origin, embeddings.origin)
    gallery = Gallery.create(options.gallery)
    audit = Audited(gallery)
    for path, embeddings in loaded:
        name = path.resolve().name
        stored = gallery.append(
            embeddings,
            name=name,
            labels=labels,
            others_than=options.others_than,
            tell=audit.write_append,
            note=lambda text: print(f"gallery add: {text}"),
        )
        if stored is None:
            print(f"{path} has nothing new for {options.gallery}: nothing appended")
        else:
            out = f"; {stored.erased} that were erased here stay out" if stored.erased else ""
            print(f"appended {stored.key[:8]} ({name}): {_counted(stored.rows, 'tracklet')}{out}")
    print(_size(gallery))
    check_after_append(gallery)


def _show(options: ShowOptions) -> None:
    from rich.table import Table

    from xreid.cli.tables import print_table
    from xreid.retrieval.gallery import Gallery

    gallery = Gallery.open(options.gallery)
    infrared = gallery.infrared()
    table = Table("set", "name", "tracklets", "visible", "infrared", "erased", "appended", "labels", box=None)
    for stored in gallery.sets:
        dark = infrared.get(stored.key, 0)
        counts = [str(n) for n in (stored.rows, stored.rows - dark, dark, stored.erased)]
        table.add_row(
            stored.key[:8], stored.name, *counts, stored.appended[:10], ", ".join(stored.labels) or "-"
        )
    print_table(table)
    for what, values in (("cameras", gallery.cameras), ("places", gallery.places)):
        if values:
            print(f"{what}: {', '.join(values[:12])}{', ...' if len(values) > 12 else ''}")
    print(_size(gallery))


def _remove(options: RemoveOptions) -> None:
    if not options.sets:
        raise ConfigError("no set was named", expected="the key or the name of a set")
    from xreid.retrieval.gallery import Gallery

    gallery = Gallery.open(options.gallery)
    audit = Audited(gallery)
    for which in options.sets:
        stored = gallery.remove(which)
        audit.write("set removed", set=stored.key, tracklets=stored.rows)
        print(f"removed {stored.key[:8]} ({stored.name}): {_counted(stored.rows, 'tracklet')}")


def _list(options: ListOptions) -> None:
    from xreid.core.tracklets import Modality
    from xreid.retrieval.gallery import Filter, Gallery
    from xreid.retrieval.gallery_rows import plain_entry
    from xreid.retrieval.ingest_config import parse_time
    from xreid.retrieval.too_narrow import too_narrow

    gallery = Gallery.open(options.gallery)
    rules = Filter(
        modality=None if options.modality == "any" else Modality(options.modality),
        cameras=tuple(options.camera),
        places=tuple(options.place),
        from_s=None if options.from_time is None else parse_time(options.from_time, option="from"),
        to_s=None if options.to_time is None else parse_time(options.to_time, option="to"),
        known=options.known,
        identities=tuple(options.person),
        min_quality=options.min_quality,
        labels=tuple(options.label),
        sets=tuple(options.set),
    )
    page = gallery.page(rules, after=options.after, limit=options.limit)
    if options.json:
        print(json.dumps([plain_entry(entry) for entry in page], indent=2))
    else:
        _table(page)
        count = gallery.count(rules)
        more = f"; go on with --after {page[-1].id}" if len(page) == options.limit < count else ""
        print(f"{_counted(count, 'tracklet')}{more}")
    if not page and options.after is None and (why := too_narrow(gallery, rules)):
        print(f"gallery list: {why}", file=sys.stderr)
    if gallery.labels_fault is not None:  # shown are those of the sets
        raise gallery.labels_fault


def _table(page: Sequence[Entry]) -> None:
    from rich.table import Table

    from xreid.cli.tables import print_table
    from xreid.retrieval.page import name_of, show_span

    table = Table(
        "id", "tracklet", "set", "camera", "modality", "time", "person", "quality", "labels", box=None
    )
    for entry in page:
        row = entry.tracklet
        quality = "-" if row.quality is None else f"{row.quality:.2f}"
        facts = (row.name, entry.stored.name, row.camera or "-", name_of(row.modality), show_span(row) or "-")
        table.add_row(entry.id, *facts, row.identity or "-", quality, ", ".join(entry.labels) or "-")
    print_table(table)


def _label(options: LabelOptions) -> None:
    if not options.tracklets or not (options.add or options.remove):
        raise ConfigError(
            "say which tracklets and which labels", expected="names, and --add or --remove LABEL"
        )
    from xreid.retrieval.gallery import Gallery
    from xreid.retrieval.gallery_rows import valid_labels

    gallery = Gallery.open(options.gallery)
    audit, ids = Audited(gallery), [gallery.find(name).id for name in options.tracklets]
    valid_labels(options.add)
    audit.write("labels changed", tracklets=ids, add=options.add, remove=options.remove)
    for entry in gallery.label(ids, add=options.add, remove=options.remove):
        print(f"{entry.tracklet.name}: {', '.join(entry.labels) or 'no label'}")


_ABOUT = """What is in a gallery, and what is done to it. GALLERY is a folder, or a
gallery on a Milvus server or cluster, http(s)://HOST:PORT/NAME (token in
XREID_MILVUS_TOKEN, certificate in XREID_MILVUS_CA)."""
_VERBS: SubVerbs = {
    "add": (_add, AddOptions, ("embeddings",)),
    "show": (_show, ShowOptions, ()),
    "list": (_list, ListOptions, ()),
    "label": (_label, LabelOptions, ("tracklets",)),
    "remove": (_remove, RemoveOptions, ("sets",)),
    "erase": (care.erase, care.EraseOptions, ("tracklets",)),
    "expire": (care.expire, care.ExpireOptions, ()),
    "receipts": (care.receipts, care.ReceiptsOptions, ()),
    "check": (care.check, care.CheckOptions, ()),
    "strangers": (strangers, StrangersOptions, ()),
    "export": (care.export, care.ExportOptions, ("out",)),
    "import": (care.import_, care.ImportOptions, ("folder",)),
    "re-embed": (care.reembed, care.ReembedOptions, ("checkpoint",)),
}


def _size(gallery: Gallery) -> str:
    held = _counted(len(gallery), "tracklet")
    return f"{gallery.address}: {held} in {_counted(len(gallery.sets), 'set')}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
