"""Training: from a configuration and an archive to a checkpoint, in one folder, resumable at any moment."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from xreid.core.files import read_json
from xreid.data.loader import ClipBatch, training_batches
from xreid.data.sampling import FrameSampling
from xreid.inference.background import ahead
from xreid.inference.checkpoint import CONFIG, save_checkpoint
from xreid.inference.processes import Processes
from xreid.training.averages import Averages
from xreid.training.config import TrainConfig
from xreid.training.log import MetricsLog
from xreid.training.material import Material, load_material
from xreid.training.memory import build_memory
from xreid.training.optimiser import learning_rate
from xreid.training.pieces import Runtime, build_pieces
from xreid.training.progress import Reporter, Silent
from xreid.training.provenance import versions
from xreid.training.run_folder import RunFolder, locked, open_run
from xreid.training.selection import choose
from xreid.training.state import Numbers, restore_state, save_state

_AHEAD = 3  # batches prepared while the model works


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What `train` did.

    Attributes:
        checkpoint: Folder of the model.
        was_finished: Whether the run had been finished before.
        resumed_step: Step it went on from; 0 for the beginning.
        selection: Which epoch was kept (counted from 1), by what rule, and its held-out scores.
    """

    checkpoint: Path
    was_finished: bool
    resumed_step: int
    selection: dict[str, Any]


def train(
    config: TrainConfig,
    *,
    data: Path,
    out: Path,
    processes: Processes | None = None,
    runtime: Runtime | None = None,
    reporter: Reporter | None = None,
) -> TrainResult:
    """Train a model into the folder `out`; killed and called again, it goes on where it was.

    Batches and random draws are functions of the configuration, and the state is saved whole or not at
    all, so that the weights are those of the undisturbed run, on CPU bit for bit.

    Args:
        config: What to compute.
        data: The archive.
        out: Folder of the run: new, empty, or of the same run.
        processes: This process among those of the job; default alone, on the CPU.
        runtime: Loading.
        reporter: Shown what happens, on the first process.

    Raises:
        ConfigError: Options do not fit each other, the data, or the run in `out`.
        DataError: The archive cannot be trained on, or a frame cannot be read.
        CheckpointError: Pre-trained weights or the saved state cannot be used.
        DivergedError: A loss is not finite.
        XReidError: `out` cannot be written.
    """
    me = processes or Processes()
    shown: Reporter = reporter if reporter is not None and me.is_first else Silent()
    material = load_material(data, config, processes=me)
    if material.sampler.skipped:
        shown.note(f"{len(material.sampler.skipped)} identities of one modality only are left out")
    with locked(out) if me.is_first else nullcontext():
        folder = open_run(out, config, material) if me.is_first else None
        me.wait()
        folder = folder or open_run(out, config, material, write=False)
        if me.broadcast(folder.is_finished):
            if me.is_first:  # a kill may have come between the checkpoint and this
                shutil.rmtree(folder.state, ignore_errors=True)
            return _result(folder, was_finished=True, resumed_step=0)
        run = _Run(
            config,
            material=material,
            folder=folder,
            processes=me,
            runtime=runtime or Runtime(),
            reporter=shown,
        )
        return _result(folder, was_finished=False, resumed_step=run.complete())


class _Run:
    """The loop over epochs and steps, and what of it must survive a kill."""

    def __init__(
        self,
        config: TrainConfig,
        *,
        material: Material,
        folder: RunFolder,
        processes: Processes,
        runtime: Runtime,
        reporter: Reporter,
    ) -> None:
        self.config, self.material, self.folder = config, material, folder
        self.me, self.workers, self.reporter = processes, runtime.workers, reporter
        self.pieces = build_pieces(
            config, material=material, folder=folder, processes=processes, runtime=runtime
        )
        self.per_epoch = material.sampler.batches_per_epoch
        self.steps = self.per_epoch * config.train.epochs
        self.numbers = Numbers()
        self.averages = Averages()
        self.log: MetricsLog | None = None
        self.started = time.perf_counter()

    def complete(self) -> int:
        """Do what is left of the run and write its checkpoint; returns the step it went on from."""
        found = restore_state(self.folder.state, self.pieces.trainee)
        if found is not None:
            self.numbers, self.averages = found, Averages(found.sums)
            self._note_versions()
        first = self.numbers.step
        if self.me.is_first:
            board = self.config.train.tensorboard
            keep = self.numbers.log_bytes
            self.log = MetricsLog(self.folder.path, keep_bytes=keep, step=first, tensorboard=board)
        try:
            self.reporter.start(steps=self.steps, done=first, epochs=self.config.train.epochs)
            for epoch in range(first // self.per_epoch, self.config.train.epochs):
                self._epoch(epoch, first=max(first - epoch * self.per_epoch, 0))
        finally:
            if self.log is not None:
                self.log.close()
        if self.me.is_first:
            self._finish()
        self.me.wait()
        return first

    def _epoch(self, epoch: int, *, first: int) -> None:
        config = self.config
        if first == 0 and (epoch == 0 or config.train.memory == "epoch"):
            self._build_memory()
        step = epoch * self.per_epoch + first
        frames = 2 * config.batch.identities * config.batch.clips * config.batch.frames
        with closing(ahead(self._batches(epoch, first), depth=_AHEAD)) as batches:
            for batch in batches:
                lr = learning_rate(config.optimiser, epoch=step / self.per_epoch, epochs=config.train.epochs)
                where = f"step {step + 1} (epoch {epoch + 1}, batch {step % self.per_epoch + 1})"
                result = self.pieces.stepper(batch, lr=lr, where=where)
                step += 1
                self.averages.add(result.terms)
                self.reporter.step(step=step, epoch=epoch, terms=result.terms, lr=lr, frames=frames)
                self._after_step(step, epoch=epoch, lr=lr)
        self._end_epoch(epoch, step)

    def _after_step(self, step: int, *, epoch: int, lr: float) -> None:
        if step % self.config.train.log_every == 0:
            means = self.averages.pop()
            if self.log is not None:
                self.log.write("step", step=step, values={"epoch": epoch + 1, "lr": lr, **means})
        every = self.config.train.checkpoint_every
        if every and step % every == 0 and step % self.per_epoch:
            self._save(step)

    def _batches(self, epoch: int, first: int) -> Iterator[ClipBatch]:
        return training_batches(
            self.pieces.reader,
            self.material.sampler,
            frames_per_clip=self.config.batch.frames,
            epoch=epoch,
            start_batch=first,
            augment=self.pieces.augment,
            sampling=FrameSampling(self.config.batch.sampling),
            identities=self.material.identities,
            cameras=self.material.cameras,
            workers=self.workers,
            pin_memory=self.me.device.type == "cuda",
        )

    def _build_memory(self) -> None:
        build_memory(
            self.pieces.trainee.network,
            self.pieces.trainee.objective,
            reader=self.pieces.reader,
            material=self.material,
            config=self.config,
            processes=self.me,
            workers=self.workers,
            tell=lambda done, total: self.reporter.part("memory, tracklets", done, total),
        )

    def _end_epoch(self, epoch: int, step: int) -> None:
        """Evaluate the held-out identities if it is time, log, save."""
        values: dict[str, Any] = {"epoch": epoch + 1}
        last = epoch + 1 == self.config.train.epochs
        if self.pieces.score is not None and (last or (epoch + 1) % self.config.selection.every == 0):
            scores = self.pieces.score()
            values |= {f"held-out {name}": value for name, value in scores.items()}
            shown = ", ".join(f"{name} {100 * value:.1f}%" for name, value in scores.items())
            self.reporter.note(f"epoch {epoch + 1}, held-out identities: {shown}")
            self._consider(epoch + 1, scores)
        replaced = torch.tensor(self.pieces.reader.replaced, device=self.me.device)
        if self.me.sum(replaced):  # since this start, in each process: a frame met by two counts twice
            values["replaced_frames"] = int(replaced)
        if self.log is not None:
            self.log.write("epoch", step=step, values=values)
        self._save(step)

    def _consider(self, epoch: int, scores: dict[str, float]) -> None:
        self.numbers = replace(self.numbers, latest={"epoch": epoch, "scores": scores})
        better = choose(self.numbers.best, epoch=epoch, scores=scores)
        if better is None:
            return
        self.numbers = replace(self.numbers, best=better)
        if self.config.selection.keep == "best" and self.me.is_first:
            self._write_model(self.folder.best(epoch), selection=self._selection(better))

    def _save(self, step: int) -> None:
        if self.log is None:
            return
        now = time.perf_counter()
        self.numbers = replace(
            self.numbers,
            step=step,
            log_bytes=self.log.sync(),
            sums=self.averages.sums,
            seconds=self.numbers.seconds + now - self.started,
        )
        self.started = now
        save_state(self.folder.state, self.pieces.trainee, self.numbers)
        self.folder.forget_best(but=self.numbers.best["epoch"] if self.numbers.best else None)

    def _finish(self) -> None:
        """Put the model that is kept in its place; that makes the run finished."""
        if self.config.selection.keep == "best":
            assert self.numbers.best is not None
            self.folder.best(self.numbers.best["epoch"]).rename(self.folder.checkpoint)
        else:
            latest = self.numbers.latest or {"epoch": self.config.train.epochs, "scores": {}}
            self._write_model(self.folder.checkpoint, selection=self._selection(latest))
        shutil.rmtree(self.folder.state, ignore_errors=True)

    def _selection(self, kept: dict[str, Any]) -> dict[str, Any]:
        return {
            "keep": self.config.selection.keep,
            "epoch": kept["epoch"],
            "of_epochs": self.config.train.epochs,
            "held_out_identities": len(self.folder.record["data"]["held_out_identities"]),
            "held_out_scores": kept["scores"],
        }

    def _write_model(self, path: Path, *, selection: dict[str, Any]) -> None:
        description = self.pieces.description
        provenance = {**description.provenance, "selection": selection}
        save_checkpoint(path, self.pieces.trainee.kept, replace(description, provenance=provenance))

    def _note_versions(self) -> None:
        before, now = self.folder.record["versions"], versions()
        changed = [f"{name} {before.get(name)} -> {v}" for name, v in now.items() if before.get(name) != v]
        if changed:
            self.reporter.note(f"versions changed since the run began, expect rounding: {', '.join(changed)}")


def _result(folder: RunFolder, *, was_finished: bool, resumed_step: int) -> TrainResult:
    meta = read_json(folder.checkpoint / CONFIG, what="checkpoint")
    return TrainResult(
        checkpoint=folder.checkpoint,
        was_finished=was_finished,
        resumed_step=resumed_step,
        selection=meta["provenance"]["selection"],
    )
