"""Embedding on Ray: the vectors of one process, also when a worker is killed; no part twice."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.distribution.dying import die_once
from tests.distribution.refusing import Refusing
from tests.inference.small import write_model
from xreid.cli.main import main
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ConfigError, XReidError
from xreid.core.tracklets import TrackletTable
from xreid.distribution.cluster import Cluster, do_all
from xreid.distribution.embedding import PartEmbedder, embed_on_cluster
from xreid.inference.checkpoint import load_checkpoint
from xreid.inference.embed import EmbedConfig, Embedder, EmbedJob, embed_tracklets

TWO = Cluster(workers=2, cpus=0.5)
CONFIG = EmbedConfig(clips_per_batch=2, tracklets_per_part=4)


class Mortal(PartEmbedder):
    """Notes what it does in a folder; once two parts are done, the first worker to see it dies."""

    def do(self, item: int) -> dict[str, Any]:
        given = super().do(item)
        notes = self.job.out.parent / "notes"
        notes.mkdir(exist_ok=True)
        (notes / f"{item}-{os.getpid()}").touch()
        if len(list(notes.iterdir())) >= 2:
            die_once(self.job.out.parent / "killed")
        return given


@pytest.mark.usefixtures("local_cluster")
def test_the_same_vectors_with_a_killed_worker_and_work_found_done(
    table: TrackletTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "model")
    model = load_checkpoint(tmp_path / "model")
    expected = embed_tracklets(model, table, out=tmp_path / "one", config=CONFIG)
    job = EmbedJob(Embedder(model, table, config=CONFIG), tmp_path / "many")
    job.prepare(lambda text: None)
    job.make([0])  # as another process left it
    monkeypatch.setattr("xreid.distribution.embedding.PartEmbedder", Mortal)
    told: list[tuple[int, int]] = []
    found = embed_on_cluster(
        tmp_path / "model",
        table,
        out=tmp_path / "many",
        cluster=TWO,
        config=CONFIG,
        device="cpu",
        tell=lambda done, total: told.append((done, total)),
    )
    np.testing.assert_array_equal(found.vectors, expected.vectors)
    assert found.origin == expected.origin
    assert told[0] == (4, len(table))
    assert told[-1] == (len(table), len(table))
    done = sorted(path.name.partition("-")[0] for path in (tmp_path / "notes").iterdir())
    assert "0" not in done, "a part that was there was made again"
    assert set(done) == {str(n) for n in range(1, len(job.parts))}
    assert len({path.name.partition("-")[2] for path in (tmp_path / "notes").iterdir()}) > 1
    assert (tmp_path / "killed").exists()
    assert not job.folder.exists()


@pytest.mark.usefixtures("local_cluster")
@pytest.mark.parametrize(
    ("made", "message"),
    [(True, r"item 1 cannot be done\. Leave it out"), (False, r"the worker cannot be made\. Mend it")],
)
def test_a_problem_of_a_worker_stops_all_and_says_why(made: bool, message: str) -> None:
    with pytest.raises(XReidError, match=message):
        list(do_all([0, 1, 2], Refusing, {"made": made}, cluster=Cluster(workers=1, cpus=0.5)))


def here(items: Sequence[int], make: Any, arguments: Any, *, cluster: Cluster) -> Iterator[dict[str, Any]]:
    """What `do_all` does, in this process."""
    worker = make(**arguments)
    yield from (worker.do(item) for item in items)


def test_what_cannot_be_embedded_leaves_nothing(
    table: TrackletTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xreid.distribution.embedding.do_all", here)
    write_model(tmp_path / "model")
    table = TrackletTable(root=tmp_path, rows=table.rows, source=table.source)  # no frames there
    with pytest.raises(XReidError, match="cannot read"):
        embed_on_cluster(
            tmp_path / "model", table, out=tmp_path / "out", cluster=TWO, config=CONFIG, device="cpu"
        )
    assert not (tmp_path / "out").exists()


def test_nothing_to_do_needs_no_cluster() -> None:
    assert list(do_all([], Refusing, {}, cluster=Cluster(address="nowhere:1"))) == []


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"cpus": 0.0}, {"gpus": -1.0}])
def test_workers_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="workers on Ray"):
        Cluster(**wrong)


@pytest.mark.usefixtures("local_cluster")
def test_the_command(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_model(tmp_path / "run" / "checkpoint")
    place = [str(tmp_path / "run"), str(archive)]
    assert main(["embed", *place, str(tmp_path / "one")]) == 0
    assert main(["embed", *place, str(tmp_path / "ray"), "--ray", "2", "--ray_cpus", "0.5"]) == 0
    assert capsys.readouterr().out.count("24 tracklets x 40") == 2
    one, many = (EmbeddingSet.load(tmp_path / name) for name in ("one", "ray"))
    np.testing.assert_array_equal(one.vectors, many.vectors)
    assert main(["embed", *place, str(tmp_path / "no"), "--ray_address", "auto"]) == 2
    assert "--ray_address needs workers" in capsys.readouterr().err
