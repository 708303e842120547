"""Verification: what it finds, what it says to do, and its exit codes."""

import json
from pathlib import Path

import pytest

from tests.data.tiny_archives import (
    truncate,
    write_bupt,
    write_folders,
    write_frames_csv,
    write_hitsz,
)
from xreid.cli.main import main
from xreid.core.errors import ConfigError, DataError
from xreid.data.report import Check, Status, VerifyReport
from xreid.data.verify import verify_archive
from xreid.data.verify_frames import check_frames


def _check(report: VerifyReport, name: str) -> Check:
    return next(check for check in report.checks if check.name == name)


def _problems(report: VerifyReport) -> set[str]:
    return {check.name for check in report.problems}


@pytest.mark.parametrize("layout", ["hitsz", "bupt", "own_table", "folders"])
def test_sound_archives_pass_where_counts_may_be_any(layout: str, request: pytest.FixtureRequest) -> None:
    report = verify_archive(request.getfixturevalue(layout), counts="any")
    assert report.ok, report.lines()
    assert _check(report, "frames checked").found not in ("0", "")
    assert "12x24" in _check(report, "frame sizes, width x height").found


@pytest.mark.parametrize("layout", ["hitsz", "bupt"])
def test_official_counts_are_demanded_unless_simulated(
    layout: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    report = verify_archive(request.getfixturevalue(layout), frames="skip")
    assert report.counts == "official"
    assert len(report.problems) > 15
    assert "--counts any" in report.problems[0].todo
    root = {"hitsz": write_hitsz, "bupt": write_bupt}[layout](tmp_path)
    (root / "simulation.json").write_text("{}")
    assert verify_archive(root, frames="skip").ok
    assert not verify_archive(root, frames="skip", counts="official").ok


def test_missing_and_unreadable_frames_are_listed(tmp_path: Path) -> None:
    root = write_hitsz(tmp_path)
    (root / "Train/0001/ir/D1/1.jpg").unlink()
    truncate(root / "Test/0503/rgb/D12/6.jpg")
    (root / "Test/0503/rgb/D12/11.jpg").write_bytes(b"")
    (root / "Test/0503/rgb/D12/16.jpg").write_bytes(b"not a picture")
    report = verify_archive(root, counts="any")
    assert _problems(report) == {"missing frames", "unreadable frames"}
    assert _check(report, "missing frames").examples == ("Train/0001/ir/D1/1.jpg",)
    assert _check(report, "unreadable frames").examples == (
        "Test/0503/rgb/D12/6.jpg: the file is truncated",
        "Test/0503/rgb/D12/11.jpg: the file is empty",
        "Test/0503/rgb/D12/16.jpg: no image file",
    )
    there = verify_archive(root, counts="any", frames="exist")
    assert len(_check(there, "unreadable frames").examples) == 1  # the empty one
    assert verify_archive(root, counts="any", frames="skip").ok


def _hitsz_lines(root: Path, name: str, **changes: str) -> None:
    path = root / "info" / name
    lines = path.read_text().splitlines()
    for number, line in changes.items():
        lines[int(number[1:]) - 1] = line
    path.write_text("\n".join(lines) + "\n")


def test_every_trouble_of_hitsz_lists_is_found_at_once(tmp_path: Path) -> None:
    root = write_hitsz(tmp_path, images=True)
    _hitsz_lines(root, "track_train_info.txt", _1="1 1 23 1 1", _3="2 20 999 1 1", _5="1 9 8 1 12")
    _hitsz_lines(root, "track_test_info.txt", _3="2 20 33 1 1", _9="2 1 5 501 1")
    _hitsz_lines(root, "query_IDX.txt", _1="1 1 2 3 5 6 9 10 13 99")
    _hitsz_lines(root, "train_name.txt", _2="0001M1D1T1F1.jpg")
    report = verify_archive(root, counts="any", frames="skip")
    assert _problems(report) == {
        "train rows out of range",
        "query numbers out of range",
        "query numbers given twice",
        "query rows that are not infrared",
        "gallery rows that are not visible",
        "identities in training and test",
    }
    assert len(_check(report, "train rows out of range").examples) == 2
    assert _check(report, "train rows that mix people").found == "1 rows, 4 frames"
    assert "line 1: 4 of 23 frames" in _check(report, "train rows that mix people").examples[0]
    assert _check(report, "train names of one and the same file").status is Status.WARNING
    assert _check(report, "identities in training and test").examples == ("identity 0001",)


def test_every_trouble_of_bupt_lists_is_found_at_once(tmp_path: Path) -> None:
    root = write_bupt(tmp_path)
    paths = json.loads((root / "data_paths.json").read_text())
    paths["2"]["IR"]["G25"]["1"].pop()
    paths["11"]["RGB"]["LS3"]["1"][0] = paths["2"]["RGB"]["LS3"]["1"][0]
    (root / "data_paths.json").write_text(json.dumps(paths))
    (root / "query.txt").write_text("5 RGB TSG2 1\n2 IR LS3 1\n7 IR TSG1 1\n7 IR LS3 1\n7 IR LS3 8\n")
    report = verify_archive(root, counts="any", fake_ir=True)
    assert _problems(report) == {
        "listed tracklets not in data_paths.json",
        "identities in several sets",
        "identities in query or gallery only",
    }
    assert [check.name for check in report.warnings] == [
        "pairs of unequal length",
        "tracklets that mix people",
        "identities with several queries",
        "gallery tracklets of a query's own camera",
    ]
    assert "4 visible, 3 infrared" in _check(report, "pairs of unequal length").examples[0]


def test_missing_fake_ir_frames(tmp_path: Path) -> None:
    root = write_bupt(tmp_path, fake=False)
    assert verify_archive(root, counts="any").ok
    report = verify_archive(root, counts="any", fake_ir=True)
    assert len(_check(report, "missing frames").examples) == 36


def test_own_data(tmp_path: Path) -> None:
    root = write_frames_csv(tmp_path / "table")
    with open(root / "frames.csv", "a") as handle:
        handle.write(
            "anna-rgb,crops/bert-rgb-0.jpg,bert,gate,rgb,20\nsolo,crops/anna-ir-0.jpg,carl,gate,ir,20\n"
        )
    report = verify_archive(root)
    assert _problems(report) == {"tracklets that mix people"}
    assert "line 20: tracklet anna-rgb is of identity anna" in report.problems[0].examples[0]
    assert _check(report, "identities in one modality").examples == ("identity carl (only ir)",)
    assert verify_archive(root, strict=True).ok
    for subset in ("train", "query"):
        write_folders(tmp_path / "folders" / subset)
    assert _problems(verify_archive(tmp_path / "folders")) == {"identities in training and test"}


def test_wrong_requests(own_table: Path, hitsz: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no official counts for layout table"):
        verify_archive(own_table, counts="official")
    with pytest.raises(ConfigError, match="BUPTCampus only"):
        verify_archive(hitsz, fake_ir=True)
    with pytest.raises(DataError, match="does not exist"):
        verify_archive(tmp_path / "no")


def test_frames_are_checked_the_same_in_processes(hitsz: Path) -> None:
    frames = [f"Train/0001/ir/D1/{n}.jpg" for n in (1, 6, 7, 11)] * 100
    seen: list[tuple[int, int]] = []
    one = check_frames(hitsz, frames, workers=1)
    two = check_frames(hitsz, frames, workers=2, progress=lambda done, total: seen.append((done, total)))
    assert one == two
    assert len(one.missing) == 100
    assert one.sizes == {(12, 24): 300}
    assert seen == [(128, 400), (256, 400), (384, 400), (400, 400)]


def test_exit_codes(hitsz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report_file = tmp_path / "report.json"
    assert main(["verify", str(hitsz), "--counts", "any", "--report", str(report_file)]) == 0
    out = capsys.readouterr().out
    assert "HITSZ-VCM, tree A" in out
    assert "no problems" in out
    assert json.loads(report_file.read_text())["ok"] is True
    assert main(["verify", str(hitsz), "--frames", "skip"]) == 1
    assert "expected 11,061" in capsys.readouterr().out
    for argv in (["nothing"], [str(hitsz), "--workers", "-1"], [str(hitsz), "--frobnicate"], []):
        assert main(["verify", *argv]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("xreid: error: ")
        assert captured.err.count("\n") == 1


def test_malformed_list_cannot_be_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_hitsz(tmp_path, images=True, train_ids=(1,), cameras=(1,))
    _hitsz_lines(root, "track_test_info.txt", _2="garbage")
    assert main(["verify", str(root)]) == 2
    assert "track_test_info.txt, line 2 is malformed" in capsys.readouterr().err


def test_report_text_repeats_no_advice() -> None:
    def trouble(name: str) -> Check:
        return Check(name=name, status=Status.PROBLEM, found="5", todo="Do this.", examples=tuple("abcde"))

    report = VerifyReport(root="r", layout="l", counts="any", checks=(trouble("one"), trouble("two")))
    text = "\n".join(report.lines(examples=2))
    assert text.count("Do this.") == 1
    assert text.count("... and 3 more") == 2
    assert text.endswith("2 problems in 2 checks")
