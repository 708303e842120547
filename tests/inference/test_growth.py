"""An embedding set follows a table that grows and shrinks: the vectors are those of embedding it anew."""

from __future__ import annotations

import fcntl
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.inference.small import write_model
from tests.training.micro import in_process
from xreid.cli.main import main
from xreid.core.embeddings import EmbeddingOrigin, EmbeddingSet, Piece, content_key, write_table
from xreid.core.errors import ConfigError, DataError
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.inference import embed
from xreid.inference.embed import EmbedConfig, embed_tracklets
from xreid.inference.growth import grown, look

CONFIG = EmbedConfig(clips_per_batch=2, tracklets_per_part=4)


@pytest.fixture
def ingested(table: TrackletTable, tmp_path: Path) -> TrackletTable:
    """The archive's tracklets as `xreid ingest` would leave them."""
    (tmp_path / "live" / "recordings").mkdir(parents=True)
    rows = tuple(
        replace(row, frames=tuple(str(table.frame_path(frame).absolute()) for frame in row.frames))
        for row in table
    )
    return TrackletTable(root=tmp_path / "live", rows=rows)


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Clips that went through the network."""
    counts, original = list[int](), embed.Embedder._features
    monkeypatch.setattr(
        embed.Embedder, "_features", lambda self, b: (counts.append(len(b)), original(self, b))[1]
    )
    return counts


def _by_name(found: EmbeddingSet) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    return {row.name: vector for row, vector in zip(found.table, found.vectors, strict=True)}


def test_only_what_is_new_is_embedded_and_what_is_gone_goes(
    ingested: TrackletTable, tmp_path: Path, embedded: list[int]
) -> None:
    model, out, notes = write_model(tmp_path / "model"), tmp_path / "out", list[str]()
    first = embed_tracklets(model, ingested.take(range(10)), out=out, config=CONFIG)
    assert not first.pieces
    embedded.clear()
    now = ingested.take([*range(3, 8), *range(9, 16), 8])
    second = embed_tracklets(model, now, out=out, config=CONFIG, note=notes.append)
    assert sum(embedded) == 6
    assert any("7 tracklets are embedded already, 3 are gone" in note for note in notes)
    whole = _by_name(embed_tracklets(model, now, out=tmp_path / "whole", config=CONFIG))
    assert _by_name(second).keys() == whole.keys()
    for name, vector in _by_name(second).items():
        np.testing.assert_allclose(vector, whole[name], atol=2e-6)
    for name in _by_name(first).keys() & whole.keys():
        assert np.array_equal(_by_name(first)[name], _by_name(second)[name]), (
            "what is there stays, bit for bit"
        )
    assert [piece.rows for piece in second.pieces] == [7, 6]
    assert second.pieces[0].key == content_key(first)
    embedded.clear()
    assert (
        embed_tracklets(model, now.take(reversed(range(13))), out=out, config=CONFIG).pieces == second.pieces
    )
    fewer = embed_tracklets(model, now.take(range(2)), out=out, config=CONFIG)
    assert not embedded
    assert [row.name for row in fewer.table] == [row.name for row in now.take(range(2))]
    assert fewer.pieces == (replace(second.pieces[0], rows=2),)
    assert EmbeddingSet.load(out).pieces == fewer.pieces
    later = embed_tracklets(model, now.take(range(5, 9)), out=out, config=CONFIG)
    assert [row.name for row in later.table] == [row.name for row in now.take(range(5, 9))]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["live", "model", "out", "whole"]


def test_other_data_is_refused_as_before(
    ingested: TrackletTable, table: TrackletTable, tmp_path: Path
) -> None:
    model, out = write_model(tmp_path / "model"), tmp_path / "out"
    embed_tracklets(model, ingested.take(range(5)), out=out, config=CONFIG)
    other = write_model(tmp_path / "other", seed=1)
    cut = replace(ingested, rows=tuple(replace(row, frames=row.frames[:1]) for row in ingested))
    elsewhere = replace(ingested, root=tmp_path)
    embed_tracklets(model, table.take(range(5)), out=tmp_path / "archive", config=CONFIG)
    for run in (
        lambda: embed_tracklets(other, ingested, out=out, config=CONFIG),
        lambda: embed_tracklets(model, ingested, out=out, config=EmbedConfig(frames=2)),
        lambda: embed_tracklets(model, cut, out=out, config=CONFIG),
        lambda: embed_tracklets(model, elsewhere, out=out, config=CONFIG),
        lambda: embed_tracklets(model, table.take(range(3)), out=tmp_path / "archive", config=CONFIG),
    ):
        with pytest.raises(ConfigError, match="Choose another folder"):
            run()
    assert len(embed_tracklets(model, table.take(range(6)), out=tmp_path / "archive", config=CONFIG)) == 6


def test_pictures_of_another_ingest_into_the_same_folder_are_embedded_anew(
    ingested: TrackletTable, tmp_path: Path
) -> None:
    """Two people who are there all the time get each other's number: the same names, the same frames."""
    model, out = write_model(tmp_path / "model"), tmp_path / "out"
    judged = replace(
        ingested,
        rows=tuple(replace(row, quality=0.5 + n / 100) for n, row in enumerate(ingested.take(range(5)))),
    )
    first = embed_tracklets(model, judged, out=out, config=CONFIG)
    swapped = list(judged.rows)
    for one, other in ((1, 2), (2, 1)):
        swapped[one] = replace(judged[one], quality=judged[other].quality)
    growth = look(out, replace(judged, rows=tuple(swapped)), first.origin)
    assert (growth.todo, growth.gone) == ((1, 2), 2)
    assert look(out, judged, first.origin).is_done
    unsaid = replace(judged, rows=tuple(replace(row, quality=None) for row in judged))
    assert look(out, unsaid, first.origin).is_done
    with pytest.raises(ConfigError, match="Choose another folder"):
        look(out, replace(judged, rows=tuple(replace(row, quality=0.1) for row in judged)), first.origin)


def test_a_piece_keeps_its_key_where_more_is_known_of_its_rows(
    ingested: TrackletTable, tmp_path: Path
) -> None:
    """A gallery has it under that key, and is not to get it again."""
    model, out = write_model(tmp_path / "model"), tmp_path / "out"
    first = embed_tracklets(model, ingested.take(range(4)), out=out, config=CONFIG)
    told = replace(ingested, rows=tuple(replace(row, place="hall") for row in ingested))
    second = embed_tracklets(model, told.take(range(6)), out=out, config=CONFIG)
    assert [piece.rows for piece in second.pieces] == [4, 2]
    assert second.pieces[0].key == content_key(first)


def test_what_others_keep_beside_a_set_stays(ingested: TrackletTable, tmp_path: Path) -> None:
    model, out = write_model(tmp_path / "model"), tmp_path / "out"
    for name in (".out.backup", ".out.old.of-may", ".outer.abcdefgh", ".out.abcdefgh"):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (1, 1))
    embed_tracklets(model, ingested.take(range(2)), out=out, config=CONFIG)
    left = {path.name for path in tmp_path.iterdir() if path.name[0] == "."}
    assert left == {".out.backup", ".out.old.of-may", ".outer.abcdefgh"}


def _embed_and_die(checkpoint: Path, table: TrackletTable, out: Path, parts: int) -> None:
    from tests.inference.test_embed import _embed_and_die as die

    die(checkpoint, table, out, parts)


def test_killed_while_more_came_it_goes_on(
    ingested: TrackletTable, tmp_path: Path, embedded: list[int]
) -> None:
    model, out = write_model(tmp_path / "model"), tmp_path / "out"
    embed_tracklets(model, ingested.take(range(2)), out=out, config=CONFIG)
    assert in_process(_embed_and_die, tmp_path / "model", ingested.take(range(13)), out, 2) == -9
    embedded.clear()
    order = [20, *range(13), 21]  # what came since stands before and after
    found = embed_tracklets(model, ingested.take(order), out=out, config=CONFIG)
    assert sum(embedded) == 13 - 2 - 2 * 4 + 2
    whole = _by_name(embed_tracklets(model, ingested.take(order), out=tmp_path / "whole", config=CONFIG))
    for name, vector in _by_name(found).items():
        np.testing.assert_allclose(vector, whole[name], atol=2e-6)
    assert len(found) == 15


def test_a_set_that_was_moved_away_by_a_killed_process_comes_back(
    ingested: TrackletTable, tmp_path: Path, embedded: list[int]
) -> None:
    model, out = write_model(tmp_path / "model"), tmp_path / "out"
    embed_tracklets(model, ingested.take(range(5)), out=out, config=CONFIG)
    (tmp_path / ".out.old.abcd_123").mkdir()
    out.rename(tmp_path / ".out.old.abcd_123" / "old")
    embedded.clear()
    assert len(embed_tracklets(model, ingested.take(range(6)), out=out, config=CONFIG)) == 6
    assert sum(embedded) == 1


def test_two_processes_do_not_embed_into_one_folder(ingested: TrackletTable, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    (tmp_path / ".out.parts").mkdir()
    handle = os.open(tmp_path / ".out.parts", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(ConfigError, match="another process is embedding"):
        embed_tracklets(model, ingested, out=tmp_path / "out", config=CONFIG)
    os.close(handle)
    embed_tracklets(model, ingested, out=tmp_path / "out", config=CONFIG)
    (tmp_path / ".out.parts").mkdir()  # of one that embeds what came since
    handle = os.open(tmp_path / ".out.parts", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    embed_tracklets(model, ingested, out=tmp_path / "out", config=CONFIG)
    assert (tmp_path / ".out.parts").is_dir()
    os.close(handle)
    embed_tracklets(model, ingested, out=tmp_path / "out", config=CONFIG)
    assert not (tmp_path / ".out.parts").exists()


ORIGIN = EmbeddingOrigin(checkpoint="c", config="c", layout=(("whole", 3),), source="own")


def _set(root: Path, names: list[int]) -> EmbeddingSet:
    rows = tuple(
        Tracklet(name=f"t{number}", frames=("a.jpg",), modality=Modality.VISIBLE) for number in names
    )
    vectors = np.random.default_rng(names[0]).normal(size=(len(names), 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return EmbeddingSet(vectors=vectors, table=TrackletTable(root=root, rows=rows), origin=ORIGIN)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.sets(st.integers(0, 30))), min_size=1, max_size=5))
def test_pieces_keep_their_rows_and_keys(steps: list[tuple[int, set[int]]]) -> None:
    """Against a list of (key, name) that is kept by hand."""
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        root, out = Path(place) / "live", Path(place) / "out"
        (root / "recordings").mkdir(parents=True)
        expected, following, held = list[tuple[str, str]](), 0, None
        for count, gone in steps:
            new = _set(root, list(range(following, following + count)))
            following += count
            names = [name for _, name in expected if int(name[1:]) not in gone]
            if held is not None and names:
                table = TrackletTable(root=root, rows=tuple(r for r in held.table if r.name in names))
                growth = look(out, table, ORIGIN)
                assert growth.known is not None
                held = grown(growth.known, new)
                expected = [(key, name) for key, name in expected if name in names]
            else:
                held, expected = new, []
            expected += [(content_key(new), row.name) for row in new.table]
            held.save(out)
            held = EmbeddingSet.load(out)
            pieces = held.pieces or (Piece(key=content_key(held), rows=len(held)),)
            keys = [piece.key for piece in pieces for _ in range(piece.rows)]
            assert list(zip(keys, [row.name for row in held.table], strict=True)) == expected


def test_pieces_that_do_not_add_up_are_damage(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="pieces"):
        replace(_set(tmp_path, [1, 2]), pieces=(Piece(key="0" * 16, rows=1),))


def test_too_short_ones_of_all_recordings_by_the_command(
    ingested: TrackletTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(tmp_path / "model")
    for number in range(2):
        folder = ingested.root / "recordings" / f"gate_{number}"
        (folder / "short").mkdir(parents=True)
        (folder / "ingest.json").write_text("{}")
        write_table(ingested.take([number]), folder / "short" / "tracklets.parquet")
    words = ["embed", str(tmp_path / "model"), str(ingested.root), str(tmp_path / "out"), "--short"]
    assert main(words) == 0
    found = EmbeddingSet.load(tmp_path / "out")
    assert [row.name for row in found.table] == [row.name for row in ingested.take(range(2))]
    assert (found.table.root, found.origin.source) == (ingested.root, "table, too short")
    assert main([*words, "--subset", "query"]) == 2
    assert "--short" in capsys.readouterr().err
