"""torchvision's detectors as an adapter: random weights here, since no test downloads any."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.retrieval.footage import wall
from xreid.core.errors import CheckpointError, ConfigError
from xreid.retrieval.detect_torchvision import TorchvisionDetector

MODEL = "ssdlite320_mobilenet_v3_large"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from torchvision.models import get_model

    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.manual_seed(0)
    torch.save(get_model(MODEL, weights=None, weights_backbone=None).state_dict(), path)
    return path


def test_persons_above_the_threshold_are_given_in_pixels(weights: Path) -> None:
    detector = TorchvisionDetector(MODEL, weights=weights)
    assert detector([wall()])[0].shape == (0, 5), "random weights are sure of nothing"

    class Fixed(torch.nn.Module):
        def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
            assert images[0].shape == (3, 240, 320)
            assert images[0][0].mean() != images[0][2].mean()
            boxes = torch.tensor([[1.0, 2, 30, 80], [5, 5, 50, 90], [7, 7, 60, 99]])
            return [
                {"boxes": boxes, "labels": torch.tensor([1, 3, 1]), "scores": torch.tensor([0.9, 0.9, 0.2])}
            ]

    detector._network = Fixed()
    assert detector([wall()])[0] == pytest.approx(np.array([[1, 2, 30, 80, 0.9]]))


def test_weights_that_do_not_fit(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot read weights"):
        TorchvisionDetector(MODEL, weights=tmp_path / "none.pth")
    (tmp_path / "junk.pth").write_bytes(b"junk")
    with pytest.raises(CheckpointError, match="cannot read weights"):
        TorchvisionDetector(MODEL, weights=tmp_path / "junk.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"do not fit torchvision's ssdlite320"):
        TorchvisionDetector(MODEL, weights=tmp_path / "other.pth")


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta"])
def test_devices_that_do_not_exist(device: str, weights: Path) -> None:
    with pytest.raises(ConfigError, match="device|GPU"):
        TorchvisionDetector(MODEL, weights=weights, device=device)
