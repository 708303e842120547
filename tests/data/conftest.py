"""Tiny archives, written once a session and not to be changed; tests that damage one write their own."""

from pathlib import Path

import pytest

from tests.data.tiny_archives import write_bupt, write_folders, write_frames_csv, write_hitsz


@pytest.fixture(scope="session")
def hitsz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hitsz(tmp_path_factory.mktemp("hitsz"))


@pytest.fixture(scope="session")
def bupt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bupt(tmp_path_factory.mktemp("bupt"))


@pytest.fixture(scope="session")
def own_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames_csv(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folders(tmp_path_factory.mktemp("folders"))
