"""Cases: kept in files that several programs change, continued from anywhere, erased with people."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from xreid.core.errors import ConfigError, DataError
from xreid.retrieval.cases import Cases
from xreid.retrieval.feedback import Feedback
from xreid.retrieval.kept import KeptFolders, NotHereError, is_id, new_id


def opened(cases: Cases, title: str = "Bag", *tracklets: str) -> str:
    return cases.open(title=title, note="", owner="anna", tracklets=tracklets, queries=()).id


def test_what_one_program_writes_another_sees(tmp_path: Path) -> None:
    mine, others = Cases(tmp_path), Cases(tmp_path)
    assert mine.all() == []
    name = opened(others, "Bag", "ab")
    assert mine.get(name).title == "Bag"
    mine.judge(name, "cd", "confirmed", who="anna")
    others.judge(name, "ef", "rejected", who="bob")
    assert mine.get(name).feedback({"cd", "zz"}) == Feedback(confirmed=("cd",))
    assert mine.get(name).feedback({"zz"}) == Feedback()
    others.judge(name, "cd", "rejected", who="bob")
    assert [(j.tracklet, j.verdict, j.who) for j in mine.get(name).judgements] == [
        ("ef", "rejected", "bob"),
        ("cd", "rejected", "bob"),
    ]
    assert mine.get(name).feedback({"ef", "zz"}) == Feedback(rejected=("ef",))
    others.judge(name, "ef", None, who="bob")
    others.change(name, title="Red bag", queries=("0" * 16,))
    assert (mine.get(name).title, mine.queries_in_use(), mine.ids()) == ("Red bag", {"0" * 16}, {"ab", "cd"})
    others.delete(name)
    assert mine.all() == []
    with pytest.raises(NotHereError):
        mine.get(name)


def test_judges_do_not_overwrite_each_other(tmp_path: Path) -> None:
    name, each = opened(Cases(tmp_path)), 15

    def judge(who: int) -> None:
        cases = Cases(tmp_path)
        for i in range(each):
            cases.judge(name, f"{who}{i:02d}", "confirmed", who=str(who))

    threads = [threading.Thread(target=judge, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Cases(tmp_path).get(name).judgements) == 4 * each


def test_a_case_is_found_by_id_or_title(tmp_path: Path) -> None:
    cases = Cases(tmp_path)
    one, two = opened(cases, "Bag"), opened(cases, "Coat")
    found = cases.called("Bag"), cases.called(two), cases.called("Hat")
    assert [case and case.id for case in found] == [one, two, None]
    opened(cases, "Bag")
    with pytest.raises(ConfigError, match=one):
        cases.called("Bag")


@pytest.mark.parametrize("title", ["", "  ", "a\nb", "x" * 201, "a\u202eb"])
def test_titles_are_printable(tmp_path: Path, title: str) -> None:
    cases = Cases(tmp_path)
    name = opened(cases)
    with pytest.raises(ConfigError, match="no title"):
        opened(cases, title)
    with pytest.raises(ConfigError, match="no title"):
        cases.change(name, title=title)
    assert [case.title for case in cases.all()] == ["Bag"]


def test_the_erased_are_in_no_case(tmp_path: Path) -> None:
    cases = Cases(tmp_path)
    name, other = opened(cases, "Bag", "ab", "cd"), opened(cases, "Coat", "ef")
    cases.judge(name, "aa", "confirmed", who="anna")
    before = (cases.folder / f"{other}.json").stat().st_ino
    assert cases.forget(["ab", "aa", "zz"]) == 2
    assert (cases.get(name).tracklets, cases.get(name).judgements) == (("cd",), ())
    assert (cases.folder / f"{other}.json").stat().st_ino == before, "what names nobody is not written"
    assert "ab" not in json.loads((cases.folder / f"{name}.json").read_text())["tracklets"]
    assert cases.forget([]) == 0


def test_names_never_become_paths(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}")
    for name in ("../secret", "", ".", "0" * 15, "A" * 16, "0" * 16 + "/..", "0" * 15 + "\n"):
        assert not is_id(name)
        with pytest.raises(NotHereError):
            Cases(tmp_path).get(name)
        with pytest.raises(NotHereError):
            KeptFolders(tmp_path / "q", what="query", todo="").delete(name)
    assert is_id(new_id())


def test_a_damaged_case_is_named_and_hides_no_other(tmp_path: Path) -> None:
    cases = Cases(tmp_path)
    gone, stays = "a" * 20, "b" * 20
    name, other = opened(cases, "Hat", gone), opened(cases, "Bag", gone, stays)
    path = cases.folder / f"{name}.json"
    path.write_text(path.read_text().replace('"owner"', '"owned"'))
    with pytest.raises(DataError, match=name):
        cases.all()
    damaged: dict[str, str] = {}
    assert [case.id for case in cases.all(damaged)] == [other]
    assert list(damaged) == [name]
    assert name in damaged[name]
    assert cases.ids() == {gone, stays}
    found = cases.called("Bag")
    assert found is not None
    with pytest.raises(DataError, match=name):
        cases.called("Hat")  # it may be the damaged one
    with pytest.raises(DataError, match=name):
        cases.queries_in_use()  # nobody knows which it needs
    left: list[str] = []
    assert cases.forget([gone], left) == 1
    assert cases.get(other).tracklets == (stays,)
    assert len(left) == 1
    assert name in left[0]
    with pytest.raises(DataError, match=name):
        cases.forget([gone])
    assert cases.forget([stays]) == 1, "the damaged one does not name that one"
    cases.delete(name)
    assert cases.called("Hat") is None


def test_what_a_kill_left_goes(tmp_path: Path) -> None:
    import os

    kept = KeptFolders(tmp_path, what="query", todo="")
    old, new = kept.room(), kept.room()
    os.utime(old, (0, 0))
    KeptFolders(tmp_path, what="query", todo="")
    assert (old.exists(), new.exists()) == (False, True)
