"""Embeddings against a loop over tracklets; resumed, shared by processes, and of any length."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.data.tiny_archives import truncate, write_hitsz
from tests.inference.small import CAMERAS, write_model
from tests.training.micro import in_process, together
from xreid.cli.main import main
from xreid.core.embeddings import EmbeddingSet, require_same_origin
from xreid.core.errors import ConfigError, DataError, ProtocolError
from xreid.core.tracklets import TrackletTable, index_of
from xreid.data import open_archive
from xreid.data.augment import Normalise
from xreid.data.clips import ClipReader
from xreid.data.sampling import FrameSampling, sample
from xreid.evaluation.notes import is_simulated
from xreid.evaluation.temporal_reranking import TemporalReranking
from xreid.inference import embed
from xreid.inference.checkpoint import LoadedModel, load_checkpoint
from xreid.inference.embed import EmbedConfig, embed_tracklets
from xreid.inference.processes import job


def one_by_one(
    model: LoadedModel, table: TrackletTable, *, sampling: str, frames: int, mirrored: bool = False
) -> np.ndarray:
    """The definition: every clip alone, means over clips (and mirror images), unit length."""
    network, camera_of = model.network, index_of(model.checkpoint.network.cameras)
    reader, normalise, vectors = ClipReader(table, size=network.config.frame_size), Normalise(), []
    for number, row in enumerate(table):
        clips = sample(FrameSampling(sampling), len(row.frames), frames)
        features = []
        for chosen in clips:
            clip = normalise(reader.read(number, chosen))[None]
            for shown in (clip, clip.flip(4)) if mirrored else (clip,):
                with torch.no_grad():
                    out = network(shown, torch.tensor([camera_of.get(row.camera or "", -1)]))
                features.append(torch.cat([out.bn_cls[0], out.bn_proj[0], out.bn_interaction[0]]))
        vectors.append(F.normalize(torch.stack(features).mean(dim=0), dim=0).numpy())
    return np.stack(vectors)


@pytest.mark.parametrize("sampling", ["chunk-first", "linspace", "dense"])
def test_batches_equal_the_loop(sampling: Any, table: TrackletTable, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    config = EmbedConfig(sampling=sampling, clips_per_batch=5, tracklets_per_part=7)
    found = embed_tracklets(model, table, out=tmp_path / "out", config=config)
    expected = one_by_one(model, table, sampling=sampling, frames=3)
    np.testing.assert_allclose(found.vectors, expected, atol=2e-6)
    assert [row.name for row in found.table] == [row.name for row in table]
    assert found.origin.layout == model.network.layout
    assert found.origin.checkpoint == model.sha256
    assert found.origin.licence == "for tests"
    assert found.origin.preprocessing["sampling"] == sampling
    assert found.origin.preprocessing["frames"] == 3


@pytest.mark.parametrize("asked", [True, None])
def test_mirror_images_are_averaged_where_asked_or_where_the_checkpoint_says_so(
    asked: bool | None, table: TrackletTable, tmp_path: Path
) -> None:
    model = write_model(tmp_path / "model")
    if asked is None:
        preprocessing = replace(model.checkpoint.preprocessing, flip=True)
        model = replace(model, checkpoint=replace(model.checkpoint, preprocessing=preprocessing))
    config = EmbedConfig(sampling="dense", flip=asked, clips_per_batch=5)
    found = embed_tracklets(model, table, out=tmp_path / "out", config=config)
    expected = one_by_one(model, table, sampling="dense", frames=3, mirrored=True)
    np.testing.assert_allclose(found.vectors, expected, atol=2e-6)
    assert EmbedConfig.of(found.origin) == EmbedConfig(sampling="dense", frames=3, flip=True)
    plain = embed_tracklets(
        model, table, out=tmp_path / "plain", config=EmbedConfig(sampling="dense", flip=False)
    )
    assert "flip" not in plain.origin.preprocessing
    with pytest.raises(ProtocolError, match="preprocessing"):
        require_same_origin(found.origin, plain.origin)


def test_batch_part_and_workers_change_rounding_only(table: TrackletTable, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    sets = [
        embed_tracklets(
            model,
            table,
            out=tmp_path / f"{clips}-{part}-{workers}",
            config=EmbedConfig(sampling="dense", clips_per_batch=clips, tracklets_per_part=part),
            workers=workers,
        )
        for clips, part, workers in ((4, 100, 0), (1, 3, 0), (64, 5, 2))
    ]
    for other in sets[1:]:
        np.testing.assert_allclose(other.vectors, sets[0].vectors, atol=2e-6)
        require_same_origin(sets[0].origin, other.origin)


CONFIG = EmbedConfig(clips_per_batch=2, tracklets_per_part=4)


def _embed_and_die(checkpoint: Path, table: TrackletTable, out: Path, parts: int) -> None:
    model, tell = load_checkpoint(checkpoint), []

    def count(done: int, total: int) -> None:
        tell.append(done)
        if len(tell) > parts:
            os.kill(os.getpid(), signal.SIGKILL)

    embed_tracklets(model, table, out=out, config=CONFIG, tell=count)


def test_killed_and_started_again(
    table: TrackletTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_model(tmp_path / "model")
    whole = embed_tracklets(model, table, out=tmp_path / "whole", config=CONFIG)
    for parts in (1, 2):
        assert in_process(_embed_and_die, tmp_path / "model", table, tmp_path / "out", parts) == -9
    assert not (tmp_path / "out").exists()
    notes, embedded = list[str](), list[int]()
    original = embed.Embedder._features
    monkeypatch.setattr(
        embed.Embedder, "_features", lambda self, b: (embedded.append(len(b)), original(self, b))[1]
    )
    found = embed_tracklets(model, table, out=tmp_path / "out", config=CONFIG, note=notes.append)
    assert np.array_equal(found.vectors, whole.vectors)
    assert sum(embedded) == len(table) - 3 * CONFIG.tracklets_per_part
    assert any("going on" in note for note in notes)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "out", "whole"]


def _embed_as_rank(
    checkpoint: Path, table: TrackletTable, out: Path, rank: int, size: int, port: int
) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with job("cpu") as me:
        found = embed_tracklets(load_checkpoint(checkpoint), table, out=out, config=CONFIG, processes=me)
        assert len(found) == len(table)


def test_two_processes_give_the_same_bytes(table: TrackletTable, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    one = embed_tracklets(model, table, out=tmp_path / "one", config=CONFIG)
    together(_embed_as_rank, 2, tmp_path / "model", table, tmp_path / "two")
    assert np.array_equal(one.vectors, EmbeddingSet.load(tmp_path / "two").vectors)


def test_parts_of_another_job_are_dropped(table: TrackletTable, tmp_path: Path) -> None:
    write_model(tmp_path / "model")
    assert in_process(_embed_and_die, tmp_path / "model", table, tmp_path / "out", 2) == -9
    other = write_model(tmp_path / "other", seed=1)
    found = embed_tracklets(other, table, out=tmp_path / "out", config=CONFIG)
    expected = embed_tracklets(other, table, out=tmp_path / "expected", config=CONFIG)
    assert np.array_equal(found.vectors, expected.vectors)


def test_a_damaged_part_is_made_again(table: TrackletTable, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    assert in_process(_embed_and_die, tmp_path / "model", table, tmp_path / "out", 3) == -9
    (tmp_path / ".out.parts" / "000001.npy").write_bytes(b"")
    found = embed_tracklets(model, table, out=tmp_path / "out", config=CONFIG)
    expected = embed_tracklets(model, table, out=tmp_path / "expected", config=CONFIG)
    assert np.array_equal(found.vectors, expected.vectors)


def test_what_is_there_is_kept(table: TrackletTable, tmp_path: Path) -> None:
    model, notes = write_model(tmp_path / "model"), list[str]()
    embed_tracklets(model, table, out=tmp_path / "out")
    (tmp_path / ".out.parts").mkdir()  # as after a kill between writing the set and clearing up
    embed_tracklets(model, table, out=tmp_path / "out", note=notes.append)
    assert any("already holds" in note for note in notes)
    assert not (tmp_path / ".out.parts").exists()
    other = write_model(tmp_path / "other", seed=1)
    for run in (
        lambda: embed_tracklets(other, table, out=tmp_path / "out"),
        lambda: embed_tracklets(model, table.take([0, 1]), out=tmp_path / "out"),
        lambda: embed_tracklets(model, table, out=tmp_path / "out", config=EmbedConfig(frames=2)),
        lambda: embed_tracklets(model, table, out=tmp_path / "model"),
    ):
        with pytest.raises(ConfigError, match="Choose another folder"):
            run()


def test_unseen_cameras_are_said_once_and_embedded_without(table: TrackletTable, tmp_path: Path) -> None:
    model, notes = write_model(tmp_path / "model"), list[str]()
    found = embed_tracklets(model, table, out=tmp_path / "out", note=notes.append)
    assert [note for note in notes if "cameras" in note] == [
        "1 cameras were not in training (D3): embedded without camera embedding"
    ]
    rows = tuple(replace(row, camera=None if row.camera == "D3" else row.camera) for row in table)
    unknown = embed_tracklets(model, replace(table, rows=rows), out=tmp_path / "unknown")
    assert np.array_equal(found.vectors, unknown.vectors)
    assert "D3" not in CAMERAS


def test_simulated_archives_are_named_in_the_origin(tmp_path: Path) -> None:
    model, root = write_model(tmp_path / "model"), write_hitsz(tmp_path / "a", cameras=(1,))
    filmed = embed_tracklets(model, open_archive(root).subset("query"), out=tmp_path / "filmed")
    assert filmed.origin.source == "hitsz-vcm"
    (root / "simulation.json").write_text("{}")
    drawn = embed_tracklets(model, open_archive(root).subset("query"), out=tmp_path / "drawn")
    (root / "simulation.json").unlink()
    assert is_simulated(drawn)
    assert not is_simulated(filmed)
    require_same_origin(filmed.origin, drawn.origin)


def test_precision_is_part_of_the_origin(table: TrackletTable, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    one = embed_tracklets(model, table, out=tmp_path / "one")
    two = embed_tracklets(model, table, out=tmp_path / "two", config=EmbedConfig(precision="bf16"))
    assert (one.vectors * two.vectors).sum(axis=1).min() > 0.99
    with pytest.raises(ProtocolError, match="preprocessing"):
        require_same_origin(one.origin, two.origin)


@pytest.mark.parametrize("workers", [0, 1])
def test_unreadable_frames(workers: int, tmp_path: Path) -> None:
    table = open_archive(write_hitsz(tmp_path / "a", cameras=(1,))).subset("query")
    truncate(table.frame_path(table[0].frames[0]))
    model, notes = write_model(tmp_path / "model"), list[str]()
    with pytest.raises(DataError, match="truncated"):
        embed_tracklets(model, table, out=tmp_path / "out", workers=workers)
    assert not (tmp_path / "out").exists()
    config = EmbedConfig(on_unreadable="replace")
    embed_tracklets(model, table, out=tmp_path / "out", config=config, workers=workers, note=notes.append)
    assert "1 unreadable frames were replaced by their neighbours" in notes


def test_the_command(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_model(tmp_path / "run" / "checkpoint")
    place = [str(tmp_path / "run"), str(archive), str(tmp_path / "out")]
    assert main(["embed", *place, "--batch", "3"]) == 0
    assert "24 tracklets x 40" in capsys.readouterr().out
    assert main(["embed", *place[:2], str(tmp_path / "some"), "--subset", "query", "train"]) == 0
    subsets = {row.subset for row in EmbeddingSet.load(tmp_path / "some").table}
    assert subsets == {"query", "train"}
    assert Path(EmbeddingSet.load(tmp_path / "some").table.root).is_absolute()


def test_halves_fit_temporal_reranking(archive: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "model")
    sets = {}
    for part in ("whole", "first-half", "second-half"):
        place = [str(tmp_path / "model"), str(archive), str(tmp_path / part)]
        assert main(["embed", *place, "--part", part]) == 0
        sets[part] = EmbeddingSet.load(tmp_path / part)
    whole, first, second = sets.values()
    found = TemporalReranking.of(whole, first=first, second=second)
    assert not np.array_equal(found.first, whole.vectors)
    for row, one, two in zip(whole.table, first.table, second.table, strict=True):
        assert one.frames + two.frames == row.frames


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{model}", "{data}/nowhere", "{out}"], "does not exist"),
        (["{out}/none", "{data}", "{out}"], "there is no checkpoint"),
        (["{model}", "{data}", "{out}", "--subset", "holiday"], "none of the"),
        (["{model}", "{data}", "{out}", "--sampling", "chunk-random"], "sampling"),
        (["{model}", "{data}", "{out}", "--batch", "0"], "clips_per_batch is out of range"),
        (["{model}", "{data}", "{model}"], "Choose another folder"),
        (["{model}", "{data}", "{out}", "--speed", "9"], "speed"),
    ],
)
def test_one_line_and_exit_code_2(
    arguments: list[str], message: str, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(tmp_path / "model")
    places = {"model": tmp_path / "model", "data": archive, "out": tmp_path / "out"}
    assert main(["embed", *(argument.format(**places) for argument in arguments)]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.startswith("xreid: error: ")
    assert not (tmp_path / "out").exists()
