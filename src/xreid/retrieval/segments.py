"""One stretch of a video -> the crops of its tracklets; a pure function of source, options and anchor.

A stretch starts with a fresh tracker, warmed up on the ten seconds before it, and with the background as it
was learnt before. Whoever is followed over its beginning goes on as the tracklet that has these boxes
(`bridge`). So an ingest that was killed gives, started again, the same files as one that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any

from xreid.retrieval.bridge import Bridge, Known
from xreid.retrieval.crops import XYWH, Crop, CropWriter, Cutter, as_jpeg
from xreid.retrieval.detections import Boxes, Detector, Learns, LooksAhead, State, build_detector
from xreid.retrieval.first_seconds import LOOK_AHEAD_S, SAMPLES
from xreid.retrieval.frames import Anchor, Frame, FrameSource, Image
from xreid.retrieval.ingest_config import IngestConfig
from xreid.retrieval.mot import Tracks
from xreid.retrieval.quality import hidden_of, sharpness_of
from xreid.retrieval.spectrum import chroma
from xreid.retrieval.tracking import SizeGate, Tracker

WARMUP_S = 10.0
_TELL_EVERY = 10
_FORGET_EVERY = 200

Seen = tuple[int, XYWH, float]  # track, box, score
Follower = Callable[[Sequence[Frame]], list[list[Seen]]]


@dataclass(frozen=True, kw_only=True)
class Segment:
    """What a stretch gave.

    Attributes:
        next: Where the following stretch starts.
        ended: It was the last one.
        next_id: First free number for detected tracklets.
        counts: Fields of IngestReport that add up over stretches.
        tracklets: The boxes of each tracklet; their crops lie on disk.
        short: Those of tracklets that are too short; their crops lie apart (`crops.SHORT`).
        chromas: Number and chroma (see `spectrum`) of every frame that was used.
        last_s: Seconds of the last frame.
        continues: Tracklets that go on from the file before (see `bridge`).
    """

    next: Anchor
    ended: bool
    next_id: int
    counts: dict[str, int] = field(default_factory=dict)
    tracklets: dict[str, list[Crop]] = field(default_factory=dict)
    short: dict[str, list[Crop]] = field(default_factory=dict)
    chromas: list[tuple[int, float]] = field(default_factory=list)
    last_s: float = 0.0
    continues: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        crops = {"tracklets": _rows(self.tracklets), "short": _rows(self.short)}
        return {**vars(self), "next": asdict(self.next), **crops}  # asdict(self) would copy every crop

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Segment:
        """From plain values."""
        crops = {name: _crops(value.get(name, {})) for name in ("tracklets", "short")}
        return cls(**{**value, "next": Anchor(**value["next"]), **crops})


_VALUES = [name for name in Crop.__dataclass_fields__ if name != "jpeg"]
_values = attrgetter(*_VALUES)


def _rows(tracklets: dict[str, list[Crop]]) -> dict[str, list[list[float]]]:
    return {key: [list(_values(crop)) for crop in crops] for key, crops in tracklets.items()}


def _crops(tracklets: dict[str, list[list[float]]]) -> dict[str, list[Crop]]:
    return {
        key: [Crop(**dict(zip(_VALUES, row, strict=True))) for row in rows]  # type: ignore[arg-type]
        for key, rows in tracklets.items()
    }


@dataclass(frozen=True, kw_only=True)
class SegmentJob:
    """What stretches are cut with.

    Attributes:
        source: The video.
        config: Options.
        tracks: Given tracks, or None to detect and track.
        out: Folder of the ingest.
        prefix: Start of the tracklets' names.
        tell: Called with the number of the frame just done.
        goes_on: The next file of the camera begins where this one ends.
    """

    source: FrameSource
    config: IngestConfig
    tracks: Tracks | None
    out: Path
    prefix: str
    tell: Callable[[int], None]
    goes_on: bool = False

    @property
    def follows(self) -> bool:
        """Whether tracks are made here: then tracklets end with the stretch."""
        return self.tracks is None and not self.config.stills

    def run(
        self, anchor: Anchor, *, first_id: int, known: Known | None = None, state: State | None = None
    ) -> tuple[Segment, State]:
        """Cut the stretch that starts at the anchor.

        Args:
            anchor: Where it starts.
            first_id: Detected tracklets are numbered from it.
            known: Boxes, in the seconds before, of the tracklets that are open there.
            state: What the detector had learnt there.

        Returns:
            What was found, and what the detector has learnt.
        """
        config = self.config
        reading = self.source.read(
            anchor, count=config.segment_frames, warmup_s=WARMUP_S if self.follows else 0.0
        )
        cutting = _Cutting(self, first_id=first_id, known=known or {}, state=state, first=anchor.number == 1)
        for frames in _batches(_every(reading, config.every), config.batch):
            cutting.take(frames)
            last = frames[-1].number
            if last is not None and last % _TELL_EVERY < config.batch:
                self.tell(last)
        cutting.close(cut=self.goes_on or not reading.ended)
        self.tell(reading.next.number - 1)
        counts = {
            "frames": reading.next.number - anchor.number,
            "damaged": reading.damaged,
            "concealed": reading.concealed,
            "too_small": cutting.too_small,
            "unstable": cutting.gate.dropped,
        }
        segment = Segment(
            next=reading.next,
            ended=reading.ended,
            next_id=cutting.next_id,
            counts=counts,
            tracklets={name: crops for name, crops in cutting.writer.written.items() if crops},
            short=cutting.writer.short,
            chromas=cutting.chromas,
            last_s=cutting.last_s,
            continues=cutting.continues,
        )
        return segment, cutting.learnt()

    def follower(self, detector: Detector | None) -> Follower:
        """What finds the people of each frame, fresh."""
        if detector is None:
            assert self.tracks is not None
            return _Given(self.tracks)
        config = self.config
        if config.stills:
            return _Alone(detector)
        fps = self.source.fps / config.every
        return _Followed(detector, Tracker(config.tracker, fps=fps, max_gap_s=config.max_gap_s))

    def first_seconds(self) -> Iterator[Image]:
        """Some frames of the first seconds, one after the other."""
        count = max(1, round(LOOK_AHEAD_S * self.source.fps))
        step = max(1, count // SAMPLES)
        reading = self.source.read(Anchor(), count=count, warmup_s=0.0)
        return (frame.image for frame in islice(reading, 0, None, step))

    def detector(self) -> Detector | None:
        """A fresh one; None where tracks are given."""
        if self.tracks is not None:
            return None
        config = self.config
        return build_detector(
            config.detector,
            source=self.source,
            every=config.every,
            stills=config.stills,
            weights=config.weights,
            device=config.device,
            min_score=config.min_score,
        )


class _Cutting:
    """The state of one stretch: what follows people, what holds their crops."""

    def __init__(
        self, job: SegmentJob, *, first_id: int, known: Known, state: State | None, first: bool
    ) -> None:
        config = job.config
        self.job, self.next_id, self.too_small, self.last_s = job, first_id, 0, 0.0
        self.chromas: list[tuple[int, float]] = []
        self.bridge, self.foreign, self.warm = Bridge(known), first, True
        self.continues: dict[str, str] = {}
        self.detector = job.detector()
        if state is not None and isinstance(self.detector, Learns):
            self.detector.restore(state)
        elif first and isinstance(self.detector, LooksAhead) and job.follows:
            self.detector.look_ahead(job.first_seconds())
        self.follow = job.follower(self.detector)
        self.gate = SizeGate(fps=job.source.fps / config.every)
        self.cutter = Cutter(margin=config.margin, min_height=config.min_height)
        least = config.min_frames if job.follows else 1
        self.writer = CropWriter(job.out, min_frames=least, name_of=self._name)
        # A piece not seen for twice the tracker's patience has ended.
        self.patience = config.every + round(2 * max(config.max_gap_s, 1.0) * job.source.fps)

    def take(self, frames: Sequence[Frame]) -> None:
        """Cut the people of some frames; of a warm-up frame, only follow them."""
        for frame, seen in zip(frames, self.follow(frames), strict=True):
            if frame.number is None:
                self._follow(frame, seen)
                continue
            if self.warm:
                self._begin()
            self._cut(frame, frame.number, seen)

    def learnt(self) -> State:
        """What the detector has learnt; empty for one that learns nothing."""
        return self.detector.state() if isinstance(self.detector, Learns) else {}

    def _follow(self, frame: Frame, seen: Sequence[Seen]) -> None:
        """A frame of the warm-up: whose boxes are these?"""
        for track, box, score in seen if self.job.follows else ():
            if (inside := self.cutter.clip(frame.image, box)) is not None:
                x, y, width, height = inside
                crop = Crop(
                    frame=0, x=x, y=y, width=width, height=height, score=score, time_s=frame.time_s, chroma=0
                )
                for piece, kept in self.gate.push(track, crop):
                    self.bridge.see(piece, kept)

    def _begin(self) -> None:
        """The warm-up is over: pieces that are known go on as the tracklets they are."""
        self.warm, self.gate.dropped = False, 0
        for piece, name in self.bridge.names().items():
            own = self._name(piece) if self.foreign else name
            self.writer.go_on(piece, own)
            if self.foreign:
                self.continues[own] = name

    def _cut(self, frame: Frame, number: int, seen: Sequence[Seen]) -> None:
        colour, self.last_s = round(chroma(frame.image), 3), frame.time_s
        self.chromas.append((number, colour))
        clipped = [(track, self.cutter.clip(frame.image, box), score) for track, box, score in seen]
        inside = [(track, box, score) for track, box, score in clipped if box is not None]
        self.too_small += len(seen) - len(inside)
        hidden = hidden_of([box for _, box, _ in inside], size=frame.image.shape[:2])
        for (track, box, score), share in zip(inside, hidden, strict=True):
            crop = self._crop(frame, number, box, score=score, colour=colour, hidden=share)
            for key, kept in self.gate.push(track, crop) if self.job.follows else [(track, crop)]:
                if kept.frame:  # boxes in doubt since the warm-up are of the stretch before
                    self.writer.add(key, kept)
        if number % _FORGET_EVERY == 0:
            self.writer.forget(before=number - self.patience)

    def close(self, *, cut: bool) -> None:
        """No frame follows here; with `cut` they follow in the next stretch or file."""
        self.gate.close()
        if cut and self.job.follows:
            self.writer.release(since=self.last_s - self.job.config.max_gap_s)
        self.writer.close()

    def _crop(
        self, frame: Frame, number: int, box: XYWH, *, score: float, colour: float, hidden: float
    ) -> Crop:
        x, y, width, height = box
        picture = self.cutter.cut(frame.image, box)
        return Crop(
            frame=number,
            x=x,
            y=y,
            width=width,
            height=height,
            score=score,
            time_s=frame.time_s,
            chroma=colour,
            sharpness=sharpness_of(picture),
            hidden=hidden,
            jpeg=as_jpeg(picture),
        )

    def _name(self, key: int) -> str:
        number = key
        if self.job.tracks is None:
            number, self.next_id = self.next_id, self.next_id + 1
        return f"{self.job.prefix}-{number:04d}"


class _Given:
    """Boxes of a MOT file."""

    def __init__(self, tracks: Tracks) -> None:
        self.tracks = tracks

    def __call__(self, frames: Sequence[Frame]) -> list[list[Seen]]:
        return [
            [(b.track, (b.x, b.y, b.width, b.height), b.score) for b in self.tracks.by_frame.get(number, [])]
            for number in (frame.number or 0 for frame in frames)
        ]


class _Alone:
    """Every detection for itself."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.count = 0

    def __call__(self, frames: Sequence[Frame]) -> list[list[Seen]]:
        found = [[_xywh(box) for box in boxes] for boxes in _detect(self.detector, frames)]
        seen = []
        for boxes in found:
            seen.append([(self.count + i, *box) for i, box in enumerate(boxes)])
            self.count += len(boxes)
        return seen


class _Followed:
    """Detections, followed from frame to frame."""

    def __init__(self, detector: Detector, tracker: Tracker) -> None:
        self.detector, self.tracker = detector, tracker

    def __call__(self, frames: Sequence[Frame]) -> list[list[Seen]]:
        return [
            [(track, *_xywh(box)) for track, box in self.tracker(boxes)]
            for boxes in _detect(self.detector, frames)
        ]


def _detect(detector: Detector, frames: Sequence[Frame]) -> list[Boxes]:
    return detector([frame.image for frame in frames])


def _xywh(box: Boxes) -> tuple[XYWH, float]:
    left, top, right, bottom, score = (float(value) for value in box)
    return (left, top, right - left, bottom - top), score


def _every(frames: Iterable[Frame], step: int) -> Iterator[Frame]:
    for place, frame in enumerate(frames):
        number = place if frame.number is None else frame.number - 1
        if number % step == 0:
            yield frame


def _batches(frames: Iterator[Frame], size: int) -> Iterator[list[Frame]]:
    """Up to `size` frames at a time."""
    while batch := list(islice(frames, size)):
        yield batch
