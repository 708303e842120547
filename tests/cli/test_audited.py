"""What the command line does stands in the audit log of the server, which goes on writing it."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.retrieval.sets import make_set
from xreid.cli.main import main
from xreid.core.errors import XReidError
from xreid.retrieval.audit import AuditLog, check
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.gallery_receipts import UnfinishedError

pytest.importorskip("fastapi", reason="the extra [serve] is not installed")


def lines_of(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    made = Gallery.create(tmp_path / "g")
    made.append(make_set(12, seed=0, prefix="a"), name="first")
    return made


def test_the_command_line_writes_into_the_log_of_a_running_server(gallery: Gallery, tmp_path: Path) -> None:
    from xreid.serving.config import ServeConfig
    from xreid.serving.site import Site

    g, log = gallery.address, tmp_path / "g.serve" / "audit.jsonl"
    assert main(["search", g, "--tracklet", "a1"]) == 0, "nobody keeps a log yet"
    assert not log.exists()
    site = Site.open(ServeConfig(gallery=g))
    site.audit.write("anna", "search", {"found": 1})
    make_set(4, seed=1, prefix="b").save(tmp_path / "b")
    first, other = gallery.find("a1").id, gallery.find("a2").id
    picked = ["--modality", "vis", "--top", "3"]
    said: list[tuple[list[str], list[str]]] = [
        (["search", g, "--tracklet", "a1", *picked], ["search"]),
        (["search", g, "--query", str(tmp_path / "b"), "--tracklet", "b1"], ["search"]),
        (
            ["search", g, "--tracklet", "a1", "--case", "coat", "--confirm", "a2"],
            ["search", "case opened", "confirmed"],
        ),
        (["search", g, "--case", "coat", "--reject", "a3"], ["search", "rejected"]),
        (
            ["watch", "add", g, "p", "--tracklet", "a1", "--reason", "r", "--min-score", "-1", "--past"],
            ["watch"],
        ),
        (["watch", "check", g], ["watch checked"]),
        (["gallery", "add", g, str(tmp_path / "b")], ["append", "watch checked"]),
        (["gallery", "add", g, str(tmp_path / "b")], ["watch checked"]),  # it is in already
        (["watch", "remove", g, "p"], ["watch ended"]),
        (["gallery", "label", g, "a1", "--add", "red"], ["labels changed"]),
        (["gallery", "export", g, str(tmp_path / "out")], ["gallery exported"]),
        (["gallery", "erase", g, "a5", "--dry-run"], []),
        (["gallery", "erase", g, "a5"], ["erase asked", "erased"]),
        (["gallery", "expire", g, "--older-than", "9000d"], ["erase asked", "erased"]),
        (["gallery", "remove", g, "b"], ["set removed"]),
        (["gallery", "list", g], []),
    ]
    expected = ["search"]
    for words, whats in said:
        assert main(words) == 0, words
        expected += whats
        assert [line["what"] for line in lines_of(log)] == expected, words
    mine = lines_of(log)[1]
    assert mine["who"].endswith(" (command line)")
    assert len(mine["who"]) > len(" (command line)")
    assert (mine["tracklets"], mine["vectors"]) == ([first], [])
    assert (mine["filters"], mine["top"], mine["found"]) == ({"modality": "vis"}, 3, 3)
    foreign = lines_of(log)[2]
    assert foreign["tracklets"] == []
    assert len(foreign["vectors"][0]) == 64
    (appended,) = [line for line in lines_of(log) if line["what"] == "append"]
    assert (appended["name"], appended["tracklets"]) == ("b", 4)
    (confirmed,) = [line for line in lines_of(log) if line["what"] == "confirmed"]
    assert confirmed["tracklet"] == other
    site.audit.write("anna", "search", {"found": 1})
    assert check(log).broken_at is None
    assert check(log).head == site.audit.head
    assert site.audit.newest(before=None, limit=2)[1]["what"] == "set removed"
    site.close()
    assert main(["search", g, "--tracklet", "a1"]) == 0, "also while no server runs"
    assert check(log).head.count == len(expected) + 2


def test_what_cannot_be_written_down_is_not_done(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.jsonl"
    monkeypatch.setenv("XREID_AUDIT", str(log))
    assert main(["search", gallery.address, "--tracklet", "a1"]) == 0
    assert check(log).head.count == 1
    log.write_bytes(log.read_bytes().replace(b'"found"', b'"lost"'))
    capsys.readouterr()
    for words in (
        ["search", gallery.address, "--tracklet", "a1"],
        ["gallery", "erase", gallery.address, "a1"],
        ["gallery", "export", gallery.address, str(tmp_path / "out")],
        ["watch", "add", gallery.address, "p", "--tracklet", "a1", "--reason", "r", "--min-score", "0.5"],
    ):
        assert main(words) == 2, words
        told, fault = capsys.readouterr()
        assert (told, "audit log" in fault) == ("", True)
    make_set(4, seed=1, prefix="b").save(tmp_path / "b")
    assert main(["gallery", "add", gallery.address, str(tmp_path / "b")]) == 2
    assert len(gallery) == 12
    assert not (tmp_path / "out").exists()
    log.unlink()
    AuditLog(log).close()
    assert main(["gallery", "erase", gallery.address, "a1"]) == 0


@pytest.mark.parametrize("kind", ["folder", "lite"])
@pytest.mark.parametrize("then", ["the same again", "another change"])
def test_an_erasure_that_failed_in_part_is_written_down_when_it_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str, then: str
) -> None:
    log, home = tmp_path / "log.jsonl", str(tmp_path / ("g" if kind == "folder" else "g.db"))
    if kind == "lite":
        pytest.importorskip("milvus_lite", reason="milvus-lite is not installed")
    Gallery.create(home).append(make_set(12, seed=0, prefix="a"), name="first")
    monkeypatch.setenv("XREID_AUDIT", str(log))
    failing = {
        "folder": "xreid.retrieval.gallery_folder.FolderStore._left",
        "lite": "xreid.retrieval.gallery_milvus.MilvusStore._settle",
    }

    def fail(*_: object) -> None:
        raise XReidError("the disk is full")

    def left(*_: object) -> list[str]:
        return ["the disk is full"]

    with monkeypatch.context() as broken:
        broken.setattr(failing[kind], left if kind == "folder" else fail)
        assert main(["gallery", "erase", home, "a5"]) == 2
    told = capsys.readouterr()
    assert "not finished" in told.out
    assert "the disk is full" in told.err
    assert main(["gallery", "receipts", home]) == 0
    assert "NOT FINISHED" in capsys.readouterr().out
    with monkeypatch.context() as full:  # what the log does not say is not done
        full.setattr("xreid.cli.audited.Audited._write_finished", fail)
        main(["gallery", "label", home, "a2", "--add", "x"])
    assert Gallery.open(home).receipts()[0].finished is None
    capsys.readouterr()
    again = (
        ["gallery", "erase", home, "a5"]
        if then == "the same again"
        else ["gallery", "label", home, "a1", "--add", "x"]
    )
    assert main(again) == 0
    (receipt,) = Gallery.open(home).receipts()
    assert receipt.finished
    lines = lines_of(log)
    assert [line["what"] for line in lines[:2]] == ["erase asked", "erased in part"]
    finished = [line for line in lines[2:] if line["what"] == "erasure finished"]
    assert [(line["receipt"], line["tracklets"]) for line in finished] == [(receipt.id, 1)]
    assert (lines[-1]["what"] == "erased") == (then == "the same again")


def test_a_server_writes_down_what_its_changes_finish(gallery: Gallery, tmp_path: Path) -> None:
    from xreid.serving.config import ServeConfig
    from xreid.serving.site import Site

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr("xreid.retrieval.gallery_folder.FolderStore._left", lambda *_: ["the disk is full"])
        with pytest.raises(UnfinishedError):
            gallery.erase(names=["a5"])
    site = Site.open(ServeConfig(gallery=gallery.address))
    site.backend.gallery.label([gallery.find("a1").id], add=["x"])
    assert [line["what"] for line in lines_of(site.audit.path)] == ["erasure finished"]
    site.close()


def test_of_a_set_that_grew_the_log_counts_what_is_new(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xreid.inference.growth import grown

    log = tmp_path / "log.jsonl"
    monkeypatch.setenv("XREID_AUDIT", str(log))
    first, second = make_set(4, seed=1, prefix="b"), make_set(3, seed=2, prefix="c")
    for embeddings in (first, grown(first, second), grown(first, second)):
        embeddings.save(tmp_path / "live")
        assert main(["gallery", "add", gallery.address, str(tmp_path / "live")]) == 0
    assert [line["tracklets"] for line in lines_of(log)] == [4, 3]


def test_who_may_not_look_whether_a_log_is_kept_is_told_so(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The answers of a gallery are the server's alone: viewers of the gallery may not open their folder."""
    whether = Path.is_file

    def closed(path: Path) -> bool:
        if path.name == "audit.json":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return whether(path)

    monkeypatch.setattr(Path, "is_file", closed)
    assert main(["search", gallery.address, "--tracklet", "a1"]) == 2
    told = capsys.readouterr()
    assert "cannot tell whether searches of this gallery are written down" in told.err
    assert not told.out


def test_a_file_system_without_locks_keeps_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", none)
    log = AuditLog(tmp_path / "log.jsonl")
    assert log.write("anna", "search", {}).count == 1
    assert check(log.path).broken_at is None
