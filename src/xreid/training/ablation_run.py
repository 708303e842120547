"""One run of an ablation, from nothing or from where it was to its scores.

RUN/run/              the training run, as `xreid train` writes it
RUN/seconds.json      time spent in training so far
RUN/embeddings/       of the test split; RUN/embeddings-held-out/ of the held-out identities
RUN/evaluation.json   scores of every query; evaluation-held-out.json. Its presence says that it is done.
RUN/failure.txt       why the last attempt failed; gone when one succeeds
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ConfigError, DataError
from xreid.core.files import read_json, write_json
from xreid.core.records import from_plain, to_plain
from xreid.core.tracklets import TrackletTable
from xreid.evaluation.directions import Direction
from xreid.evaluation.evaluator import evaluate_directions
from xreid.evaluation.intervals import Bootstrap
from xreid.evaluation.metrics import METRICS
from xreid.evaluation.notes import is_simulated
from xreid.evaluation.protocols import protocol_named
from xreid.evaluation.results import EvaluationResult
from xreid.inference.checkpoint import MODEL_IN_RUN, LoadedModel, load_checkpoint
from xreid.inference.embed import embed_tracklets
from xreid.inference.processes import Processes, job
from xreid.training.ablation_clock import Clock, Timed
from xreid.training.ablation_plan import On, read_archive, test_rows
from xreid.training.config import TrainConfig
from xreid.training.held_out import held_out_tracklets
from xreid.training.loop import train
from xreid.training.pieces import Runtime
from xreid.training.progress import Reporter, Silent
from xreid.training.run_folder import locked
from xreid.training.settings import differences

FORMAT = 1
_CLOCK, _TRAINED, _FAILURE = "seconds.json", "run", "failure.txt"
_NAMES = ("preset", "scale", "prompts")  # what may differ between two configurations of one key


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a process is told to do.

    Attributes:
        folder: Folder of the run.
        data: The archive.
        config: What to train.
        on: Score on the "test" split or on the "held-out" identities.
        protocol: Evaluation protocol, or "auto".
        directions: Directions by name.
        device: auto, cpu, cuda or cuda:N.
        workers: Loader processes.
        cache_mib: Memory for decoded frames in MiB.
    """

    folder: Path
    data: Path
    config: TrainConfig
    on: On = "test"
    protocol: str = "auto"
    directions: tuple[str, ...] = ("I2V", "V2I")
    device: str = "auto"
    workers: int = 0
    cache_mib: int = 1024

    def to_plain(self) -> dict[str, Any]:
        """As JSON values."""
        paths = {"folder": str(self.folder), "data": str(self.data)}
        plain = {name: getattr(self, name) for name in ("on", "protocol", "device", "workers", "cache_mib")}
        return {**paths, **plain, "directions": list(self.directions), "config": to_plain(self.config)}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Job:
        """From what `to_plain` gave."""
        config = from_plain(TrainConfig, values["config"], what="job")
        paths = {name: Path(values[name]) for name in ("folder", "data")}
        return cls(**{**values, **paths, "config": config, "directions": tuple(values["directions"])})

    @property
    def asked(self) -> dict[str, Any]:
        """What stored scores must have been computed for."""
        return {"protocol": self.protocol, "directions": list(self.directions)}


def stored_scores(folder: Path, *, on: On, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """The scores of a run, or None where it is not done (or was scored otherwise)."""
    file = _file(folder, "evaluation", on).with_suffix(".json")
    if not file.is_file():
        return None
    try:
        found: dict[str, Any] = read_json(file, what="scores")
    except DataError:
        return None
    return found if found.get("format") == FORMAT and found.get("asked") == asked else None


def complete(job_: Job, *, reporter: Reporter | None = None) -> dict[str, Any]:
    """Train, embed and evaluate what is not done yet; the scores as they are stored.

    Raises:
        BusyError: Another process is at this run.
        XReidError: Something is wrong with data, options, weights or disk.
    """
    with locked(job_.folder):
        done = stored_scores(job_.folder, on=job_.on, asked=job_.asked)
        return _complete(job_, reporter or Silent()) if done is None else done


def _complete(job_: Job, shown: Reporter) -> dict[str, Any]:
    with job(job_.device) as processes:
        config = _held_config(job_)
        with Clock(job_.folder / _CLOCK) as clock:
            _train(job_, config, processes=processes, reporter=Timed(shown, clock))
        model = load_checkpoint(job_.folder / _TRAINED, processes.device)
        start = time.perf_counter()
        embeddings = _embed(job_, config, model, shown)
        embed_seconds = time.perf_counter() - start
        scores = _scores(job_, model, embeddings) | {
            "train_seconds": round(clock.seconds, 1),
            "embed_seconds": round(embed_seconds, 2),
        }
    write_json(_file(job_.folder, "evaluation", job_.on).with_suffix(".json"), scores)
    (job_.folder / _FAILURE).unlink(missing_ok=True)
    return scores


def note_failure(folder: Path, message: str, *, trace: str = "") -> None:
    """Leave the reason in the run's folder, if that can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _FAILURE).write_text(f"{message}\n{trace}", encoding="utf-8")
    except OSError:
        pass  # a full disk may be the very reason; it is told all the same


def noted_failure(folder: Path) -> str:
    """What `note_failure` left, in one line; "" where there is nothing."""
    try:
        return (folder / _FAILURE).read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError):
        return ""


def _file(folder: Path, name: str, on: On) -> Path:
    return folder / (name if on == "test" else f"{name}-{on}")


def _held_config(job_: Job) -> TrainConfig:
    """The configuration that the folder's run was started with: of the same key, maybe of other names.

    Raises:
        ConfigError: It holds another run (a default was changed since, and keys count differences only).
    """
    record = job_.folder / _TRAINED / "run.json"
    if not record.is_file():
        return job_.config
    stored, now = read_json(record, what="run")["config"], to_plain(job_.config)
    shared = {k: v for k, v in _common(now, stored).items() if k not in _NAMES}
    other = differences({k: v for k, v in _common(stored, now).items() if k not in _NAMES}, shared)
    if other:
        raise ConfigError(
            f"{job_.folder} holds a run of another configuration: {'; '.join(other[:3])}",
            todo="Remove that folder, or choose another --out.",
        )
    return from_plain(TrainConfig, stored, what=str(record))


def _common(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The part of `first` whose keys `second` has too: versions of xreid differ in settings."""
    return {
        k: _common(v, second[k]) if isinstance(v, dict) and isinstance(second[k], dict) else v
        for k, v in first.items()
        if k in second
    }


def _train(job_: Job, config: TrainConfig, *, processes: Processes, reporter: Reporter) -> None:
    out = job_.folder / _TRAINED
    if not (out / MODEL_IN_RUN).is_dir():
        runtime = Runtime(workers=job_.workers, cache_mib=job_.cache_mib)
        train(config, data=job_.data, out=out, processes=processes, runtime=runtime, reporter=reporter)


def _embed(job_: Job, config: TrainConfig, model: LoadedModel, reporter: Reporter) -> EmbeddingSet:
    return embed_tracklets(
        model,
        _rows_to_score(job_, config),
        out=_file(job_.folder, "embeddings", job_.on),
        workers=job_.workers,
        tell=lambda done, total: reporter.part("embed", done, total),
    )


def _rows_to_score(job_: Job, config: TrainConfig) -> TrackletTable:
    """The test split, or the people that this run held out."""
    table = read_archive(job_.data, config.archive)
    return test_rows(table) if job_.on == "test" else held_out_tracklets(table, job_.folder / _TRAINED)


def _scores(job_: Job, model: LoadedModel, embeddings: EmbeddingSet) -> dict[str, Any]:
    results = evaluate_directions(
        embeddings,
        protocol_named(job_.protocol, table=embeddings.table),
        directions=tuple(map(Direction.parse, job_.directions)),
        bootstrap=Bootstrap(resamples=0),
    )
    provenance = model.checkpoint.provenance
    return {
        "format": FORMAT,
        "asked": job_.asked,
        "on": job_.on,
        "seed": provenance["seed"],
        "source": embeddings.table.source,
        "licence": embeddings.origin.licence,
        "simulated": is_simulated(embeddings),
        "protocol": asdict(replace(results[0].protocol, published={}))
        | {"label": results[0].protocol.label, "hash": results[0].protocol.hash},
        "selection": provenance["selection"],
        "commit": provenance["commit"],
        "versions": provenance["versions"],
        "checkpoint_sha256": model.sha256,
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "embedded": {
            "tracklets": len(embeddings),
            "frames": sum(len(row.frames) for row in embeddings.table),
        },
        "results": {r.direction.name: _queries(r) for r in results},
    }


def _queries(result: EvaluationResult) -> dict[str, Any]:
    """Counts, and columns with one entry per valid query."""
    rows = result.valid_rows().tolist()
    return {
        "counts": result.counts(),
        "chance_rank1": result.ranks.chance,
        "published_list_sizes": result.published_sizes,
        "queries": [result.query_names[i] for i in rows],
        "identities": [result.query_identities[i] for i in rows],
        "values": {name: result.per_query[rows, column].tolist() for column, name in enumerate(METRICS)},
    }
