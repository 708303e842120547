"""BUPTCampus: lists, pairs, file order, FakeIR, and malformed lines."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.tiny_archives import write_bupt
from xreid.core.errors import ConfigError, DataError
from xreid.core.tracklets import Modality
from xreid.data import open_archive
from xreid.data.bupt_campus import LICENCE, ListLine, fake_ir_path, parse_list

in_tmp = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
words = st.text(st.characters(codec="ascii", categories=("L", "Nd")), min_size=1, max_size=6)


def test_rows_subsets_and_pairs(bupt: Path) -> None:
    table = open_archive(bupt)
    assert table.source == "bupt-campus"
    assert table.licence == LICENCE
    assert {s: len(table.subset(s)) for s in ("train", "auxiliary", "query", "gallery")} == {
        "train": 8,
        "auxiliary": 2,
        "query": 3,
        "gallery": 6,
    }
    visible, infrared = table[0], table[1]
    assert (visible.modality, infrared.modality) == (Modality.VISIBLE, Modality.INFRARED)
    assert visible.pair == infrared.pair == "2/LS3/1"
    assert infrared.frames[0] == "DATA/2/IR/LS3/2_IR_LS3_1_8535.jpg"
    assert all(table.frame_path(frame).is_file() for row in table for frame in row.frames)


def test_labels_are_in_string_order(bupt: Path) -> None:
    assert open_archive(bupt).subset("train").identities() == ["11", "2"]


def test_query_and_gallery_keep_file_order(bupt: Path) -> None:
    table = open_archive(bupt)
    assert [(r.identity, r.modality.value) for r in table.subset("query")] == [
        ("5", "vis"),
        ("10", "ir"),
        ("7", "ir"),
    ]
    assert [(r.identity, r.modality.value) for r in table.subset("gallery")][:3] == [
        ("10", "ir"),
        ("10", "vis"),
        ("5", "ir"),
    ]


def test_data_folder_itself_may_be_given(bupt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_archive(bupt / "DATA").rows == open_archive(bupt).rows
    monkeypatch.chdir(bupt / "DATA")
    assert open_archive(Path()).rows == open_archive(bupt).rows


def test_fake_ir_keeps_rgb_in_the_file_name() -> None:
    assert fake_ir_path("1/RGB/CQ1/1_RGB_CQ1_1_8535.jpg") == "1/FakeIR/CQ1/1_RGB_CQ1_1_8535.jpg"


def test_fake_ir_replaces_or_adds(bupt: Path) -> None:
    plain, replaced, added = (open_archive(bupt, fake_ir=how) for how in ("off", "replace", "add"))
    assert len(replaced) == len(plain)
    assert all(("/FakeIR/" in r.frames[0]) == (r.modality is Modality.VISIBLE) for r in replaced)
    extra = [r for r in added if "/FakeIR/" in r.frames[0]]
    assert len(added) == len(plain) + len(extra)
    assert {(r.subset, r.modality) for r in extra} == {
        ("train", Modality.INFRARED),
        ("auxiliary", Modality.INFRARED),
    }
    for table in (replaced, added):
        assert all(table.frame_path(frame).is_file() for row in table for frame in row.frames)


def test_fake_ir_fits_no_other_layout(hitsz: Path) -> None:
    with pytest.raises(ConfigError, match="BUPTCampus only"):
        open_archive(hitsz, fake_ir="add")


def test_strict_drops_frames_of_another_folder(tmp_path: Path) -> None:
    index = write_bupt(tmp_path) / "data_paths.json"
    paths = json.loads(index.read_text())
    paths["2"]["RGB"]["LS3"]["1"][1] = "11/RGB/LS3/11_RGB_LS3_1_8535.jpg"
    index.write_text(json.dumps(paths))
    assert len(open_archive(tmp_path)[0].frames) == 4
    assert len(open_archive(tmp_path, strict=True)[0].frames) == 3


@in_tmp
@given(lines=st.lists(st.tuples(words, st.sampled_from(["RGB", "IR"]), words, words), max_size=15))
def test_lists_round_trip(tmp_path: Path, lines: list[tuple[str, str, str, str]]) -> None:
    path = tmp_path / "query.txt"
    path.write_text("".join(" ".join(line) + " \r\n" for line in lines))
    assert parse_list(path, paired=False) == [ListLine(a, (b,), c, d) for a, b, c, d in lines]
    path.write_text("".join(f"{a} RGB/IR {c} {d}\n" for a, _, c, d in lines))
    assert parse_list(path, paired=True) == [ListLine(a, ("RGB", "IR"), c, d) for a, _, c, d in lines]


@in_tmp
@given(
    line=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp"))).filter(str.strip),
    before=st.integers(0, 4),
)
def test_a_malformed_line_is_named_by_file_and_line(tmp_path: Path, line: str, before: int) -> None:
    fields = line.split()
    if len(fields) == 4 and fields[1] in ("RGB", "IR"):
        return
    path = tmp_path / "gallery.txt"
    path.write_text("1911 RGB G25 1\n" * before + line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"gallery\.txt, line {before + 1} is malformed"):
        parse_list(path, paired=False)


DAMAGES = {
    "unlisted tracklet": ("query.txt", "5 RGB TSG1 9\n", r"query\.txt, line 1: tracklet 5 TSG1 9 has no RGB"),
    "unknown identity": ("gallery.txt", "404 IR TSG1 1\n", "line 1: tracklet 404 TSG1 1 has no IR"),
    "one modality in a training list": ("train.txt", "2 RGB LS3 1\n", r"train\.txt, line 1 is malformed"),
    "pair in a test list": ("query.txt", "5 RGB/IR TSG1 1\n", r"query\.txt, line 1 is malformed"),
    "index is no JSON": ("data_paths.json", "{", r"data_paths\.json is not JSON"),
    "index is a list": ("data_paths.json", "[]", "has another form"),
    "index of numbers": (
        "data_paths.json",
        '{"2": {"RGB": {"LS3": {"1": [5]}}}}',
        r"data_paths\.json: tracklet 2 LS3 1 is malformed; expected a list of paths; got \[5\]",
    ),
    "index without the frames": ("data_paths.json", '{"2": {"RGB": {"LS3": {"1": []}}}}', "no RGB frames"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_lists(tmp_path: Path, damage: str) -> None:
    name, text, message = DAMAGES[damage]
    (write_bupt(tmp_path, images=False) / name).write_text(text)
    with pytest.raises(DataError, match=message):
        open_archive(tmp_path)


def test_missing_list_is_named(tmp_path: Path) -> None:
    (write_bupt(tmp_path, images=False) / "train_auxiliary.txt").unlink()
    with pytest.raises(DataError, match=r"cannot read list .*train_auxiliary\.txt"):
        open_archive(tmp_path)
