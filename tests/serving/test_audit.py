"""The audit log: nothing is searched without a line, and changed lines show."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serving.conftest import Open, Tokens
from tests.waiting import PATIENCE_S
from xreid.core.errors import DataError, XReidError
from xreid.retrieval.audit import START, AuditLog, Verdict, audit_of, check, tell_where
from xreid.serving.config import ServeConfig
from xreid.serving.site import Site


def filled(path: Path, count: int = 5) -> AuditLog:
    log = AuditLog(path)
    for i in range(count):
        log.write("anna", "search", {"found": i, "filters": {"cameras": ["gate"]}})
    return log


def test_lines_are_chained_and_go_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state" / "audit.jsonl"
    first = filled(path)
    first.close()
    again = AuditLog(path)
    assert again.head == first.head
    again.write("bob", "erase", {})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["n"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert lines[0]["prev"] == START
    assert all(b["prev"] == a["hash"] for a, b in pairwise(lines))
    assert check(path).broken_at is None
    assert check(path).head == again.head
    assert path.stat().st_mode & 0o077 == 0


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_change_of_a_line_shows(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("log") / "audit.jsonl"
    filled(path).close()
    lines = path.read_bytes().splitlines(keepends=True)
    which = data.draw(st.integers(0, 3), label="line")
    how = data.draw(st.sampled_from(["change", "remove", "swap", "insert"]), label="how")
    if how == "change":
        entry = json.loads(lines[which])
        entry["found"] = 99
        lines[which] = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
    elif how == "remove":
        del lines[which]
    elif how == "swap":
        lines[which], lines[which + 1] = lines[which + 1], lines[which]
    else:
        lines.insert(which, lines[which])
    path.write_bytes(b"".join(lines))
    broken = check(path).broken_at
    assert broken is not None
    assert which + 1 <= broken <= which + 2


def test_lines_cut_off_show_against_a_head_kept_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    head = filled(path).head
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    assert check(path).broken_at is None
    assert check(path).head != head


def test_half_a_line_of_a_killed_server_is_cut_off_and_told(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    filled(path, 2).close()
    with open(path, "ab") as file:
        file.write(b'{"n":3,"at":"20')
    log = AuditLog(path)
    assert log.head.count == 3
    assert log.newest(before=None, limit=1)[0]["what"] == "recovered"
    assert check(path).broken_at is None


def test_a_changed_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    filled(path).close()
    path.write_bytes(path.read_bytes().replace(b'"found":4', b'"found":5'))
    with pytest.raises(DataError, match="does not hold"):
        AuditLog(path)


def test_two_servers_do_not_share_a_state(world: Path, tmp_path: Path) -> None:
    config = ServeConfig(gallery=str(world / "gallery"), state=tmp_path / "state")
    site = Site.open(config)
    with pytest.raises(XReidError, match="another server writes"):
        Site.open(config)
    site.close()
    Site.open(config).close()


def test_many_write_one_log_and_its_chain_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xreid.retrieval.audit._PATIENCE_S", PATIENCE_S)  # of a slow disk, too
    path = tmp_path / "audit.jsonl"
    logs = [AuditLog(path) for _ in range(4)]  # as many processes: each has its own file and lock

    def write(number: int) -> None:
        for i in range(8):
            logs[number].write(f"{number}", "search", {"found": i, "pad": "x" * 20_000 * (i == 3)})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["n"] for line in lines] == list(range(1, 33))
    assert all([one["found"] for one in lines if one["who"] == str(n)] == list(range(8)) for n in range(4))
    assert check(path).broken_at is None
    assert {log.head for log in logs} == {check(path).head}


def test_a_line_longer_than_what_is_read_at_once_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = filled(path, 1)
    head = log.write("anna", "labels changed", {"tracklets": ["0" * 20] * 10_000})
    log.close()
    assert AuditLog(path).head == head
    torn = b'{"n":3,' + b" " * 200_000
    with open(path, "ab") as file:
        file.write(torn)
    log = AuditLog(path)
    assert log.newest(before=None, limit=1)[0]["torn_bytes"] == len(torn)
    assert check(path).broken_at is None


@pytest.mark.parametrize("new", ["none", "empty", "written"])
def test_a_log_that_was_moved_is_followed(tmp_path: Path, new: str) -> None:
    """As logrotate does, with and without `create`; others may have written into the new file."""
    path, old = tmp_path / "audit.jsonl", tmp_path / "audit.jsonl.1"
    log, other = filled(path), AuditLog(path)
    other.write("bob", "search", {})  # nobody has told `log`
    end = other.head
    path.rename(old)
    if new == "empty":
        path.touch(mode=0o600)
    elif new == "written":
        AuditLog(path).write("root (command line)", "search", {})
    for one in (log, other, log):
        one.write("anna", "search", {"found": 7})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    (continued,) = [line for line in lines if line["what"] == "continued"]
    assert continued["before"] == {"count": 6, "hash": end.hash}
    assert continued["n"] == (2 if new == "written" else 1)
    assert [line["found"] for line in lines if "found" in line] == [7, 7, 7]
    assert check(old) == Verdict(head=end)
    assert check(path) == Verdict(head=log.head) == Verdict(head=other.head)
    assert log.newest(before=None, limit=100) == lines[::-1]
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("hindered", ["held", "full"])
def test_a_log_that_cannot_be_followed_at_once_is_followed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hindered: str
) -> None:
    path = tmp_path / "audit.jsonl"
    log = filled(path)
    end = log.head
    path.rename(tmp_path / "audit.jsonl.1")
    with monkeypatch.context() as broken, open(path, "a") as other:
        if hindered == "held":
            broken.setattr("xreid.retrieval.audit._PATIENCE_S", 0.0)
            fcntl.flock(other, fcntl.LOCK_EX)
        else:
            broken.setattr("os.fsync", _full)
        with pytest.raises(XReidError, match="does not let go" if hindered == "held" else "No space"):
            log.write("anna", "search", {})
    log.write("anna", "search", {"found": 7})
    first, second = [json.loads(line) for line in path.read_text().splitlines()]
    assert (first["what"], first["before"]) == ("continued", {"count": end.count, "hash": end.hash})
    assert second["found"] == 7
    assert check(path) == Verdict(head=log.head)


def _full(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_log_whose_folder_is_gone_is_not_begun_anew(tmp_path: Path) -> None:
    log = filled(tmp_path / "state" / "audit.jsonl")
    (tmp_path / "state").rename(tmp_path / "elsewhere")
    with pytest.raises(XReidError, match="cannot write the audit log"):
        log.write("anna", "search", {})
    (tmp_path / "elsewhere").rename(tmp_path / "state")
    assert log.write("anna", "search", {}).count == 6


def test_the_command_line_goes_on_once_the_server_has_a_new_log(tmp_path: Path) -> None:
    answers, path = tmp_path / "g" / "answers", tmp_path / "g.serve" / "audit.jsonl"
    log = filled(path)
    tell_where(answers, path)
    path.rename(path.with_suffix(".old"))
    with pytest.raises(DataError, match="not there"):
        audit_of(answers)
    assert log.head.count == 1, "the line that says where it goes on"
    found = audit_of(answers)
    assert found is not None
    assert found.write("root (command line)", "search", {}) == log.head


@pytest.mark.parametrize("how", ["cut", "forged"])
def test_who_writes_sees_what_others_did_to_the_end(tmp_path: Path, how: str) -> None:
    path = tmp_path / "audit.jsonl"
    log = filled(path)
    before = path.read_bytes()
    if how == "cut":
        path.write_bytes(b"".join(before.splitlines(keepends=True)[:3]))
    else:
        forged = json.loads(before.splitlines()[2])
        path.write_bytes(before + json.dumps(forged, separators=(",", ":")).encode() + b"\n")
    with pytest.raises(DataError, match="does not hold"):
        log.write("anna", "search", {})
    path.write_bytes(before)
    log.write("anna", "search", {})
    assert check(path).broken_at is None


def test_where_a_server_writes_is_known_and_what_is_amiss_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, path = tmp_path / "g" / "answers", tmp_path / "g.serve" / "audit.jsonl"
    assert audit_of(None) is None
    assert audit_of(answers) is None
    tell_where(answers, path)
    with pytest.raises(DataError, match="not there"):
        audit_of(answers)
    filled(path).close()
    found = audit_of(answers)
    assert found is not None
    assert found.head.count == 5
    (tmp_path / "moved").mkdir()
    for name in ("g", "g.serve"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    assert audit_of(tmp_path / "moved" / "g" / "answers") is not None, "they moved together"
    for wrong in ("{", "[]", '{"log": 5}', "{}"):
        (tmp_path / "moved" / "g" / "answers" / "audit.json").write_text(wrong)
        with pytest.raises(DataError, match=r"audit\.json"):
            audit_of(tmp_path / "moved" / "g" / "answers")
    monkeypatch.setenv("XREID_AUDIT", str(tmp_path / "named.jsonl"))
    named = audit_of(None)
    assert named is not None
    assert named.path == tmp_path / "named.jsonl"


def test_newest_pages_backwards(tmp_path: Path) -> None:
    log = filled(tmp_path / "audit.jsonl", 7)
    assert [entry["n"] for entry in log.newest(before=None, limit=3)] == [7, 6, 5]
    assert [entry["n"] for entry in log.newest(before=5, limit=3)] == [4, 3, 2]
    assert [entry["n"] for entry in log.newest(before=2, limit=3)] == [1]
    assert log.newest(before=1, limit=3) == []


def test_a_search_is_written_down(opened: Open, tokens: Tokens) -> None:
    client = opened(token_file=tokens.file)
    operator = tokens.header("operator")
    row = client.get("/api/v1/tracklets?limit=1", headers=operator).json()["items"][0]["id"]
    asked = {"tracklets": [row], "filters": {"cameras": ["yard"], "modality": "ir"}, "top": 4}
    answer = client.post("/api/v1/search", json=asked, headers=operator).json()
    page = client.get("/api/v1/audit?verify=true", headers=tokens.header("admin")).json()
    entry = page["entries"][0]
    assert (entry["who"], entry["what"]) == ("operator-1", "search")
    assert entry["tracklets"] == [row]
    assert entry["filters"] == {"cameras": ["yard"], "modality": "ir"}
    assert entry["found"] == len(answer["hits"]) == 4
    assert entry["at"][:2] == "20"
    assert page["intact"] is True
    assert page["head"] == entry["hash"]


def test_what_cannot_be_written_down_is_not_answered(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    client = opened()
    row = client.get("/api/v1/tracklets?limit=1").json()["items"][0]["id"]
    site = client.app.state.site  # type: ignore[attr-defined]

    class Full:
        def __init__(self, file: object) -> None:
            self.file = file

        def fileno(self) -> int:
            return self.file.fileno()  # type: ignore[attr-defined, no-any-return]

        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            self.file.close()  # type: ignore[attr-defined]

    monkeypatch.setattr(site.audit, "_file", Full(site.audit._file))
    answer = client.post("/api/v1/search", json={"tracklets": [row]})
    assert answer.status_code == 500
    assert "audit log" in answer.json()["detail"]
    assert "hits" not in answer.json()
