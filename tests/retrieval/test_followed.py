"""Recorded files that follow each other: people over the cut stay one tracklet, whoever does the work."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.retrieval.footage import walkers, write_video
from tests.retrieval.test_ingest import _digest
from xreid.core.errors import ConfigError
from xreid.data import open_archive
from xreid.evaluation.tracking import overlap
from xreid.retrieval.bridge import STATE
from xreid.retrieval.folder_lock import sole_writer
from xreid.retrieval.followed import Followed
from xreid.retrieval.ingest_config import IngestConfig, SourceOptions
from xreid.retrieval.many import ManyReport, ingest_recordings
from xreid.retrieval.moments import Moment, moments
from xreid.retrieval.sources import Recording, find_sources
from xreid.retrieval.workers import Outcome, Task

CONFIG = IngestConfig(detector="motion", time_zone="UTC")
FIRST, SECOND = "gate_20261120_213000", "gate_20261120_213006"


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:  # type: ignore[type-arg]
    """15 seconds; the first person stands in the middle at frame 60."""
    return list(walkers(150))


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory, frames: list[np.ndarray]) -> Path:  # type: ignore[type-arg]
    """The same recorded whole, and by two cameras of rolled files, the second of which begins later."""
    folder = tmp_path_factory.mktemp("footage")
    for name in ("whole", "cut"):
        (folder / name).mkdir()
    write_video(folder / "whole" / f"{FIRST}.mp4", frames)
    write_video(folder / "cut" / f"{FIRST}.mp4", frames[:60])
    write_video(folder / "cut" / f"{SECOND}.mp4", frames[60:])
    write_video(folder / "cut" / "yard_20261120_213010.mp4", frames[:40])
    return folder


def _recordings(folder: Path) -> tuple[Recording, ...]:
    return find_sources([str(folder)], options=SourceOptions(), config=CONFIG).recordings


def _run(recordings: Sequence[Recording], out: Path, *, jobs: int = 1, follow: bool = True) -> ManyReport:
    return ingest_recordings(recordings, out, config=CONFIG, jobs=jobs, follow=follow)


def _seen(out: Path) -> list[list[Moment]]:
    """The moments of the tracklets of the gate, in order of their beginning."""
    found = [moments(out, row.name) for row in open_archive(out) if row.camera == "gate"]
    return sorted(found, key=lambda rows: rows[0].time_s or 0)


def test_two_files_give_the_tracklets_of_the_uncut_one(footage: Path, tmp_path: Path) -> None:
    _run(_recordings(footage / "whole"), tmp_path / "whole")
    report = _run(_recordings(footage / "cut"), tmp_path / "cut")
    whole, cut = _seen(tmp_path / "whole"), _seen(tmp_path / "cut")
    assert len(whole) == len(cut) == 2
    assert {Path(row.source).stem for row in cut[0]} == {FIRST, SECOND}
    for one, other in zip(whole, cut, strict=True):
        boxes = {row.time_s: row.box for row in other}
        same = [overlap(row.box, boxes[row.time_s]) for row in one if row.time_s in boxes]
        assert len(same) >= len(one) - 2, "a cut may cost a frame or two"
        assert len(other) <= len(one) + 2
        assert min(same) > 0.7
    table = open_archive(tmp_path / "cut")
    assert report.total.tracklets == len(table) == 3
    assert report.total.crops == sum(len(row.frames) for row in table) == len(moments(tmp_path / "cut"))
    row = next(row for row in table if len({frame.split("/")[1] for frame in row.frames}) == 2)
    assert row.start_s is not None
    assert (row.start_s, row.end_s) == (cut[0][0].time_s, cut[0][-1].time_s)
    kept = [path.parent.name for path in (tmp_path / "cut").glob(f"recordings/*/{STATE}")]
    assert sorted(kept) == [SECOND, "yard_20261120_213010"], "of use to a file that may yet come only"


def test_the_same_side_by_side_in_another_order_and_file_after_file(footage: Path, tmp_path: Path) -> None:
    recordings = _recordings(footage / "cut")
    whole = _run(recordings, tmp_path / "one")
    assert _run(recordings[::-1], tmp_path / "two", jobs=2) == whole
    assert _digest(tmp_path / "one") == _digest(tmp_path / "two")
    early = [one for one in recordings if one.name != SECOND]
    assert _run(early, tmp_path / "three").total.tracklets == 2
    assert _run(recordings, tmp_path / "three") == whole, "the second file came later"
    assert _digest(tmp_path / "one") == _digest(tmp_path / "three")
    assert _run(recordings, tmp_path / "three") == whole, "again: nothing to do"


def test_an_earlier_file_that_comes_later_changes_nothing_that_is_done(footage: Path, tmp_path: Path) -> None:
    recordings = _recordings(footage / "cut")
    _run([one for one in recordings if one.name == SECOND], tmp_path / "out")
    before = _digest(tmp_path / "out" / "recordings" / SECOND)
    (tmp_path / "out" / "recordings.json").unlink()  # as if killed before it was written
    assert not _run(recordings, tmp_path / "out").failed
    assert _digest(tmp_path / "out" / "recordings" / SECOND) == before
    shutil.rmtree(tmp_path / "out" / "recordings" / SECOND)
    work = tmp_path / "out" / "recordings" / SECOND / ".ingest"
    work.mkdir(parents=True)
    (work / "job.json").write_text('{"before": null}')  # begun when there was no file before it
    _run(recordings, tmp_path / "out")
    assert len(_seen(tmp_path / "out")) == 2


def test_an_earlier_file_that_is_gone_changes_nothing_that_is_done(footage: Path, tmp_path: Path) -> None:
    recordings = _recordings(footage / "cut")
    _run(recordings, tmp_path / "out")
    before = _digest(tmp_path / "out" / "recordings" / SECOND)
    (tmp_path / "out" / "recordings.json").unlink()  # as if killed before it was written
    assert not _run([one for one in recordings if one.name != FIRST], tmp_path / "out").failed
    assert _digest(tmp_path / "out" / "recordings" / SECOND) == before


def test_without_following_no_file_waits_for_another(footage: Path, tmp_path: Path) -> None:
    (chain,) = [chain for chain in _chains(footage / "cut", tmp_path / "a", follow=True) if len(chain) > 1]
    assert [task.name for task in chain] == [FIRST, SECOND]
    assert all(len(chain) == 1 for chain in _chains(footage / "cut", tmp_path / "b", follow=False))
    _run(_recordings(footage / "cut"), tmp_path / "out", follow=False)
    assert all(len({one.source for one in rows}) == 1 for rows in _seen(tmp_path / "out"))
    assert len(_seen(tmp_path / "out")) == 3


def _chains(footage: Path, out: Path, *, follow: bool) -> list[list[Task]]:
    """What would be done one after the other; nothing is done."""
    found = list[list[Task]]()

    def note(chains: Sequence[Sequence[Task]]) -> Iterator[Outcome]:
        found.extend(list(chain) for chain in chains)
        return iter(())

    ingest_recordings(_recordings(footage), out, config=CONFIG, elsewhere=note, follow=follow)
    return found


def test_a_file_that_cannot_be_read_keeps_the_next_one_not_back(footage: Path, tmp_path: Path) -> None:
    shutil.copytree(footage / "cut", tmp_path / "cut")
    data = (tmp_path / "cut" / f"{FIRST}.mp4").read_bytes()
    place = data.index(b"mdat")
    torn = data[: place + 4] + b"\0" * (data.index(b"moov") - place - 8) + data[data.index(b"moov") - 4 :]
    (tmp_path / "cut" / f"{FIRST}.mp4").write_bytes(torn)  # it has a length, and no pictures
    report = _run(_recordings(tmp_path / "cut"), tmp_path / "out")
    assert list(report.failed) == [FIRST]
    assert (tmp_path / "out" / "recordings" / SECOND / "ingest.json").is_file()


def _names(recordings: Sequence[Recording]) -> dict[str, tuple[str | None, bool]]:
    followed = Followed(recordings)
    around = {one.name: followed.around(one) for one in recordings}
    return {name: (at.before.name if at.before else None, at.goes_on) for name, at in around.items()}


@pytest.mark.parametrize(
    ("late_s", "joined"), [(0.0, True), (1.9, True), (-1.9, True), (2.2, False), (-3.0, False)]
)
def test_who_follows_whom(late_s: float, joined: bool, footage: Path) -> None:
    first, second, other = _recordings(footage / "cut")
    assert second.start_s is not None
    moved = replace(second, start_s=second.start_s + late_s)
    expected = {FIRST: (None, joined), SECOND: (FIRST if joined else None, True), other.name: (None, True)}
    assert _names([other, moved, first]) == expected
    undated = [replace(one, start_s=None) for one in (first, second)]
    assert _names(undated) == {FIRST: (None, False), SECOND: (None, False)}
    elsewhere = replace(second, camera="yard 2")
    assert _names([first, elsewhere])[SECOND] == (None, True)


def test_two_processes_do_not_write_one_folder(footage: Path, tmp_path: Path) -> None:
    with (
        sole_writer(tmp_path / "recordings"),
        pytest.raises(ConfigError, match="another process is ingesting"),
    ):
        _run(_recordings(footage / "whole"), tmp_path)
    assert not _run(_recordings(footage / "whole"), tmp_path).failed


def test_a_recording_whose_clock_starts_at_0_is_not_old(footage: Path) -> None:
    path = footage / "whole" / next((footage / "whole").iterdir()).name
    for start_s, ended in ((None, False), (0.0, False), (36_000.0, False), (1.7e9, True), (2.7e9, False)):
        one = Recording(path=path, name="one", label="one", camera="gate", start_s=start_s)
        assert Followed([one]).ended(one, 1.8e9) is ended
