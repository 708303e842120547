"""Decoding: right pixels, small error at reduced size, clear errors."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tests.data.tiny_archives import truncate, write_jpeg
from xreid.data.decode import UnreadableFrameError, decode_frame, inspect_frame


def natural_jpeg(path: Path, *, size: tuple[int, int], seed: int = 0) -> Path:
    """A crop-like picture: large shapes, edges, fine texture, sensor noise."""
    rng = np.random.default_rng(seed)
    height, width = size
    coarse = rng.integers(0, 256, (6, 3, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST)
    image = image.filter(ImageFilter.GaussianBlur(height / 200))
    texture = rng.normal(0, 6, (height, width, 1))
    pixels = np.clip(np.asarray(image) + texture, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=90)
    return path


@pytest.mark.parametrize("file_size", [(256, 128), (384, 192), (576, 288), (1152, 576)])
@pytest.mark.parametrize("size", [(288, 144), (128, 64), (96, 48), (64, 32)])
def test_reduced_decode_is_close_to_full_decode(
    tmp_path: Path, file_size: tuple[int, int], size: tuple[int, int]
) -> None:
    path = natural_jpeg(tmp_path / "a.jpg", size=file_size)
    fast = decode_frame(path, size=size).astype(int)
    full = decode_frame(path, size=size, reduced=False).astype(int)
    assert fast.shape == full.shape == (3, *size)
    error = np.abs(fast - full)
    assert error.mean() < 0.6
    assert 10 * np.log10(255**2 / max((error**2).mean(), 1e-9)) > 48  # dB


@pytest.mark.parametrize("file_size", [(100, 50), (40, 90), (64, 32)])
def test_full_decode_is_pillows_bilinear(tmp_path: Path, file_size: tuple[int, int]) -> None:
    path = natural_jpeg(tmp_path / "a.jpg", size=file_size)
    expected = Image.open(path).convert("RGB").resize((32, 64), Image.Resampling.BILINEAR)
    decoded = decode_frame(path, size=(64, 32), reduced=False)
    difference = np.abs(decoded.transpose(1, 2, 0).astype(int) - np.asarray(expected))
    assert difference.max() <= 2
    assert difference.mean() < 0.1
    assert decoded.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
def test_every_8_bit_mode_gives_three_channels(tmp_path: Path, mode: str) -> None:
    Image.new("L", (8, 16), 200).convert(mode).save(tmp_path / "a.png")
    decoded = decode_frame(tmp_path / "a.png", size=(16, 8))
    assert decoded.shape == (3, 16, 8)
    assert np.ptp(decoded.astype(int), axis=0).max() <= 1  # grey stays grey


def _deep(path: Path) -> None:
    Image.fromarray(np.full((8, 8), 9000, dtype=np.uint16)).save(path.with_suffix(".png"))
    path.with_suffix(".png").rename(path)


BAD = {
    "missing": (lambda path: None, "No such file"),
    "empty": (lambda path: path.write_bytes(b""), "no image file"),
    "text": (lambda path: path.write_text("hello"), "no image file"),
    "folder": (lambda path: path.mkdir(), "Is a directory"),
    "truncated": (lambda path: (write_jpeg(path, size=(128, 64)), truncate(path, keep=0.8)), "truncated"),
    "header only": (lambda path: (write_jpeg(path), truncate(path, keep=0.3)), "truncated"),
    "16 bit": (_deep, "more than 8 bits"),
}


@pytest.mark.parametrize("case", BAD)
def test_unreadable_files_are_named(tmp_path: Path, case: str) -> None:
    damage, message = BAD[case]
    path = tmp_path / "frame.jpg"
    damage(path)
    with pytest.raises(UnreadableFrameError, match=message) as caught:
        decode_frame(path, size=(32, 16))
    assert str(path) in str(caught.value)
    reason, _ = inspect_frame(path)
    assert message in reason
    assert str(path) not in reason


def test_inspect_gives_the_size_of_a_good_file(tmp_path: Path) -> None:
    write_jpeg(tmp_path / "a.jpg", size=(40, 20))
    assert inspect_frame(tmp_path / "a.jpg") == ("", (20, 40))
