"""Where two tracklets agree, for queries and what they found, as values for the page's template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import DataError
from xreid.evaluation.heat import Scale, heat_picture
from xreid.evaluation.pictures import Thumbnails
from xreid.training.report_cases import Case, Looker, head_of, who

Floats = npt.NDArray[np.float32]


def agreement_section(
    cases: Sequence[Case], looker: Looker, embeddings: EmbeddingSet, *, thumbnails: Thumbnails
) -> dict[str, Any]:
    """Which windows of a query and of what it found hold their similarity up.

    Returns:
        "top" (of the scale, in cosine), "cases" with "pairs" of two pictures each; "windows"; "troubles".
    """
    troubles = []
    lost: dict[tuple[int, int], Floats] = {}
    for case in cases:
        try:
            for other in case.rows()[1:]:
                query, match = looker.covered(case.query), looker.covered(other)
                lost[case.query, other] = query.lost(match.whole)
                lost[other, case.query] = match.lost(query.whole)
        except DataError as error:
            troubles.append(str(error))
    everything = np.concatenate([np.abs(v).ravel() for v in lost.values()]) if lost else np.ones(1)
    top = max(float(np.quantile(everything, 0.99)), 1e-6)
    draw = _Drawing(
        looker=looker,
        embeddings=embeddings,
        thumbnails=thumbnails,
        lost=lost,
        scale=Scale(top=top, signed=True),
    )
    return {
        "top": f"{top:.2f}" if top >= 0.01 else f"{top:.1e}",
        "windows": " x ".join(str(n) for n in next(iter(lost.values())).shape) if lost else "",
        "cases": [{**head_of(case), "pairs": draw.pairs(case)} for case in cases],
        "troubles": troubles,
    }


@dataclass(frozen=True, kw_only=True)
class _Drawing:
    """Draws pairs; `lost` holds the cosine that (covered, whole) rows lose, [rows, columns]."""

    looker: Looker
    embeddings: EmbeddingSet
    thumbnails: Thumbnails
    lost: dict[tuple[int, int], Floats]
    scale: Scale

    def pairs(self, case: Case) -> list[dict[str, Any]]:
        """The query beside its first right and its first wrong match."""
        pairs = []
        for found, same in ((case.right, True), (case.wrong, False)):
            if found is None or (case.query, found[1].row) not in self.lost:
                continue
            rank, other = found[0], found[1].row
            cosine = float(self.embeddings.vectors[case.query] @ self.embeddings.vectors[other])
            sides = [
                self._side(case.query, other, role="query"),
                self._side(other, case.query, role=f"rank {rank:,}"),
            ]
            pairs.append({"same": same, "rank": rank, "cosine": f"{cosine:.3f}", "sides": sides})
        return pairs

    def _side(self, row: int, other: int, *, role: str) -> dict[str, Any]:
        values, tracklet = self.lost[row, other], self.embeddings.table[row]
        positions = np.unique(self.looker.clips(row).positions)
        frame = tracklet.frames[int(positions[len(positions) // 2])]
        path = self.embeddings.table.frame_path(frame)
        return {
            **who(tracklet),
            "role": role,
            "frame": self.thumbnails.frame(frame),
            "picture": heat_picture(path, values, scale=self.scale),
            "most": f"{float(values.max()):+.3f}",
        }
