"""Pairs that cannot be of one person, and what they change in searches and alerts."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.retrieval.sets import make_set
from tests.retrieval.test_meaning import CALIBRATION, kind
from xreid.cli.main import main
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import DataError, ProtocolError
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.evaluation.calibration import Calibration
from xreid.evaluation.pairs import kind_of
from xreid.evaluation.site_check import key_of
from xreid.retrieval.alerts import AlertLog
from xreid.retrieval.answers import answers_folder
from xreid.retrieval.camera_graph import CameraGraph, Edge
from xreid.retrieval.columns import Filter
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.meaning import Meaning
from xreid.retrieval.queries import queries_from_gallery, together
from xreid.retrieval.search import ORDER_NOTE, search
from xreid.retrieval.strangers import FILE, check_gallery, keep_check, meaning_of, read_check, stranger_pairs
from xreid.retrieval.watch import WatchList, watched
from xreid.retrieval.watching import alerts_now, check_watch
from xreid.retrieval.words import show_strangers

NOON = 1_700_000_000.0
GRAPH = CameraGraph(
    places={"A": "", "B": "", "C": ""},
    edges=(Edge(start="A", end="B", least_s=30, typical_s=60),),
    overlaps=(("A", "C"),),
)
FULL: Calibration = replace(CALIBRATION, kinds={**CALIBRATION.kinds, "ir-ir": kind(9, -5, cut=0.4)})


def rows_of(count: int, *, seed: int = 0, dated: bool = True) -> list[Tracklet]:
    rng = np.random.default_rng(seed)
    starts = (NOON if dated else 0.0) + rng.uniform(0, 200, size=count)
    return [
        Tracklet(
            name=f"{seed}-{i}",
            frames=("1.jpg",),
            modality=tuple(Modality)[rng.integers(2)],
            camera=("A", "B", "C", None)[rng.integers(4)],
            start_s=None if i % 9 == 0 else start,
            end_s=None if i % 9 == 0 else start + rng.uniform(1, 20),
            source=str(rng.choice(["one.mp4", "two.mp4"])),
        )
        for i, start in enumerate(starts)
    ]


def crowd(count: int = 160, *, alike: float = 0.9) -> EmbeddingSet:
    """Everybody at once, half before each of two cameras, all dressed nearly alike."""
    rng = np.random.default_rng(3)
    noise, uniform = rng.normal(size=(count, 16)), rng.normal(size=16)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    vectors = alike * uniform / np.linalg.norm(uniform) + (1 - alike) * noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = tuple(
        Tracklet(
            name=f"p{i}",
            frames=(f"p{i}/1.jpg",),
            modality=Modality.VISIBLE,
            camera="AB"[i % 2],
            start_s=NOON + i / 100,
            end_s=NOON + 30.0,
        )
        for i in range(count)
    )
    made = make_set(1)
    return EmbeddingSet(
        vectors=vectors.astype(np.float32),
        table=TrackletTable(root=Path("/nowhere"), rows=rows),
        origin=made.origin,
        calibration=json.loads(json.dumps(FULL.to_json())),
    )


def gallery_of(folder: Path, embeddings: EmbeddingSet) -> Gallery:
    gallery = Gallery.create(folder)
    gallery.append(embeddings, name="crowd")
    return gallery


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("graph", [GRAPH, None])
def test_pairs_equal_a_loop_over_all(graph: CameraGraph | None, dated: bool) -> None:
    rows = rows_of(120, dated=dated)
    found = stranger_pairs(rows, graph)
    expected: dict[tuple[str, bool], set[frozenset[int]]] = {}
    for i, j in itertools.combinations(range(len(rows)), 2):
        a, b = rows[i], rows[j]
        counts = graph is not None if a.camera != b.camera else a.source == b.source
        if (graph or CameraGraph()).judge(a, b).impossible and counts:
            group = kind_of(a.modality, b.modality), a.camera != b.camera
            expected.setdefault(group, set()).add(frozenset((i, j)))
    assert expected
    assert {g: {frozenset(pair) for pair in pairs.tolist()} for g, pairs in found.items()} == expected
    assert all(len(pairs) == len(expected[group]) for group, pairs in found.items())
    if graph is None:
        assert not any(across for _, across in found)


def test_the_same_pairs_are_drawn_of_many() -> None:
    rows = [
        replace(row, source="a.mp4", camera="A", modality=Modality.VISIBLE, start_s=NOON, end_s=NOON + 9)
        for row in rows_of(300)
    ]
    first = stranger_pairs(rows, None)[("vis-vis", False)]
    assert len(first) == 20_000
    assert (first == stranger_pairs(rows, None)[("vis-vis", False)]).all()


def test_cosines_are_those_of_the_pairs(tmp_path: Path) -> None:
    made = crowd(60, alike=0.4)
    gallery = gallery_of(tmp_path / "g", made)
    check = check_gallery(gallery, FULL, graph=GRAPH)
    cosines = made.vectors @ made.vectors.T
    across = np.array([[a.camera != b.camera for b in made.table] for a in made.table])
    scores = cosines[np.triu(across, 1)]
    found = check.kinds["vis-vis"]
    assert (found.pairs, found.across, set(check.kinds)) == (len(scores), True, {"vis-vis"})
    for one in found.passed:
        assert one.pairs == (scores > one.cosine).sum()
    assert not check_gallery(gallery, FULL).kinds["vis-vis"].across, "no graph: of one picture"


def test_where_a_calibration_breaks_no_probability_is_given(tmp_path: Path) -> None:
    gallery = gallery_of(tmp_path / "g", crowd())
    folder = answers_folder(gallery)
    queries = queries_from_gallery(gallery, ["p0"])
    before = meaning_of(gallery, folder)
    (trusting,) = search(gallery, queries, top=5, meaning=before)
    assert all(hit.verdict is not None and hit.verdict.probability for hit in trusting.hits)
    assert all(hit.verdict is not None and hit.verdict.accepted for hit in trusting.hits)
    assert before is not None
    assert "Nobody has checked" in before.note()
    keep_check(folder, check_gallery(gallery, FULL, graph=GRAPH))
    after = meaning_of(gallery, folder)
    assert after is not None
    assert after.check is not None
    assert after.holds() is False
    assert "does NOT hold here" in after.note()
    (careful,) = search(gallery, queries, top=5, meaning=after)
    for was, hit in zip(trusting.hits, careful.hits, strict=True):
        assert hit.entry.id == was.entry.id
        assert hit.verdict is not None
        assert (hit.verdict.probability, hit.verdict.combined, hit.verdict.ratio) == (None, None, None)
        assert hit.verdict.accepted is False, "such a cosine is nothing special here"
        share = float(after.check.kinds["vis-vis"].share_above(hit.score))
        assert hit.verdict.strangers == pytest.approx(share, rel=1e-3)
    with pytest.raises(ProtocolError, match="cannot be grouped"):
        after.require_groups()
    assert show_strangers(careful.hits[0]) == "0.66%"
    assert show_strangers(trusting.hits[0]) == ""
    (far,) = after.verdicts(np.array([[-0.5]]), [Modality.VISIBLE], [Modality.VISIBLE], searched=9)
    assert show_strangers(replace(careful.hits[0], verdict=far)) == "50% or more", "finer is not said"
    assert show_strangers(replace(careful.hits[0], verdict=None)) == ""


def test_of_several_examples_the_most_alike_to_strangers_counts(tmp_path: Path) -> None:
    made = crowd()
    gallery = gallery_of(tmp_path / "g", made)
    check = check_gallery(gallery, FULL, graph=GRAPH)
    meaning = Meaning(calibration=FULL, check=check)
    modalities = [Modality.VISIBLE, Modality.VISIBLE]
    (verdict,) = meaning.verdicts(np.array([[0.95], [0.99]]), modalities, [Modality.VISIBLE], searched=9)
    (less,) = meaning.verdicts(np.array([[0.95]]), modalities[:1], [Modality.VISIBLE], searched=9)
    (more,) = meaning.verdicts(np.array([[0.99]]), modalities[:1], [Modality.VISIBLE], searched=9)
    assert less.strangers is not None
    assert more.strangers is not None
    assert verdict.strangers == less.strangers > more.strangers
    (mixed,) = meaning.verdicts(np.array([[0.9], [0.9]]), list(Modality), [Modality.VISIBLE], searched=9)
    assert mixed.strangers is None, "no strangers of that kind were found"


def test_where_it_holds_probabilities_stay(tmp_path: Path) -> None:
    gallery = gallery_of(tmp_path / "g", crowd(alike=0.0))
    folder = answers_folder(gallery)
    calm = replace(FULL, kinds={name: kind(10, -4, cut=0.99) for name in FULL.kinds})
    calm = replace(
        calm, kinds={name: replace(one, stranger_cuts=(0.4, 0.7)) for name, one in calm.kinds.items()}
    )
    check = check_gallery(gallery, calm, graph=GRAPH)
    assert check.kinds["vis-vis"].word == "holds"
    keep_check(folder, check)
    meaning = meaning_of(gallery, folder, calm)
    assert meaning is not None
    assert meaning.holds() is None, "of pairs with infrared nobody knows"
    assert "its rates hold for vis-vis pairs; too few" in meaning.note()
    every = replace(meaning, calibration=replace(calm, kinds={"vis-vis": calm.kinds["vis-vis"]}))
    assert every.holds() is True
    assert "its rates hold for vis-vis pairs. " in every.note()
    queries = queries_from_gallery(gallery, ["p0"])
    (plain,) = search(gallery, queries, top=9, meaning=replace(meaning, check=None))
    (told,) = search(gallery, queries, top=9, meaning=meaning)
    assert [hit.verdict.probability for hit in told.hits if hit.verdict] == [
        hit.verdict.probability for hit in plain.hits if hit.verdict
    ]
    assert meaning.require_groups() == meaning.calibration


def test_where_it_breaks_cosine_ranks_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mixed = replace(make_set(40, seed=0, prefix="a"), calibration=json.loads(json.dumps(FULL.to_json())))
    gallery = gallery_of(tmp_path / "g", mixed)
    folder, known = (
        answers_folder(gallery),
        check_gallery(gallery_of(tmp_path / "c", crowd()), FULL, graph=GRAPH),
    )
    holds = replace(known.kinds["vis-vis"], word="holds")
    broken = replace(known, kinds={"vis-vis": holds, "vis-ir": replace(holds, word="breaks")})
    queries = queries_from_gallery(gallery, ["a8"])
    assert queries[0].tracklet.modality is Modality.VISIBLE
    plain = Meaning(calibration=FULL, order="calibrated")
    (trusting,) = search(gallery, queries, top=9, meaning=plain)
    (careful,) = search(gallery, queries, top=9, meaning=replace(plain, check=broken))
    (cosine,) = search(gallery, queries, top=9)
    found = [[hit.entry.id for hit in one.hits] for one in (trusting, careful, cosine)]
    assert found[0] != found[1] == found[2]
    assert (trusting.order, trusting.order_note, cosine.order_note) == ("calibrated", "", "")
    assert careful.order == "cosine"
    assert careful.to_json()["order_note"] == ORDER_NOTE
    only = Filter(modality=Modality.VISIBLE)
    (within,) = search(gallery, queries, rules=only, top=9, meaning=replace(plain, check=broken))
    assert (within.order, within.order_note) == ("calibrated", ""), "of these pairs it was seen to hold"
    keep_check(folder, broken)
    words = ["search", gallery.address, "--tracklet", "a8", "--order", "calibrated"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    assert ORDER_NOTE in capsys.readouterr().out
    assert ORDER_NOTE in (tmp_path / "out" / "search.html").read_text()
    assert main([*words, "--modality", "vis", "--json", "--out", str(tmp_path / "out")]) == 0
    assert json.loads(capsys.readouterr().out)[0]["order"] == "calibrated"
    assert "Ranked by calibrated log-odds" in (tmp_path / "out" / "search.html").read_text()


def test_a_check_of_another_calibration_says_nothing(tmp_path: Path) -> None:
    gallery = gallery_of(tmp_path / "g", crowd())
    folder = answers_folder(gallery)
    keep_check(folder, replace(check_gallery(gallery, FULL), calibration="0" * 64))
    meaning = meaning_of(gallery, folder)
    assert meaning is not None
    assert meaning.check is None
    assert meaning.calibration == FULL
    assert meaning_of(gallery, None) == meaning


def test_alerts_are_raised_at_the_threshold_of_the_place(tmp_path: Path) -> None:
    gallery = gallery_of(tmp_path / "g", crowd())
    folder = answers_folder(gallery)
    assert gallery.origin is not None
    query = together(queries_from_gallery(gallery, ["p0"]))
    for name, checked in (("trusting", False), ("careful", True)):
        if checked:
            keep_check(folder, check_gallery(gallery, FULL, graph=GRAPH))
        person = watched(query, name=name, reason="test", origin=gallery.origin, far=0.01)
        WatchList(folder).add(person)
        raised = [alert for alert in check_watch(gallery, folder).new if alert.person == name]
        if not checked:
            assert len(raised) > 140, "of 159 others"
            assert all(alert.probability is not None for alert in raised)
            continue
        assert len(raised) < 10
        assert all(alert.probability is None for alert in raised)
    assert sum(alert.probability is not None for alert in AlertLog(folder).alerts()) > 140, "in the log"
    assert all(alert.probability is None for alert in alerts_now(gallery, folder)), "no more said"


def test_of_an_alert_whose_person_has_gone_any_doubt_takes_the_probability(tmp_path: Path) -> None:
    gallery = gallery_of(tmp_path / "g", crowd())
    folder = answers_folder(gallery)
    assert gallery.origin is not None
    query = together(queries_from_gallery(gallery, ["p0"]))
    WatchList(folder).add(watched(query, name="p", reason="test", origin=gallery.origin, far=0.01))
    raised = check_watch(gallery, folder).new
    assert alerts_now(gallery, folder) == list(raised), "before any check"
    broken = check_gallery(gallery, FULL, graph=GRAPH)
    holds = replace(broken.kinds["vis-vis"], word="holds")
    other = replace(broken, kinds={"vis-vis": holds, "vis-ir": replace(holds, word="breaks")})
    keep_check(folder, other)
    assert alerts_now(gallery, folder) == list(raised), "visible examples, visible tracklets: they hold"
    WatchList(folder).remove(["p"])
    assert all(alert.probability is None for alert in alerts_now(gallery, folder))
    keep_check(folder, replace(other, kinds={"vis-vis": holds}))
    assert alerts_now(gallery, folder) == list(raised)


def test_tracklets_of_nothing_are_no_strangers(tmp_path: Path) -> None:
    made = crowd(40)
    posts = tuple(replace(row, quality=0.0) if i % 4 == 0 else row for i, row in enumerate(made.table))
    table = TrackletTable(root=made.table.root, rows=posts)
    check = check_gallery(gallery_of(tmp_path / "g", replace(made, table=table)), FULL, graph=GRAPH)
    assert check.tracklets == 30
    assert check.kinds["vis-vis"].pairs == 10 * 20


def test_too_few_pairs_say_nothing(tmp_path: Path) -> None:
    check = check_gallery(gallery_of(tmp_path / "g", crowd(8)), FULL, graph=GRAPH)
    assert dict(check.kinds) == {}
    assert check.doubted == frozenset()


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "g"
    gallery_of(folder, crowd())
    graph = tmp_path / "graph.json"
    graph.write_text(json.dumps({"cameras": {"A": {}, "B": {}}, "edges": []}))
    assert main(["gallery", "strangers", str(folder), "--graph", str(graph), "--dry_run"]) == 0
    told = capsys.readouterr().out
    assert "vis-vis: 6,400 pairs of 160 tracklets, across cameras: BREAKS" in told
    assert "vis-ir: too few pairs" in told
    assert not (folder / "answers" / FILE).exists()
    assert main(["gallery", "strangers", str(folder), "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain == json.loads((folder / "answers" / FILE).read_text())
    assert plain["calibration"] == key_of(FULL)
    kept = read_check(folder / "answers", key_of(FULL))
    assert kept is not None
    assert not kept.kinds["vis-vis"].across
    assert main(["gallery", "strangers", str(folder), "--graph", str(graph)]) == 0
    better = (folder / "answers" / FILE).read_text()
    capsys.readouterr()
    assert main(["gallery", "strangers", str(folder)]) == 0
    assert "not kept: the check that is there was made with a camera graph" in capsys.readouterr().err
    assert (folder / "answers" / FILE).read_text() == better
    (folder / "answers" / FILE).write_text("{}")
    assert main(["gallery", "strangers", str(folder)]) == 0, "a damaged one is made anew"
    (folder / "answers" / FILE).write_text("{}")
    with pytest.raises(DataError, match=FILE):
        read_check(folder / "answers", key_of(FULL))
    assert main(["search", str(folder), "--tracklet", "p0"]) == 2
    capsys.readouterr()
    assert main(["gallery", "check", str(folder)]) == 2
    assert FILE in capsys.readouterr().out


def test_a_calibration_is_judged_before_it_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, file = tmp_path / "g", tmp_path / "calibration.json"
    gallery_of(folder, replace(crowd(), calibration=None))
    file.write_text(json.dumps(FULL.to_json()))
    named = [str(folder), "--calibration", str(file)]
    words = ["search", *named, "--tracklet", "p0", "--json"]
    person = ["--name", "p", "--tracklet", "p0", "--reason", "r", "--past"]
    assert main(["watch", "add", *named, *person]) == 0
    assert "Nobody has checked whether that holds here (`xreid gallery strangers --calibration`" in (
        capsys.readouterr().out
    )
    assert main(words) == 0
    hits, told = capsys.readouterr()
    assert "Nobody has checked" in told
    assert json.loads(hits)[0]["hits"][0]["probability"] > 0.5
    graph = tmp_path / "graph.json"
    graph.write_text(json.dumps({"cameras": {"A": {}, "B": {}}, "edges": []}))
    assert main(["gallery", "strangers", *named, "--graph", str(graph)]) == 0
    assert "BREAKS" in capsys.readouterr().out
    assert main(words) == 0
    hits, told = capsys.readouterr()
    assert "does NOT hold here" in told
    assert json.loads(hits)[0]["hits"][0]["probability"] is None
    assert main(["watch", "check", *named]) == 0
    assert "does NOT hold here" in capsys.readouterr().out
    carrying = gallery_of(
        tmp_path / "own", replace(crowd(), calibration=replace(FULL, fit_prior=0.1).to_json())
    )
    for own, keys in ((True, 1), (False, 2)):  # the gallery's own check stays beside that of another
        assert main(["gallery", "strangers", carrying.address, *([] if own else named[1:])]) == 0
        assert len(list(answers_folder(carrying).glob("strangers*.json"))) == keys
    for given in (None, FULL):
        meaning = meaning_of(carrying, answers_folder(carrying), given)
        assert meaning is not None
        assert meaning.check is not None


def test_nothing_to_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gallery_of(tmp_path / "plain", replace(crowd(4), calibration=None))
    assert main(["gallery", "strangers", str(tmp_path / "plain")]) == 2
    assert "has no calibration" in capsys.readouterr().err
    Gallery.create(tmp_path / "empty")
    with pytest.raises(ProtocolError, match="is empty"):
        check_gallery(Gallery.open(tmp_path / "empty"), FULL)
