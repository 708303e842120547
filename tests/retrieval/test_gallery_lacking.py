"""A set that grows: each of its tracklets is appended once, and nobody who was erased comes back."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.retrieval.sets import make_set
from xreid.cli.main import main
from xreid.core.embeddings import EmbeddingSet, Piece, content_key
from xreid.inference.growth import grown
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.queries import queries_from_set


def _names(gallery: Gallery) -> list[str]:
    return sorted(entry.tracklet.name for entry in gallery.walk())


def _renamed(embeddings: EmbeddingSet, prefix: str) -> EmbeddingSet:
    rows = tuple(replace(row, name=f"{prefix}{row.name}") for row in embeddings.table)
    return replace(embeddings, table=replace(embeddings.table, rows=rows))


@pytest.fixture
def days() -> list[EmbeddingSet]:
    """Three sets of other people each."""
    return [_renamed(make_set(count, seed=count), f"day{count}-") for count in (4, 5, 6)]


@pytest.fixture(params=["folder", "lite"])
def gallery(request: pytest.FixtureRequest, tmp_path: Path) -> Gallery:
    if request.param == "lite":
        pytest.importorskip("milvus_lite")
    return Gallery.create(tmp_path / ("gallery" if request.param == "folder" else "gallery.db"))


def test_of_a_set_that_grew_only_what_is_new_is_appended(days: list[EmbeddingSet], gallery: Gallery) -> None:
    first, second, third = days
    whole = grown(first, second)
    assert gallery.append(first, name="live") is not None
    stored = gallery.append(whole, name="live")
    assert stored is not None
    assert (stored.key, stored.rows) == (content_key(second), 5)
    assert gallery.append(whole, name="live") is None
    more = grown(whole, third)
    assert gallery.append(replace(more.take(range(4, 15)), pieces=more.pieces[1:]), name="live").rows == 6  # type: ignore[union-attr]
    assert gallery.append(more, name="live") is None
    assert _names(gallery) == sorted(row.name for row in more.table)


def test_pieces_that_come_at_once_are_one_set_and_known_one_by_one(
    days: list[EmbeddingSet], gallery: Gallery
) -> None:
    whole = grown(grown(days[0], days[1]), days[2])
    stored = gallery.append(whole, name="live")
    assert stored is not None
    assert stored.rows == 15
    for day in days:
        assert gallery.append(day, name="alone") is None
    assert len(gallery.sets) == 1
    less = replace(
        whole.take([0, 1, 5]), pieces=(replace(whole.pieces[0], rows=2), replace(whole.pieces[1], rows=1))
    )
    assert gallery.append(less, name="live") is None


def test_a_set_that_was_removed_and_comes_back_as_more_or_less_is_seen_as_it_is(
    days: list[EmbeddingSet], gallery: Gallery
) -> None:
    """By whoever had its rows in memory, as a server has; and by whoever opens the gallery."""
    less = replace(days[0].take([0, 2]), pieces=(Piece(key=content_key(days[0]), rows=2),))
    for embeddings in (days[0], grown(days[0], days[1]), less, grown(less, days[2])):
        stored = gallery.append(embeddings, name="live")
        assert stored is not None
        afresh = [] if gallery.address.endswith(".db") else [Gallery.open(gallery.address)]
        for look in (gallery, *afresh):
            assert _names(look) == sorted(row.name for row in embeddings.table)
        assert gallery.append(embeddings, name="live") is None
        gallery.remove(stored.key)


def test_a_query_of_a_set_that_grew_is_known_as_the_gallerys_own(
    days: list[EmbeddingSet], gallery: Gallery
) -> None:
    whole = grown(grown(days[0], days[1]), days[2])
    gallery.append(days[0], name="live")
    gallery.append(grown(days[0], days[1]), name="live")
    names = [row.name for row in whole.table]
    ids = [query.id for query in queries_from_set(gallery, whole, names)]
    assert ids == [*(gallery.find(name).id for name in names[:9]), *[None] * 6]
    gallery.append(whole, name="live")
    assert [q.id for q in queries_from_set(gallery, whole, names)] == [gallery.find(n).id for n in names]


def test_whoever_was_erased_stays_away(days: list[EmbeddingSet], gallery: Gallery) -> None:
    first, second, _ = days
    gallery.append(first, name="live")
    gallery.erase(names=[row.name for row in first.table])
    assert not gallery.sets
    assert gallery.append(first, name="live") is None, "also where nothing of the set is left"
    whole = grown(first, second)
    stored = gallery.append(whole, name="live")
    assert stored is not None
    assert (stored.rows, stored.erased) == (5, 4)
    assert _names(gallery) == sorted(row.name for row in second.table)
    gallery.expire(older_than_s=1, at_s=4e9)
    assert gallery.append(whole, name="live") is None
    assert gallery.append(replace(whole, pieces=(Piece(key="0" * 16, rows=9),)), name="live") is None


def test_by_the_command_every_few_minutes(
    days: list[EmbeddingSet], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live, gallery = tmp_path / "live", str(tmp_path / "gallery")
    days[0].save(live)
    assert main(["gallery", "add", gallery, str(live)]) == 0
    grown(days[0], days[1]).save(live)
    for told in ("(live): 5 tracklets", "has nothing new for"):
        capsys.readouterr()
        assert main(["gallery", "add", gallery, str(live)]) == 0
        assert told in capsys.readouterr().out
    assert main(["gallery", "check", gallery]) == 0
    assert "9 tracklets in 2 sets" in capsys.readouterr().out
