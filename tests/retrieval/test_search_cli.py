"""The verbs search and watch from the command line: what is said, kept and refused; the page's new parts."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.retrieval.sets import make_set
from tests.retrieval.test_meaning import CALIBRATION
from tests.retrieval.test_moments import _moment
from xreid.cli.main import main
from xreid.retrieval.cases import Cases
from xreid.retrieval.moments import write_moments
from xreid.retrieval.uploaded_queries import Queries

DAY = 1_763_672_400.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A gallery of calibrated embeddings with cameras A, B and none, a day's times, and a graph."""
    plain = make_set(24, seed=0, prefix="a", root=tmp_path)
    rows = tuple(
        replace(row, start_s=None if row.start_s is None else DAY + row.start_s, end_s=None)
        for row in plain.table
    )
    table = replace(plain.table, rows=rows)
    replace(plain, table=table, calibration=CALIBRATION.to_json()).save(tmp_path / "set")
    make_set(5, seed=9, prefix="n").save(tmp_path / "new")
    graph = {"cameras": {"A": {}, "B": {}}, "edges": [{"from": "A", "to": "B", "least_s": 60}]}
    (tmp_path / "graph.json").write_text(json.dumps(graph))
    (tmp_path / "other.json").write_text(json.dumps({"cameras": {"elsewhere": {}}, "edges": []}))
    assert main(["gallery", "add", str(tmp_path / "g"), str(tmp_path / "set")]) == 0
    return tmp_path


def _run(folder: Path, words: str) -> int:
    return main(words.format(g=folder / "g", t=folder).split())


def test_fused_grouped_judged_reranked_explained(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        _moment(tracklet=f"a{i}", time_s=1.0 + k, joined=0.75 if k else None)
        for i in range(24)
        for k in (0, 1)
    ]
    write_moments(folder / "moments.parquet", rows)
    capsys.readouterr()
    words = "search {g} --tracklet a5 a7 --fuse mean --graph {t}/graph.json --group --why --rerank 10 --top 8"
    assert _run(folder, words + " --out {t}/page") == 0
    out = capsys.readouterr().out
    for text in ("query a5 + a7: 2 tracklets (mean)", "impossible", "probable person 1", "why a", "log-odds"):
        assert text in out, text
    assert "not said: best matching frames need the checkpoint" in out
    joined = "joined from 2 tracks: 0:01.0 to 0:01.0, 0:02.0 to 0:02.0 (cosine 0.75)"
    assert out.count(f"\n  {joined}\n") == 5, "of each that is explained"
    html = (folder / "page" / "search.html").read_text()
    for text in (
        'class="lanes"',
        "impossible",
        "Probable persons",
        "by looks, odds times 0.001",
        "together",
        joined,
    ):
        assert text in html, text
    assert not re.search("https?:|<script", html)
    (answer,) = json.loads((folder / "page" / "search.json").read_text())
    assert [row["tracklet"] for row in answer["query"]["examples"]] == ["a5", "a7"]
    first = answer["hits"][0]
    assert {"probability", "combined", "transition", "reranked", "why", "id"} <= first.keys()
    sighted = [s["tracklet"] for person in answer["persons"] for s in person["sightings"]]
    assert sorted(sighted) == sorted(["a5", "a7", *(hit["tracklet"] for hit in answer["hits"])])
    assert _run(folder, words + " --json") == 0
    assert json.loads(capsys.readouterr().out)[0]["hits"][0]["tracklet"] == first["tracklet"]


def test_a_case_keeps_what_was_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def ask(words: str) -> list[dict[str, object]]:
        capsys.readouterr()
        assert _run(folder, "search {g} --tracklet a5 --json --top 20 " + words) == 0
        hits: list[dict[str, object]] = json.loads(capsys.readouterr().out)[0]["hits"]
        return hits

    plain = [hit["tracklet"] for hit in ask("")]
    wrong, right = plain[0], plain[6]
    told = ask(f"--case one --reject {wrong} --confirm {right}")
    again = ask("--case one")
    assert [hit["tracklet"] for hit in told] == [hit["tracklet"] for hit in again]
    assert told[0]["tracklet"] == right
    assert told[0]["confirmed"] is True
    assert wrong not in [hit["tracklet"] for hit in told]
    assert [hit["tracklet"] for hit in ask("")] == plain, "a case is no other search's business"
    (kept,) = Cases(folder / "g" / "answers").all()
    assert (kept.title, len(kept.tracklets), len(kept.judgements)) == ("one", 1, 2)
    capsys.readouterr()
    assert _run(folder, "search {g} --case one --json --top 20") == 0, "the case knows whom it searches for"
    assert [hit["tracklet"] for hit in json.loads(capsys.readouterr().out)[0]["hits"]] == [
        hit["tracklet"] for hit in told
    ]
    assert _run(folder, f"search {{g}} --case {kept.id} --confirm {wrong}") == 0, (
        "by its id, and another verdict"
    )
    (kept,) = Cases(folder / "g" / "answers").all()
    assert [one.verdict for one in kept.judgements] == ["confirmed", "confirmed"]
    assert main(["gallery", "erase", str(folder / "g"), "--tracklets", str(wrong)]) in (0, 2)


def test_a_case_keeps_the_pictures_it_was_asked_with(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(words: str) -> list[str]:
        capsys.readouterr()
        assert _run(folder, "search {g} --json --top 5 " + words) == 0
        return [hit["tracklet"] for hit in json.loads(capsys.readouterr().out)[0]["hits"]]

    (folder / "n1").mkdir()
    for name in ("1.jpg", "2.jpg"):
        (folder / "n1" / name).write_bytes(b"picture " + name.encode())
    outside = make_set(5, seed=9, prefix="n", root=folder)
    outside.save(folder / "seen")
    told = ask("--query {t}/seen --tracklet n1 --case hat")
    cases = Cases(folder / "g" / "answers")
    (case,) = cases.all()
    assert (case.tracklets, len(case.queries)) == ((), 1)
    stored = Queries(folder / "g" / "answers").get(case.queries[0])
    assert (stored.name, stored.modality, len(stored.uploads)) == ("n1", "ir", 2)
    kept = [(folder / "g/answers/queries" / stored.id / frame).read_bytes() for frame in stored.frames]
    assert kept == [b"picture 1.jpg", b"picture 2.jpg"]
    shutil.rmtree(folder / "n1")
    shutil.rmtree(folder / "seen")
    assert ask("--case hat") == told, "the case goes on without the files it was begun with"
    outside.save(folder / "seen")
    ask("--query {t}/seen --tracklet n1 --case hat")
    assert cases.all()[0].queries == case.queries, "asked with again, they are kept once"
    (folder / "n2").mkdir()
    (folder / "n2" / "2.jpg").write_bytes(b"other")
    ask("--query {t}/seen --tracklet n2 --case hat")
    assert len(cases.all()[0].queries) == 2
    ask("--query {t}/seen --tracklet n3 --case hat")
    assert len(cases.all()[0].queries) == 2
    assert _run(folder, "search {g} --query {t}/seen --tracklet n3 --case hat") == 0
    assert "n3 is not kept in the case" in capsys.readouterr().err


def test_watching_from_adding_to_acknowledging(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add = "watch add {g} visitor --tracklet a5 --far 0.1 --past --until 2099-01-01 --reason lost"
    assert _run(folder, add) == 0
    assert "watching for visitor by 1 example, at most 0.1 false alarms" in capsys.readouterr().out
    assert _run(folder, "watch list {g}") == 0
    assert "1 watched for" in capsys.readouterr().out
    assert _run(folder, "watch check {g} --json") == 0
    alerts = json.loads(capsys.readouterr().out)["new"]
    assert alerts
    assert _run(folder, "watch check {g}") == 0
    assert "1 watched for, 0 new alerts" in capsys.readouterr().out
    name = alerts[0]["id"]
    assert _run(folder, f"watch acknowledge {{g}} {name} --word right --note seen") == 0
    capsys.readouterr()
    assert _run(folder, "watch alerts {g} --json") == 0
    assert name not in [alert["id"] for alert in json.loads(capsys.readouterr().out)]
    assert _run(folder, "watch alerts {g} --all") == 0
    assert f"{len(alerts)} alerts, {len(alerts) - 1} not acknowledged" in capsys.readouterr().out
    assert _run(folder, "search {g} --tracklet a5 --out {t}/page --top 20") == 0
    assert "visitor (right)" in (folder / "page" / "search.html").read_text()
    assert _run(folder, "watch remove {g} visitor") == 0
    assert f"removed 1, with {len(alerts)} alerts" in capsys.readouterr().out
    assert (folder / "g" / "answers" / "alerts.jsonl").read_text() == ""


def test_appending_checks_the_watch_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(folder, "watch add {g} visitor --tracklet a5 --far 0.1 --reason lost") == 0
    assert _run(folder, "watch add {g} other --tracklet a6 --min-score -1 --reason lost") == 0
    capsys.readouterr()
    assert _run(folder, "gallery add {g} {t}/new") == 0
    out = capsys.readouterr().out
    assert re.search("watch list: 2 watched for, ([5-9]|10) new alerts", out), out
    assert _run(folder, "gallery add {g} {t}/new") == 0
    assert "0 new alerts" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("search {g} --image x.jpg", "pictures and videos must be embedded first"),
        ("search {g} --video x.mp4 --at 3", "--video, --at and --box belong together"),
        ("search {g} --tracklet a5 --rerank -1", "--rerank is out of range"),
        ("search {g} --tracklet a5 --group --calibration none", "--group need a calibration"),
        ("search {g} --tracklet a5 --graph {t}/none.json", "cannot read camera graph"),
        ("search {g} --tracklet a5 --confirm a6 --reject a6", "both confirmed and rejected"),
        ("search {g} --tracklet a5 a7 --confirm a6", "feedback belongs to one query"),
        ("search {g} --tracklet a5 --case " + 201 * "x", "no title of a case"),
        ("search {g} --case new", "no query was named"),
        ("search {g} --tracklet a5 --min-quality 2", "quality"),
        ("search {g} --tracklet a5 --place yard", "no place yard"),
        ("search {g} --tracklet a5 --label typo --camera A", "none passes --label typo by itself"),
        ("search {g} --tracklet a5 --from 2033-01-01T00:00Z", "none passes --from by itself"),
        ("search {g} --tracklet a5 --min-score 60", "no cosine; expected -1 to 1"),
        ("watch add {g} visitor --tracklet a5 --reason r --min-score 60", "no cosine; expected -1 to 1"),
        ("search {g} --tracklet a5 --graph {t}/other.json", "none of the gallery's cameras; expected A, B"),
        ("gallery strangers {g} --graph {t}/other.json", "none of the gallery's cameras; expected A, B"),
        ("search {g} --tracklet a5 --fuse all", "fuse"),
        ("watch", "say what to do"),
        ("watch add {g} visitor --reason r", "no example was named"),
        ("watch add {g} visitor --tracklet a5", "needs a reason"),
        ("watch add {g} visitor --tracklet a5 --reason r --until 2020-01-01", "over before it begins"),
        ("watch remove {g} nobody", "nobody is watched for as 'nobody'"),
        ("watch acknowledge {g} zz", "no alert 'zz'"),
        ("watch acknowledge {g} zz --word maybe", "word"),
        ("watch list {t}/none", "no gallery"),
    ],
)
def test_bad_input_is_one_message_and_code_2(
    folder: Path, words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert _run(folder, words) == 2
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert error.startswith("xreid: error: ")
    assert error.count("\n") == 1


def test_names_are_said_whole_and_filters_that_find_nothing_say_why(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "entrance-hall-north-2026-11-20T213000Z-0001"
    made = make_set(3, seed=4, prefix="z")
    rows = tuple(replace(row, name=f"{name}{i}", camera=f"{name}-camera") for i, row in enumerate(made.table))
    replace(made, table=replace(made.table, rows=rows)).save(folder / "long")
    assert _run(folder, "gallery add {g} {t}/long") == 0
    for words in (
        "search {g} --tracklet a5 --set long",
        f"search {{g}} --tracklet {name}0 --tracklet a5 --set long",
        "gallery list {g} --set long",
    ):
        capsys.readouterr()
        assert _run(folder, words) == 0
        out = capsys.readouterr().out
        assert f"{name}1 " in out
        assert out.count("query ") == words.count("--tracklet")
    assert _run(folder, f"search {{g}} --tracklet {name}0 a6 --fuse mean --confirm {name}0 --json") == 0
    hits = json.loads(capsys.readouterr().out)[0]["hits"]
    assert not any(hit["confirmed"] for hit in hits), "the query is no hit of its own"
    assert _run(folder, "gallery list {g} --set long --from 2026-11-20T21:30Z") == 0
    assert "no tracklet has a date" not in capsys.readouterr().err, "others have"
    assert _run(folder, "gallery add {t}/undated {t}/long") == 0
    assert main(["gallery", "list", str(folder / "undated"), "--from", "2026-11-20T21:30Z"]) == 0
    assert "no tracklet has a date: times count from the start" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["watch", "watch add", "watch check", "watch alerts"])
def test_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*verb.split(), "--help"])
    assert stop.value.code == 0
    assert "GALLERY" in capsys.readouterr().out.upper()
