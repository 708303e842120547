"""PCL-CLIP: fine-tuning by a prototypical contrastive loss, without prompts (preset "pcl_clip").

Li, Gong: Prototypical Contrastive Learning-based CLIP Fine-tuning for Object Re-identification. arXiv
2310.17218, 2023. Its abstract and its repository's README were read (full model: identity loss + centroid
contrastive loss), not the rest of the text; the equations are those of the paper as remembered, and its code
was not read.

    c_y <- mean of b over the clips of y, at the start of every epoch
    L_pcl = -log exp(<b_i, c_{y_i}> / tau) / sum_j exp(<b_i, c_j> / tau)
    c_y <- mu c_y + (1 - mu) mean of b over the clips of y in the batch
    L = L_pcl + L_id

Decided here: an image method on clips sees the mean of their frames. Its memory knows no modality, so neither
does ours: one centroid holds visible and infrared clips alike (the paper's Baseline of X-ReID, preset
"baseline", has two). b = [BN(TAP z_cls); BN(TAP v)], both features of CLIP-ReID, each with a classifier; mu,
tau and label smoothing are those that X-ReID has here. The update takes an identity's clips as one:
taken one after the other, as remembered, the last would outweigh the others, and in our batches that is
always infrared. Unverified: that centroids are built anew every epoch (as in Cluster Contrast, where the loss
comes from) and mu.
"""

from __future__ import annotations

from xreid.losses.centroids import IdentityCentroids
from xreid.losses.objective import Objective
from xreid.methods.registry import Method


class PCLObjective(Objective):
    """L = L_pcl + L_id: the shared objective, held against one centroid per identity."""

    prototype_class = IdentityCentroids


METHOD = Method(
    title="PCL-CLIP",
    reference="Li, Gong: Prototypical Contrastive Learning-based CLIP Fine-tuning for Object "
    "Re-identification. arXiv 2310.17218, 2023",
    objective=PCLObjective,
)
