"""Which layout is it? By structure, and with a message that helps where it is none."""

from pathlib import Path

import pytest

from tests.data.tiny_archives import write_bupt, write_folders, write_hitsz, write_jpeg
from xreid.core.errors import ConfigError, DataError
from xreid.core.tracklets import Modality
from xreid.data import detect_layout, open_archive
from xreid.data.names import natural_key


def test_layouts_are_found(hitsz: Path, bupt: Path, own_table: Path, folders: Path) -> None:
    assert detect_layout(hitsz) == "hitsz-vcm"
    assert detect_layout(bupt) == "bupt-campus"
    assert detect_layout(bupt / "DATA") == "bupt-campus"
    assert detect_layout(own_table) == "table"
    assert detect_layout(folders) == "folder"
    for root in (hitsz, bupt, own_table, folders):
        table = open_archive(root)
        assert table.source == detect_layout(root)
        assert open_archive(root, layout=table.source).rows == table.rows  # type: ignore[arg-type]


def test_folder_levels(folders: Path) -> None:
    rows = {row.name: row for row in open_archive(folders)}
    full = rows["thermal/0001/front/a"]
    assert (full.modality, full.identity, full.camera) == (Modality.INFRARED, "0001", "front")
    assert [Path(frame).name for frame in full.frames] == ["1.jpg", "2.jpg", "10.jpg"]
    assert (rows["visible/0003"].identity, rows["visible/0003"].camera) == ("0003", None)
    assert (rows["visible/_/front/x"].identity, rows["visible/_/front/x"].camera) == (None, "front")


def test_folders_by_subset(tmp_path: Path) -> None:
    for subset in ("train", "query", "gallery"):
        write_folders(tmp_path / subset)
    table = open_archive(tmp_path)
    assert {row.subset for row in table} == {"train", "query", "gallery"}
    assert len(table.subset("query")) == 12


def test_folder_too_deep(tmp_path: Path) -> None:
    write_jpeg(tmp_path / "rgb" / "1" / "2" / "3" / "4" / "5.jpg")
    with pytest.raises(DataError, match="do not fit the folder layout"):
        open_archive(tmp_path)


def test_natural_order() -> None:
    assert sorted(["10.jpg", "a2", "9.jpg", "a10", "1.jpg"], key=natural_key) == [
        "1.jpg",
        "9.jpg",
        "10.jpg",
        "a2",
        "a10",
    ]


def _mars(root: Path) -> None:
    info = write_hitsz(root, images=False) / "info"
    for split in ("train", "test"):
        (info / f"{split}_name.txt").write_text("0001C1T0001F001.jpg\n0001C1T0001F002.jpg\n")
    (root / "bbox_train").mkdir()


def _mevid(root: Path) -> None:
    for split in ("train", "test"):
        (root / f"{split}_name.txt").write_text("0201O003C330T004F00192.jpg\n")
        (root / f"track_{split}_info.txt").write_text("0.000000000000000000e+00 1.2e+01 201 3 330\n")
    (root / "query_IDX.txt").write_text("1.0e+00\n")


WRONG = {
    "missing": (lambda root: root.rmdir(), "does not exist"),
    "empty": (lambda root: None, "is empty"),
    "MARS": (_mars, "MARS or MEVID"),
    "MEVID": (_mevid, "MARS or MEVID"),
    "LMDB": (lambda root: (root / "train_ir.lmdb").mkdir(), "private LMDB form"),
    "DATA without lists": (lambda root: (root / "DATA").mkdir(), "both DATA and data_paths.json"),
    "holiday pictures": (
        lambda root: write_jpeg(root / "beach" / "1.jpg"),
        "got beach. Give the archive's top",
    ),
    "folders of nothing": (lambda root: (root / "rgb").mkdir(), "no folder with 1 images or more"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_trees(tmp_path: Path, case: str) -> None:
    build, message = WRONG[case]
    root = tmp_path / "archive"
    root.mkdir()
    build(root)
    with pytest.raises(DataError, match=message):
        open_archive(root)


@pytest.mark.parametrize("layout", ["hitsz-vcm", "bupt-campus", "table", "folder"])
def test_a_named_layout_says_what_is_missing(tmp_path: Path, layout: str) -> None:
    with pytest.raises(DataError, match=str(tmp_path)):
        open_archive(tmp_path, layout=layout)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="does not exist"):
        open_archive(tmp_path / "no", layout=layout)  # type: ignore[arg-type]


def test_min_frames_must_be_positive(bupt: Path) -> None:
    with pytest.raises(ConfigError, match="min_frames"):
        open_archive(bupt, min_frames=0)


def test_bupt_can_be_filtered(tmp_path: Path) -> None:
    write_bupt(tmp_path, images=False)
    with pytest.raises(DataError, match="no tracklet of 5 frames"):
        open_archive(tmp_path, min_frames=5)
