"""A site on disk: videos that decode, truth that fits the pixels, the same for any way of making it."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from tests.waiting import files_in, until
from xreid.cli.main import main
from xreid.core.errors import ConfigError, DataError
from xreid.core.tracklets import Modality
from xreid.simulation import site as site_module
from xreid.simulation.site import read_site, simulate_site
from xreid.simulation.site_config import SiteConfig, tiny
from xreid.simulation.site_film import TrueBox
from xreid.simulation.site_sheet import site_sheet
from xreid.simulation.site_stage import stage_of
from xreid.simulation.site_truth import Witness, counts

CONFIG = replace(tiny(), dusk_s=12, night_s=6, file_s=6, fps=5)  # six videos of 30 frames


def digest(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "site"
    summary = simulate_site(CONFIG, out, workers=1)
    assert (summary.videos, summary.frames, summary.rendered) == (6, 180, 180)
    return out


def pictures(video: Path) -> list[np.ndarray]:
    with av.open(str(video)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def truths(site: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted((site / "truth").glob("*.json"))]


def test_two_processes_write_the_same_bytes(made: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    simulate_site(CONFIG, tmp_path / "b", workers=2, progress=lambda *done: told.append(done))
    assert digest(tmp_path / "b") == digest(made)
    assert told[-1] == (180, 180)


def test_another_seed_is_another_site(made: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, seed=2, dusk_s=0, night_s=1)
    simulate_site(config, tmp_path / "b", workers=1)
    assert not set(digest(tmp_path / "b" / "videos").values()) & set(digest(made / "videos").values())


def test_videos_are_what_their_truth_says(made: Path) -> None:
    for truth in truths(made):
        with av.open(str(made / "videos" / truth["video"])) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert (stream.width, stream.height) == (truth["width"], truth["height"]) == (640, 360)
            assert stream.average_rate == truth["fps"] == 5
            stamp = container.metadata["creation_time"]
        assert stamp[:19] + "+00:00" == truth["start"]
        assert len(pictures(made / "videos" / truth["video"])) == truth["frames"] == 30
        when = truth["start"].replace("-", "").replace(":", "").replace("+0000", "Z")
        assert truth["video"] == f"{truth['camera']}_{when}.mp4"


def test_infrared_segments_are_grey_and_visible_ones_are_not(made: Path) -> None:
    modalities = set()
    for truth in truths(made):
        frames = pictures(made / "videos" / truth["video"])
        segments = truth["segments"]
        assert [s["first_frame"] for s in segments] == [1, *(s["last_frame"] + 1 for s in segments[:-1])]
        assert segments[-1]["last_frame"] == 30
        for segment in segments:
            modalities.add((len(segments) > 1, segment["modality"]))
            for frame in frames[segment["first_frame"] - 1 : segment["last_frame"]]:
                grey = np.ptp(frame[::8, ::8].astype(int), axis=2).max() <= 2
                assert grey == (segment["modality"] == "ir")
    assert (True, "vis") in modalities
    assert (True, "ir") in modalities
    assert (False, "ir") in modalities


def test_people_are_where_the_truth_says_and_nobody_elsewhere(made: Path) -> None:
    """Against the empty stage: the boxes hold what differs; away from them and their shadows nothing does."""
    looked = 0
    for truth in truths(made):
        if truth["session"] != "night" or not truth["tracks"]:
            continue
        stage = stage_of(CONFIG, truth["camera"], Modality.INFRARED, sunny=False)
        empty = stage.empty(1.0).astype(int)
        rows = true_rows(made / "truth" / truth["video"].replace(".mp4", ".txt"))
        assert (rows[:, 4:6] > 0).all()
        assert (rows[:, 2:4] >= 1).all()
        assert (rows[:, 2:4] + rows[:, 4:6] <= (641, 361)).all()
        for number, frame in enumerate(pictures(made / "videos" / truth["video"]), start=1):
            changed = np.abs(frame[..., 0].astype(int) - empty) > 20
            outside = changed.copy()
            for _, _, x, y, width, height, _, _, visibility in rows[rows[:, 0] == number]:
                left, top, right, bottom = int(x) - 1, int(y) - 1, int(x + width), int(y + height)
                if visibility > 0.6:
                    assert changed[top:bottom, left:right].mean() > 0.1, (truth["video"], number)
                    looked += 1
                outside[max(0, top - 8) : bottom + 8, max(0, left - 8) : right + 8] = False
            assert outside.mean() < 0.005, (truth["video"], number)
    assert looked > 15


def true_rows(path: Path) -> np.ndarray:
    return np.array([[float(v) for v in line.split(",")] for line in path.read_text().splitlines()])


def test_people_table_says_who_was_seen_in_which_spectrum(made: Path) -> None:
    with open(made / "people.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    people = {row["person"] for row in rows}
    assert people <= {"p1", "p2", "p3", "p4"}
    assert len(people) >= 3
    by_video = {truth["video"]: truth for truth in truths(made)}
    for row in rows:
        truth = by_video[row["video"]]
        (track,) = [t for t in truth["tracks"] if t["track"] == int(row["track"])]
        assert track["person"] == row["person"]
        assert (
            track["first_frame"] <= int(row["first_frame"]) <= int(row["last_frame"]) <= track["last_frame"]
        )
        start = truth["start_s"] + (int(row["first_frame"]) - 1) / truth["fps"]
        assert float(row["start_s"]) == pytest.approx(start, abs=1e-3)


def test_a_person_keeps_the_track_number_from_file_to_file(made: Path) -> None:
    owner: dict[int, str] = {}
    shared = 0
    for truth in truths(made):
        for track in truth["tracks"]:
            shared += track["track"] in owner
            assert owner.setdefault(track["track"], track["person"]) == track["person"]
    assert shared


def test_rows_that_nobody_could_find_do_not_count() -> None:
    box = TrueBox(track=1, box=(10.0, 10.0, 40.0, 100.0), visibility=0.5, whole=True)
    assert counts(box)
    assert not counts(replace(box, visibility=0.05))
    assert not counts(replace(box, box=(10.0, 10.0, 40.0, 25.0)))


def test_segments_of_a_witness() -> None:
    witness = Witness(modalities=[Modality.VISIBLE] * 3 + [Modality.INFRARED] + [Modality.VISIBLE] * 2)
    found = [(s["first_frame"], s["last_frame"], s["modality"]) for s in witness.segments()]
    assert found == [(1, 3, "vis"), (4, 4, "ir"), (5, 6, "vis")]


def test_a_broken_run_is_completed_by_the_same_call(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, original, calls = tmp_path / "b", site_module.write_tracks, []

    def fails_later(path: Path, rows: object) -> None:
        calls.append(path)
        if len(calls) == 4:
            raise RuntimeError("power cut")
        original(path, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(site_module, "write_tracks", fails_later)
    with pytest.raises(RuntimeError):
        simulate_site(CONFIG, out, workers=1)
    assert not (out / "people.csv").exists()
    with pytest.raises(DataError, match="no finished site"):
        read_site(out)
    monkeypatch.setattr(site_module, "write_tracks", original)
    (out / "videos" / ".x.mp4.rest.mp4").write_bytes(b"as a killed run leaves it")
    assert simulate_site(CONFIG, out, workers=1).rendered == 90
    assert digest(out) == digest(made)
    assert simulate_site(CONFIG, out, workers=1).rendered == 0
    assert read_site(out)["counts"] == {"videos": 6, "frames": 180}


def test_killed_it_is_completed_by_the_same_command(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "b"
    words = [
        "--preset",
        "tiny",
        "--dusk_s",
        "12",
        "--night_s",
        "6",
        "--file_s",
        "6",
        "--fps",
        "5",
        "--workers",
        "1",
    ]
    command = [sys.executable, "-m", "xreid.cli.main", "simulate", str(out), "--site", *words]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until(lambda: files_in(out, "truth/*.json") or process.poll() is not None)
    process.kill()
    process.wait()
    assert any(out.rglob("truth/*.json"))
    assert main(command[3:]) == 0
    assert digest(out) == digest(made)


def test_another_configuration_in_the_same_folder_is_refused(made: Path) -> None:
    before = digest(made)
    with pytest.raises(ConfigError, match=r"people=4.*got.*people=5"):
        simulate_site(replace(CONFIG, people=5), made, workers=1)
    assert digest(made) == before


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(ConfigError, match="not empty"):
        simulate_site(CONFIG, tmp_path, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", str(tmp_path / "a"), "--site", "--cameras", "0"]) == 2
    assert "--cameras does not fit; expected 1 to 99; got 0" in capsys.readouterr().err
    assert main(["simulate", str(tmp_path / "a"), "--site", "--layout", "bupt-campus"]) == 2
    assert main(["simulate", "--site"]) == 2
    assert not (tmp_path / "a").exists()


def test_the_contact_sheet_has_a_cell_for_each_camera_and_session() -> None:
    sheet = site_sheet(replace(CONFIG, dusk_s=2, night_s=2))
    assert sheet.shape == (26 + 2 * (180 + 26), 6 + 2 * (320 + 6), 3)
    for left in (6, 332):
        for top in (26, 232):
            assert sheet[top : top + 180, left : left + 320].std() > 5


def test_a_site_may_be_without_people_in_view(tmp_path: Path) -> None:
    none = dict.fromkeys(("always_visible", "always_infrared", "day_s", "dusk_s", "pairs"), 0)
    config = SiteConfig(cameras=1, people=1, stops=1, **none, night_s=1, seed=12, fps=5)
    simulate_site(config, tmp_path / "a", workers=1)
    assert read_site(tmp_path / "a")["complete"]
