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
        detector: auto (a network whose weights lie on this machine, else motion), motion (fixed camera, no
            weights), hog (single images, no weights), transformers:MODEL (a folder or a name of the hub), or
            torchvision:MODEL.
        weights: State of the torchvision model; none takes torchvision's own, downloaded once.
        min_score: Least score of a network's box; none takes the network's own.
        device: Where a network runs: auto, cpu, cuda or cuda:N.
        tracker: ocsort or bytetrack, of the library `trackers`.
        stills: Frames are far apart in time: every detection is a tracklet of its own, without a time.
        modality: vis, ir, or auto: infrared where the frames are grey or tinted; tracklets end at a change.
        camera: Name of the camera, in one numbering for both modalities.
        place: Where the camera stands, in words.
        start: Time of the first frame, ISO 8601; none: as the file's name or container says, else times count
            from 0.
        time_zone: Zone of times that name none, e.g. Europe/Berlin.
        fps: Frame rate of a folder of images (default 10), or of a video that names none.
        every: Use every n-th frame.
        batch: Frames that a detector looks at together; changes what a network finds by rounding only.
        min_frames: Shorter tracklets are kept apart, in the folder short (with --stills the least is 1).
        min_height: Boxes lower than this many pixels are left out.
        margin: Added to each side of a box, as a share of its size.
        max_gap_s: Seconds without detection after which a track ends.
        checkpoint: A trained run; with it tracks are split where its embeddings say that the person changes.
        switch_score: Cosine below which two sides of a track are two people; none takes the calibration's.
        join: With a checkpoint, tracks that break off and go on are one tracklet where place and looks agree.
        join_score: Cosine above which two such tracks are one person; none takes the calibration's threshold.
        segment_frames: A killed ingest goes on from the last multiple of this.
    """

    tracks: Path | None = None
    detector: str = "auto"
    weights: Path | None = None
    min_score: float | None = None
    device: str = "cpu"
    tracker: Literal["ocsort", "bytetrack"] = "ocsort"
    stills: bool = False
    modality: Literal["auto", "vis", "ir"] = "auto"
    camera: str | None = None
    place: str | None = None
    start: str | None = None
    time_zone: str | None = None
    fps: float | None = None
    every: int = 1
    batch: int = 8
    min_frames: int = 8
    min_height: int = 32
    margin: float = 0.05
    max_gap_s: float = 1.0
    checkpoint: Path | None = None
    switch_score: float | None = None
    join: bool = True
    join_score: float | None = None
    segment_frames: int = 15_000

    def __post_init__(self) -> None:
        from xreid.retrieval.detections import check_detector_name

        least = {"every": 1, "batch": 1, "min_frames": 1, "min_height": 2, "segment_frames": 100}
        for name, low in least.items():
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
        if self.min_score is not None and not 0 < self.min_score < 1:
            raise ConfigError("min_score is out of range", expected="0 < score < 1", got=str(self.min_score))
        for name in ("switch_score", "join_score"):
            score = getattr(self, name)
            if score is not None and not -1 <= score <= 1:
                raise ConfigError(f"{name} is no cosine", expected="-1 to 1", got=str(score))
            if score is not None and self.checkpoint is None:
                raise ConfigError(f"--{name} needs a model", todo="Give --checkpoint RUN.")
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise ConfigError("fps is out of range", expected="more than 0, up to 1000", got=str(self.fps))
        for name in ("camera", "place"):
            if (value := getattr(self, name)) is not None and not value.strip():
                raise ConfigError(f"the {name} has an empty name", todo="Name it, or leave the option out.")
        check_detector_name(self.detector)
        self.start_unix()

    def start_unix(self) -> float | None:
        """Unix time of the first frame, or None.

        Raises:
            ConfigError: `start` is no time, or a local one without `time_zone`.
        """
        if self.start is None:
            return None
        return parse_time(self.start, option="start", time_zone=self.time_zone)


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How recordings are found and named.

    Attributes:
        pattern: Which files of a folder, e.g. "**/*.mp4"; default every video in it, at any depth.
        name_pattern: What file names say, e.g. "{camera}_{start:%Y%m%dT%H%M%S}"; also of the path below the
            folder, where it holds a "/". Default: names such as cam3_20261120T213000Z.
    """

    pattern: str = ""
    name_pattern: str = ""


@dataclass(frozen=True, kw_only=True)
class LiveOptions:
    """How live cameras are recorded.

    Attributes:
        roll_s: Seconds of a rolling file: what is seen is in the tables when it is full and ingested.
        for_s: Stop after so many seconds; none: until SIGTERM or Ctrl-C.
        keep_video: Keep the files; without them an answer shows the crops only.
        video_gb: Most that OUT/video may hold; default nine tenths of what is free at the start. Beyond it
            the oldest files go: first unreadable ones, then those that are ingested, then those that wait.
        keep_days: Days that pictures and video are kept after a tracklet's end, of recorded footage as well;
            without footage, OUT --keep_days N only removes what is older. Default: for ever.
    """

    roll_s: float = 300.0
    for_s: float | None = None
    keep_video: bool = True
    video_gb: float | None = None
    keep_days: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.roll_s <= 3600:
            raise ConfigError("roll_s is out of range", expected="1 to 3600 seconds", got=str(self.roll_s))
        if self.for_s is not None and self.for_s <= 0:
            raise ConfigError("for_s is out of range", expected="more than 0", got=str(self.for_s))
        if self.video_gb is not None and not 0 < self.video_gb < 1e9:
            raise ConfigError("video_gb is out of range", expected="more than 0", got=str(self.video_gb))
        if self.keep_days is not None and not 0.1 <= self.keep_days <= 36_500:
            raise ConfigError("keep_days is out of range", expected="0.1 to 36500", got=str(self.keep_days))


def parse_time(text: str, *, option: str, time_zone: str | None = "UTC", what: str = "") -> float:
    """Seconds: a plain number, or the Unix time of an ISO 8601 time.

    Args:
        text: The number or time.
        option: The option's name, for the message.
        time_zone: Zone of a time that names none; with None such a time is refused.
        what: Begins the message of that refusal; default the option.

    Raises:
        ConfigError: It is neither, or a local time without a zone.
    """
    try:
        seconds = _seconds(text, time_zone, what=what or f"--{option}")
        if not abs(seconds) < _LATEST_S:  # also true for NaN
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"--{option} is no time",
            expected="ISO 8601, e.g. 2026-11-20T21:30:00+01:00, or seconds",
            got=text,
        ) from None
    return seconds


def _seconds(text: str, time_zone: str | None, *, what: str) -> float:
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None and time_zone == "UTC":
            return moment.replace(tzinfo=UTC).timestamp()
    from xreid.retrieval.names_of_files import unix_time

    return unix_time(moment, time_zone=time_zone, what=what)


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
        short: Tracklets that are too short, kept apart.
        too_short: Given tracks left out as too short (--tracks).
        too_small: Boxes left out as too low, or outside the picture.
        unstable: Boxes left out as a moment's jump in size.
        switches: Changes between visible and infrared within the recording.
        person_switches: Places where tracks were split because another person began.
        person_joins: Tracks that go on from one that broke off, joined to it.
        low_quality: Tracklets of a quality below 0.4; written, and marked by it.
        unmoved: Those of them that never move, so that they are most likely things; their quality is 0.
        beyond_end: Rows of the tracks file for frames that the video does not have.
        unconfirmed: Rows of the tracks file without a track number.
        ignored: Ground-truth rows of the tracks file that do not count.
        dropped: Live recordings that were removed before they were ingested, since the disk share was full.
    """

    tracklets: int = 0
    visible: int = 0
    crops: int = 0
    frames: int = 0
    damaged: int = 0
    concealed: int = 0
    missing: int = 0
    short: int = 0
    too_short: int = 0
    too_small: int = 0
    unstable: int = 0
    switches: int = 0
    person_switches: int = 0
    person_joins: int = 0
    low_quality: int = 0
    unmoved: int = 0
    beyond_end: int = 0
    unconfirmed: int = 0
    ignored: int = 0
    dropped: int = 0

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
            "dropped": "live recordings removed before they were ingested: --video_gb was reached",
        }
        return {text: getattr(self, name) for name, text in words.items() if getattr(self, name)}

    def remarks(self) -> dict[str, int]:
        """Counts of what was done to the tracklets, where they are not 0, in words."""
        words = {
            "switches": "changes between visible and infrared",
            "person_switches": "tracks split where another person begins",
            "person_joins": "tracks joined to one that broke off before",
            "low_quality": "tracklets of low quality",
            "unmoved": "of them never move: most likely things (quality 0)",
            "short": "more tracklets too short, kept apart in the folder short",
        }
        return {text: getattr(self, name) for name, text in words.items() if getattr(self, name)}
