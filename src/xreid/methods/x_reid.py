"""X-ReID (AAAI 2026): cross-modality prototypes, short- and long-term and cross-modality interaction."""

from __future__ import annotations

from xreid.losses.x_reid import XReIDObjective
from xreid.methods.registry import Method
from xreid.models.x_reid import XReID

METHOD = Method(
    title="X-ReID",
    reference="Yu, Liu, Zhang, Lu: X-ReID: Multi-granularity Information Interaction for Video-Based "
    "Visible-Infrared Person Re-Identification. AAAI 2026",
    network=XReID,
    objective=XReIDObjective,
    feature_is_optional=True,
)
