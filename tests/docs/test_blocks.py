"""Every block of README.md and docs/*.md that can run is run, page by page, as a reader would."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, blocks_of, read_block, run_block
from tests.docs.world import World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_blocks_run(page: Path, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, in one folder: what a block makes is there for the next."""
    blocks = [block for block in blocks_of(page) if block.is_run]
    world.furnish(tmp_path, blocks)
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        run_block(block, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_not_run_is_at_least_right(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for block in blocks_of(page):
        if block.kind:
            read_block(block)
    assert not list(tmp_path.iterdir()), "reading makes nothing"
