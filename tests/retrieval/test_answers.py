"""Several examples as one query, feedback, space and time, re-ranking: against sums over all pairs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.retrieval.sets import make_set
from tests.retrieval.test_meaning import CALIBRATION
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ConfigError, ProtocolError
from xreid.core.tracklets import Modality
from xreid.evaluation.metrics import Side
from xreid.evaluation.reranking import KReciprocal
from xreid.retrieval.camera_graph import CameraGraph
from xreid.retrieval.camera_graph_file import camera_graph_from
from xreid.retrieval.columns import Filter
from xreid.retrieval.feedback import CONFIRMED_WEIGHT, REJECTED_WEIGHT, Feedback, example_weights
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.meaning import Meaning
from xreid.retrieval.queries import Fused, queries_from_gallery, together
from xreid.retrieval.search import SearchResult, search

DAY = 1_763_672_400.0


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    gallery = Gallery.create(tmp_path / "g")
    gallery.append(make_set(40, seed=0, prefix="a"), name="first")
    return gallery


def _names(result: SearchResult) -> list[str]:
    return [hit.entry.tracklet.name for hit in result.hits]


def _scores(gallery: Gallery, names: list[str]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Cosines of every tracklet with the named ones."""
    entries = list(gallery.walk())
    vectors = gallery.vectors([entry.id for entry in entries])
    asking = gallery.vectors([gallery.find(name).id for name in names])
    return {e.tracklet.name: asking @ v for e, v in zip(entries, vectors, strict=True)}, asking


@pytest.mark.parametrize("fusion", ["mean", "max"])
@pytest.mark.parametrize("order", ["cosine", "calibrated", None])
def test_several_examples_rank_as_the_sum_over_pairs_says(
    gallery: Gallery, fusion: str, order: str | None
) -> None:
    names = ["a7", "a8", "a12"]
    query = together(queries_from_gallery(gallery, [*names, "a7"]), fusion=fusion)
    meaning = None if order is None else Meaning(calibration=CALIBRATION, order=order)
    (result,) = search(gallery, [query], top=9, meaning=meaning)
    cosines, asking = _scores(gallery, names)
    infrared = [gallery.find(n).tracklet.modality is Modality.INFRARED for n in names]

    def value(name: str) -> float:
        mine = gallery.find(name).tracklet.modality is Modality.INFRARED
        lines = [CALIBRATION.kinds[("vis-vis", "vis-ir", "ir-ir")[mine + i]] for i in infrared]
        ratios = [k.slope * s + k.offset for k, s in zip(lines, cosines[name], strict=True)]
        values = ratios if order == "calibrated" else cosines[name]
        return float(max(values) if fusion == "max" else np.mean(values))

    expected = sorted((n for n in cosines if n not in names), key=value, reverse=True)[:9]
    assert _names(result) == expected
    assert result.searched == 37
    total = np.linalg.norm(asking.mean(axis=0))
    for hit in result.hits:
        own = cosines[hit.entry.tracklet.name]
        assert hit.score == pytest.approx(own.max() if fusion == "max" else own.mean() / total, abs=1e-5)


def test_the_evidence_of_several_examples_is_the_mean_of_their_ratios(gallery: Gallery) -> None:
    names = ["a7", "a8"]
    query = together(queries_from_gallery(gallery, names))
    meaning = Meaning(calibration=CALIBRATION, prior=0.1)
    rules = Filter(modality=Modality.VISIBLE)
    (result,) = search(gallery, [query], meaning=meaning, rules=rules)
    cosines, _ = _scores(gallery, names)
    cross, same = CALIBRATION.kinds["vis-ir"], CALIBRATION.kinds["vis-vis"]
    for hit in result.hits:
        one, two = cosines[hit.entry.tracklet.name]
        ratio = (cross.slope * one + cross.offset + same.slope * two + same.offset) / 2
        assert hit.verdict is not None
        assert hit.verdict.ratio == pytest.approx(ratio, abs=1e-4)
        assert hit.verdict.probability == pytest.approx(1 / (1 + 9 * np.exp(-ratio)), abs=1e-5)
        assert hit.verdict.combined == hit.verdict.probability
        assert hit.verdict.accepted == (cross.slope * (one - 0.1) + same.slope * (two - 0.2) > 0)


def test_other_cameras_are_those_of_no_example(gallery: Gallery) -> None:
    query = together(queries_from_gallery(gallery, ["a5", "a7"]))
    assert {example.tracklet.camera for example in query.examples} == {"A", "B"}
    (result,) = search(gallery, [query], rules=Filter(other_cameras=True), top=40)
    assert result.hits
    assert {hit.entry.tracklet.camera for hit in result.hits} == {None}


def test_feedback_confirmed_first_rejected_never_and_the_rest_by_weights(gallery: Gallery) -> None:
    (query,) = queries_from_gallery(gallery, ["a7"])
    said = Feedback().confirm(*_ids(gallery, "a9", "a2")).reject(*_ids(gallery, "a30", "a31", "a32"))
    (result,) = search(gallery, [query], top=30, feedback=said)
    assert _names(result)[:2] == ["a9", "a2"]
    assert [hit.confirmed for hit in result.hits[:3]] == [True, True, False]
    assert not {"a7", "a30", "a31", "a32"} & set(_names(result))
    cosines, _ = _scores(gallery, ["a7", "a9", "a2", "a30", "a31", "a32"])
    beta, gamma = CONFIRMED_WEIGHT, REJECTED_WEIGHT
    weights = np.array([1, beta / 2, beta / 2, -gamma / 3, -gamma / 3, -gamma / 3])
    rest = [n for n in cosines if n not in ("a7", "a9", "a2", "a30", "a31", "a32")]
    expected = sorted(rest, key=lambda n: float(weights @ cosines[n]), reverse=True)[:30]
    assert _names(result)[2:] == expected
    assert example_weights(1, 2, 3) == pytest.approx(weights)
    assert [hit.rank for hit in result.hits] == list(range(1, 33))


def test_confirmed_tracklets_are_evidence(gallery: Gallery) -> None:
    (query,) = queries_from_gallery(gallery, ["a7"])
    meaning = Meaning(calibration=CALIBRATION, order="calibrated", prior=0.1)
    said = Feedback().confirm(*_ids(gallery, "a9"))
    (told,) = search(gallery, [query], top=5, meaning=meaning, feedback=said)
    fused = Fused(examples=tuple(queries_from_gallery(gallery, ["a7", "a9"])))
    (both,) = search(gallery, [fused], top=38, meaning=meaning)
    chances = {hit.entry.id: hit.verdict.ratio for hit in both.hits if hit.verdict}
    assert told.hits[0].verdict is None, "what was confirmed is no evidence for itself"
    assert not told.unknown
    for hit in told.hits[1:]:
        assert hit.verdict is not None
        assert hit.verdict.ratio == pytest.approx(chances[hit.entry.id])


def test_what_is_said_last_counts_and_contradictions_do_not_pass(gallery: Gallery) -> None:
    said = Feedback().confirm("1", "2").reject("2").confirm("3").withdraw("1")
    assert said == Feedback(confirmed=("3",), rejected=("2",))
    assert not Feedback()
    with pytest.raises(ConfigError, match="both confirmed and rejected"):
        Feedback(confirmed=("1",), rejected=("1",))
    queries = queries_from_gallery(gallery, ["a1", "a2"])
    with pytest.raises(ConfigError, match="one query"):
        search(gallery, queries, feedback=Feedback(rejected=(queries[0].id or "",)))
    with pytest.raises(ProtocolError, match="not in|no tracklet"):
        search(gallery, queries[:1], feedback=Feedback(rejected=("f" * 20,)))
    with pytest.raises(ConfigError, match="needs an example"):
        together([])


def _ids(gallery: Gallery, *names: str) -> list[str]:
    return [gallery.find(name).id for name in names]


def _moving(folder: Path) -> Gallery:
    """One query at camera 1, then the same look everywhere: only time and place differ."""
    plain = make_set(6, seed=4, prefix="m")
    places = [("1", 0), ("2", 5), ("2", 60), ("3", 5), ("9", 5), (None, 5)]
    rows = tuple(
        replace(row, camera=camera, start_s=DAY + start, end_s=DAY + start + 2, modality=Modality.VISIBLE)
        for row, (camera, start) in zip(plain.table, places, strict=True)
    )
    vectors = plain.vectors[0] + 0.1 * np.arange(6)[:, None] * plain.vectors
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    table = replace(plain.table, rows=rows)
    gallery = Gallery.create(folder)
    gallery.append(EmbeddingSet(vectors=vectors, table=table, origin=plain.origin), name="m")
    return gallery


GRAPH = camera_graph_from(
    {
        "cameras": {"1": {}, "2": {}, "3": {}},
        "edges": [{"from": "1", "to": "2", "least_s": 20, "typical_s": 40}],
        "overlaps": [["1", "3"]],
    }
)


@pytest.mark.parametrize("order", ["cosine", "calibrated"])
def test_impossible_transitions_stand_last_marked_and_not_hidden(tmp_path: Path, order: str) -> None:
    gallery = _moving(tmp_path / "g")
    (query,) = queries_from_gallery(gallery, ["m0"])
    meaning = Meaning(calibration=CALIBRATION, order=order, prior=0.1)
    (plain,) = search(gallery, [query], meaning=meaning)
    assert _names(plain) == ["m1", "m2", "m3", "m4", "m5"]
    (result,) = search(gallery, [query], meaning=meaning, graph=GRAPH)
    assert _names(result) == ["m2", "m3", "m4", "m5", "m1"]
    judged = {hit.entry.tracklet.name: hit.transition.judgement for hit in result.hits if hit.transition}
    assert judged == {
        "m1": "impossible",
        "m2": "possible",
        "m3": "possible",
        "m4": "not judged",
        "m5": "not judged",
    }
    last, first = result.hits[-1].verdict, result.hits[0].verdict
    assert last is not None
    assert first is not None
    odds = last.probability / (1 - last.probability)
    assert last.combined == pytest.approx(0.001 * odds / (1 + 0.001 * odds))
    assert first.combined == first.probability
    plain_json = result.to_json()["hits"][-1]
    assert plain_json["transition"]["judgement"] == "impossible"
    assert plain_json["transition"]["cameras"] == ["1", "2"]
    assert {"probability", "combined", "ratio"} <= plain_json.keys()


def test_without_calibration_the_graph_still_marks_and_sinks(tmp_path: Path) -> None:
    gallery = _moving(tmp_path / "g")
    (query,) = queries_from_gallery(gallery, ["m0"])
    (result,) = search(gallery, [query], graph=GRAPH)
    assert _names(result)[-1] == "m1"
    assert result.hits[-1].impossible
    (empty,) = search(gallery, [query], graph=CameraGraph())
    assert [h.impossible for h in empty.hits] == [False] * 5
    (few,) = search(gallery, [query], graph=GRAPH, top=1)
    assert _names(few) == ["m1"], "the nearest is shown, marked, however few are asked for"


def test_unknown_where_only_the_impossible_are_above_the_threshold(tmp_path: Path) -> None:
    gallery = _moving(tmp_path / "g")
    (query,) = queries_from_gallery(gallery, ["m0"])
    meaning = Meaning(calibration=CALIBRATION)
    (result,) = search(gallery, [query], meaning=meaning, top=1)
    assert not result.unknown
    (result,) = search(gallery, [query], meaning=meaning, top=1, graph=GRAPH)
    assert result.unknown


def test_reranking_equals_the_evaluation_over_the_same_tracklets(gallery: Gallery) -> None:
    (query,) = queries_from_gallery(gallery, ["a7"])
    (plain,) = search(gallery, [query], top=12)
    (result,) = search(gallery, [query], top=12, rerank_depth=12)
    head = gallery.vectors([hit.entry.id for hit in plain.hits])
    sides = [Side(vectors=v, identities=np.zeros(len(v), dtype=np.int64)) for v in (query.vector[None], head)]
    out = np.empty((1, 12), dtype=np.float32)
    KReciprocal().scores(*sides)(*sides, block=slice(0, 1), out=out)
    order = np.argsort(-out[0], kind="stable")
    assert _names(result) == [_names(plain)[i] for i in order]
    assert [hit.reranked for hit in result.hits] == pytest.approx(out[0][order].tolist())
    assert [hit.score for hit in result.hits] == pytest.approx([plain.hits[i].score for i in order])
    (deep,) = search(gallery, [query], top=3, rerank_depth=12)
    assert _names(deep) == _names(result)[:3]
