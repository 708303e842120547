"""The columns of many tracklets as arrays, and the filters on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xreid.core.errors import ConfigError, ProtocolError
from xreid.core.tracklets import Modality, Tracklet

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which tracklets may be found.

    Attributes:
        modality: Only this modality; None for any.
        cameras: Only these cameras; empty for all.
        from_s: Only tracklets that end at this time or later; Unix seconds, or seconds of the video.
        to_s: Only tracklets that start at this time or before.
        known: Only tracklets of known people.
        other_cameras: Only cameras other than the query's own (those of unknown camera stay).
    """

    modality: Modality | None = None
    cameras: tuple[str, ...] = ()
    from_s: float | None = None
    to_s: float | None = None
    known: bool = False
    other_cameras: bool = False

    def __post_init__(self) -> None:
        if self.from_s is not None and self.to_s is not None and self.from_s > self.to_s:
            raise ConfigError("the time range ends before it starts", todo="Swap --from and --to.")


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Columns of N tracklets.

    Attributes:
        infrared: bool [N].
        camera: int64 [N], index into `cameras`, -1 unknown.
        start_s: float64 [N], NaN unknown.
        end_s: float64 [N], NaN unknown.
        known: bool [N], whether the person is known.
        cameras: Names of the cameras, sorted.
    """

    infrared: Mask
    camera: npt.NDArray[np.int64]
    start_s: npt.NDArray[np.float64]
    end_s: npt.NDArray[np.float64]
    known: Mask
    cameras: tuple[str, ...]

    @classmethod
    def of(cls, rows: Sequence[Tracklet]) -> Columns:
        """The columns of the given tracklets."""
        cameras = tuple(sorted({row.camera for row in rows if row.camera is not None}))
        code = {name: i for i, name in enumerate(cameras)}
        return cls(
            infrared=np.array([row.modality is Modality.INFRARED for row in rows], dtype=bool),
            camera=np.array([-1 if row.camera is None else code[row.camera] for row in rows], dtype=np.int64),
            start_s=np.array([_number(row.start_s) for row in rows], dtype=np.float64),
            end_s=np.array([_number(row.end_s, row.start_s) for row in rows], dtype=np.float64),
            known=np.array([row.identity is not None for row in rows], dtype=bool),
            cameras=cameras,
        )

    def mask(self, rules: Filter) -> Mask:
        """bool [N]: the rows that pass, `other_cameras` apart. A row of unknown time passes no time range.

        Raises:
            ProtocolError: A camera is not among them.
        """
        keep = np.ones(len(self.infrared), dtype=bool)
        if rules.modality is not None:
            keep &= self.infrared == (rules.modality is Modality.INFRARED)
        if rules.cameras:
            unknown = sorted(set(rules.cameras) - set(self.cameras))
            if unknown:
                raise ProtocolError(
                    f"the gallery has no camera {', '.join(unknown)}",
                    expected=", ".join(self.cameras) or "no camera: its tracklets name none",
                )
            keep &= np.isin(self.camera, [self.cameras.index(name) for name in rules.cameras])
        if rules.from_s is not None:
            keep &= self.end_s >= rules.from_s
        if rules.to_s is not None:
            keep &= self.start_s <= rules.to_s
        if rules.known:
            keep &= self.known
        return keep

    def of_camera(self, name: str | None) -> Mask:
        """bool [N]: the rows of that camera; none where the name is None or not among them."""
        code = self.cameras.index(name) if name in self.cameras else -2
        return self.camera == code


def _number(*values: float | None) -> float:
    return next((value for value in values if value is not None), math.nan)
