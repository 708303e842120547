"""Ingest of many recordings on many processes or machines: each recording by whoever is free."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from xreid.distribution.cluster import Cluster, do_all
from xreid.retrieval.ingest_config import IngestReport
from xreid.retrieval.many import Elsewhere
from xreid.retrieval.workers import Outcome, Task, run_task


class RecordingIngester:
    """Ingests recordings, in a process of its own.

    Args:
        tasks: All of them; an item is a position among them.
        threads: Threads for decoding and arithmetic.
    """

    def __init__(self, *, tasks: Sequence[Task], threads: int) -> None:
        import cv2

        cv2.setNumThreads(threads)
        os.environ["OMP_NUM_THREADS"] = str(threads)  # for torch, which only some detectors bring, and later
        self.tasks = tasks

    def do(self, item: int) -> dict[str, Any]:
        """Ingest one recording; begun by a worker that died, it goes on after its last whole stretch."""
        outcome = run_task(self.tasks[item])
        report = None if outcome.report is None else asdict(outcome.report)
        return {"outcome": json.dumps({"name": outcome.name, "report": report, "error": outcome.error})}


def on_cluster(cluster: Cluster) -> Elsewhere:
    """A way to ingest for `xreid.retrieval.many.ingest_recordings`.

    Footage and output must lie on file systems that all machines see under the same paths. Progress is told
    recording by recording.
    """

    def work(tasks: Sequence[Task]) -> Iterator[Outcome]:
        absolute = [replace(t, path=t.path.absolute(), out=t.out.absolute()) for t in tasks]
        arguments = {"tasks": absolute, "threads": max(1, round(cluster.cpus))}
        for row in do_all(range(len(tasks)), RecordingIngester, arguments, cluster=cluster):
            given = json.loads(row["outcome"])
            report = None if given["report"] is None else IngestReport(**given["report"])
            yield Outcome(name=given["name"], report=report, error=given["error"])

    return work
