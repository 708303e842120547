"""What is handed to workers and what comes back, with workers in this process: no Ray is started."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.inference.small import write_model
from xreid.core.errors import ConfigError
from xreid.core.tracklets import TrackletTable
from xreid.distribution import cluster as clusters
from xreid.distribution.cluster import Cluster, do_all
from xreid.distribution.embedding import embed_on_cluster
from xreid.distribution.ingesting import on_cluster
from xreid.inference.checkpoint import load_checkpoint
from xreid.inference.embed import EmbedConfig, Embedder, EmbedJob, embed_tracklets
from xreid.retrieval.ingest_config import IngestConfig, IngestReport
from xreid.retrieval.workers import Outcome, Task

CONFIG = EmbedConfig(clips_per_batch=2, tracklets_per_part=4)


class Here:
    """`do_all` in this process, backwards, as free workers may come; keeps what it was given."""

    def __init__(self) -> None:
        self.items: list[int] = []
        self.arguments: dict[str, Any] = {}

    def __call__(
        self, items: Sequence[int], make: Any, arguments: Any, *, cluster: Cluster
    ) -> Iterator[dict[str, Any]]:
        self.items, self.arguments = list(items), dict(arguments)
        worker = make(**arguments)
        yield from (worker.do(item) for item in reversed(items))


def test_any_order_of_parts_gives_the_same_and_nothing_is_made_again(
    table: TrackletTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "model")
    model, here = load_checkpoint(tmp_path / "model"), Here()
    config = EmbedConfig(clips_per_batch=2, tracklets_per_part=4, sampling="dense", on_unreadable="replace")
    expected = embed_tracklets(model, table, out=tmp_path / "one", config=config)
    job = EmbedJob(Embedder(model, table, config=config), tmp_path / "many")
    job.prepare(lambda text: None)
    job.make([0, 2])  # as other workers left them
    monkeypatch.setattr("xreid.distribution.embedding.do_all", here)
    monkeypatch.chdir(tmp_path)
    told: list[tuple[int, int]] = []
    found = embed_on_cluster(
        Path("model"),
        table,
        out=Path("many"),
        cluster=Cluster(workers=2),
        config=config,
        device="cpu",
        tell=lambda done, total: told.append((done, total)),
    )
    np.testing.assert_array_equal(found.vectors, expected.vectors)
    assert (found.origin, found.table) == (expected.origin, expected.table)
    assert here.items == [n for n in range(len(job.parts)) if n not in (0, 2)]
    assert told == sorted(told)
    assert (told[0], told[-1]) == ((8, len(table)), (len(table), len(table)))
    for name in ("checkpoint", "table", "root", "out"):
        assert Path(here.arguments[name]).is_absolute(), "another machine has another working folder"
    again = embed_on_cluster(Path("model"), table, out=Path("many"), cluster=Cluster(), config=config)
    assert again.origin == expected.origin
    assert told[-1] == (len(table), len(table))


def test_replaced_frames_are_counted_over_all_workers(
    table: TrackletTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "model")
    root = tmp_path / "frames"
    for row in table.rows:
        for frame in row.frames:
            (root / frame).parent.mkdir(parents=True, exist_ok=True)
            (root / frame).write_bytes((table.root / frame).read_bytes())
    broken = {table.rows[0].frames[0], table.rows[-1].frames[0]}
    for frame in broken:
        (root / frame).write_bytes(b"no picture")
    monkeypatch.setattr("xreid.distribution.embedding.do_all", Here())
    notes: list[str] = []
    embed_on_cluster(
        tmp_path / "model",
        TrackletTable(root=root, rows=table.rows, source=table.source),
        out=tmp_path / "out",
        cluster=Cluster(workers=2),
        config=EmbedConfig(
            clips_per_batch=2, tracklets_per_part=4, sampling="dense", on_unreadable="replace"
        ),
        device="cpu",
        note=notes.append,
    )
    assert [note for note in notes if "replaced" in note] == [
        f"{len(broken)} unreadable frames were replaced by their neighbours"
    ]


def test_outcomes_come_back_as_they_were_and_paths_hold_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here, seen = Here(), list[Task]()
    report = IngestReport(frames=7)

    def run_chain(chain: Sequence[Task]) -> Iterator[Outcome]:
        for task in chain:
            seen.append(task)
            broken = task.name == "c"
            yield Outcome(
                name=task.name, report=None if broken else report, error="no video" if broken else ""
            )

    monkeypatch.setattr("xreid.distribution.ingesting.run_chain", run_chain)
    monkeypatch.setattr("xreid.distribution.ingesting.do_all", here)
    config = IngestConfig()
    a, b, c = (
        Task(name=name, path=Path(f"{name}.mp4"), out=Path("out") / name, config=config) for name in "abc"
    )
    b = Task(**{**vars(b), "before": Path("a.mp4"), "bridge": Path("out/a"), "goes_on": True})
    outcomes = list(on_cluster(Cluster(workers=2, cpus=2.6))([[a, b], [c]]))
    assert outcomes == [
        Outcome(name="c", report=None, error="no video"),
        Outcome(name="a", report=report, error=""),
        Outcome(name="b", report=report, error=""),
    ]
    assert (here.items, here.arguments["threads"]) == ([0, 1], 3)
    assert [task.name for task in seen] == ["c", "a", "b"], "a chain in its order"
    assert (seen[2].path, seen[2].out) == (tmp_path / "b.mp4", tmp_path / "out" / "b")
    assert (seen[2].before, seen[2].bridge) == (tmp_path / "a.mp4", tmp_path / "out" / "a")
    assert (seen[1].before, seen[1].bridge, seen[2].goes_on) == (None, None, True)
    assert list(on_cluster(Cluster(cpus=0.2))([[a]]))
    assert here.arguments["threads"] == 1, "never none"


class FakeRay(ModuleType):
    """As much of Ray as starting and ending it takes."""

    def __init__(self, *, running: bool = False, fault: str = "", faults: int = 9) -> None:
        super().__init__("ray")
        self.running, self.fault, self.faults = running, fault, faults
        self.calls: list[dict[str, Any]] = []
        context = SimpleNamespace(enable_progress_bars=True, print_on_execution_start=True)
        self.data = ModuleType("ray.data")
        self.data.DataContext = SimpleNamespace(get_current=lambda: context)  # type: ignore[attr-defined]
        self.context = context

    def is_initialized(self) -> bool:
        return self.running

    def init(self, **values: Any) -> None:
        self.calls.append(values)
        if self.fault and len(self.calls) <= self.faults:
            raise RuntimeError(self.fault)
        self.running = True

    def shutdown(self) -> None:
        self.running = False


def given(monkeypatch: pytest.MonkeyPatch, ray: FakeRay) -> FakeRay:
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.data", ray.data)
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_raylet_start_wait_time_s"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return ray


def test_a_ray_that_is_started_here_ends_here_and_tells_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = given(monkeypatch, FakeRay())
    with pytest.raises(ZeroDivisionError), clusters._ray(Cluster(workers=3, cpus=1.5)):
        assert ray.running
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
        assert int(os.environ["RAY_raylet_start_wait_time_s"]) >= 60  # noqa: SIM112 (Ray's own name)
        raise ZeroDivisionError
    assert not ray.running, "also after a fault"
    (call,) = ray.calls
    assert call["num_cpus"] > 3 * 1.5, "Ray Data keeps a core for itself"
    assert (call["include_dashboard"], call["log_to_driver"]) == (False, False)
    assert not ray.context.enable_progress_bars


def test_a_ray_that_does_not_start_is_started_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = given(monkeypatch, FakeRay(fault="The current node timed out", faults=1))
    with clusters._ray(Cluster()):
        assert ray.running
    assert len(ray.calls) == 2
    ray = given(monkeypatch, FakeRay(fault="The current node timed out"))
    with (
        pytest.raises(ConfigError, match="cannot reach or start Ray on this machine"),
        clusters._ray(Cluster()),
    ):
        pass
    assert len(ray.calls) == 2


def test_a_ray_that_was_there_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = given(monkeypatch, FakeRay(running=True))
    with clusters._ray(Cluster(address="head:6379")):
        pass
    assert (ray.running, ray.calls) == (True, [])


def test_a_cluster_is_asked_by_its_address_and_a_fault_is_one_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ray = given(monkeypatch, FakeRay())
    with clusters._ray(Cluster(address="head:6379")):
        pass
    assert ray.calls[0]["address"] == "head:6379"
    assert "num_cpus" not in ray.calls[0], "a cluster has the cores that it has"
    for address, where in (("head:6379", "head:6379"), (None, "on this machine")):
        given(monkeypatch, FakeRay(fault="no route\nto it"))
        with pytest.raises(ConfigError, match=f"cannot reach or start Ray {where}; got no route. Start"):
            list(do_all([0], dict, {}, cluster=Cluster(address=address)))
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"xreid\[ray\]"):
        list(do_all([0], dict, {}, cluster=Cluster()))


def test_what_a_worker_gives_travels_as_one_row() -> None:
    class Worker:
        def do(self, item: int) -> dict[str, Any]:
            return {"item": item, "text": json.dumps([item])}

    row = clusters._Caller(make=Worker, arguments={})({"item": np.array([4])})
    assert row == {"item": [4], "text": ["[4]"], "problem": [""]}
