"""What keeps a gallery in order: erase, expire, receipts, check, export, import, re-embed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xreid.cli.audited import Audited
from xreid.cli.gallery_options import GalleryOptions, RemovalOptions
from xreid.cli.progress import tracklet_lines, tracklet_progress
from xreid.core.errors import ConfigError, DataError, XReidError

if TYPE_CHECKING:
    from xreid.core.embeddings import EmbeddingSet
    from xreid.core.tracklets import TrackletTable
    from xreid.retrieval.gallery import Gallery, Receipt

_UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_AGE = re.compile(r"(\d+(?:\.\d+)?)([mhdw])")
ELSEWHERE = (
    "Pictures, tracklet tables and embedding sets lie elsewhere: `xreid ingest OUT --forget RECEIPT` removes "
    "the pictures (`--keep_days N` what is too old), then `xreid embed` the vectors; whatever else must go "
    "is yours to remove."
)


@dataclass(frozen=True, kw_only=True)
class EraseOptions(RemovalOptions):
    """Erase tracklets or people from every set and from the disk, with a receipt.

    Attributes:
        tracklets: Names of tracklets.
        person: Identities, all of whose tracklets are erased.
    """

    tracklets: list[str] = field(default_factory=list)
    person: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ExpireOptions(RemovalOptions):
    """Erase what is older than an age, with a receipt.

    Attributes:
        older_than: Age of a tracklet's end: a number and m, h, d or w (minutes to weeks). Where times count
            from the start of a video, tracklets are as old as their set is in the gallery.
    """

    older_than: str


@dataclass(frozen=True, kw_only=True)
class ReceiptsOptions(GalleryOptions):
    """List the receipts of what was erased.

    Attributes:
        of: Only receipts of tracklets of this name.
    """

    of: str | None = None


@dataclass(frozen=True, kw_only=True)
class CheckOptions(GalleryOptions):
    """Check that a gallery is whole, and that nobody who was erased is back."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions(GalleryOptions):
    """Write a gallery as a folder with checksums, for `import`.

    Attributes:
        out: Folder to make.
    """

    out: Path


@dataclass(frozen=True, kw_only=True)
class ImportOptions(GalleryOptions):
    """Append an export to a gallery, which is made where missing; ids, labels and receipts come along.

    Attributes:
        folder: Made by `export`.
    """

    folder: Path


@dataclass(frozen=True, kw_only=True)
class ReembedOptions(GalleryOptions):
    """Embed a gallery's tracklets with another model, which takes over when all are done; the old one serves.

    Attributes:
        checkpoint: Folder of a checkpoint, or of a finished run.
        frames: Root of the frames, where they have moved since they were embedded.
        work: Folder for what is done so far; default next/ in the gallery's folder.
        batch: Clips at once.
        precision: fp32, or bf16 (autocast).
        device: auto, cpu, cuda or cuda:N.
        workers: Loader processes; default 0 on a CPU, up to 8 with a GPU.
        threads: Threads for arithmetic on the CPU; 0 for torch's own choice.
    """

    checkpoint: Path
    frames: Path | None = None
    work: Path | None = None
    batch: int = 32
    precision: Literal["fp32", "bf16"] = "fp32"
    device: str = "auto"
    workers: int | None = None
    threads: int = 0

    def __post_init__(self) -> None:
        if self.threads < 0 or (self.workers or 0) < 0:
            raise ConfigError("threads and workers must not be negative")


def erase(options: EraseOptions) -> None:
    """Run `erase`."""
    from xreid.retrieval.gallery import Gallery

    gallery = Gallery.open(options.gallery)
    audit = _asked(gallery, options, names=len(options.tracklets), identities=len(options.person))
    with _told_if_unfinished(gallery, options, audit):
        receipt = gallery.erase(
            names=options.tracklets,
            identities=options.person,
            asked_by=_login() if options.by is None else options.by,
            reason=options.reason,
            dry_run=options.dry_run,
        )
    _erased(audit, receipt)
    _tell(gallery, receipt, copy=options.receipt)


def expire(options: ExpireOptions) -> None:
    """Run `expire`."""
    from xreid.retrieval.gallery import Gallery

    gallery = Gallery.open(options.gallery)
    older_than_s = age_s(options.older_than)
    audit = _asked(gallery, options, older_than_s=older_than_s)
    with _told_if_unfinished(gallery, options, audit):
        receipt = gallery.expire(
            older_than_s=older_than_s,
            asked_by=_login() if options.by is None else options.by,
            reason=options.reason,
            dry_run=options.dry_run,
        )
    _erased(audit, receipt)
    _tell(gallery, receipt, copy=options.receipt)


def receipts(options: ReceiptsOptions) -> None:
    """Run `receipts`."""
    from xreid.retrieval.gallery import Gallery

    damaged, shown = dict[str, str](), 0
    for receipt in Gallery.open(options.gallery).receipts(damaged):
        if options.of is None or receipt.is_of(options.of):
            done = f"finished {receipt.finished}" if receipt.finished else "NOT FINISHED"
            why = f" ({receipt.reason})" if receipt.reason else ""
            count = f"{receipt.tracklets} {'tracklet' if receipt.tracklets == 1 else 'tracklets'}"
            shown += 1
            print(f"{receipt.id}: {count}, asked by {receipt.asked_by or 'nobody named'}{why}, {done}")
    if not shown:
        print(
            f"gallery receipts: {'none' if options.of is None else f'none of {options.of}'}", file=sys.stderr
        )
    if damaged:
        raise DataError(f"{len(damaged)} of the receipts cannot be read", got="; ".join(damaged.values()))


def check(options: CheckOptions) -> None:
    """Run `check`."""
    from xreid.retrieval.gallery import Gallery
    from xreid.retrieval.gallery_check import check_answers, check_gallery

    gallery = Gallery.open(options.gallery)
    faults = list(check_gallery(gallery, tell=tracklet_lines("gallery check")))
    faults += check_answers(gallery)
    for fault in faults:
        print(fault)
    if faults:
        raise DataError(f"{options.gallery} is not in order", got=f"{len(faults)} faults")
    sets = "1 set" if len(gallery.sets) == 1 else f"{len(gallery.sets)} sets"
    print(f"{options.gallery}: {len(gallery)} tracklets in {sets}, all in order")


def export(options: ExportOptions) -> None:
    """Run `export`."""
    from xreid.retrieval.gallery import Gallery
    from xreid.retrieval.gallery_transfer import export_gallery

    gallery = Gallery.open(options.gallery)
    audit = Audited(gallery)
    count = export_gallery(gallery, options.out, tell=tracklet_lines("gallery export"))
    audit.write("gallery exported", tracklets=count, to=str(options.out))
    print(f"{options.out}: {count} tracklets")


def import_(options: ImportOptions) -> None:
    """Run `import`."""
    from xreid.retrieval.gallery import Gallery
    from xreid.retrieval.gallery_transfer import import_gallery, read_export

    read_export(options.folder)  # sound before a gallery is made
    gallery = Gallery.create(options.gallery)
    Audited(gallery).write("gallery imported", source=str(options.folder))
    sets = import_gallery(gallery, options.folder, note=lambda text: print(f"gallery import: {text}"))
    print(f"{options.gallery}: {sum(s.rows for s in sets)} tracklets imported, {len(gallery)} in all")


def reembed(options: ReembedOptions) -> None:
    """Run `re-embed`."""
    import torch

    from xreid.core.tracklets import TrackletTable
    from xreid.inference.calibrated import carry_calibration
    from xreid.inference.checkpoint import load_checkpoint
    from xreid.inference.embed import EmbedConfig, Embedder, embed_tracklets
    from xreid.inference.processes import job, loader_workers
    from xreid.retrieval.gallery import Gallery
    from xreid.retrieval.gallery_again import embed_again, work_folder

    gallery = Gallery.open(options.gallery)
    audit = Audited(gallery)
    if options.threads:
        torch.set_num_threads(options.threads)
    with job(options.device) as processes, tracklet_progress("gallery re-embed") as (tell, note):
        model = load_checkpoint(options.checkpoint, processes.device)
        config = EmbedConfig(clips_per_batch=options.batch, precision=options.precision)

        def moved(table: TrackletTable) -> TrackletTable:
            root = table.root if options.frames is None else options.frames.absolute()
            return TrackletTable(root=root, rows=table.rows, source=table.source, licence=table.licence)

        def make(table: TrackletTable, out: Path) -> EmbeddingSet:
            workers = loader_workers(options.workers, processes.device)
            made = embed_tracklets(
                model, moved(table), out=out, config=config, workers=workers, tell=tell, note=note
            )
            return carry_calibration(made, model, out=out, write=True, note=note)

        first = gallery.page(limit=1)
        if not first:
            raise ConfigError(f"{options.gallery} is empty", todo="There is nothing to embed again.")
        one = TrackletTable(root=first[0].root, rows=(first[0].tracklet,))
        origin = Embedder(model, one, config=config).origin
        work = work_folder(options.gallery, options.work, origin)
        if processes.is_first:
            audit.write("re-embed asked", checkpoint=origin.checkpoint)
        count = embed_again(gallery, make, work=work, note=note)
        if processes.is_first:
            audit.write("re-embedded", checkpoint=origin.checkpoint, tracklets=count)
    print(f"{options.gallery}: {count} tracklets, now of checkpoint {model_name(gallery)}")


def model_name(gallery: Gallery) -> str:
    """The first digits of the hash of a gallery's model."""
    return "none" if gallery.origin is None else gallery.origin.checkpoint[:12]


def age_s(text: str) -> float:
    """Seconds of an age like 30d.

    Raises:
        ConfigError: It is none.
    """
    match = _AGE.fullmatch(text)
    if match is None:
        raise ConfigError("--older-than is no age", expected="a number and m, h, d or w, as 30d", got=text)
    return float(match[1]) * _UNITS[match[2]]


def _erased(audit: Audited, receipt: Receipt) -> None:
    if not receipt.dry_run:
        audit.write("erased", receipt=receipt.id, tracklets=receipt.tracklets)


@contextmanager
def _told_if_unfinished(gallery: Gallery, options: RemovalOptions, audit: Audited) -> Iterator[None]:
    """Say what was erased also where something could not be."""
    from xreid.retrieval.gallery_receipts import UnfinishedError

    try:
        yield
    except UnfinishedError as error:
        audit.write("erased in part", receipt=error.receipt.id, tracklets=error.receipt.tracklets)
        try:
            _tell(gallery, error.receipt, copy=options.receipt)
        except XReidError as fault:  # a server that does not answer, for one
            print(f"gallery {error.receipt.kind}: {fault}", file=sys.stderr)
        raise


def _asked(gallery: Gallery, options: RemovalOptions, **criteria: float) -> Audited:
    """The log, where it is written down first that an erasure was asked for."""
    audit = Audited(gallery)
    if not options.dry_run:
        audit.write("erase asked", **criteria)
    return audit


def _tell(gallery: Gallery, receipt: Receipt, *, copy: Path | None) -> None:
    if copy is not None:
        receipt.save(copy)
    counted = "1 tracklet" if receipt.tracklets == 1 else f"{receipt.tracklets} tracklets"
    if receipt.dry_run:
        print(f"would erase {counted} of {len(gallery)}; nothing was changed")
        for key, why in receipt.unread.items():
            print(f"would not erase from set {key}, which cannot be read: {why}")
        return
    if not receipt.tracklets:
        print(f"nothing to erase; {len(gallery)} tracklets in {gallery.address}")
        return
    left = f"{len(gallery)} {'is' if len(gallery) == 1 else 'are'} left"
    print(f"erased {counted}; {left} in {gallery.address}")
    if any(receipt.forgotten.values()):
        gone = ", ".join(f"{count} {what}" for what, count in receipt.forgotten.items() if count)
        print(f"and from its watch list, alerts and cases: {gone}")
    done = "" if receipt.finished else ", not finished"
    print(f"receipt {receipt.id}{done}{f', copied to {copy}' if copy else ''}")
    print(ELSEWHERE)


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:
        print(f"gallery: nobody is logged in by name ({error}); --by says on whose word", file=sys.stderr)
        return "unknown"
