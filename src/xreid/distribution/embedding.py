"""Embedding on many processes or machines: parts of a table, each embedded by whoever is free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from xreid.core.embeddings import EmbeddingSet, read_table, write_table
from xreid.core.files import atomic_file
from xreid.core.tracklets import TrackletTable
from xreid.distribution.cluster import Cluster, do_all
from xreid.inference.embed import EmbedConfig, Embedder, EmbedJob, Tell

_TABLE = "tracklets.parquet"


class PartEmbedder:
    """Embeds parts of a table, in a process of its own.

    Args:
        checkpoint: Folder of a checkpoint, or of a finished run, on a file system that all reach.
        table: Tracklet table, likewise.
        root: Folder that frames are relative to, likewise.
        source: Name of the data.
        licence: Terms of the data.
        out: Folder of the embedding set.
        config: Fields of `EmbedConfig`.
        device: auto, cpu, cuda or cuda:N.
        threads: Threads for arithmetic; 0 for torch's own choice.
    """

    def __init__(
        self,
        *,
        checkpoint: str,
        table: str,
        root: str,
        source: str,
        licence: str,
        out: str,
        config: dict[str, Any],
        device: str,
        threads: int,
    ) -> None:
        import torch

        from xreid.inference.checkpoint import load_checkpoint
        from xreid.inference.processes import choose_device

        if threads:
            torch.set_num_threads(threads)
        rows = read_table(Path(table), root=Path(root), source=source).rows
        self.job = EmbedJob(
            Embedder(
                load_checkpoint(Path(checkpoint), choose_device(device)),
                TrackletTable(root=Path(root), rows=rows, source=source, licence=licence),
                config=EmbedConfig(**config),
            ),
            Path(out),
        )

    def do(self, item: int) -> dict[str, Any]:
        """Embed part `item`, unless it is on disk."""
        before = self.job.embedder.reader.replaced
        self.job.make([item])
        replaced = self.job.embedder.reader.replaced - before
        return {"tracklets": len(self.job.parts[item]), "replaced": int(replaced)}


def embed_on_cluster(
    checkpoint: Path,
    table: TrackletTable,
    *,
    out: Path,
    cluster: Cluster,
    config: EmbedConfig | None = None,
    device: str = "auto",
    threads: int = 1,
    tell: Tell = lambda done, total: None,
    note: Callable[[str], None] = lambda text: None,
) -> EmbeddingSet:
    """What `embed_tracklets` does, on Ray; the vectors are the same, since parts are.

    Parts already on disk are not made again, whoever made them: also `embed_tracklets` takes up what this
    left, and the reverse.

    Args:
        checkpoint: Folder of a checkpoint, or of a finished run; on a cluster, one that all machines reach.
        table: The tracklets; so are their frames.
        out: Folder to write; so is its parent.
        cluster: Where.
        config: What to compute.
        device: Of each worker.
        threads: Of each worker.
        tell: Called with tracklets done and to do.
        note: Called with remarks.

    Raises:
        ConfigError: `out` holds something else, or Ray is not there.
        XReidError: A frame cannot be read, or `out` not be written.
    """
    from xreid.inference.checkpoint import load_checkpoint

    config = config or EmbedConfig()
    model, out = load_checkpoint(checkpoint), out.absolute()
    whole = EmbedJob(Embedder(model, table, config=config), out)
    todo, is_done = whole.look(note)
    if is_done:
        return EmbeddingSet.load(out)
    table = table.take(todo)
    job = EmbedJob(Embedder(model, table, config=config), out, known=whole.known)
    with job.alone():
        job.prepare(note)
        with atomic_file(job.folder / _TABLE) as temporary:
            write_table(table, temporary)
        arguments = {
            "checkpoint": str(checkpoint.absolute()),
            "table": str(job.folder / _TABLE),
            "root": str(table.root.absolute()),
            "source": table.source,
            "licence": table.licence,
            "out": str(job.out),
            "config": asdict(config),
            "device": device,
            "threads": threads,
        }
        missing = job.missing(range(len(job.parts)))
        done, replaced = len(table) - sum(len(job.parts[n]) for n in missing), 0
        tell(done, len(table))
        for row in do_all(missing, PartEmbedder, arguments, cluster=cluster):
            done, replaced = done + int(row["tracklets"]), replaced + int(row["replaced"])
            tell(done, len(table))
        if replaced:
            note(f"{replaced} unreadable frames were replaced by their neighbours")
        job.finish()
    return EmbeddingSet.load(out)
