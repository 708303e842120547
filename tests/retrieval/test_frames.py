"""Frames from videos and folders: numbers, times, damage, and reading on from an anchor."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.retrieval.footage import walkers, wall, write_images, write_video
from xreid.core.errors import DataError
from xreid.retrieval.frames import Anchor, Frame, Reading, open_frames, to_8_bit


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("videos")
    frames = list(walkers(70))
    return {
        "mp4": write_video(folder / "a.mp4", frames),
        "avi": write_video(folder / "a.avi", frames),  # timestamps in decoding order
        "mkv": write_video(folder / "a.mkv", frames, codec="mpeg4"),
        "ts": write_video(folder / "a.ts", frames),
        "folder": write_images(folder / "images", frames),
    }


def _all(reading: Reading) -> list[Frame]:
    return list(reading)


def test_ffmpeg_does_not_log_through_python_whoever_asked_for_it(videos: dict[str, Path]) -> None:
    """With it, closing a file in the middle waits forever for the decoder's threads, at times."""
    before = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)  # what importing torchvision 0.24 does
    try:
        assert open_frames(videos["mp4"]).total == 70
        assert av.logging.get_level() is None
    finally:
        av.logging.set_level(before)


@pytest.mark.parametrize("kind", ["mp4", "avi", "mkv", "ts", "folder"])
def test_numbers_times_and_counts(kind: str, videos: dict[str, Path]) -> None:
    source = open_frames(videos[kind])
    assert source.fps == pytest.approx(10)
    assert source.total == pytest.approx(70, abs=1)
    reading = source.read(Anchor(), count=1000, warmup_s=10)
    frames = _all(reading)
    assert [frame.number for frame in frames] == list(range(1, 71))
    assert [frame.time_s for frame in frames] == pytest.approx([i / 10 for i in range(70)], abs=0.005)
    assert (reading.damaged, reading.concealed, reading.ended) == (0, 0, True)
    assert reading.next.number == 71


@pytest.mark.parametrize("kind", ["mp4", "avi", "mkv", "ts", "folder"])
@pytest.mark.parametrize("cut", [10, 33, 50])
def test_reading_on_from_an_anchor_gives_the_same_frames(
    kind: str, cut: int, videos: dict[str, Path]
) -> None:
    source = open_frames(videos[kind])
    whole = {frame.number: frame for frame in source.read(Anchor(), count=70, warmup_s=0)}
    first = source.read(Anchor(), count=cut, warmup_s=0)
    assert len(_all(first)) == cut
    assert not first.ended
    second = source.read(first.next, count=70, warmup_s=0.5)
    frames = _all(second)
    warm = [frame for frame in frames if frame.number is None]
    assert len(warm) == 5
    assert np.array_equal(warm[-1].image, whole[cut].image)
    for frame in frames[5:]:
        assert np.array_equal(frame.image, whole[frame.number].image)
        assert frame.time_s == whole[frame.number].time_s
    assert len(frames) == 5 + 70 - cut
    assert second.ended


def test_the_mp4_is_reached_by_seeking_and_the_avi_by_counting(videos: dict[str, Path]) -> None:
    for kind, timed in (("mp4", True), ("avi", False)):
        reading = open_frames(videos[kind]).read(Anchor(), count=20, warmup_s=0)
        _all(reading)
        assert (reading.next.pts is not None) == timed, kind


def test_damage_is_counted_and_the_rest_is_read(videos: dict[str, Path], tmp_path: Path) -> None:
    data = bytearray(videos["ts"].read_bytes())
    rng = np.random.default_rng(0)
    for at in rng.integers(len(data) // 3, len(data) * 2 // 3, size=12):
        data[at : at + 100] = rng.bytes(100)
    (tmp_path / "damaged.ts").write_bytes(data)
    reading = open_frames(tmp_path / "damaged.ts").read(Anchor(), count=1000, warmup_s=0)
    frames = _all(reading)
    assert reading.ended
    assert 50 <= len(frames) <= 70
    assert reading.damaged + reading.concealed > 0
    (tmp_path / "half.mp4").write_bytes(videos["mp4"].read_bytes()[:-200])  # its index is at the end
    with pytest.raises(DataError, match="as a video"):
        open_frames(tmp_path / "half.mp4")


def test_damaged_images_keep_their_number(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "images", [wall(seed=i) for i in range(12)])
    (folder / "3.png").write_bytes(b"no image")
    (folder / "notes.txt").write_text("ignored")
    reading = open_frames(folder).read(Anchor(), count=100, warmup_s=0)
    assert [frame.number for frame in reading] == [1, 2, *range(4, 13)], "natural order: 2 before 10"
    assert reading.damaged == 1


def test_sixteen_bits_are_stretched_and_not_cut_off(tmp_path: Path) -> None:
    grey = (np.linspace(20_000, 21_000, 64 * 48).reshape(48, 64)).astype(np.uint16)
    video = write_video(tmp_path / "thermal.mkv", [grey] * 3, codec="ffv1")
    (tmp_path / "png").mkdir()
    cv2.imwrite(str(tmp_path / "png" / "1.png"), grey)
    for path in (video, tmp_path / "png"):
        image = next(iter(open_frames(path).read(Anchor(), count=1, warmup_s=0))).image
        assert image.shape == (48, 64, 3)
        assert image[0, 0, 0] < 5
        assert image[-1, -1, 0] > 250
        assert np.ptp(image, axis=2).max() == 0
    assert to_8_bit(np.full((4, 4), 7)).max() == 0, "a flat picture divides by nothing"


def test_a_video_filmed_upright_is_turned_upright(tmp_path: Path) -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32] = 255  # upper left
    path = write_video(tmp_path / "a.mp4", [image] * 5)
    data = path.read_bytes()
    matrix = data.index(b"tkhd") + 44  # version 0: behind four bytes of kind and 40 of other fields
    assert data[matrix : matrix + 4] == b"\0\1\0\0"
    one, minus, zero, w = b"\0\1\0\0", b"\xff\xff\0\0", b"\0\0\0\0", b"\x40\0\0\0"
    clockwise = zero + one + zero + minus + zero + zero + zero + zero + w
    path.write_bytes(data[:matrix] + clockwise + data[matrix + 36 :])
    turned = next(iter(open_frames(path).read(Anchor(), count=1, warmup_s=0))).image
    assert turned.shape == (64, 48, 3)
    assert turned[:28, 28:].mean() > 200, "upper left turns to upper right"
    assert turned[:28, :20].mean() < 50


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist"), (b"", "as a video.*0 bytes"), (b"text, no video\n" * 50, "as a video")],
)
def test_what_is_no_video_is_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_frames(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no images"):
        open_frames(tmp_path / "empty")
