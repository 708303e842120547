"""From blobs to people: the shadow they cast is cut off, people abreast are parted between their heads."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from xreid.retrieval.frames import Image

Blob = npt.NDArray[np.bool_]
Levels = npt.NDArray[np.uint8] | npt.NDArray[np.float64]
Shares = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Box = tuple[int, int, int, int]  # left, top, right, bottom; pixels

_DARKEST, _BRIGHTEST = 0.35, 0.85  # of a cast shadow, relative to the ground without it
_COLOUR = 0.15  # largest difference of its channels' ratios
_KEPT = 0.6  # of the height: legs are less than half, so dark trousers are not taken for shadow
_ABOVE = 0.1  # of the height: a shadow lies on the ground, below the head
_MOSTLY = 0.6  # least share of a shadow's strip that is dark
_FRINGE = 0.12  # of the fullest row or column: less is what is left of a shadow's rim
_HEADS = 0.3  # of the height, between the tops of two people abreast
_APART = 0.2  # of the height, between their middles
_VALLEY = 0.12  # of the height, between them
_SLIMMEST = 3.6  # height over width: half a person whose head was not seen is slimmer
_SMOOTH = 0.06  # of the height


def windows_of(mask: npt.NDArray[np.uint8], *, min_area: float) -> Iterator[tuple[tuple[slice, slice], Blob]]:
    """The blobs of a mask, joined at corners too: where each lies, and what it covers there.

    Args:
        mask: uint8 [H, W], 0 or not.
        min_area: Smaller ones are left out; pixels.

    Yields:
        Rows and columns of its box with 2 pixels around it, as far as the mask goes; bool [h, w].
    """
    left, top, wide, tall = cv2.boundingRect(mask)
    # OpenCV numbers blobs by blocks of 2 x 2 pixels: from an even corner the order is that of the whole mask.
    left, top, right, bottom = left & ~1, top & ~1, left + wide, top + tall
    if not wide:
        return
    inner = np.ascontiguousarray(mask[top:bottom, left:right])
    few = inner.size < 4 * np.iinfo(np.uint16).max - 4 * sum(inner.shape)  # no more blobs than blocks
    kind = cv2.CV_16U if few else cv2.CV_32S
    _, labels, stats, _ = cv2.connectedComponentsWithStats(inner, connectivity=8, ltype=kind)
    for label, (x, y, width, height, area) in enumerate(stats.tolist()[1:], start=1):
        if area < min_area:
            continue
        seen = labels[y : y + height, x : x + width] == label
        x, y = x + left, y + top
        x0, y0 = max(0, x - 2), max(0, y - 2)
        x1, y1 = min(mask.shape[1], x + width + 2), min(mask.shape[0], y + height + 2)
        blob = np.zeros((y1 - y0, x1 - x0), bool)
        blob[y - y0 : y - y0 + height, x - x0 : x - x0 + width] = seen
        yield (slice(y0, y1), slice(x0, x1)), blob


def cast_shadow(lit: Image, mean: Image) -> Blob:
    """Pixels that are darker than the background and of its colour: shadow, or dark grey clothes.

    Args:
        lit: uint8 [h, w, 3], the frame.
        mean: uint8 [h, w, 3], the background.
    """
    low, high = ratios(lit, mean)
    return (low > _DARKEST) & (high < _BRIGHTEST) & (high - low < _COLOUR)


def ratios(lit: Levels, mean: Levels) -> tuple[Shares, Shares]:
    """Brightness over that of the background: of the channel where it is least, and where it is most.

    Args:
        lit: uint8 or float64 [..., 3], the frame.
        mean: The same of the background.

    Returns:
        Two arrays [...], float32 of uint8, else float64.
    """
    share = (lit + np.float32(1)) / (mean + np.float32(1))  # all channels at once: they lie beside each other
    blue, green, red = (share[..., i] for i in range(3))
    return np.minimum(np.minimum(blue, green), red), np.maximum(np.maximum(blue, green), red)


def without_shadow(blob: Blob, shadow: Blob) -> Box:
    """The box of a blob without the shadow it casts to its side or below it.

    Args:
        blob: bool [h, w].
        shadow: bool [h, w], see `cast_shadow`.
    """
    left, top, right, bottom = box_of(blob)
    if not (blob & shadow).any():
        return left, top, right, bottom
    inner = box_of(blob & ~shadow, fringe=_FRINGE)
    height = bottom - top
    if inner[3] - top < _KEPT * height or inner[1] - top > _ABOVE * height:
        return left, top, right, bottom
    return (
        inner[0] if _dark(blob[:, left : inner[0]], shadow[:, left : inner[0]]) else left,
        top,
        inner[2] if _dark(blob[:, inner[2] : right], shadow[:, inner[2] : right]) else right,
        inner[3] if _dark(blob[inner[3] : bottom], shadow[inner[3] : bottom]) else bottom,
    )


def _dark(blob: Blob, shadow: Blob) -> bool:
    """Whether the part of a blob at one side is shadow for the most: arms and feet are not."""
    return bool(np.count_nonzero(blob & shadow) > _MOSTLY * np.count_nonzero(blob))


def abreast(blob: Blob) -> list[Blob]:
    """The people of a blob, parted at the valleys between their heads; the blob itself where it is one.

    Args:
        blob: bool [h, w], not empty.
    """
    left, top, right, bottom = box_of(blob)
    inside = blob[top:bottom, left:right]
    height, width = inside.shape
    if width < 2 * _APART * height:
        return [blob]
    tops = np.where(inside.any(axis=0), height - inside.argmax(axis=0), 0).astype(np.float64)
    kernel = max(3, round(_SMOOTH * height)) | 1
    smooth = np.convolve(np.pad(tops, kernel // 2, mode="edge"), np.ones(kernel) / kernel, mode="valid")
    cut = _valley(smooth, height)
    if cut is None:
        return [blob]
    one, other = blob.copy(), blob.copy()
    one[:, left + cut :] = False
    other[:, : left + cut] = False
    if max(map(_slimness, (one, other))) > _SLIMMEST:
        return [blob]
    return [*abreast(one), *abreast(other)]


def _slimness(blob: Blob) -> float:
    left, top, right, bottom = box_of(blob)
    return (bottom - top) / max(right - left, 1)


def _valley(tops: npt.NDArray[np.float64], height: int) -> int | None:
    """The column of the deepest valley between the highest head and another one, or None.

    Args:
        tops: float64 [w], height of the blob's upper edge over its lowest row.
        height: Of the blob.
    """
    head, reach = int(tops.argmax()), max(1, round(_APART * height))
    found: list[tuple[float, int]] = []
    for step in (1, -1):
        side = tops[head:] if step > 0 else tops[head::-1]
        if len(side) <= reach:
            continue
        other = reach + int(side[reach:].argmax())
        low = int(side[: other + 1].argmin())
        deep = float(side[other] - side[low])
        if side[0] - side[other] <= _HEADS * height and deep >= _VALLEY * height:
            found.append((deep, head + step * low))
    return max(found)[1] if found else None


def box_of(blob: Blob, *, fringe: float = 0.0) -> Box:
    """The rows and columns that hold more than a share of what the fullest of them holds."""
    pixels = blob.view(np.uint8)  # OpenCV sums them ten times as fast as numpy
    left, top, width, height = cv2.boundingRect(pixels)
    if not fringe or not width:
        return left, top, left + width, top + height
    rows = np.asarray(cv2.reduce(pixels, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)).reshape(-1)
    columns = np.asarray(cv2.reduce(pixels, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)).reshape(-1)
    y = np.flatnonzero(rows > fringe * rows.max())
    x = np.flatnonzero(columns > fringe * columns.max())
    return int(x[0]), int(y[0]), int(x[-1]) + 1, int(y[-1]) + 1
