"""The moment of a tracklet in the recording it was cut from: the whole picture, with the person's box drawn.

Only recordings that `xreid ingest` wrote down (moments.parquet), and of those only what lies in the folders
that the operator allowed. They are decoded as uploads are: by their first bytes, in a confined process.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageDraw

from xreid.core.errors import DataError, XReidError
from xreid.retrieval.crops import XYWH
from xreid.retrieval.image_folder import FolderFrames
from xreid.retrieval.moments import Moment
from xreid.serving.clips import Clips, EmptyError, Strip
from xreid.serving.config import Limits
from xreid.serving.decoding import Decoded, decode
from xreid.serving.ids import Busy
from xreid.serving.problems import Refusal
from xreid.serving.sniff import HEAD_BYTES, Kind, kind_of

_CLIP_HEIGHT, _MOST_FRAMES, _FPS = 540, 150, 10.0
_SOON_S = 0.002  # offsets are written down in milliseconds
_COLOUR, _AROUND = (255, 170, 0), (0, 0, 0)


class Footage:
    """Shows moments of recordings.

    Args:
        folders: What may be shown lies in one of these.
        work: Folder for temporary files.
        clips: Keeps the clips.
        limits: The server's.
    """

    def __init__(self, folders: Sequence[Path], *, work: Path, clips: Clips, limits: Limits) -> None:
        self.folders = tuple(folder.resolve() for folder in folders)
        self.work, self.clips, self.limits = work, clips, limits
        self._decoding = Busy("a decoder", waiting=8)
        try:
            work.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise XReidError(f"cannot write {work}: {error.strerror}") from error
        for stray in work.iterdir():
            shutil.rmtree(stray, ignore_errors=True)  # left by a kill

    def file_of(self, moment: Moment) -> Path:
        """The file that shows a moment: the recording, or one picture of a folder of them.

        Raises:
            Refusal: 409: it is none that may be shown, or not there any more.
        """
        found = self._inside(moment.source)
        if found.is_dir():
            try:
                files = FolderFrames(found).files
            except DataError:
                files = []
            if not 1 <= moment.frame <= len(files):
                raise _gone()
            return self._inside(str(files[moment.frame - 1]))
        return found

    def why_not(self, moment: Moment) -> str:
        """Why a moment cannot be shown; "" where it can."""
        try:
            _kind(self.file_of(moment))
        except Refusal as refusal:
            return refusal.what
        return ""

    def picture(self, moment: Moment, *, height: int) -> bytes:
        """The whole picture with the box, JPEG.

        Raises:
            Refusal: 409: it cannot be shown; 413 and 422: it cannot be decoded.
        """
        at = max(0.0, (moment.offset_s or 0.0) - _SOON_S)
        room = Path(tempfile.mkdtemp(dir=self.work))
        try:
            asked = {"from_s": at, "to_s": at, "frames": 1, "height": height}
            seen = self._decoded(self.file_of(moment), room, **asked)
            if not seen.files:
                raise _gone()
            image = _opened(room / seen.files[0])
            _draw(image, moment.box, of_height=seen.height)
            return _jpeg(image)
        finally:
            shutil.rmtree(room, ignore_errors=True)

    def clip(self, moment: Moment, around: Sequence[Moment], *, seconds: float) -> Path:
        """A clip of the recording around a moment, MP4; the box follows the person while it is known.

        Args:
            moment: The middle.
            around: All moments of the tracklet.
            seconds: Length.

        Raises:
            Refusal: 409: it cannot be shown; 413 and 422: it cannot be decoded.
        """
        path = self.file_of(moment)
        if moment.offset_s is None or _kind(path).what != "video":
            raise Refusal(409, "single pictures make no clip", todo="Ask for the picture (moment.jpg).")
        start = max(0.0, moment.offset_s - seconds / 2)
        known = sorted((m.offset_s, m.box) for m in around if m.offset_s is not None)
        stamp = path.stat()
        facts = (str(path), stamp.st_mtime_ns, stamp.st_size, start, seconds, known)
        key = hashlib.sha256(repr(facts).encode()).hexdigest()[:32]

        try:
            return self.clips.kept(
                key, lambda: self._stretch(path, start, start + seconds, known), height=_CLIP_HEIGHT
            )
        except EmptyError:
            raise _gone() from None

    def name_of(self, moment: Moment) -> str:
        """What to call a recording before people who need not know where the server keeps it.

        Its path in the folder that may be shown; the name alone where it lies elsewhere. A stream's address,
        which has no password, stays.
        """
        source = moment.source
        if "://" in source:
            return source
        for folder in self.folders if Path(source).is_absolute() else ():
            found = Path(os.path.normpath(source))
            if found != folder and found.is_relative_to(folder):
                return found.relative_to(folder).as_posix()
        return source if not Path(source).is_absolute() and ".." not in source else Path(source).name

    @contextmanager
    def _stretch(
        self, path: Path, start: float, end: float, known: Sequence[tuple[float, XYWH]]
    ) -> Iterator[Strip]:
        """Pictures of a stretch of a recording, with the box where somebody saw it; read one by one."""
        frames = min(_MOST_FRAMES, max(1, round((end - start) * _FPS)))
        asked = {"from_s": start, "to_s": end, "frames": frames, "height": _CLIP_HEIGHT}
        with tempfile.TemporaryDirectory(dir=self.work) as name:
            room = Path(name)
            seen = self._decoded(path, room, **asked)

            def drawn() -> Iterator[Image.Image]:
                for file, at in zip(seen.files, seen.times, strict=True):
                    image, box = _opened(room / file), box_at(known, at)
                    if box is not None:
                        _draw(image, box, of_height=seen.height)
                    yield image

            shown = seen.times[-1] - seen.times[0] if seen.times else 0.0
            fps = min(25.0, (len(seen.files) - 1) / shown) if shown > 0 else _FPS
            sizes = [_opened(room / file).size for file in seen.files[:1]]  # they are all of one size
            yield Strip(sizes=sizes, images=drawn(), fps=fps)

    def _decoded(self, path: Path, room: Path, **asked: float) -> Decoded:
        with self._decoding:
            return decode(path, _kind(path), limits=self.limits, out=str(room), any_length=True, **asked)

    def _inside(self, source: str) -> Path:
        """A recorded path, where it lies in an allowed folder; links are followed first."""
        if not self.folders:
            raise Refusal(
                409, "this server shows no recordings", todo="Start it with --footage FOLDER, where they lie."
            )
        if "://" in source or "\0" in source or not source:
            raise Refusal(409, "the recording was a stream, and was not kept")
        gone = False
        places = [Path(source)] if Path(source).is_absolute() else [f / source for f in self.folders]
        for place in places:
            found = place.resolve()
            if any(found.is_relative_to(folder) for folder in self.folders):
                if found.is_file() or found.is_dir():
                    return found
                gone = True  # a relative path may lie in the next folder
        if gone:
            raise _gone()
        raise Refusal(
            409,
            "the recording lies outside of the folders that may be shown",
            todo="Start the server with --footage FOLDER, where it lies.",
        )


def box_at(known: Sequence[tuple[float, XYWH]], at: float, *, slack: float = 0.5) -> XYWH | None:
    """Where the box was at a moment: between two sightings along the line, else at the nearest.

    Args:
        known: Seconds and boxes, in order of time.
        at: Seconds.
        slack: How far from the nearest sighting a box is still drawn, seconds.
    """
    before = max((one for one in known if one[0] <= at), default=None, key=lambda one: one[0])
    after = min((one for one in known if one[0] >= at), default=None, key=lambda one: one[0])
    near = [one for one in (before, after) if one is not None and abs(one[0] - at) <= slack]
    if before is None or after is None or len(near) < 2 or before[0] == after[0]:
        return min(near, key=lambda one: abs(one[0] - at))[1] if near else None
    share = (at - before[0]) / (after[0] - before[0])
    x, y, width, height = (a + share * (b - a) for a, b in zip(before[1], after[1], strict=True))
    return x, y, width, height


def _draw(image: Image.Image, box: XYWH, *, of_height: int) -> None:
    """Draw a box given in pixels of a picture of that height."""
    scale = image.height / max(1, of_height)
    x, y, width, height = (value * scale for value in box)
    edges = (x - 2, y - 2, max(x, x + width) + 2, max(y, y + height) + 2)
    line = max(2, round(image.height / 270))
    draw = ImageDraw.Draw(image)
    draw.rectangle(edges, outline=_AROUND, width=line + 2)
    draw.rectangle(
        tuple(e + d for e, d in zip(edges, (1, 1, -1, -1), strict=True)), outline=_COLOUR, width=line
    )


def _kind(path: Path) -> Kind:
    try:
        with open(path, "rb") as file:
            kind = kind_of(file.read(HEAD_BYTES))
    except OSError:
        raise _gone() from None
    if kind is None:
        raise Refusal(
            409, "the recording is in a format that is not shown here", expected="MP4, MKV, AVI, ..."
        )
    return kind


def _opened(path: Path) -> Image.Image:
    """A picture that our decoder has written."""
    with Image.open(path) as image:
        return image.convert("RGB")


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _gone() -> Refusal:
    return Refusal(409, "the recording is not there any more", todo="Has it been moved or deleted?")
