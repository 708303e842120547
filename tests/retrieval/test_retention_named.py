"""Whoever is to be forgotten goes from a folder of tracklets, wherever he is in it, and nobody else does."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.retrieval.test_retention import _footage, _named, _pictures, _table
from xreid.cli.main import main
from xreid.core.errors import ConfigError, DataError
from xreid.retrieval.folder_lock import sole_writer
from xreid.retrieval.gallery_receipts import Receipt, hashed
from xreid.retrieval.merge import merge
from xreid.retrieval.retention import JOURNAL, go_on
from xreid.retrieval.retention_named import Whom, forget_named

SALT = "0123456789abcdef"


def receipt_of(path: Path, names: list[str], *, dry_run: bool = False) -> Path:
    """A receipt as an erasure writes it."""
    hashes = tuple(sorted(hashed(name, salt=SALT) for name in names))
    Receipt(
        id="erase-1",
        kind="erase",
        gallery="gallery",
        asked_by="",
        reason="",
        requested="2026-11-22T00:00:00+00:00",
        finished=None,
        criteria={},
        tracklets=len(names),
        sets={},
        salt=SALT,
        names=hashes,
        vectors=(),
        dry_run=dry_run,
    ).save(path)
    return path


@pytest.mark.parametrize("by_receipt", [False, True])
def test_they_go_with_all_their_pieces_and_nobody_else_does(by_receipt: bool, tmp_path: Path) -> None:
    out = _footage(tmp_path / "out", files=6)
    rows, boxes, short = _table(out), _table(out, "moments.parquet"), _short(out)
    across = [row for row in rows if len({Path(frame).parts[1] for frame in row["frames"]}) > 1]
    assert across, "somebody crosses the cut between two files"
    gone = [across[0]["name"], next(row["name"] for row in rows if row not in across)]
    words = [str(receipt_of(tmp_path / "receipt.json", gone))] if by_receipt else gone
    found = forget_named(out, Whom.of(words))
    assert found.names >= set(gone)
    assert found.going.tracklets == 2
    assert found.video == 12, "video shows others, too"
    assert not found.unread
    stay = [row for row in rows if row["name"] not in gone]
    assert _table(out) == stay
    assert _table(out, "moments.parquet") == [row for row in boxes if row["tracklet"] not in gone]
    assert {row["tracklet"] for row in _table(out, "quality.parquet")} == {row["name"] for row in stay}
    assert _short(out) == short - set(gone)
    assert _pictures(out) == _named(out), "no crop without a row, no row without its crops"
    merge(out)
    assert sorted(_table(out), key=repr) == sorted(stay, key=repr), "made anew, the tables are the same"


def _short(out: Path) -> set[str]:
    return {row["name"] for path in out.glob("recordings/*/short") for row in _table(path)}


def test_somebody_too_short_for_a_tracklet_goes_by_name(tmp_path: Path) -> None:
    out = _footage(tmp_path, files=4)
    own = {row["name"] for path in out.glob("recordings/*") for row in _table(path)}
    name = min(_short(out) - own, default=min(_short(out)))
    found = forget_named(out, Whom.of([name]))
    assert found.going.short >= 1
    assert name not in _short(out)
    assert _pictures(out) == _named(out)


def test_what_cannot_be_looked_into_is_said_and_hinders_no_other(tmp_path: Path) -> None:
    out = _footage(tmp_path / "out", files=4)
    first, second, third = sorted((out / "recordings").iterdir())[:3]
    name = _table(third)[-1]["name"]
    (first / "tracklets.parquet").write_bytes(b"no table")
    (second / "ingest.json").unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (out / "recordings" / "link").symlink_to(elsewhere)
    found = forget_named(out, Whom.of([name]))
    assert name in found.names
    assert name not in {row["name"] for row in _table(third)}
    reasons = ("is damaged", "to its end", "is a link")
    told = {
        folder.name: reason
        for folder in (first, second, out / "recordings" / "link")
        for reason in reasons
        for text in found.unread
        if str(folder) in text and reason in text
    }
    assert told == {first.name: reasons[0], second.name: reasons[1], "link": reasons[2]}


def test_pictures_elsewhere_are_not_removed(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = _footage(tmp_path / "out", files=1)
    folder = sorted((out / "recordings").iterdir())[0]
    table = pq.read_table(folder / "tracklets.parquet").to_pylist()
    precious = tmp_path / "precious"
    precious.mkdir()
    table[0]["frames"] = ["frames/../../../../precious/a.jpg"]
    pq.write_table(pa.Table.from_pylist(table), folder / "tracklets.parquet")
    assert "not its own" in forget_named(out, Whom.of([table[0]["name"]])).unread[0]
    assert precious.is_dir()


def test_killed_it_is_taken_up_by_the_next_writer(tmp_path: Path) -> None:
    out = _footage(tmp_path, files=2)
    name = _table(out)[0]["name"]
    killed = (
        "import os, sys; from unittest import mock; from pathlib import Path;"
        "import xreid.retrieval.retention as r; from xreid.retrieval.retention_named import *;"
        "mock.patch.object(r, '_remove', lambda *_: os._exit(9)).start();"
        "forget_named(Path(sys.argv[1]), Whom.of([sys.argv[2]]))"
    )
    assert subprocess.run([sys.executable, "-c", killed, str(out), name], check=False).returncode == 9
    assert (out / JOURNAL).is_file()
    go_on(out)
    assert name not in {row["name"] for row in _table(out)}
    assert _pictures(out) == _named(out)
    assert not (out / JOURNAL).exists()


def test_only_one_process_writes(tmp_path: Path) -> None:
    out = _footage(tmp_path, files=1)
    before = _pictures(out)
    with sole_writer(out / "recordings"), pytest.raises(ConfigError, match="another process"):
        forget_named(out, Whom.of([_table(out)[0]["name"]]))
    assert _pictures(out) == before


def test_who_is_meant_must_be_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nobody"):
        Whom.of([])
    with pytest.raises(ConfigError, match="dry run"):
        Whom.of([str(receipt_of(tmp_path / "a.json", ["x"], dry_run=True))])
    with pytest.raises(DataError, match="receipt"):
        Whom.of([str(tmp_path / "absent.json")])


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = _footage(tmp_path / "out", files=2)
    name, other, *_ = (row["name"] for row in _table(out))
    assert main(["ingest", str(out), "--forget", name]) == 0
    told = capsys.readouterr()
    assert "1 tracklets, " in told.out
    assert "may show them" in told.err
    assert main(["ingest", str(out), "--forget", str(receipt_of(tmp_path / "r.json", [name, other]))]) == 0
    assert "1 tracklets, " in capsys.readouterr().out
    assert {row["name"] for row in _table(out)}.isdisjoint({name, other})
    assert main(["ingest", str(out), "--forget", other]) == 2
    assert f"forgotten before; got {other}" in capsys.readouterr().err
    assert main(["ingest", str(tmp_path / "gate.mp4"), str(out), "--forget", other]) == 2
    assert "folders of tracklets" in capsys.readouterr().err
    (next((out / "recordings").iterdir()) / "ingest.json").unlink()
    assert main(["ingest", str(out), "--forget", str(tmp_path / "r.json")]) == 2
    assert "to its end" in capsys.readouterr().err


def test_a_folder_of_one_recording(tmp_path: Path) -> None:
    out = sorted((_footage(tmp_path, files=1) / "recordings").iterdir())[0]
    names = [row["name"] for row in _table(out)]
    assert forget_named(out, Whom.of(names[:1])).going.tracklets == 1
    assert [row["name"] for row in _table(out)] == names[1:]
    assert not (out / "frames" / names[0]).exists()
    forget_named(out, Whom.of(names))
    assert not _pictures(out)
