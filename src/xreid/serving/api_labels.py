"""Labels that operators give to tracklets."""

from __future__ import annotations

from fastapi import APIRouter

from xreid.retrieval.gallery_rows import valid_labels
from xreid.serving.auth import Here, Operator, Viewer
from xreid.serving.problems import Refusal
from xreid.serving.schemas import LabelView, NewLabels, TrackletView

router = APIRouter(prefix="/api/v1/labels", tags=["labels"])
_MOST = 500


@router.get("")
def labels(who: Viewer, site: Here) -> list[LabelView]:
    """The labels in use, the most used first."""
    counts = site.backend.labels().most_common(_MOST)
    return [LabelView(label=label, tracklets=count) for label, count in counts]


@router.post("")
def change_labels(asked: NewLabels, who: Operator, site: Here) -> list[TrackletView]:
    """Give labels to tracklets, and take labels from them; all of them, or none where one is not there."""
    ids = list(dict.fromkeys(asked.tracklets))
    if not asked.add and not asked.remove:
        raise Refusal(422, "no label was named", expected="labels to add or to remove")
    valid_labels(asked.add)
    site.backend.entries(ids)
    entry = {"tracklets": ids, "add": asked.add, "remove": asked.remove}
    site.audit.write(who.name, "labels changed", entry)
    return [TrackletView.of(e) for e in site.backend.label(ids, add=asked.add, remove=asked.remove)]
