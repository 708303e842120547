"""The queries that a report looks into, and what the model makes of their tracklets.

They are not picked for their looks: each direction's best, typical and worst query by average precision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from xreid.core.embeddings import EmbeddingSet
from xreid.core.tracklets import Modality, Tracklet
from xreid.evaluation.examples import Match, rank_lists
from xreid.evaluation.results import EvaluationResult
from xreid.inference.attention_maps import AttentionMaps, attention_maps
from xreid.inference.clips_of import TrackletClips, clips_of
from xreid.inference.embed import Embedder
from xreid.inference.occlusion import Covered, cover

_SPECTRUM = {Modality.VISIBLE: "visible", Modality.INFRARED: "infrared"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A query with the first right and the first wrong tracklet of its list.

    Attributes:
        direction: Name of the direction.
        kind: "best", "typical" or "worst".
        query: Row of the embedding set.
        right: Its first match of the same person, with its rank; None where there is none.
        wrong: Its first match of somebody else, with its rank.
    """

    direction: str
    kind: str
    query: int
    right: tuple[int, Match] | None
    wrong: tuple[int, Match] | None

    def rows(self) -> list[int]:
        """All tracklets in it."""
        return [self.query, *(found[1].row for found in (self.right, self.wrong) if found)]


def cases_of(results: Sequence[EvaluationResult], embeddings: EmbeddingSet) -> tuple[Case, ...]:
    """One best, one typical and one worst query of each direction."""
    cases = []
    for result in results:
        for entry in rank_lists(result, embeddings, per_kind=1, length=result.num_gallery):
            ranked = list(enumerate(entry.matches, start=1))
            cases.append(
                Case(
                    direction=result.direction.name,
                    kind=entry.kind,
                    query=entry.row,
                    right=next((found for found in ranked if found[1].hit), None),
                    wrong=next((found for found in ranked if not found[1].hit), None),
                )
            )
    return tuple(cases)


@dataclass
class Looker:
    """Asks a model about single tracklets, and remembers.

    Attributes:
        embedder: The model over the table of the embeddings.
        tell: Called with the number of tracklets asked about so far.
    """

    embedder: Embedder
    tell: Callable[[int], None] = lambda done: None
    _clips: dict[int, TrackletClips] = field(default_factory=dict)
    _maps: dict[int, AttentionMaps] = field(default_factory=dict)
    _covered: dict[int, Covered] = field(default_factory=dict)

    def maps(self, row: int) -> AttentionMaps:
        """Where the network looks in the tracklet's clips."""
        if row not in self._maps:
            clips = self.clips(row)
            self._maps[row] = attention_maps(
                self.embedder.model.network, clips.clips, clips.cameras, modalities=clips.modalities
            )
        return self._maps[row]

    def covered(self, row: int) -> Covered:
        """What of the tracklet's embedding is left where a window is covered."""
        if row not in self._covered:
            clips = self.clips(row)
            self._covered[row] = cover(self.embedder.model.network, clips)
            self.tell(len(self._covered))
        return self._covered[row]

    def clips(self, row: int) -> TrackletClips:
        """The tracklet's clips."""
        if row not in self._clips:
            self._clips[row] = clips_of(self.embedder, row)
        return self._clips[row]


def head_of(case: Case) -> dict[str, Any]:
    """What the page titles a case with."""
    return {"direction": case.direction, "kind": case.kind}


def who(tracklet: Tracklet) -> dict[str, Any]:
    """What the page says of a tracklet."""
    return {
        "name": tracklet.name,
        "identity": tracklet.identity or "?",
        "camera": tracklet.camera or "?",
        "modality": _SPECTRUM[tracklet.modality],
    }
