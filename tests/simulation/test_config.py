from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from xreid.cli.options import parse
from xreid.core.errors import ConfigError
from xreid.simulation.config import PRESETS, SimulationConfig, preset_options


@pytest.mark.parametrize(
    "wrong",
    [
        {"layout": "sysu"},
        {"seed": -1},
        {"train_identities": 0},
        {"cameras": 13},
        {"layout": "bupt-campus", "cameras": 7},
        {"cameras_per_identity": 1},
        {"cameras": 3, "cameras_per_identity": 4},
        {"shortest_walk": 40, "longest_walk": 30},
        {"difficulty": 1.1},
        {"nuisance": -0.1},
        {"frame_height": 8},
        {"auxiliary_identities": 3},
    ],
)
def test_refuses_what_makes_no_archive(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        SimulationConfig(**wrong)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_options_give_the_preset(name: str) -> None:
    parsed = parse(SimulationConfig, preset_options(name), verb="simulate")
    assert parsed == PRESETS[name]()


def test_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="uniform"):
        preset_options("huge")


def test_resolved_holds_every_field() -> None:
    config = replace(SimulationConfig(), seed=3)
    assert SimulationConfig(**config.resolved()) == config
