from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from xreid.cli.main import main
from xreid.core.errors import ConfigError
from xreid.simulation import sheet as sheet_module
from xreid.simulation import studio
from xreid.simulation.config import SimulationConfig
from xreid.simulation.plan import PlannedWalk
from xreid.simulation.sheet import contact_sheet, write_contact_sheet
from xreid.simulation.studio import Footage


@pytest.mark.parametrize("layout", ["hitsz-vcm", "bupt-campus"])
def test_a_sheet_shows_both_spectra(hitsz_config: SimulationConfig, layout: str) -> None:
    config = replace(hitsz_config, layout=layout, longest_walk=14)
    sheet = contact_sheet(config, people=2, cameras=2, frames=2)
    half = sheet.shape[1] // 2
    colour = np.ptp(sheet.astype(int), axis=2)
    assert colour[:, :half].max() > 60
    assert colour[:, half + 60 :].max() == 0


def test_frames_are_drawn_as_high_as_a_cell(
    hitsz_config: SimulationConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    heights = []

    def shoot(config: SimulationConfig, walk: PlannedWalk) -> Footage:
        footage = studio.shoot(config, walk)
        heights.extend(len(image) for images in footage.images.values() for image in images)
        return footage

    monkeypatch.setattr(sheet_module, "shoot", shoot)
    for height in (64, 320):
        heights.clear()
        contact_sheet(replace(hitsz_config, frame_height=height), people=1, cameras=1, frames=1)
        assert set(heights) == {max(height, sheet_module.CELL[1])}


def test_a_sheet_is_written_whole_or_not_at_all(hitsz_config: SimulationConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.jpg or \.png"):
        write_contact_sheet(hitsz_config, tmp_path / "sheet.gif")
    assert not list(tmp_path.iterdir())


def test_the_command_writes_archive_and_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, sheet = tmp_path / "a", tmp_path / "sheet.jpg"
    words = ["simulate", str(out), "--preset=tiny", "--train-identities", "1", "--workers=1"]
    assert main([*words, "--contact-sheet", str(sheet)]) == 0
    said = capsys.readouterr()
    assert "synthetic" in said.out
    assert "frames written" in said.out
    assert cv2.imread(str(sheet)) is not None
    assert main(words) == 0
    assert "0 frames written" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "OUT or --contact-sheet"),
        (["x", "--preset"], "needs a name"),
        (["x", "--preset", "huge"], "unknown preset"),
        (["x", "--contact-sheet", "sheet.gif"], "sheet.gif"),
        (["x", "--cameras", "99"], "cameras"),
        (["x", "--layout", "sysu"], "layout"),
    ],
)
def test_bad_options_give_one_line_and_exit_2(
    words: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", *words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())
