"""Archives of tracklets of many lengths."""

from pathlib import Path

import pytest

from tests.data.tiny_archives import write_hitsz
from xreid.core.tracklets import TrackletTable
from xreid.data import open_archive


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("embed")
    return write_hitsz(root, test_ids=(501, 502, 503, 504), cameras=(1, 2, 3), frames=14, short_frames=5)


@pytest.fixture(scope="session")
def table(archive: Path) -> TrackletTable:
    return open_archive(archive, min_frames=1).subset("query", "gallery")
