"""Where the class token, SII and LII look in frames of a few tracklets, as values for the page's template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xreid.core.errors import DataError
from xreid.evaluation.heat import Scale, heat_picture
from xreid.evaluation.pictures import Thumbnails
from xreid.training.report_cases import Case, Looker, head_of, who

Floats = npt.NDArray[np.float32]
FRAMES_SHOWN = 4
ATTENTION_NAMES = {"cls": "class token", "sii": "SII", "lii": "LII"}


def attention_section(cases: Sequence[Case], looker: Looker, *, thumbnails: Thumbnails) -> dict[str, Any]:
    """Attention over the frames of each case's query and of its first right match.

    Returns:
        "top" (of the scale, in even shares), "names" of the branches that the network has, "cases" with
        "sides", each a tracklet with its "strips"; "troubles": sentences about tracklets that cannot be read.
    """
    shown: dict[int, _Attention] = {}
    troubles = []
    for row in dict.fromkeys(row for case in cases for row in _first_two(case)):
        try:
            shown[row] = _Attention.of(looker, row)
        except DataError as error:
            troubles.append(str(error))
    values = [values for attention in shown.values() for values in attention.maps.values()]
    top = max(2.0, float(np.quantile(np.concatenate([v.ravel() for v in values]), 0.99))) if values else 2.0
    names = list(dict.fromkeys(name for attention in shown.values() for name in attention.maps))
    sides = {
        row: attention.side(looker, row, scale=Scale(top=top), thumbnails=thumbnails)
        for row, attention in shown.items()
    }
    return {
        "top": f"{top:.1f}",
        "even": 100 / top,
        "names": [ATTENTION_NAMES[name] for name in names],
        "absent": [ATTENTION_NAMES[name] for name in ("sii", "lii") if name not in names],
        "patches": int(np.prod(looker.embedder.model.network.config.grid)),
        "cases": [
            {
                **head_of(case),
                "sides": [
                    {**sides[row], "role": role}
                    for row, role in zip(_first_two(case), _roles(case), strict=False)
                    if row in sides
                ],
            }
            for case in cases
        ],
        "troubles": troubles,
    }


@dataclass(frozen=True, kw_only=True)
class _Attention:
    """Attention over the frames of one tracklet that are shown.

    Attributes:
        frames: Positions in the tracklet, up to four.
        maps: Multiples of the even share by branch, float32 [len(frames), rows, columns].
        half: Mean number of patches that hold half of the attention, by branch.
        itself: Mean share that the class token keeps for itself.
    """

    frames: list[int]
    maps: dict[str, Floats]
    half: dict[str, float]
    itself: float

    @classmethod
    def of(cls, looker: Looker, row: int) -> _Attention:
        maps, positions = looker.maps(row), looker.clips(row).positions.ravel()
        grid = looker.embedder.model.network.config.grid
        frames, first = np.unique(positions, return_index=True)
        count = min(FRAMES_SHOWN, len(frames))
        chosen = [(2 * i + 1) * len(frames) // (2 * count) for i in range(count)]
        found = {name: v for name in ATTENTION_NAMES if (v := getattr(maps, name)) is not None}
        shares = {name: v.reshape(-1, v.shape[-1])[first[chosen]] for name, v in found.items()}
        shares = {name: v / v.sum(axis=1, keepdims=True) for name, v in shares.items()}
        return cls(
            frames=[int(f) for f in frames[chosen]],
            maps={name: (v * v.shape[1]).reshape(-1, *grid) for name, v in shares.items()},
            half={name: half_of_attention(v) for name, v in shares.items()},
            itself=float(maps.cls_itself.mean()),
        )

    def side(self, looker: Looker, row: int, *, scale: Scale, thumbnails: Thumbnails) -> dict[str, Any]:
        table = looker.embedder.table
        tracklet = table[row]
        paths = [table.frame_path(tracklet.frames[f]) for f in self.frames]
        return {
            **who(tracklet),
            "strip": [thumbnails.frame(tracklet.frames[f]) for f in self.frames],
            "strips": [
                {
                    "name": ATTENTION_NAMES[name],
                    "pictures": [heat_picture(p, v, scale=scale) for p, v in zip(paths, values, strict=True)],
                    "half": f"{self.half[name]:.0f}",
                    "itself": f"{100 * self.itself:.0f}" if name == "cls" else "",
                }
                for name, values in self.maps.items()
            ],
        }


def half_of_attention(shares: Floats) -> float:
    """Mean over frames of the fewest patches that hold half of a frame's attention.

    Args:
        shares: [F, N], each row adding up to 1.
    """
    falling = -np.sort(-shares, axis=1)
    return float(((np.cumsum(falling, axis=1) < 0.5 - 1e-6).sum(axis=1) + 1).mean())


def _first_two(case: Case) -> list[int]:
    return [case.query] if case.right is None else [case.query, case.right[1].row]


def _roles(case: Case) -> list[str]:
    return ["query", f"first right one, rank {case.right[0]:,}" if case.right else ""]
