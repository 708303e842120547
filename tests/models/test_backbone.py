"""The encoder against timm's own forward, and against open_clip where it is installed."""

from dataclasses import replace

import pytest
import timm
import torch

from xreid.models.backbone import ClipImageEncoder
from xreid.models.config import NetworkConfig

PARITY = 5e-6  # values are of the order of 1 to 4; measured 0 (timm) and 2e-6 (open_clip)


def encoder_of(config: NetworkConfig, *, seed: int = 0) -> ClipImageEncoder:
    torch.manual_seed(seed)
    return ClipImageEncoder(config).eval()


def shortened(config: NetworkConfig) -> NetworkConfig:
    """ViT-B/16 with 2 of its 12 blocks: every operation, a fifth of the time."""
    return replace(config, depth=2)


@torch.no_grad()
def test_parity_with_timm_on_random_weights() -> None:
    encoder = encoder_of(shortened(NetworkConfig.vit_b16(weights=None)))
    model = timm.create_model(
        "vit_base_patch16_clip_quickgelu_224", img_size=(288, 144), num_classes=512, depth=2
    ).eval()
    weights = dict(encoder.vit.state_dict())
    model.load_state_dict({**weights, "head.bias": torch.zeros(512)})
    frames = torch.randn(3, 3, 288, 144)
    tokens, expected = encoder(frames), model.forward_features(frames)
    difference = max(
        (tokens.cls - expected[:, 0]).abs().max().item(),
        (tokens.patches - expected[:, 1:]).abs().max().item(),
        (tokens.proj - model(frames)).abs().max().item(),
    )
    print(f"max difference to timm: {difference:.1e}")
    assert difference <= PARITY


@pytest.mark.slow
@torch.no_grad()
def test_parity_with_timm_at_full_depth() -> None:
    encoder = encoder_of(NetworkConfig.vit_b16(weights=None))
    model = timm.create_model("vit_base_patch16_clip_quickgelu_224", img_size=(288, 144), num_classes=512)
    model.eval().load_state_dict({**encoder.vit.state_dict(), "head.bias": torch.zeros(512)})
    frames = torch.randn(2, 3, 288, 144)
    difference = (encoder(frames).proj - model(frames)).abs().max().item()
    print(f"max difference to timm: {difference:.1e}")
    assert difference <= PARITY


@torch.no_grad()
def test_parity_with_open_clip_on_random_weights() -> None:
    open_clip = pytest.importorskip("open_clip")
    from xreid.models.weight_names import to_timm_names

    torch.manual_seed(0)
    tower = open_clip.transformer.VisionTransformer(
        image_size=224,
        patch_size=16,
        width=768,
        layers=2,
        heads=12,
        mlp_ratio=4,
        output_dim=512,
        act_layer=open_clip.transformer.QuickGELU,
    ).eval()
    config = replace(shortened(NetworkConfig.vit_b16(weights=None)), frame_size=(224, 224))
    encoder = encoder_of(config, seed=1)
    encoder.vit.load_state_dict(to_timm_names(dict(tower.state_dict())))
    frames = torch.randn(2, 3, 224, 224)
    difference = (encoder(frames).proj - tower(frames)).abs().max().item()
    print(f"max difference to open_clip: {difference:.1e}")
    assert difference <= PARITY


@torch.no_grad()
def test_class_offset_moves_only_the_class_token_before_the_first_block() -> None:
    encoder = encoder_of(NetworkConfig.tiny())
    frames, offset = torch.randn(2, 3, 64, 32), torch.randn(2, 128)
    expected = encoder_of(NetworkConfig.tiny())
    for row in range(2):
        original = expected.vit.cls_token.clone()
        expected.vit.cls_token += offset[row]
        torch.testing.assert_close(
            encoder(frames[row : row + 1], class_offset=offset[row : row + 1]).cls,
            expected(frames[row : row + 1]).cls,
        )
        expected.vit.cls_token.copy_(original)


def test_checkpointing_gives_the_same_gradients() -> None:
    config = NetworkConfig.tiny()
    frames = torch.randn(2, 3, 64, 32)
    gradients = []
    for on in (False, True):
        encoder = encoder_of(replace(config, gradient_checkpointing=on)).train()
        encoder(frames).proj.square().sum().backward()
        gradients.append([p.grad for p in encoder.parameters() if p.grad is not None])
    for plain, checkpointed in zip(*gradients, strict=True):
        assert torch.equal(plain, checkpointed)


def test_patch_projection_is_frozen_where_asked() -> None:
    frozen = [
        n for n, p in encoder_of(shortened(NetworkConfig.vit_b16())).named_parameters() if not p.requires_grad
    ]
    assert frozen == ["vit.patch_embed.proj.weight"]
    assert all(p.requires_grad for p in encoder_of(NetworkConfig.tiny()).parameters())
