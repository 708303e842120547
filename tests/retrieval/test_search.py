"""Searching: filters, what a query must not find, no answer, the page."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.retrieval.sets import make_set, other_model
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ConfigError, ProtocolError
from xreid.core.tracklets import Modality, Tracklet
from xreid.retrieval.columns import Filter
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.page import PageInfo, conditions, show_span, show_time, write_results_page
from xreid.retrieval.search import SearchResult, queries_from_gallery, queries_from_set, search


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    return _made(
        tmp_path / "g", first=make_set(40, seed=0, prefix="a"), second=make_set(30, seed=1, prefix="b")
    )


def _made(folder: Path, **sets: EmbeddingSet) -> Gallery:
    gallery = Gallery.create(folder)
    for name, embeddings in sets.items():
        gallery.append(embeddings, name=name)
    return gallery


def _names(result: SearchResult) -> list[str]:
    return [hit.entry.tracklet.name for hit in result.hits]


def test_best_first_and_never_itself(gallery: Gallery) -> None:
    ids = [entry.id for entry in gallery.walk()]
    vectors = gallery.vectors(ids)
    for name in ("a7", "b12"):
        own = ids.index(gallery.find(name).id)
        (result,) = search(gallery, queries_from_gallery(gallery, [name]), top=70)
        scores = vectors @ vectors[own]
        order = [row for row in np.argsort(-scores, kind="stable") if row != own]
        assert [hit.entry.id for hit in result.hits] == [ids[row] for row in order]
        assert [hit.score for hit in result.hits] == pytest.approx(scores[order], abs=1e-6)
        assert [hit.rank for hit in result.hits] == list(range(1, 70))
        assert result.searched == 69


def test_a_query_from_a_set_that_is_in_the_gallery_does_not_find_itself(gallery: Gallery) -> None:
    embeddings = make_set(40, seed=0, prefix="a")
    inside = search(gallery, queries_from_gallery(gallery, ["a7", "a9"]))
    outside = search(gallery, queries_from_set(gallery, embeddings, ["a7", "a9"]))
    assert [_names(result) for result in inside] == [_names(result) for result in outside]
    stranger = make_set(3, seed=99)
    (result,) = search(gallery, queries_from_set(gallery, stranger, ["t1"]))
    assert result.searched == 70
    gallery.erase(names=["a3"])
    (result,) = search(gallery, queries_from_set(gallery, embeddings, ["a7"]), top=70)
    assert result.searched == 68
    assert "a7" not in _names(result)


@pytest.mark.parametrize(
    ("rules", "keep"),
    [
        (Filter(modality=Modality.INFRARED), lambda t: t.modality is Modality.INFRARED),
        (Filter(cameras=("A",)), lambda t: t.camera == "A"),
        (Filter(cameras=("A", "B")), lambda t: t.camera is not None),
        (Filter(known=True), lambda t: t.identity is not None),
        (Filter(from_s=105), lambda t: t.end_s is not None and t.end_s >= 105),
        (Filter(to_s=100), lambda t: t.start_s is not None and t.start_s <= 100),
        (
            Filter(from_s=53, to_s=90, modality=Modality.VISIBLE),
            lambda t: t.start_s is not None and t.end_s >= 53 and t.start_s <= 90 and t.modality == "vis",
        ),
        (Filter(other_cameras=True), lambda t: t.camera != "B"),
    ],
)
def test_filters(rules: Filter, keep: Callable[[Tracklet], bool], gallery: Gallery) -> None:
    assert gallery.find("a5").tracklet.camera == "B"
    (result,) = search(gallery, queries_from_gallery(gallery, ["a5"]), rules=rules, top=100)
    expected = {e.tracklet.name for e in gallery.walk() if keep(e.tracklet) and e.tracklet.name != "a5"}
    assert set(_names(result)) == expected
    assert result.searched == len(expected)


def test_other_cameras_keeps_unknown_ones_for_unknown_queries(gallery: Gallery) -> None:
    assert gallery.find("a3").tracklet.camera is None
    (result,) = search(
        gallery, queries_from_gallery(gallery, ["a3"]), rules=Filter(other_cameras=True), top=99
    )
    assert result.searched == 69


def test_no_answer(gallery: Gallery) -> None:
    (result,) = search(gallery, queries_from_gallery(gallery, ["a5"]), min_score=0.999)
    assert result.hits == ()
    assert result.best is not None
    assert result.best < 0.999
    (few,) = search(gallery, queries_from_gallery(gallery, ["a5"]), min_score=result.best)
    assert len(few.hits) == 1


def test_searches_that_cannot_be(gallery: Gallery, tmp_path: Path) -> None:
    queries = queries_from_gallery(gallery, ["a5"])
    with pytest.raises(ProtocolError, match=r"no camera C.*A, B"):
        search(gallery, queries, rules=Filter(cameras=("C",)))
    with pytest.raises(ProtocolError, match="the filters let none of the 70"):
        search(gallery, queries, rules=Filter(from_s=1e6))
    with pytest.raises(ConfigError, match="ends before it starts"):
        Filter(from_s=2, to_s=1)
    with pytest.raises(ConfigError, match="begins in seconds of a recording and ends with a date"):
        Filter(from_s=2, to_s=1.79e9)
    with pytest.raises(ConfigError, match="top 0"):
        search(gallery, queries, top=0)
    with pytest.raises(ProtocolError, match="no tracklet 'zz'"):
        queries_from_gallery(gallery, ["zz"])
    with pytest.raises(ProtocolError, match="no tracklet 'zz'"):
        queries_from_set(gallery, make_set(3), ["zz"])
    with pytest.raises(ProtocolError, match="differ in their checkpoint"):
        queries_from_set(gallery, other_model(make_set(3)), ["t1"])
    with pytest.raises(ProtocolError, match="is empty"):
        search(Gallery.create(tmp_path / "empty"), queries)


def _with_frames(folder: Path, count: int) -> Path:
    for i in range(count):
        for name in ("1.jpg", "2.jpg"):
            path = folder / f"a{i}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (30, 60), (40 * i % 256, 80, 160)).save(path)
    return folder


def test_the_page(tmp_path: Path) -> None:
    frames = _with_frames(tmp_path / "frames", 12)
    gallery = _made(tmp_path / "g", **{"<b>first</b>": make_set(12, prefix="a", root=frames)})
    results = search(gallery, queries_from_gallery(gallery, ["a5", "a6"]), top=3, min_score=-1)
    info = PageInfo(rules=Filter(modality=Modality.VISIBLE), top=3, min_score=-1)
    assert write_results_page(results, tmp_path / "page", gallery=gallery, info=info) == 0
    html = (tmp_path / "page" / "search.html").read_text()
    assert "not calibrated" in html
    assert "no proof" in html
    assert html.count('src="data:image/jpeg;base64,') == 2 * (2 + 3 * 2)
    for foreign in ("http:", "https:", 'src="/', "<script"):
        assert foreign not in html, "the page loads nothing"
    (frames / "a5" / "1.jpg").unlink()
    assert write_results_page(results, tmp_path / "page", gallery=gallery, info=info) == 1
    assert "1 frame could not be read" in (tmp_path / "page" / "search.html").read_text()
    frames.rename(tmp_path / "moved")
    missing = write_results_page(
        results, tmp_path / "page", gallery=gallery, info=info, frames_root=tmp_path / "moved"
    )
    assert missing == 1


def test_the_page_marks_right_and_wrong_only_by_labels_of_one_archive(tmp_path: Path) -> None:
    here = _with_frames(tmp_path / "here", 12)
    gallery = _made(tmp_path / "g", x=make_set(12, prefix="a", root=here))
    info = PageInfo(rules=Filter(), top=11, min_score=None)

    def marks(results: list[SearchResult]) -> tuple[int, int]:
        write_results_page(results, tmp_path / "page", gallery=gallery, info=info)
        answers = (tmp_path / "page" / "search.html").read_text().partition("<ol")[2]
        return answers.count(">✓<"), answers.count(">✗<")

    results = search(gallery, queries_from_gallery(gallery, ["a5"]), top=11)
    asked = results[0].query.tracklet.identity
    labels = [hit.entry.tracklet.identity for hit in results[0].hits]
    assert asked is not None
    assert marks(results) == (labels.count(asked), len([x for x in labels if x not in (asked, None)]))
    elsewhere = make_set(12, prefix="a", root=tmp_path / "elsewhere")
    assert marks(search(gallery, queries_from_set(gallery, elsewhere, ["a5"]), top=11)) == (0, 0)


def test_names_are_escaped_and_no_answer_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "<script>alert(1)</script>"
    gallery = _made(folder, x=make_set(4, prefix="<i>"))
    results = search(gallery, queries_from_gallery(gallery, ["<i>1"]), min_score=2.0)
    write_results_page(
        results, tmp_path / "page", gallery=gallery, info=PageInfo(rules=Filter(), top=5, min_score=2.0)
    )
    html = (tmp_path / "page" / "search.html").read_text()
    assert "No answer." in html
    assert "No tracklet scores 2 or more" in html
    assert "<script>" not in html
    assert "&lt;i&gt;1" in html


def test_times_and_conditions_in_words() -> None:
    assert show_time(72.34) == "1:12.3"
    assert show_time(1_763_672_400) == "2025-11-20 21:00:00"
    row = Tracklet(
        name="x", frames=("1",), modality=Modality.VISIBLE, start_s=1_763_672_400, end_s=1_763_672_405
    )
    assert show_span(row) == "2025-11-20 21:00:00 to 21:00:05"
    rules = Filter(modality=Modality.INFRARED, cameras=("A",), from_s=1, known=True, other_cameras=True)
    words = conditions(PageInfo(rules=rules, top=5, min_score=0.5))
    assert words[0] == "infrared only"
    assert words[-1] == "scores of 0.5 and more"
    assert len(words) == 6
