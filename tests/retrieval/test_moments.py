"""From a crop back to the moment in the recording."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.retrieval.footage import walkers, write_mot, write_video
from xreid.core.errors import DataError
from xreid.data import open_archive
from xreid.retrieval.ingest import ingest_video
from xreid.retrieval.ingest_config import IngestConfig
from xreid.retrieval.moments import Moment, lacks_columns, moment, moments, tracks_of, write_moments
from xreid.retrieval.words import show_tracks


def _moment(**values: object) -> Moment:
    row = {"tracklet": "a", "file": "frames/a/1.jpg", "frame": 1, "time_s": 5.0, "offset_s": 0.0}
    row |= {
        "box": (1.0, 2.0, 3.0, 4.0),
        "score": 0.5,
        "sharpness": 0.5,
        "hidden": 0.0,
        "source": "/v/gate.mp4",
    }
    return Moment(**(row | values))  # type: ignore[arg-type]


def test_every_crop_of_an_ingest_has_its_moment(tmp_path: Path) -> None:
    video = write_video(tmp_path / "gate.mp4", walkers(60))
    rows = [(f, i, 21 + 40 * i, 41, 30, 80) for f in range(11, 41) for i in (1, 2)]
    config = IngestConfig(tracks=write_mot(tmp_path / "mot.txt", rows), start="1000")
    ingest_video(video, tmp_path / "out", config=config)
    table = open_archive(tmp_path / "out")
    for row, left in zip(table, (60, 100), strict=True):
        found = moments(tmp_path / "out", row.name)
        assert [one.file for one in found] == list(row.frames)
        assert [one.frame for one in found] == list(range(11, 41))
        assert [one.offset_s for one in found] == pytest.approx([f / 10 for f in range(10, 40)])
        assert (found[0].time_s, found[-1].time_s) == (row.start_s, row.end_s) == (1001.0, 1003.9)
        assert {one.box for one in found} == {(left, 40, 30, 80)}
        assert {one.source for one in found} == {str(video)}
    assert len(moments(tmp_path / "out")) == 60
    there = moment(tmp_path / "out", table[0].name, file=table[0].frames[7])
    assert there is not None
    assert there.frame == 18
    assert moment(tmp_path / "out", "nobody") is None
    assert moment(tmp_path / "elsewhere", "nobody") is None


def test_the_best_moment_is_large_sharp_and_unhidden(tmp_path: Path) -> None:
    rows = [
        _moment(frame=1, hidden=0.9, sharpness=0.9),
        _moment(frame=2, sharpness=0.4),
        _moment(frame=3, sharpness=0.4, box=(0.0, 0.0, 5.0, 9.0)),
        _moment(frame=4, sharpness=0.1, box=(0.0, 0.0, 5.0, 9.0)),
    ]
    write_moments(tmp_path / "moments.parquet", rows)
    best = moment(tmp_path, "a")
    assert best is not None
    assert best.frame == 3


def _joined(*cosines: float | None, start: float = 5.0) -> list[Moment]:
    return [_moment(frame=i, time_s=start + i, joined=cosine) for i, cosine in enumerate(cosines)]


def test_the_tracks_that_a_tracklet_was_joined_from(tmp_path: Path) -> None:
    write_moments(tmp_path / "moments.parquet", _joined(None, None, 0.5, 0.75, None))
    tracks = tracks_of(moments(tmp_path, "a"))
    ends = [(one.first.frame, one.last.frame, one.joined) for one in tracks]
    assert ends == [(0, 1, None), (2, 2, 0.5), (3, 4, 0.75)]
    told = "0:05.0 to 0:06.0, 0:07.0 to 0:07.0 (cosine 0.50), 0:08.0 to 0:09.0 (cosine 0.75)"
    assert show_tracks(tracks) == f"joined from 3 tracks: {told}"
    dated = show_tracks(tracks_of(_joined(None, 0.5, start=1_795_210_200.0)))
    assert dated.startswith("joined from 2 tracks: 2026-11-20 21:30:00 to 21:30:00, 2026-11-20 21:30:01 to ")
    (cut_off,) = tracks_of(_joined(0.9, None))  # what it was joined to is another tracklet: too long for one
    assert cut_off.joined is None
    assert (show_tracks([cut_off]), tracks_of([])) == ("", [])


def test_a_folder_from_before_joins_were_written_down_is_read(tmp_path: Path) -> None:
    path = tmp_path / "moments.parquet"
    write_moments(path, _joined(None, None))
    assert not lacks_columns(path)
    pq.write_table(pq.read_table(path).drop_columns(["joined"]), path)
    assert lacks_columns(path)
    assert [one.joined for one in moments(tmp_path)] == [None, None]
    assert len(tracks_of(moments(tmp_path))) == 1


def test_stills_have_no_time_and_damage_is_one_message(tmp_path: Path) -> None:
    write_moments(tmp_path / "moments.parquet", [_moment(time_s=None, offset_s=None)])
    assert moments(tmp_path)[0].time_s is None
    (tmp_path / "moments.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(DataError, match="damaged"):
        moments(tmp_path)


def test_a_table_of_something_else_is_one_message(tmp_path: Path) -> None:
    pq.write_table(pa.table({"tracklet": ["a"], "file": ["1.jpg"]}), tmp_path / "moments.parquet")
    with pytest.raises(DataError, match=r"lacks columns; got .*frame.*Ingest again"):
        moments(tmp_path)
