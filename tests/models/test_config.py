from dataclasses import replace
from typing import Any

import pytest

from xreid.core.errors import ConfigError
from xreid.models.config import NetworkConfig


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frame_size": (60, 32)}, "frame_size"),
        ({"frame_size": (64,)}, "frame_size"),
        ({"heads": 3}, "divisor"),
        ({"interaction_heads": 3}, "divisor"),
        ({"width": 0}, "width"),
        ({"width": 6, "heads": 1, "interaction_heads": 1}, "multiple of 4"),
        ({"sii_stride": -1}, "sii_stride"),
        ({"lii_depth": 0}, "lii_depth"),
        ({"num_identities": -1}, "num_identities"),
        ({"cameras": ("D1", "D1")}, "cameras"),
        ({"classifiers": ("cls", "cls")}, "classifiers"),
        ({"freeze_patch_projection": True}, "stem"),
        ({"patch": 1, "width": 4, "heads": 1, "interaction_heads": 1}, "stem"),
        ({"width": 132, "heads": 4, "interaction_heads": 4}, "stem"),
    ],
)
def test_bad_values_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(NetworkConfig.tiny(), **change)


def test_paper_scale() -> None:
    config = NetworkConfig.vit_b16()
    assert config.grid == (18, 9)
    assert config.freeze_patch_projection
    assert not NetworkConfig.vit_b16(weights=None).freeze_patch_projection


def test_tiny_keeps_every_part() -> None:
    config = NetworkConfig.tiny()
    assert (config.use_sii, config.use_lii, config.use_cii) == (True, True, True)
    assert config.weights is None
    assert replace(config, stem="patch", width=96, heads=3, interaction_heads=3).grid == (8, 4)


def test_scale_and_options_are_independent() -> None:
    official = replace(NetworkConfig(), sii_depth=2, use_lii=False, detach_tokens=True, classifiers=("cls",))
    tiny = official.at_tiny_scale()
    assert (tiny.sii_depth, tiny.use_lii, tiny.detach_tokens, tiny.classifiers) == (2, False, True, ("cls",))
    assert (tiny.width, tiny.stem, tiny.weights) == (128, "convolutions", None)
