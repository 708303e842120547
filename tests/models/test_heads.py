import pytest
import torch

from xreid.core.errors import DataError
from xreid.models.heads import BNNeck


def test_equals_batchnorm1d_with_frozen_bias() -> None:
    torch.manual_seed(0)
    neck, reference = BNNeck(6), torch.nn.BatchNorm1d(6)
    for step in range(3):
        x = torch.randn(5, 6) * 2 + step
        torch.testing.assert_close(neck(x), reference(x))
    torch.testing.assert_close(neck.running_mean, reference.running_mean)
    torch.testing.assert_close(neck.running_var, reference.running_var)
    neck.eval(), reference.eval()
    torch.testing.assert_close(neck(x), reference(x))
    assert [name for name, _ in neck.named_parameters()] == ["weight"]


def test_frames_leave_running_statistics_alone() -> None:
    neck = BNNeck(4)
    neck(torch.randn(8, 4) + 3, track=False)
    assert torch.equal(neck.running_mean, torch.zeros(4))


def test_gradients() -> None:
    neck = BNNeck(3).double()
    assert torch.autograd.gradcheck(neck, torch.randn(4, 3, dtype=torch.float64, requires_grad=True))


def test_one_clip_is_an_error() -> None:
    with pytest.raises(DataError, match="2 clips"):
        BNNeck(4)(torch.randn(1, 4))
    assert BNNeck(4).eval()(torch.randn(1, 4)).shape == (1, 4)


def test_bfloat16_is_normalised_in_float32() -> None:
    assert BNNeck(4)(torch.randn(8, 4).bfloat16()).dtype == torch.float32
