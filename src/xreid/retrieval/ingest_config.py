"""Options and result of an ingest; imports nothing heavy, so that the command line starts quickly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from xreid.core.errors import ConfigError

_LONGEST_GAP_S = 3600
_LATEST_S = 250_000_000_000  # in the year 9892; dates end with 9999


@dataclass(frozen=True, kw_only=True)
class IngestConfig:
    """How tracklets are cut from a video.

    Attributes:
        tracks: MOT-format tracks (frame,id,x,y,w,h,conf,...; counted from 1); none: detect and track here.
        detector: motion (fixed camera, no weights), hog (single images, no weights), or torchvision:MODEL.
        weights: State of the torchvision model; none takes torchvision's own, downloaded once.
        device: Where a torchvision model runs: auto, cpu, cuda or cuda:N.
        tracker: ocsort or bytetrack, of the library `trackers`.
        stills: Frames are far apart in time: every detection is a tracklet of its own, without a time.
        modality: vis, ir, or auto: infrared where the frames are grey (per tracklet).
        camera: Name of the camera, in one numbering for both modalities.
        start: Time of the first frame, ISO 8601 (UTC where it names no zone); none: times count from 0.
        fps: Frame rate of a folder of images (default 10), or of a video that names none.
        every: Use every n-th frame.
        min_frames: Shorter tracklets are left out (with --stills the least is 1).
        min_height: Boxes lower than this many pixels are left out.
        margin: Added to each side of a box, as a share of its size.
        max_gap_s: Seconds without detection after which a track ends.
        segment_frames: A killed ingest goes on from the last multiple of this; detected tracks end there.
    """

    tracks: Path | None = None
    detector: str = "motion"
    weights: Path | None = None
    device: str = "cpu"
    tracker: Literal["ocsort", "bytetrack"] = "ocsort"
    stills: bool = False
    modality: Literal["auto", "vis", "ir"] = "auto"
    camera: str | None = None
    start: str | None = None
    fps: float | None = None
    every: int = 1
    min_frames: int = 8
    min_height: int = 32
    margin: float = 0.05
    max_gap_s: float = 1.0
    segment_frames: int = 15_000

    def __post_init__(self) -> None:
        from xreid.retrieval.detections import check_detector_name

        for name, low in (("every", 1), ("min_frames", 1), ("min_height", 2), ("segment_frames", 100)):
            if getattr(self, name) < low:
                raise ConfigError(
                    f"{name} is out of range", expected=f"{low} or more", got=str(getattr(self, name))
                )
        if not 0 <= self.margin <= 1:
            raise ConfigError("margin is out of range", expected="0 to 1", got=str(self.margin))
        if not 0 <= self.max_gap_s <= _LONGEST_GAP_S:
            raise ConfigError(
                "max_gap_s is out of range", expected=f"0 to {_LONGEST_GAP_S:,}", got=str(self.max_gap_s)
            )
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise ConfigError("fps is out of range", expected="more than 0, up to 1000", got=str(self.fps))
        if self.camera is not None and not self.camera.strip():
            raise ConfigError("the camera has an empty name", todo="Name it, or leave the option out.")
        check_detector_name(self.detector)
        self.start_unix()

    def start_unix(self) -> float | None:
        """Unix time of the first frame, or None.

        Raises:
            ConfigError: `start` is no time.
        """
        return None if self.start is None else parse_time(self.start, option="start")


def parse_time(text: str, *, option: str) -> float:
    """Seconds: a plain number, or the Unix time of an ISO 8601 time (UTC where it names no zone).

    Raises:
        ConfigError: It is neither.
    """
    try:
        seconds = _seconds(text)
        if not abs(seconds) < _LATEST_S:  # also true for NaN
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"--{option} is no time",
            expected="ISO 8601, e.g. 2026-11-20T21:30:00+01:00, or seconds",
            got=text,
        ) from None
    return seconds


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@dataclass(frozen=True, kw_only=True)
class IngestReport:
    """What an ingest found and left out.

    Attributes:
        tracklets: Tracklets written.
        visible: Those of them that are visible.
        crops: Pictures written.
        frames: Frames decoded.
        damaged: Frames that could not be decoded.
        concealed: Frames that the decoder had to repair; used.
        missing: Frames that the container states beyond those found: a truncated or damaged file.
        too_short: Tracklets left out as too short.
        too_small: Boxes left out as too low, or outside the picture.
        unstable: Boxes left out as a moment's jump in size.
        beyond_end: Rows of the tracks file for frames that the video does not have.
        unconfirmed: Rows of the tracks file without a track number.
        ignored: Ground-truth rows of the tracks file that do not count.
    """

    tracklets: int = 0
    visible: int = 0
    crops: int = 0
    frames: int = 0
    damaged: int = 0
    concealed: int = 0
    missing: int = 0
    too_short: int = 0
    too_small: int = 0
    unstable: int = 0
    beyond_end: int = 0
    unconfirmed: int = 0
    ignored: int = 0

    def left_out(self) -> dict[str, int]:
        """The counts that a user should know of, where they are not 0, in words."""
        words = {
            "damaged": "damaged frames skipped",
            "concealed": "damaged frames repaired by the decoder",
            "missing": "frames stated by the file but not there",
            "too_short": "tracklets too short",
            "too_small": "boxes too small or outside the picture",
            "unstable": "boxes that jumped in size",
            "beyond_end": "track rows beyond the last frame",
            "unconfirmed": "track rows without a track number",
            "ignored": "ground-truth rows that do not count",
        }
        return {text: getattr(self, name) for name, text in words.items() if getattr(self, name)}
