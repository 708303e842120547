from dataclasses import replace

import pytest
import torch

from xreid.models.backbone import ClipImageEncoder
from xreid.models.config import NetworkConfig
from xreid.models.stem import ConvolutionalStem


@pytest.mark.parametrize(("patch", "width"), [(8, 128), (4, 96), (16, 64), (2, 8)])
def test_one_token_a_patch(patch: int, width: int) -> None:
    stem = ConvolutionalStem(width, patch=patch, grid=(4, 2))
    assert stem(torch.randn(3, 3, 4 * patch, 2 * patch)).shape == (3, 8, width)


def test_tokens_come_row_by_row_as_in_timm() -> None:
    torch.manual_seed(0)
    stem = ConvolutionalStem(16, patch=8, grid=(8, 4)).eval()
    frame = torch.zeros(1, 3, 64, 32)
    changed = frame.clone()
    changed[..., 8 * 5 - 3 : 8 * 5 + 4, 8 * 2 - 3 : 8 * 2 + 4] = 1  # about the centre of row 5, column 2
    stem.layers = torch.nn.Sequential(*[x for x in stem.layers if not isinstance(x, torch.nn.GroupNorm)])
    moved = (stem(changed) - stem(frame)).abs().sum(dim=2)[0]
    assert moved.argmax().item() == 5 * 4 + 2


def test_frames_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    encoder = ClipImageEncoder(NetworkConfig.tiny())
    frames = torch.randn(4, 3, 64, 32)
    torch.testing.assert_close(encoder(frames).cls[1:2], encoder(frames[1:2]).cls)


def test_both_stems_have_one_grid() -> None:
    config = NetworkConfig.tiny()
    plain = ClipImageEncoder(replace(config, stem="patch"))
    assert plain.vit.pos_embed.shape == ClipImageEncoder(config).vit.pos_embed.shape
