import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xreid.evaluation.heat import Scale, heat_picture


def painted(uri: str | None) -> np.ndarray:
    assert uri is not None
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))).astype(int)


def test_values_lie_over_their_own_part_of_the_frame(tmp_path: Path) -> None:
    Image.new("RGB", (40, 80), (128, 128, 128)).save(tmp_path / "a.png")
    values = np.zeros((4, 2))
    values[0, 1], values[3, 0] = 1.0, -1.0
    shown = painted(heat_picture(tmp_path / "a.png", values, scale=Scale(top=1.0, signed=True)))
    assert shown.shape == (80, 40, 3)
    orange, blue, bare = shown[10, 30], shown[70, 10], shown[10, 10]
    assert orange[0] > 200 > 60 > orange[2]
    assert blue[2] > 180 > 80 > blue[0]
    assert bare == pytest.approx([128] * 3, abs=3)
    assert shown[18, 30] == pytest.approx(orange, abs=25), "as coarse as the values: flat to the cell's edge"


def test_more_attention_is_lighter_and_beyond_the_top_is_the_top() -> None:
    grey, scale = np.full((1, 5), 100.0), Scale(top=2.0)
    strip = scale.paint(grey, np.array([[0.0, 0.5, 1.0, 2.0, 9.0]])).astype(int).sum(axis=2)[0]
    assert list(strip[:4]) == sorted(set(strip[:4]))
    assert strip[3] == strip[4]


def test_below_zero_is_zero_unless_signed() -> None:
    grey = np.full((1, 2), 100.0)
    plain = Scale(top=1.0).paint(grey, np.array([[-5.0, 0.0]]))
    assert (plain[0, 0] == plain[0, 1]).all()
    signed = Scale(top=1.0, signed=True).paint(grey, np.array([[-5.0, 0.0]]))
    assert (signed[0, 0] != signed[0, 1]).any()


def test_an_unreadable_frame_has_no_picture(tmp_path: Path) -> None:
    assert heat_picture(tmp_path / "none.png", np.ones((2, 2)), scale=Scale(top=1.0)) is None
