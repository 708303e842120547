"""Shared by all tests: no network, and real footage only where it is."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its threads write to stderr whenever they like

# The same examples in every run, and no limits of time: `--hypothesis-profile explore` looks for others.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("steady", settings.get_profile("explore"), derandomize=True)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def real_footage() -> Path:
    """Folder of real footage; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("XREID_REAL", Path(__file__).resolve().parents[2] / "shared" / "real"))
    if not folder.is_dir():
        pytest.skip(f"no real footage at {folder} (set XREID_REAL)")
    return folder


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests to `pytest -m slow`."""
    if config.getoption("-m"):
        return
    skip = pytest.mark.skip(reason="slow: run with `pytest -m slow`")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)
