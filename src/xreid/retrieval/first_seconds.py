"""What the first seconds of a fixed camera have in common: the scene without those who pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xreid.retrieval.exposure import lit_like
from xreid.retrieval.frames import Image
from xreid.retrieval.spectrum import CHROMA_LIMIT, chroma

LOOK_AHEAD_S = 30.0
SAMPLES = 30
_OTHER = 40  # grey levels between medians: beyond it light or camera has changed


def one_scene(images: Sequence[Image]) -> Sequence[Image]:
    """The frames before the first one of another size, of another spectrum or in much other light.

    Args:
        images: uint8 [H, W, 3], BGR, in order of time.
    """
    if not images:
        return images
    first = images[0]
    visible, light = chroma(first) > CHROMA_LIMIT, float(np.median(first[::8, ::8]))
    for number, image in enumerate(images):
        if image.shape != first.shape or (chroma(image) > CHROMA_LIMIT) is not visible:
            return images[:number]
        if abs(float(np.median(image[::8, ::8])) - light) > _OTHER:
            return images[:number]
    return images


def usual_of(images: Sequence[Image]) -> tuple[Image, list[Image]]:
    """What most frames show, as bright as the first one; and the frames in that light.

    Args:
        images: uint8 [H, W, 3], BGR, one or more of one scene.
    """
    everywhere = np.ones(images[0].shape[:2], dtype=bool)
    rough = lit_like(images[0], middle_of(images), free=everywhere)
    lit = [lit_like(rough, image, free=everywhere) for image in images]
    return middle_of(lit), lit


def middle_of(images: Sequence[Image]) -> Image:
    """Pixel by pixel the median, the lower one of two."""
    place = (len(images) - 1) // 2
    return np.partition(np.stack(images), place, axis=0)[place]
