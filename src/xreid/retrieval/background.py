"""The background of a fixed camera: learnt where nobody is, kept where somebody is, lit as the frame is.

Per pixel a running mean and a running deviation. Four rules make it fit for people:

1. Exposure: each frame is first mapped onto the background's brightness, by a robust line per channel.
2. Persons who stand still are not learnt, for up to a minute.
3. A blob whose outline has more edge in the background than in the frame is the place somebody has left
   (or stood in when the video began): it is learnt at once instead of reported. Where the first seconds can
   be seen beforehand, whoever stands in the first frame and leaves is taken out of it (`look_ahead`).
4. Darker pixels of unchanged colour are shadow; not in grey pictures, where dark clothes would be, too, and
   an infrared camera brings its own lamp, whose shadows it hardly sees.

What is left are blobs, and people after `blobs` has cut off darker shadows and parted those abreast.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import cv2
import numpy as np
import numpy.typing as npt

from xreid.retrieval.blobs import Blob, abreast, cast_shadow, ratios, windows_of, without_shadow
from xreid.retrieval.detections import State
from xreid.retrieval.exposure import lit_like
from xreid.retrieval.first_seconds import middle_of, one_scene, usual_of
from xreid.retrieval.frames import Image
from xreid.retrieval.spectrum import CHROMA_LIMIT, chroma

Mask = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float32]
Part = tuple[int, int, int, int, int]  # left, top, right, bottom, area; pixels

_THRESHOLD = 20  # grey levels, in the channel that differs most
_GREY_THRESHOLD = 12  # of a grey video: clothes are often nearly as grey as the ground in infrared
_DEVIATIONS = 4.0
_LOW_THRESHOLD, _LOW_DEVIATIONS = 8, 2.0  # near pixels that surely differ
_LOW_PART = 4  # of the largest difference nearby: least difference there
_REACH = 0.06  # of the height of the frame: what is near
_FIRST_DEVIATION = 6.0  # grey levels
_ADAPT_S = 20.0  # time constant of learning
_PROTECT_S = 60.0  # how long somebody who stands still is kept out of it
_LEFT_S = 1 / 3  # how long a place must look left before it is learnt
_LEFT_RATE = 0.5
_EDGE_RATIO = 0.75  # least edge in the frame over edge in the background, along a blob's outline
_MIN_EDGE = 15.0  # grey levels; softer outlines are shadow, glow or smear
_SHADOW = 0.7  # darkest a shadow makes a pixel, relative
_LEAST_AHEAD = 5  # frames; what fewer agree on may be somebody
_SCENE_CHANGE = 0.7  # share of the frame that must differ for everything to be learnt anew


class Background:
    """What a fixed camera sees when nobody is there.

    Args:
        fps: Frames a second that it will see.
    """

    def __init__(self, *, fps: float) -> None:
        self._fps = fps
        self._frames = 0
        self._fixed = False
        self._mean: Float | None = None  # [H, W, 3]

    def fix(self, mean: Float) -> None:
        """Use this background from now on and learn nothing.

        Args:
            mean: float32 [H, W, 3], BGR.
        """
        self._start(mean)
        self._fixed = True

    def state(self) -> State:
        """What it has learnt, as arrays; empty before the first frame."""
        if self._mean is None:
            return {}
        return {
            "mean": self._mean,
            "deviation": self._deviation,
            "still": self._still,
            "left": self._left,
            "frames": np.array(self._frames),
        }

    def restore(self, state: State) -> None:
        """Go on from the state of another one; of another size it is forgotten at the first frame."""
        if not state:
            return
        self._start(state["mean"].astype(np.float32))
        self._deviation, self._still = state["deviation"].copy(), state["still"].copy()
        self._left, self._frames = state["left"].copy(), int(state["frames"])

    def look_ahead(self, images: Sequence[Image], *, min_area: float) -> None:
        """Begin with the first of some frames, without the people in it who leave their places later.

        What most of the frames show is not the background as such: somebody who comes and stays would be in
        it. So only blobs of the first frame are replaced whose outline the other frames do not have.

        Args:
            images: uint8 [H, W, 3], BGR; of one scene, over some seconds.
            min_area: Of a blob; a share of the frame.
        """
        scene = one_scene(images)
        if len(scene) < _LEAST_AHEAD:
            return
        usual, lit = usual_of(scene)
        distances = [_largest_channel(np.asarray(cv2.absdiff(one, usual), np.uint8)) for one in lit]
        self._start(lit[0].astype(np.float32))
        self._deviation = middle_of(distances).astype(np.float32)
        grey = chroma(lit[0]) <= CHROMA_LIMIT
        mask = self._mask(lit[0], usual, distances[0], grey=grey)
        _, somebody, _ = _outlined(mask, lit[0], usual, min_area=min_area * mask.size, grey=grey)
        if self._mean is None or not somebody.any():
            self._mean = None  # the first frame is as good as any
            return
        whole = self._mask(lit[0], usual, distances[0], grey=True)  # with what they shade
        gone = _touched(whole | somebody, somebody)
        self._mean[gone] = usual[gone]

    def moving_parts(self, image: Image, *, min_area: float) -> list[Part]:
        """The blobs of a frame that differ from the background; learns from the frame.

        Args:
            image: uint8 [H, W, 3], BGR.
            min_area: Smaller blobs are left out; a share of the frame.

        Returns:
            Their boxes and areas. None for the first frame, and where nearly everything differs.
        """
        if self._mean is None or self._mean.shape != image.shape:
            self._start(image.astype(np.float32))
            return []
        self._frames += 1
        mean = np.asarray(cv2.convertScaleAbs(self._mean), dtype=np.uint8)
        lit = lit_like(mean, image, free=self._still == 0)
        distance = _largest_channel(np.asarray(cv2.absdiff(lit, mean), dtype=np.uint8))
        grey = chroma(lit) <= CHROMA_LIMIT
        mask = self._mask(lit, mean, distance, grey=grey)
        if cv2.countNonZero(mask) > _SCENE_CHANGE * mask.size:
            if not self._fixed:
                self._start(image.astype(np.float32))
            return []
        parts, somebody, left = _outlined(mask, lit, mean, min_area=min_area * mask.size, grey=grey)
        if not self._fixed:
            self._learn(lit, distance, mask=mask, somebody=somebody, left=left)
        return parts

    def _start(self, mean: Float) -> None:
        size = mean.shape[:2]
        self._frames = 1
        self._mean = mean
        self._deviation = np.full(size, _FIRST_DEVIATION, dtype=np.float32)
        self._still = np.zeros(size, dtype=np.int32)  # frames for which somebody has been there
        self._left = np.zeros(size, dtype=np.int32)  # frames for which the place has looked left

    def _mask(self, lit: Image, mean: Image, distance: Image, *, grey: bool) -> Mask:
        differs = self._differs(distance, grey=grey)
        if not grey:
            where = np.flatnonzero(differs)
            now, before = (one.reshape(-1, 3)[where].astype(np.float64) for one in (lit, mean))
            low, high = ratios(now, before)
            shadow = (low > _SHADOW) & (high < 1.05) & (high - low < 0.12)
            differs.reshape(-1)[where[shadow]] = False
        height, width = differs.shape
        brush = (max(3, width // 160) | 1, max(3, height // 40) | 1)  # people are tall: close upright gaps
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, brush)
        smooth = cv2.medianBlur(differs.view(np.uint8), 3)
        return np.asarray(cv2.morphologyEx(smooth, cv2.MORPH_CLOSE, kernel), dtype=np.uint8)

    def _differs(self, distance: Image, *, grey: bool) -> npt.NDArray[np.bool_]:
        """bool [H, W]: pixels that surely differ, and those near them that do so less.

        So somebody in parts becomes whole. What differs little beside what differs much is its glow, soft
        shadow or reflection, and stays out. Of stills nothing is known of the noise: what is sure must do.
        """
        least = _GREY_THRESHOLD if grey and not self._fixed else _THRESHOLD
        levels = distance.astype(np.float32)  # once: comparing numbers of two kinds converts them each time
        surely = (distance > least) & (levels > _DEVIATIONS * self._deviation)
        if self._fixed:
            return surely
        reach = max(3, round(_REACH * len(distance))) | 1
        around = np.ones((reach, max(3, reach // 2) | 1), np.uint8)
        near = cv2.dilate(cv2.medianBlur(surely.view(np.uint8), 3), around)
        most = np.asarray(cv2.dilate(distance, around))
        less = (distance > _LOW_THRESHOLD) & (levels > _LOW_DEVIATIONS * self._deviation)
        return surely | ((np.asarray(near) > 0) & less & (distance > most // _LOW_PART))

    def _learn(self, lit: Image, distance: Image, *, mask: Mask, somebody: Mask, left: Mask) -> None:
        assert self._mean is not None
        for frames, there in ((self._still, somebody), (self._left, left)):
            frames += 1
            frames *= there
        around = np.asarray(cv2.dilate(somebody, np.ones((9, 9), np.uint8)), dtype=np.uint8) | mask
        kept = (around > 0) & (self._still < ceil(_PROTECT_S * self._fps))  # whole numbers compare faster
        rate = max(1 / (_ADAPT_S * self._fps), 1 / (self._frames + 1))
        cv2.accumulateWeighted(lit, self._mean, rate, mask=(~kept).view(np.uint8))
        quiet = (~kept & (mask == 0)).view(np.uint8)
        cv2.accumulateWeighted(distance, self._deviation, rate, mask=quiet)
        gone = self._left >= max(3, ceil(_LEFT_S * self._fps))
        if gone.any():
            cv2.accumulateWeighted(lit, self._mean, _LEFT_RATE, mask=gone.view(np.uint8))


def _touched(mask: Mask, by: Mask) -> npt.NDArray[np.bool_]:
    """bool [H, W]: the blobs of a mask that hold a pixel of another one, and the pixels around them."""
    _, labels = cv2.connectedComponents(mask, connectivity=8)
    wanted = np.zeros(int(labels.max()) + 1, np.uint8)
    wanted[labels[by > 0]] = 1
    return np.asarray(cv2.dilate(wanted[labels], np.ones((9, 9), np.uint8))) > 0


def _outlined(
    mask: Mask, lit: Image, mean: Image, *, min_area: float, grey: bool
) -> tuple[list[Part], Mask, Mask]:
    """Blobs whose outline is in the frame; a mask of them, and one of those whose outline is not."""
    parts, somebody, left = list[Part](), np.zeros_like(mask), np.zeros_like(mask)
    for window, one in windows_of(mask, min_area=min_area):
        blob = one.view(np.uint8)
        outline = np.asarray(cv2.morphologyEx(blob, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)))
        now = cv2.mean(_gradient(lit[window]), outline)[0]
        before = cv2.mean(_gradient(mean[window]), outline)[0]
        if now < max(_EDGE_RATIO * before, _MIN_EDGE):
            left[window] |= blob
            continue
        somebody[window] |= blob
        shadow = np.zeros(blob.shape, dtype=bool) if grey else cast_shadow(lit[window], mean[window])
        cut = window[0].stop >= len(mask)
        parts += _people(one, shadow, at=(window[1].start, window[0].start), cut=cut)
    return parts, somebody, left


def _people(blob: Blob, shadow: Blob, *, at: tuple[int, int], cut: bool) -> list[Part]:
    """The people of a blob without their shadows.

    Args:
        blob: bool [h, w].
        shadow: bool [h, w].
        at: Its left upper corner in the frame.
        cut: The picture's lower border cuts it: how tall it is nobody knows, so that it stays whole.
    """
    parts = []
    for one in [blob] if cut else abreast(blob):
        left, top, right, bottom = without_shadow(one, shadow)
        area = int(np.count_nonzero(one[top:bottom, left:right]))
        parts.append((at[0] + left, at[1] + top, at[0] + right, at[1] + bottom, area))
    return parts


def _largest_channel(image: Image) -> Image:
    blue, green, red = cv2.split(image)
    return np.asarray(cv2.max(cv2.max(blue, green), red), dtype=np.uint8)


def _gradient(image: Image) -> Float:
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    return np.asarray(cv2.magnitude(across, down), dtype=np.float32)
