"""A tiny archive for training, written once."""

from pathlib import Path

import pytest

from tests.data.tiny_archives import write_hitsz
from tests.training.micro import IDENTITIES


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hitsz(tmp_path_factory.mktemp("archive"), train_ids=IDENTITIES, cameras=(1, 2), frames=12)
