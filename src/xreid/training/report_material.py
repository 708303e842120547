"""The embeddings a report is about: given, found from an earlier report, or made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ConfigError, DataError
from xreid.core.files import sha256_of_value
from xreid.core.tracklets import TrackletTable
from xreid.data.archive import open_archive
from xreid.evaluation.directions import Direction
from xreid.evaluation.protocols import DEFAULT_DIRECTIONS, protocol_named
from xreid.evaluation.selection import require_answers
from xreid.inference.checkpoint import SamplingChoice
from xreid.inference.embed import EmbedConfig, Embedder, embed_tracklets
from xreid.inference.growth import table_hash
from xreid.training.report_runs import FinishedRun

Note = Callable[[str], None]
Tell = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class RunPart:
    """A run with what it makes of the test tracklets.

    Attributes:
        run: The run.
        embeddings: Of the test tracklets; its table says where the frames are.
        embedder: The run's model over that table, with the preprocessing of the embeddings.
    """

    run: FinishedRun
    embeddings: EmbeddingSet
    embedder: Embedder


def load_parts(runs: Sequence[FinishedRun], folders: Sequence[Path], *, data: Path | None) -> list[RunPart]:
    """Runs with stored embeddings, in the same order.

    Args:
        runs: The runs.
        folders: Written by `xreid embed`, one a run.
        data: Where the frames are now, where they have moved.

    Raises:
        ConfigError: There are more or fewer folders than runs, or one is of another model.
        DataError: A folder is damaged, or the frames are not where it says.
    """
    if len(folders) != len(runs):
        raise ConfigError(
            "--embeddings does not fit the runs",
            expected=f"{len(runs)} folders, in the order of the runs",
            got=str(len(folders)),
        )
    return [_loaded(run, folder, data=data) for run, folder in zip(runs, folders, strict=True)]


def _loaded(run: FinishedRun, folder: Path, *, data: Path | None) -> RunPart:
    embeddings = EmbeddingSet.load(folder)
    origin = embeddings.origin
    if origin.checkpoint != run.model.sha256:
        raise ConfigError(
            f"{folder} is of another model than {run.path}",
            expected=f"checkpoint {run.model.sha256[:12]}...",
            got=f"{origin.checkpoint[:12]}...",
            todo="Give the folders in the order of the runs, or leave --embeddings out.",
        )
    if "transform" in origin.preprocessing:
        raise ConfigError(
            f"{folder} was made of changed frames ({origin.preprocessing['transform']})",
            todo="Leave --embeddings out, or give embeddings of the frames as they are.",
        )
    if data is not None:
        embeddings = replace(embeddings, table=replace(embeddings.table, root=data.absolute()))
    if not embeddings.table.root.is_dir():
        raise DataError(
            f"the frames of {folder} were in {embeddings.table.root}, which is gone",
            todo="Name the archive's root by --data.",
        )
    embedder = Embedder(run.model, embeddings.table, config=EmbedConfig.of(origin))
    return RunPart(run=run, embeddings=embeddings, embedder=embedder)


def make_parts(
    runs: Sequence[FinishedRun],
    *,
    data: Path | None,
    keep: Path,
    sampling: SamplingChoice = "auto",
    protocol: str = "auto",
    directions: Sequence[Direction] = DEFAULT_DIRECTIONS,
    note: Note = lambda text: None,
    tell: Tell = lambda done, total: None,
) -> list[RunPart]:
    """Runs with embeddings made here, or found in `keep` from an earlier report of the same.

    Args:
        runs: The runs.
        data: The archive; none: the one that the runs were trained on.
        keep: Folder for the embedding sets, one a run.
        sampling: Which frames; "auto" is each checkpoint's rule.
        protocol: What the embeddings will be asked, so that what they cannot answer is refused before.
        directions: Likewise.
        note: Called with remarks.
        tell: Called with tracklets done and to do.

    Raises:
        ConfigError: The runs were trained on different archives and none is named.
        DataError: The archive is not there, cannot be read, or names nobody.
        ProtocolError: Its tracklets cannot answer.
    """
    table = test_table(runs, data=data)
    config = EmbedConfig(sampling=sampling)
    rule = protocol_named(protocol, table=table)
    embedders = [Embedder(run.model, table, config=config) for run in runs]
    for embedder in embedders:
        require_answers(table, rule, directions=directions, made=embedder.origin.preprocessing)
    parts = []
    for run, embedder in zip(runs, embedders, strict=True):
        key = sha256_of_value([run.model.sha256, table_hash(table), embedder.config.sampling])
        note(f"{run.name}: embedding {len(table):,} tracklets of {table.root}")
        embeddings = embed_tracklets(
            run.model,
            table,
            out=keep / f"{run.path.resolve().name}-{key[:8]}",
            config=config,
            tell=tell,
            note=note,
        )
        parts.append(RunPart(run=run, embeddings=embeddings, embedder=embedder))
    return parts


def test_table(runs: Sequence[FinishedRun], *, data: Path | None) -> TrackletTable:
    """Query and gallery tracklets of the archive; all of it where it knows no such lists."""
    roots = list(dict.fromkeys(run.data_root for run in runs))
    if data is None and len(roots) > 1:
        raise ConfigError(
            "the runs were trained on different archives",
            expected="one archive to compare them on",
            got=", ".join(map(str, roots[:3])),
            todo="Name it by --data.",
        )
    root = roots[0] if data is None else data.absolute()
    if data is None and not root.exists():
        raise DataError(
            f"the run was trained on {root}, which is gone", todo="Name the archive's root by --data."
        )
    asked = runs[0].record["config"].get("archive", {})
    table = open_archive(
        root,
        layout="auto" if data is not None else asked.get("layout", "auto"),
        min_frames=asked.get("min_frames"),
        strict=bool(asked.get("strict", False)),
    )
    rows = table.test_rows()
    if not rows.identities():
        raise DataError(
            f"no tracklet of {root} names its person, so nothing can be scored",
            todo="Name an archive with identities by --data.",
        )
    return rows
