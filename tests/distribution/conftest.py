"""The archive of the embedding tests, and one Ray for all tests that ask for it: starting takes seconds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.inference.conftest import archive, table
from xreid.distribution.cluster import start

__all__ = ["archive", "table"]


@pytest.fixture(scope="session")
def local_cluster() -> Iterator[None]:
    """Four cores, said to be: Ray Data keeps one for itself. Workers find the tests as this process does."""
    ray = pytest.importorskip("ray", reason="the extra [ray] is not installed")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")
    paths = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    start(
        ray,
        num_cpus=4,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        runtime_env={"env_vars": {"PYTHONPATH": paths}},
    )
    yield
    ray.shutdown()
