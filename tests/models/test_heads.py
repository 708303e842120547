import pytest
import torch

from xreid.core.errors import DataError
from xreid.models.heads import BNNeck, PerModalityBNNeck


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


def test_a_neck_of_each_modality_takes_its_own_mean_and_spread_off() -> None:
    neck, modalities = PerModalityBNNeck(3), torch.tensor([0, 1, 1, 0, 1, 0, 1])
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(7, 3, generator=generator) + 10 * modalities.unsqueeze(1)
    trained = neck(x, modalities=modalities)
    for modality in (0, 1):
        rows = modalities == modality
        alone = BNNeck(3)
        torch.testing.assert_close(trained[rows], alone(x[rows]))
        neck.eval(), alone.eval()
        torch.testing.assert_close(neck(x, modalities=modalities)[rows], alone(x[rows]))
        neck.train()


def test_a_neck_of_each_modality_needs_to_know_them() -> None:
    with pytest.raises(DataError, match="Give the modality of every clip"):
        PerModalityBNNeck(3)(torch.randn(4, 3))
