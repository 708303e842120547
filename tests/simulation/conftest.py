from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from xreid.simulation.config import SimulationConfig, tiny
from xreid.simulation.generate import simulate


@pytest.fixture(scope="session")
def hitsz_config() -> SimulationConfig:
    return replace(tiny(), shortest_walk=14, longest_walk=30, seed=5)


@pytest.fixture(scope="session")
def bupt_config() -> SimulationConfig:
    return replace(tiny(), layout="bupt-campus", auxiliary_identities=2, test_identities=4, seed=5)


@pytest.fixture(scope="session")
def hitsz(tmp_path_factory: pytest.TempPathFactory, hitsz_config: SimulationConfig) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "hitsz"
    simulate(hitsz_config, out, workers=1)
    return out


@pytest.fixture(scope="session")
def bupt(tmp_path_factory: pytest.TempPathFactory, bupt_config: SimulationConfig) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "bupt"
    simulate(bupt_config, out, workers=1)
    return out
