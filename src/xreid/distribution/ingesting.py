"""Ingest of many recordings on many processes or machines: chains of recordings by whoever is free."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from xreid.distribution.cluster import Cluster, do_all
from xreid.retrieval.ingest_config import IngestReport
from xreid.retrieval.many import Elsewhere, run_chain
from xreid.retrieval.workers import Outcome, Task


class RecordingIngester:
    """Ingests recordings, in a process of its own.

    Args:
        chains: All of them; an item is a position among them.
        threads: Threads for decoding and arithmetic.
    """

    def __init__(self, *, chains: Sequence[Sequence[Task]], threads: int) -> None:
        import cv2

        cv2.setNumThreads(threads)
        os.environ["OMP_NUM_THREADS"] = str(threads)  # for torch, which only some detectors bring, and later
        self.chains = chains

    def do(self, item: int) -> dict[str, Any]:
        """Ingest a chain's recordings; begun by a worker that died, it goes on after the last stretch."""
        return {"outcomes": json.dumps([asdict(outcome) for outcome in run_chain(self.chains[item])])}


def on_cluster(cluster: Cluster) -> Elsewhere:
    """A way to ingest for `xreid.retrieval.many.ingest_recordings`.

    Footage and output must lie on file systems that all machines see under the same paths. Progress is told
    chain by chain.
    """

    def work(chains: Sequence[Sequence[Task]]) -> Iterator[Outcome]:
        absolute = [[_absolute(task) for task in chain] for chain in chains]
        arguments = {"chains": absolute, "threads": max(1, round(cluster.cpus))}
        for row in do_all(range(len(chains)), RecordingIngester, arguments, cluster=cluster):
            for given in json.loads(row["outcomes"]):
                report = None if given["report"] is None else IngestReport(**given["report"])
                yield Outcome(name=given["name"], report=report, error=given["error"])

    return work


def _absolute(task: Task) -> Task:
    return replace(
        task,
        path=task.path.absolute(),
        out=task.out.absolute(),
        before=None if task.before is None else task.before.absolute(),
        bridge=None if task.bridge is None else task.bridge.absolute(),
    )
