"""Queries that are not in any gallery: pictures of a person, or a box in a video at a moment.

They are embedded as the gallery was, by the checkpoint that embedded it; another one is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from xreid.core.embeddings import require_same_origin
from xreid.core.errors import ConfigError, DataError, ProtocolError
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.retrieval.crops import XYWH, Cutter, as_jpeg
from xreid.retrieval.engine import Vectors
from xreid.retrieval.follow_box import follow_box
from xreid.retrieval.frames import Anchor, Frame, FrameSource, Image, open_frames
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.queries import Query
from xreid.retrieval.spectrum import chroma, spectrum_from

if TYPE_CHECKING:
    from xreid.inference.checkpoint import LoadedModel

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_MOST_CROPS = 40
_FLOW_WIDTH = 640  # pixels that frames are shrunk to for following
_CUTTER = Cutter(margin=0.05, min_height=16)


@dataclass(frozen=True, kw_only=True)
class SeenBy:
    """What is known about where a query comes from.

    Attributes:
        camera: The camera's name, in the gallery's numbering.
        start_s: Time of the video's first frame, or of the picture; Unix seconds.
        modality: The spectrum; None finds it from the pixels.
    """

    camera: str | None = None
    start_s: float | None = None
    modality: Modality | None = None


def query_from_pictures(
    gallery: Gallery, model: LoadedModel, path: Path, *, seen: SeenBy | None = None
) -> Query:
    """A query from a picture of a person, cut out, or from a folder of pictures of one person.

    Raises:
        DataError: There is no picture, or one cannot be read.
        ProtocolError: The model did not embed the gallery.
    """
    seen = seen or SeenBy()
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES)
    if not files or not all(file.is_file() for file in files):
        raise DataError(f"there is no picture at {path}", expected="a picture, or a folder of pictures")
    images = [cv2.imread(str(file), cv2.IMREAD_COLOR) for file in files]
    broken = [file for file, image in zip(files, images, strict=True) if image is None]
    if broken:
        raise DataError(f"cannot read {broken[0]} as a picture", todo="Remove it, or convert it to JPEG.")
    spectrum = spectrum_from(
        [chroma(np.asarray(image, dtype=np.uint8)) for image in images if image is not None]
    )
    row = Tracklet(
        name=path.stem or "picture",
        frames=tuple(str(file.absolute()) for file in files),
        modality=seen.modality or spectrum.modality,
        modality_confidence=None if seen.modality else spectrum.confidence,
        camera=seen.camera,
        start_s=seen.start_s,
        end_s=seen.start_s,
    )
    root = path.parent.absolute()
    return Query(tracklet=row, root=root, vector=embed_like(gallery, model, [row], root)[0])


def query_from_video(
    gallery: Gallery,
    model: LoadedModel,
    video: Path,
    *,
    at_s: float,
    box: XYWH,
    folder: Path,
    seen: SeenBy | None = None,
    seconds: float = 2.0,
) -> Query:
    """A query from a box in a video: the person is followed before and after that moment, cut and embedded.

    Args:
        gallery: What will be searched.
        model: The model that embedded it.
        video: The file, or a folder of images.
        at_s: Seconds since the first frame.
        box: left, top, width, height in pixels of the frame at that moment.
        folder: Where the crops are written, under a folder of the query's name.
        seen: What is known of the camera and the time.
        seconds: How far to follow, each way.

    Raises:
        ConfigError: The box lies outside of the frame or is too small, or the moment after the end.
        DataError: The video cannot be read.
        ProtocolError: The model did not embed the gallery.
    """
    seen = seen or SeenBy()
    frames = _frames_around(open_frames(video), at_s=at_s, seconds=seconds)
    middle = _frame_at(frames, at_s, video)
    cut = _followed(frames, middle, box)
    name = f"{video.stem}-{at_s:g}s"
    crops, files = (folder / name).absolute(), list[Path]()
    crops.mkdir(parents=True, exist_ok=True)
    for number in _spread(sorted(cut), _MOST_CROPS):
        files.append(crops / f"{number + 1:06d}.jpg")
        files[-1].write_bytes(as_jpeg(_CUTTER.cut(frames[number].image, cut[number])))
    spectrum = spectrum_from([chroma(frames[number].image) for number in sorted(cut)])
    start = seen.start_s or 0.0
    row = Tracklet(
        name=name,
        frames=tuple(str(file) for file in files),
        modality=seen.modality or spectrum.modality,
        modality_confidence=None if seen.modality else spectrum.confidence,
        camera=seen.camera,
        start_s=round(start + frames[min(cut)].time_s, 3),
        end_s=round(start + frames[max(cut)].time_s, 3),
        source=str(video),
    )
    return Query(tracklet=row, root=crops, vector=embed_like(gallery, model, [row], crops)[0])


def embed_like(gallery: Gallery, model: LoadedModel, rows: Sequence[Tracklet], root: Path) -> Vectors:
    """The vectors of tracklets, made as the gallery's were; float32 [N, D] of unit length.

    Raises:
        ProtocolError: The gallery is empty, or another model embedded it.
        DataError: A frame cannot be read.
    """
    from xreid.inference.embed import EmbedConfig, Embedder

    origin = gallery.origin
    if origin is None:
        raise ProtocolError(f"{gallery.address} is empty", todo="Append embeddings first.")
    table = TrackletTable(root=root, rows=tuple(rows))
    embedder = Embedder(model, table, config=EmbedConfig.of(origin))
    require_same_origin(origin, embedder.origin)
    return embedder.embed(range(len(rows)))


def _frames_around(source: FrameSource, *, at_s: float, seconds: float) -> list[Frame]:
    """The frames from `seconds` before to `seconds` after a moment."""
    if at_s < 0:
        raise ConfigError("--at lies before the video", expected="seconds from 0", got=f"{at_s:g}")
    from_s = max(0.0, at_s - seconds)
    number = int(from_s * source.fps) + 1
    pts = None
    if number > 1 and hasattr(source, "time_base"):
        pts = int(getattr(source, "start", 0) + from_s / source.time_base) - 1
    count = int((at_s - from_s + seconds) * source.fps) + 2
    return list(source.read(Anchor(number=number, pts=pts), count=count, warmup_s=0))


def _frame_at(frames: Sequence[Frame], at_s: float, video: Path) -> int:
    """Which frame shows the moment."""
    if not frames or at_s > frames[-1].time_s + 1:
        raise ConfigError(
            f"--at {at_s:g} lies after the end of {video}", todo="Name seconds since its start."
        )
    return min(range(len(frames)), key=lambda i: abs(frames[i].time_s - at_s))


def _followed(frames: Sequence[Frame], middle: int, box: XYWH) -> dict[int, XYWH]:
    """Boxes by place in `frames`, as far as the person could be followed both ways."""
    image = frames[middle].image
    if _CUTTER.clip(image, box) is None:
        raise ConfigError(
            "--box is no person in that frame",
            expected=f"x,y,w,h inside {image.shape[1]} x {image.shape[0]} pixels, 16 high or more",
            got=",".join(f"{value:g}" for value in box),
        )
    scale = min(1.0, _FLOW_WIDTH / image.shape[1])
    small: XYWH = (box[0] * scale, box[1] * scale, box[2] * scale, box[3] * scale)
    greys = [_grey(frame.image, scale) for frame in frames]
    after = follow_box(greys[middle:], small)
    before = follow_box(greys[middle::-1], small)
    places = {middle + i: one for i, one in enumerate(after)} | {
        middle - i: one for i, one in enumerate(before)
    }
    found: dict[int, XYWH] = {}
    for place, one in places.items():
        if one is not None:
            whole = (one[0] / scale, one[1] / scale, one[2] / scale, one[3] / scale)
            inside = _CUTTER.clip(frames[place].image, whole)
            if inside is not None:
                found[place] = inside
    return found


def _grey(image: Image, scale: float) -> Image:
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(grey, dtype=np.uint8)


def _spread(places: Sequence[int], most: int) -> list[int]:
    """At most that many of them, evenly."""
    if len(places) <= most:
        return list(places)
    return [places[(2 * i + 1) * len(places) // (2 * most)] for i in range(most)]
