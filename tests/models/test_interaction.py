"""SII and LII against loops over the printed equations, frame by frame and channel by channel."""

import pytest
import torch
from torch import Tensor

from tests.models.attention_oracle import naive_cross_block, random, randomise
from xreid.models.interaction import LongTermInteraction, ShortTermInteraction, exchange_channels

B, T, N, D, HEADS = 2, 5, 3, 8, 2


def naive_exchange(z: Tensor, stride: int) -> Tensor:
    """Eq 5 with the paper's 1-based channels: 1..D/4 from t - S, D/4+1..D/2 from t + S, the rest from t."""
    out = torch.empty_like(z)
    clips, frames, patches, width = z.shape
    for b in range(clips):
        for t in range(frames):
            for n in range(patches):
                for c in range(1, width + 1):
                    source = t
                    if c <= width // 4 and t - stride >= 0:
                        source = t - stride
                    elif width // 4 < c <= width // 2 and t + stride < frames:
                        source = t + stride
                    out[b, t, n, c - 1] = z[b, source, n, c - 1]
    return out


@pytest.mark.parametrize("stride", [0, 1, 2, 4, 5, 9])
def test_exchange_follows_equation_5(stride: int) -> None:
    z = random(B, T, N, D)
    assert torch.equal(exchange_channels(z, stride=stride), naive_exchange(z, stride))


def test_exchange_does_not_alias_its_input() -> None:
    z = random(B, T, N, D)
    before = z.clone()
    shifted = exchange_channels(z, stride=1)
    assert torch.equal(z, before)
    assert shifted.untyped_storage().data_ptr() != z.untyped_storage().data_ptr()
    # the authors' in-place shift spreads frame 0's first quarter over every frame
    assert not torch.equal(shifted[:, 2, :, : D // 4], z[:, 0, :, : D // 4])
    shifted.zero_()
    assert torch.equal(z, before)


def test_exchange_of_a_single_frame_is_the_identity() -> None:
    z = random(B, 1, N, D)
    assert torch.equal(exchange_channels(z, stride=1), z)


@pytest.mark.parametrize(("stride", "depth"), [(1, 1), (2, 1), (1, 2)])
def test_sii_follows_equations_5_and_6(stride: int, depth: int) -> None:
    module = ShortTermInteraction(D, heads=HEADS, stride=stride, depth=depth)
    randomise(module)
    cls, patches = random(B, T, D), random(B, T, N, D, seed=2)
    shifted = naive_exchange(patches, stride)
    result = module(cls, patches)
    for b in range(B):
        for t in range(T):
            expected = cls[b, t]
            for block in module.blocks:
                expected = naive_cross_block(expected, list(shifted[b, t]), block)
            torch.testing.assert_close(result[b, t], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("stride", "depth"), [(0, 1), (1, 1), (2, 1), (4, 1), (7, 1), (2, 2)])
def test_lii_follows_equation_7(stride: int, depth: int) -> None:
    module = LongTermInteraction(D, heads=HEADS, stride=stride, depth=depth)
    randomise(module)
    cls, patches = random(B, T, D), random(B, T, N, D, seed=2)
    result = module(cls, patches)
    for b in range(B):
        for t in range(T):
            query_frame = (t - stride) % T  # circular; the result belongs to the query's frame
            expected = cls[b, query_frame]
            for block in module.blocks:
                expected = naive_cross_block(expected, list(patches[b, t]), block)
            torch.testing.assert_close(result[b, query_frame], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", [ShortTermInteraction, LongTermInteraction])
def test_gradients(kind: type[ShortTermInteraction] | type[LongTermInteraction]) -> None:
    module = kind(4, heads=2, stride=1, depth=1)
    randomise(module)
    cls = random(1, 3, 4).requires_grad_()
    patches = random(1, 3, 2, 4, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(module, (cls, patches))
    names = [name for name, _ in module.named_parameters()]
    parameters = [p.detach().clone().requires_grad_() for p in module.parameters()]

    def of_parameters(*values: Tensor) -> Tensor:
        given = (cls.detach(), patches.detach())
        return torch.func.functional_call(module, dict(zip(names, values, strict=True)), given)

    assert torch.autograd.gradcheck(of_parameters, tuple(parameters), fast_mode=True)
