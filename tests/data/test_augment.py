"""Augmentation against plain loops, and its consistency over a clip."""

import numpy as np
import pytest
import torch

from xreid.core.errors import ConfigError
from xreid.data.augment import AugmentConfig, ClipAugment, Normalise
from xreid.data.clips import IMAGENET_MEAN, IMAGENET_STD

T, H, W = 4, 20, 12
OFF = AugmentConfig(flip=0, pad=0, erase=0)


@pytest.fixture
def clip() -> torch.Tensor:
    return torch.randint(0, 256, (T, 3, H, W), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _normalised(clip: torch.Tensor) -> torch.Tensor:
    out = torch.empty(clip.shape)
    for channel in range(3):
        out[:, channel] = (clip[:, channel] / 255 - IMAGENET_MEAN[channel]) / IMAGENET_STD[channel]
    return out


def test_normalisation(clip: torch.Tensor) -> None:
    assert torch.allclose(Normalise()(clip), _normalised(clip), atol=1e-5)
    assert torch.allclose(ClipAugment(OFF)(clip, _rng()), _normalised(clip), atol=1e-5)


def test_input_is_left_alone_and_out_is_written(clip: torch.Tensor) -> None:
    before, out = clip.clone(), torch.full((T, 3, H, W), float("nan"))
    config = AugmentConfig(flip=1, pad=5, erase=1)
    result = ClipAugment(config)(clip, _rng(), out=out)
    assert result is out
    assert torch.equal(clip, before)
    assert torch.equal(out, ClipAugment(config)(clip, _rng()))


def test_flip(clip: torch.Tensor) -> None:
    flipped = ClipAugment(AugmentConfig(flip=1, pad=0, erase=0))(clip, _rng())
    assert torch.allclose(flipped, _normalised(clip).flip(-1), atol=1e-5)


def test_pad_and_crop_is_one_of_the_possible_crops(clip: torch.Tensor) -> None:
    pad = 3
    canvas = torch.zeros(T, 3, H + 2 * pad, W + 2 * pad, dtype=torch.uint8)
    canvas[..., pad:-pad, pad:-pad] = clip
    crops = {
        (y, x): _normalised(canvas[..., y : y + H, x : x + W])
        for y in range(2 * pad + 1)
        for x in range(2 * pad + 1)
    }
    seen = set()
    for seed in range(300):
        out = ClipAugment(AugmentConfig(flip=0, pad=pad, erase=0))(clip, _rng(seed))
        hits = [place for place, crop in crops.items() if torch.allclose(out, crop, atol=1e-5)]
        assert len(hits) == 1
        seen.add(hits[0])
    assert len(seen) == (2 * pad + 1) ** 2


def test_padding_larger_than_the_frame_is_survived(clip: torch.Tensor) -> None:
    for seed in range(20):
        assert torch.isfinite(ClipAugment(AugmentConfig(pad=50))(clip, _rng(seed))).all()


@pytest.mark.parametrize("fill", ["mean", "noise"])
def test_erasing_changes_one_rectangle_of_the_right_size(clip: torch.Tensor, fill: str) -> None:
    config = AugmentConfig(flip=0, pad=0, erase=1, erase_fill=fill)  # type: ignore[arg-type]
    plain = _normalised(clip)
    for seed in range(100):
        out = ClipAugment(config)(clip, _rng(seed))
        changed = (out - plain).abs().gt(1e-4).any(dim=1)  # [T, H, W]
        assert torch.equal(changed.any(dim=0), changed.any(dim=0) & changed.any(dim=0))
        ys, xs = torch.nonzero(changed.any(dim=0), as_tuple=True)
        top, bottom, left, right = ys.min(), ys.max() + 1, xs.min(), xs.max() + 1
        hole = out[..., top:bottom, left:right]
        if fill == "mean":
            assert torch.equal(hole, torch.zeros_like(hole))
        else:
            assert torch.equal(hole, hole[:1].expand_as(hole))  # the same pattern in all frames
        share = (bottom - top) * (right - left) / (H * W)
        assert 0.005 <= share <= 0.45  # rounding of sides to pixels


def test_probabilities_hold() -> None:
    clip = torch.arange(W, dtype=torch.uint8).expand(1, 3, H, W)
    flips = erasures = 0
    for seed in range(1000):
        out = ClipAugment(AugmentConfig(flip=0.3, pad=0, erase=0))(clip, _rng(seed))
        flips += bool(out[0, 0, 0, 0] > out[0, 0, 0, -1])
        out = ClipAugment(AugmentConfig(flip=0, pad=0, erase=0.6))(clip, _rng(seed))
        erasures += not torch.allclose(out, _normalised(clip), atol=1e-5)
    assert 250 < flips < 350
    assert 550 < erasures < 650


def test_frames_share_their_draws_unless_told_otherwise() -> None:
    frame = torch.randint(0, 256, (1, 3, H, W), dtype=torch.uint8)
    still = frame.expand(T, -1, -1, -1)
    config = AugmentConfig(erase=1, erase_fill="noise")
    alike = ClipAugment(config)(still, _rng(3))
    assert torch.equal(alike, alike[:1].expand_as(alike))
    jitter = ClipAugment(AugmentConfig(per_frame=True))(still, _rng(3))
    assert not torch.equal(jitter, jitter[:1].expand_as(jitter))


def test_same_generator_same_result(clip: torch.Tensor) -> None:
    first, second, third = (ClipAugment()(clip, _rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


@pytest.mark.parametrize(
    "wrong",
    [{"flip": 1.1}, {"erase": -0.1}, {"pad": -1}, {"erase_area_min": 0.5}, {"erase_aspect": 0}],
)
def test_values_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="out of range"):
        AugmentConfig(**wrong)  # type: ignore[arg-type]


def test_grey_clips_have_equal_channels_and_infrared_stays_as_it_is() -> None:
    config = AugmentConfig(flip=0, pad=0, erase=0, grey=1)
    augment = ClipAugment(config, mean=(0, 0, 0), std=(1 / 255,) * 3)
    generator = np.random.default_rng(0)
    colour = torch.from_numpy(generator.integers(0, 256, (2, 3, 6, 4), dtype=np.uint8))
    grey = augment(colour, np.random.default_rng(1))
    assert torch.equal(grey[:, 0], grey[:, 1])
    assert torch.equal(grey[:, 0], grey[:, 2])
    low, high = colour.float().amin(1), colour.float().amax(1)
    assert ((grey[:, 0] >= low - 0.51) & (grey[:, 0] <= high + 0.51)).all(), "a mix of the channels"
    infrared = colour[:, :1].expand(-1, 3, -1, -1).contiguous()
    torch.testing.assert_close(augment(infrared, np.random.default_rng(2)), infrared.float())


def test_mixed_clips_have_other_hues_and_infrared_stays_as_it_is() -> None:
    clip = torch.randint(0, 256, (2, 3, 8, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    augment = ClipAugment(AugmentConfig(flip=0, pad=0, erase=0, mix=1), mean=(0, 0, 0), std=(1, 1, 1))
    mixed = augment(clip, np.random.default_rng(0)) * 255
    colours = clip.float().movedim(1, 0).flatten(1)
    solution = torch.linalg.lstsq(colours.T, mixed.movedim(1, 0).flatten(1).T).solution.T
    torch.testing.assert_close(solution.sum(dim=1), torch.ones(3), atol=0.02, rtol=0)
    assert (solution > -0.02).all(), "each channel is a blend of the three"
    assert (solution[0] - solution[1]).abs().max() > 0.1, "and not the same one"
    infrared = clip[:, :1].expand(-1, 3, -1, -1).contiguous()
    torch.testing.assert_close(augment(infrared, np.random.default_rng(2)), infrared / 255)


def test_zoom_scales_about_the_middle_and_repeats_the_edge() -> None:
    augment = ClipAugment(AugmentConfig(flip=0, pad=0, erase=0, zoom=0.3), mean=(0, 0, 0), std=(1, 1, 1))
    clip = torch.zeros(2, 3, 65, 33, dtype=torch.uint8)
    clip[:, :, 16:49, 8:25] = 255  # half as tall and half as wide as the frame
    bright = torch.full((1, 3, 64, 32), 200, dtype=torch.uint8)
    heights, widths = [], []
    for seed in range(60):
        out = augment(clip, _rng(seed))
        assert torch.equal(out[0], out[1]), "the clip moves as one"
        torch.testing.assert_close(out, out.flip(-1).flip(-2), atol=0.05, rtol=0)
        heights.append(out[0, 0, :, 16].mean().item())  # the white share of the middle column
        widths.append(out[0, 0, 32].mean().item())
        torch.testing.assert_close(augment(bright, _rng(seed)), bright / 255)
    assert 0.5 * 0.7 - 0.02 <= min(heights) < 0.4
    assert 0.6 < max(heights) <= 0.5 * 1.3 + 0.02
    ratios = np.array(widths) / np.array(heights)
    assert 0.85 - 0.05 <= ratios.min() < 0.93
    assert 1.07 < ratios.max() <= 1.15 + 0.05


def test_per_frame_draws_every_frame_anew() -> None:
    clip = torch.randint(0, 256, (1, 3, 16, 8), dtype=torch.uint8).expand(3, -1, -1, -1).contiguous()
    for change in ({"zoom": 0.3}, {"mix": 1.0}):
        for per_frame in (False, True):
            config = AugmentConfig(flip=0, pad=0, erase=0, per_frame=per_frame, **change)  # type: ignore[arg-type]
            out = ClipAugment(config)(clip, _rng(4))
            assert torch.equal(out[0], out[1]) is not per_frame
