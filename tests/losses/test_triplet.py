import math

import pytest
import torch
from torch import Tensor

from xreid.core.errors import DataError
from xreid.losses.constraint import cross_modality_constraint
from xreid.losses.triplet import batch_hard_triplet

LABELS = torch.tensor([0, 1, 0, 2, 2, 1])


def features(count: int = 6, seed: int = 0) -> Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def naive_triplet(x: Tensor, labels: Tensor, margin: float) -> float:
    total = 0.0
    for a in range(len(x)):
        positive, negative = 0.0, math.inf
        for other in range(len(x)):
            distance = math.sqrt(sum(float(u - v) ** 2 for u, v in zip(x[a], x[other], strict=True)))
            if labels[other] == labels[a]:
                positive = max(positive, distance)
            else:
                negative = min(negative, distance)
        total += max(0.0, margin + positive - negative)
    return total / len(x)


@pytest.mark.parametrize("margin", [0.0, 0.3, 5.0])
def test_triplet_follows_its_equation(margin: float) -> None:
    found = batch_hard_triplet(features(), LABELS, margin=margin)
    assert found.item() == pytest.approx(naive_triplet(features(), LABELS, margin), rel=1e-12)


def test_across_modalities_only_the_other_modality_is_looked_at() -> None:
    x, modalities = features(), torch.tensor([0, 0, 1, 0, 1, 1])
    total = 0.0
    for a in range(6):
        others = [o for o in range(6) if modalities[o] != modalities[a]]
        distance = {o: float((x[a] - x[o]).norm()) for o in others}
        positive = max(distance[o] for o in others if LABELS[o] == LABELS[a])
        negative = min(distance[o] for o in others if LABELS[o] != LABELS[a])
        total += max(0.0, 0.3 + positive - negative)
    found = batch_hard_triplet(x, LABELS, margin=0.3, modalities=modalities)
    assert found.item() == pytest.approx(total / 6, rel=1e-9)
    with pytest.raises(DataError, match="no positive or no negative in the other modality"):
        batch_hard_triplet(x, LABELS, margin=0.3, modalities=torch.tensor([0, 0, 0, 0, 1, 1]))


def test_triplet_agrees_with_pytorch_metric_learning() -> None:
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    miners = pytest.importorskip("pytorch_metric_learning.miners")
    distances = pytest.importorskip("pytorch_metric_learning.distances")
    distance, reducer = distances.LpDistance(normalize_embeddings=False), "pytorch_metric_learning.reducers"
    mean = pytest.importorskip(reducer).MeanReducer()
    mined = miners.BatchHardMiner(distance=distance)(features(), LABELS)
    loss = losses.TripletMarginLoss(margin=5.0, distance=distance, reducer=mean)
    found = batch_hard_triplet(features(), LABELS, margin=5.0)
    assert found.item() == pytest.approx(loss(features(), LABELS, mined).item(), rel=1e-6)


def test_triplet_gradients_even_where_two_clips_coincide() -> None:
    assert torch.autograd.gradcheck(
        lambda x: batch_hard_triplet(x, LABELS, margin=5.0), features().requires_grad_()
    )
    x = torch.cat([features(2), features(2)]).requires_grad_()
    batch_hard_triplet(x, torch.tensor([0, 1, 0, 1]), margin=5.0).backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_one_identity_is_an_error() -> None:
    with pytest.raises(DataError, match="2 identities or more"):
        batch_hard_triplet(features(), torch.zeros(6, dtype=torch.long), margin=0.3)


def test_constraint_follows_equation_9() -> None:
    a, b = features(), features(seed=1)
    for i in range(6):
        expected = sum(float(u - v) ** 2 for u, v in zip(a[i], b[i], strict=True))
        assert cross_modality_constraint(a, b, reduction="sum")[i].item() == pytest.approx(expected)
        assert cross_modality_constraint(a, b, reduction="mean")[i].item() == pytest.approx(expected / 4)


def test_constraint_pulls_both_sides() -> None:
    a, b = features().requires_grad_(), features(seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda *x: cross_modality_constraint(*x, reduction="sum"), (a, b))
