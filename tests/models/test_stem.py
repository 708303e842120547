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
    # where the receptive field of row 5, column 2 has its middle
    changed[..., 8 * 5 - 3 : 8 * 5 + 4, 8 * 2 - 3 : 8 * 2 + 4] = 1
    for name, module in list(stem.named_modules()):
        if isinstance(module, torch.nn.GroupNorm):  # it would spread the change over the whole frame
            stem.get_submodule(name.rpartition(".")[0])[1] = torch.nn.Identity()
        elif isinstance(module, torch.nn.Conv2d):
            torch.nn.init.ones_(module.weight)
    moved = (stem(changed) - stem(frame)).abs().sum(dim=2)[0]
    assert moved.argmax().item() == 5 * 4 + 2


def test_frames_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    encoder = ClipImageEncoder(NetworkConfig.tiny())
    frames = torch.randn(4, 3, 64, 32)
    torch.testing.assert_close(encoder(frames).cls[1:2], encoder(frames[1:2]).cls)


def test_gain_and_contrast_of_a_frame_do_not_matter() -> None:
    torch.manual_seed(0)
    stem = ConvolutionalStem(128, patch=8, grid=(8, 4))
    frames = torch.randn(2, 3, 64, 32)
    torch.testing.assert_close(stem(0.3 * frames - 1.5), stem(frames), atol=1e-3, rtol=0)
    warmer = frames + torch.tensor([0.5, 0.0, -0.5]).view(3, 1, 1)
    assert (stem(warmer) - stem(frames)).abs().max() > 0.1, "colours are kept"


def test_both_stems_have_one_grid() -> None:
    config = NetworkConfig.tiny()
    plain = ClipImageEncoder(replace(config, stem="patch"))
    assert plain.vit.pos_embed.shape == ClipImageEncoder(config).vit.pos_embed.shape


def test_the_class_token_starts_from_the_mean_of_the_stems_tokens() -> None:
    torch.manual_seed(0)
    encoder = ClipImageEncoder(replace(NetworkConfig.tiny(), depth=1))
    encoder.vit.blocks = torch.nn.Sequential()
    frames = torch.randn(2, 3, 64, 32)
    vit = encoder.vit
    first = vit.cls_token[:, 0] + vit.pos_embed[:, 0] + vit.patch_embed(frames).mean(1)
    torch.testing.assert_close(encoder(frames).cls, vit.norm(vit.norm_pre(first)))
    offset = torch.randn(2, 128)
    torch.testing.assert_close(
        encoder(frames, class_offset=offset).cls, vit.norm(vit.norm_pre(first + offset))
    )


def test_clips_own_stem_leaves_the_class_token_alone() -> None:
    assert not ClipImageEncoder(replace(NetworkConfig.tiny(), stem="patch")).pooled_class_token
