"""The image baseline: frames one by one, then their mean; cross-entropy and triplet (preset "image")."""

from __future__ import annotations

from xreid.methods.registry import Method

METHOD = Method(
    title="Image baseline",
    reference="Luo, Gu, Liao, Lai, Jiang: Bag of Tricks and a Strong Baseline for Deep Person "
    "Re-Identification. CVPR Workshops 2019",
)
