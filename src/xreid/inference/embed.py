"""Tracklets to stored embeddings: batched, resumable, and the same on 1 or N processes.

The table is cut into parts of fixed size. Batches are formed within a part, so that its vectors do not
depend on what was done before or by whom; finished parts lie on disk until the whole set is written.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from xreid.core.embeddings import EmbeddingOrigin, EmbeddingSet
from xreid.core.errors import ConfigError, DataError
from xreid.core.files import atomic_file, read_json, write_json
from xreid.core.tracklets import TrackletTable
from xreid.data.clips import ClipReader, FrameTransform, OnUnreadable
from xreid.data.loader import ClipBatch, evaluation_clips
from xreid.data.names import SIMULATION_LICENCE
from xreid.data.sampling import FrameSampling
from xreid.inference.background import ahead
from xreid.inference.checkpoint import LoadedModel, SamplingChoice
from xreid.inference.growth import alone_in, grown, in_order, look, row_hash
from xreid.inference.processes import Processes

Vectors = npt.NDArray[np.float32]
Tell = Callable[[int, int], None]

_JOB = "job.json"
_AHEAD = 3  # batches prepared while the model works


@dataclass(frozen=True, kw_only=True)
class EmbedConfig:
    """What is computed of each tracklet; part of the embeddings' origin, but for the batch size.

    Attributes:
        sampling: Which frames: "auto" is the checkpoint's; "dense" takes all, as consecutive clips whose
            features are averaged before they are brought to unit length.
        frames: Frames of a clip; 0 for the checkpoint's.
        flip: Whether a clip's feature is the mean of its own and its mirror image's; none: the checkpoint's.
        clips_per_batch: Most clips at once; changes the vectors by rounding only.
        precision: Arithmetic of the encoder: "fp32" or "bf16" (autocast).
        on_unreadable: Unreadable frames are an "error", or "replace" takes the nearest readable one.
        tracklets_per_part: What is lost at most when the process is killed.
    """

    sampling: SamplingChoice = "auto"
    frames: int = 0
    flip: bool | None = None
    clips_per_batch: int = 32
    precision: Literal["fp32", "bf16"] = "fp32"
    on_unreadable: OnUnreadable = "error"
    tracklets_per_part: int = 256

    def __post_init__(self) -> None:
        for name, low in (("frames", 0), ("clips_per_batch", 1), ("tracklets_per_part", 1)):
            if getattr(self, name) < low:
                raise ConfigError(
                    f"{name} is out of range", expected=f"{low} or more", got=str(getattr(self, name))
                )

    def resolved(self, model: LoadedModel) -> EmbedConfig:
        """With the checkpoint's values where "auto" or 0 stands."""
        defaults = model.checkpoint.preprocessing
        sampling = defaults.sampling if self.sampling == "auto" else self.sampling
        flip = defaults.flip if self.flip is None else self.flip
        return replace(self, sampling=sampling, frames=self.frames or defaults.frames, flip=flip)

    @classmethod
    def of(cls, origin: EmbeddingOrigin) -> EmbedConfig:
        """What vectors must be computed with to be comparable to those of that origin."""
        made = origin.preprocessing
        return cls(
            sampling=made.get("sampling", "auto"),
            frames=made.get("frames", 0),
            flip=made.get("flip", False),
            precision=made.get("precision", "fp32"),
        )


class Embedder:
    """Runs a model over the rows of a table, in memory.

    Args:
        model: The model.
        table: The tracklets.
        config: What to compute.
        workers: Loader processes; 0 loads in a thread.
        cache_bytes: Memory for decoded frames, where tracklets are embedded more than once.
        transform: Changes decoded frames before the normalisation; its `repr` becomes part of the origin, so
            that such vectors are not taken for plain ones.
    """

    def __init__(
        self,
        model: LoadedModel,
        table: TrackletTable,
        *,
        config: EmbedConfig,
        workers: int = 0,
        cache_bytes: int = 0,
        transform: FrameTransform | None = None,
    ) -> None:
        self.model, self.table, self.workers = model, table, workers
        self.config = config.resolved(model)
        preprocessing = model.checkpoint.preprocessing
        self.reader = ClipReader(
            table,
            size=model.network.config.frame_size,
            mean=preprocessing.mean,
            std=preprocessing.std,
            on_unreadable=config.on_unreadable,
            cache_bytes=cache_bytes,
            transform=transform,
        )

    @property
    def origin(self) -> EmbeddingOrigin:
        """What the vectors are stamped with."""
        config, preprocessing = self.config, self.model.checkpoint.preprocessing
        return self.model.origin(
            source=f"{self.table.source}{self._simulated()}",
            preprocessing={
                "frame_size": list(self.model.network.config.frame_size),
                "mean": list(preprocessing.mean),
                "std": list(preprocessing.std),
                "frames": config.frames,
                "sampling": config.sampling,
                "precision": config.precision,
                **({"flip": True} if config.flip else {}),
                **({} if self.reader.transform is None else {"transform": repr(self.reader.transform)}),
            },
        )

    def _simulated(self) -> str:
        """A word that stays with the vectors when the archive's own record is out of reach."""
        return " (simulated)" if self.table.licence == SIMULATION_LICENCE else ""

    def unseen_cameras(self) -> list[str]:
        """Cameras of the table that the model was not trained on: they get no camera embedding."""
        if self.model.network.camera_embedding is None:
            return []
        return sorted(set(self.table.cameras()) - set(self.model.network.config.cameras))

    def embed(self, rows: Sequence[int]) -> Vectors:
        """float32 [len(rows), D] of unit length, in the order of `rows`."""
        return next(self.embed_parts([rows]))

    def embed_parts(self, parts: Sequence[Sequence[int]]) -> Iterator[Vectors]:
        """The vectors of each part; loading runs ahead, also from one part to the next."""
        width = sum(w for _, w in self.model.network.layout)
        with closing(ahead(self._batches(parts), depth=_AHEAD)) as batches:
            for number, group in itertools.groupby(batches, key=lambda entry: entry[0]):
                place = {row: i for i, row in enumerate(parts[number])}
                sums = torch.zeros(len(place), width)
                for _, batch in group:
                    where = torch.tensor([place[row] for row in batch.rows.tolist()])
                    sums.index_add_(0, where, self._features(batch))
                vectors: Vectors = F.normalize(sums, dim=1).numpy()  # of the sum as of the mean over clips
                yield vectors

    def _batches(self, parts: Sequence[Sequence[int]]) -> Iterator[tuple[int, ClipBatch]]:
        for number, rows in enumerate(parts):
            for batch in evaluation_clips(
                self.reader,
                rows,
                frames_per_clip=self.config.frames,
                sampling=FrameSampling(self.config.sampling),
                clips_per_batch=self.config.clips_per_batch,
                cameras=self.model.network.config.cameras,
                workers=self.workers,
                pin_memory=self.model.device.type == "cuda",
            ):
                yield number, batch

    def _features(self, batch: ClipBatch) -> torch.Tensor:
        device = self.model.device
        moved = batch.to(device, non_blocking=True)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.config.precision == "bf16"):
            features = self.model.network.features(moved.clips, moved.cameras, modalities=moved.modalities)
            if self.config.flip:
                mirrored = moved.clips.flip(-1)
                features += self.model.network.features(mirrored, moved.cameras, modalities=moved.modalities)
        return features.cpu()


def embed_tracklets(
    model: LoadedModel,
    table: TrackletTable,
    *,
    out: Path,
    config: EmbedConfig | None = None,
    processes: Processes | None = None,
    workers: int = 0,
    transform: FrameTransform | None = None,
    tell: Tell = lambda done, total: None,
    note: Callable[[str], None] = lambda text: None,
) -> EmbeddingSet:
    """Embed a table into the folder `out`; killed and called again, it goes on where it was.

    Of a table that has grown since `out` was written only the rest is embedded, and stands after what is
    there; rows of ingested footage that are gone from the table go (see `growth`).

    Args:
        model: The model, on this process's device.
        table: The tracklets; all processes get the same.
        out: Folder to write; must not hold other embeddings than of this data.
        config: What to compute.
        processes: This process among those of the job; default alone.
        workers: Loader processes of this process.
        transform: Changes decoded frames; see `Embedder`.
        tell: Called with tracklets done and to do, of this process.
        note: Called with remarks, once each: unseen cameras, replaced frames, work found done.

    Returns:
        The set; on processes other than the first, the one that the first has written.

    Raises:
        ConfigError: `out` holds something else.
        DataError: A frame cannot be read.
        XReidError: `out` cannot be written.
    """
    me = processes or Processes(device=model.device)
    config = config or EmbedConfig()
    whole = EmbedJob(Embedder(model, table, config=config, transform=transform), out)
    todo, done = me.broadcast(whole.look(note) if me.is_first else None)
    if done:
        return EmbeddingSet.load(out)
    embedder = Embedder(model, table.take(todo), config=config, workers=workers, transform=transform)
    job = EmbedJob(embedder, out, known=whole.known)
    with job.alone() if me.is_first else nullcontext():
        if me.is_first:
            job.prepare(note)
        me.wait()
        mine = list(range(len(job.parts)))[me.rank :: me.size]
        job.make(mine, tell=tell)
        if embedder.reader.replaced:
            note(f"{embedder.reader.replaced} unreadable frames were replaced by their neighbours")
        me.wait()
        if me.is_first:
            job.finish()
    me.wait()
    return EmbeddingSet.load(out)


class EmbedJob:
    """An embedding set made part by part, by one process or by all that reach its folder.

    A part is a range of rows and a file beside `out`; what is on disk is not made again.

    Args:
        embedder: Over the rows that are to be embedded.
        out: The set's folder.
        known: Rows that are embedded already.
    """

    def __init__(self, embedder: Embedder, out: Path, *, known: EmbeddingSet | None = None) -> None:
        self.embedder, self.out, self.known = embedder, out, known
        self.folder = out.parent / f".{out.name}.parts"
        count, size = len(embedder.table), embedder.config.tracklets_per_part
        self.parts = [range(start, min(start + size, count)) for start in range(0, count, size)]

    def look(self, note: Callable[[str], None]) -> tuple[tuple[int, ...], bool]:
        """The rows that `out` lacks, and whether it holds the table; what it holds becomes `known`.

        Raises:
            ConfigError: It holds something else.
        """
        table = self.embedder.table
        growth = look(self.out, table, self.embedder.origin)
        if growth.is_done:
            note(f"{self.out} already holds these embeddings")
            if self.folder.is_dir():  # left by a kill after the last step, or of one that embeds more
                with suppress(ConfigError), self.alone():
                    self.clear()
            return (), True
        self.known = growth.known
        if self.known is not None or growth.gone:
            count = 0 if self.known is None else len(self.known)
            note(f"{count} tracklets are embedded already, {growth.gone} are gone")
        if self.known is not None and not growth.todo:
            with self.alone():
                self.known.save(self.out)
                self.clear()
            return (), True
        return in_order(growth, table, self._begun()), False

    def alone(self) -> AbstractContextManager[None]:
        """Keep other processes from this job.

        Raises:
            ConfigError: Another process embeds into `out`.
        """
        return alone_in(self.folder, self.out)

    def prepare(self, note: Callable[[str], None]) -> None:
        """Make the folder of parts; parts of another job are dropped, those of this one kept."""
        _note_unseen(self.embedder, note)
        begun = self._begun()
        self.folder.mkdir(parents=True, exist_ok=True)
        rows = [row_hash(row) for row in self.embedder.table]
        if begun and begun == rows[: len(begun)]:
            for stray in self.folder.glob(".*"):  # half-written by a process that was killed
                stray.unlink(missing_ok=True)
            note(f"going on with the parts in {self.folder}")
        else:
            for entry in self.folder.iterdir():
                entry.unlink()
        if begun != rows:
            write_json(self.folder / _JOB, {**self._identity(), "rows": rows})

    def _begun(self) -> list[str]:
        """The rows of the job with the same options that was begun here."""
        try:
            found = read_json(self.folder / _JOB)
            rows: list[str] = found.pop("rows")
            return rows if found == self._identity() else []
        except (DataError, AttributeError, KeyError):
            return []

    def missing(self, numbers: Iterable[int]) -> list[int]:
        """Those of these parts that are not on disk."""
        return [number for number in numbers if not self._is_whole(number)]

    def make(self, numbers: Sequence[int], *, tell: Tell = lambda done, total: None) -> None:
        """Embed those of these parts that are not on disk.

        Args:
            numbers: Parts.
            tell: Called with tracklets done and to do.
        """
        missing = self.missing(numbers)
        total, todo = (sum(len(self.parts[n]) for n in some) for some in (numbers, missing))
        done = total - todo
        tell(done, total)
        made = self.embedder.embed_parts([self.parts[number] for number in missing])
        for number, vectors in zip(missing, made, strict=True):
            with atomic_file(self._file(number)) as temporary:
                np.save(temporary, vectors)
            done += len(self.parts[number])
            tell(done, total)

    def finish(self) -> None:
        """Write the set from what was known and all parts."""
        made = self.known
        if self.parts:
            vectors = np.concatenate([np.load(self._file(number)) for number in range(len(self.parts))])
            new = EmbeddingSet(vectors=vectors, table=self.embedder.table, origin=self.embedder.origin)
            made = new if made is None else grown(made, new)
        assert made is not None
        made.save(self.out)
        self.clear()

    def clear(self) -> None:
        """Remove the folder of parts."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:06d}.npy"

    def _is_whole(self, number: int) -> bool:
        try:
            return len(np.load(self._file(number), mmap_mode="r")) == len(self.parts[number])
        except (OSError, ValueError, EOFError):
            return False

    def _identity(self) -> dict[str, Any]:
        """What must agree for work found on disk to be of use."""
        origin, config = self.embedder.origin, self.embedder.config
        return {
            "checkpoint": origin.checkpoint,
            "config": origin.config,
            "preprocessing": origin.preprocessing,
            "batch": config.clips_per_batch,
            "part": config.tracklets_per_part,
            "on_unreadable": config.on_unreadable,
        }


def _note_unseen(embedder: Embedder, note: Callable[[str], None]) -> None:
    unseen = embedder.unseen_cameras()
    if unseen:
        shown = ", ".join(unseen[:6]) + (", ..." if len(unseen) > 6 else "")
        note(f"{len(unseen)} cameras were not in training ({shown}): embedded without camera embedding")
