"""What covering takes away, against a network whose embedding is known by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.data.tiny_archives import write_jpeg
from tests.inference.small import write_model
from tests.training.micro import NETWORK
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.inference.clips_of import MOST_CLIPS, TrackletClips, clips_of
from xreid.inference.embed import EmbedConfig, Embedder
from xreid.inference.occlusion import cover, windows_of


class Means:
    """Features: the mean of the top left window, and of the bottom right one, over the clip."""

    class config:  # noqa: N801 - stands for a network's attribute
        grid = (2, 2)

    layout = (("top", 1), ("bottom", 1))

    def features(self, clips: Tensor, cameras: Tensor | None = None, **_: Any) -> Tensor:
        top, bottom = clips[:, :, 0, :4, :4], clips[:, :, 0, 4:, 4:]
        return torch.stack([top.mean(dim=(1, 2, 3)), bottom.mean(dim=(1, 2, 3))], dim=1)


def inputs(clips: Tensor) -> TrackletClips:
    count, frames = clips.shape[:2]
    zeros = torch.zeros(count, dtype=torch.int64)
    positions = np.arange(count * frames).reshape(count, frames)
    return TrackletClips(clips=clips, cameras=zeros, modalities=zeros, positions=positions, left_out=0)


def test_only_the_places_that_matter_are_worth_something() -> None:
    clips = torch.zeros(2, 3, 3, 8, 8)
    clips[:, :, :, :4, :4] = 4.0  # the mean of a frame is 1
    found = cover(Means(), inputs(clips))  # type: ignore[arg-type]
    assert found.whole == pytest.approx([1, 0])
    # top left covered: the feature is (1, 0), which has the same direction; bottom right covered: (4, 1)
    assert found.without[0, 0] == pytest.approx([1, 0])
    assert found.without[1, 1] == pytest.approx(np.array([4, 1]) / np.sqrt(17))
    lost = found.lost(np.array([1, 0], dtype=np.float32))
    assert lost == pytest.approx(np.array([[0, 0], [0, 1 - 4 / np.sqrt(17)]]), abs=1e-6)
    against = found.lost(np.array([0, 1], dtype=np.float32))
    assert against[1, 1] == pytest.approx(-1 / np.sqrt(17))


def test_windows_are_whole_patches_and_few() -> None:
    assert windows_of((8, 4)) == (8, 4)
    assert windows_of((18, 9)) == (6, 3)
    assert windows_of((2, 2)) == (2, 2)
    assert windows_of((7, 5)) == (7, 1)


def test_whole_is_the_stored_embedding_and_windows_differ(tmp_path: Path, table: TrackletTable) -> None:
    embedder = Embedder(write_model(tmp_path / "model"), table, config=EmbedConfig(sampling="dense"))
    found = cover(embedder.model.network, clips_of(embedder, 1))
    assert found.whole == pytest.approx(embedder.embed([1])[0], abs=1e-5)
    rows, columns = windows_of(NETWORK.grid)
    assert found.without.shape == (rows, columns, len(found.whole))
    assert np.linalg.norm(found.without, axis=-1) == pytest.approx(1, abs=1e-5)
    assert np.abs(found.without - found.whole).max() > 5e-4, "covering must change something"
    one = clips_of(embedder, 1)
    for row, column in ((0, 0), (0, 1), (3, 0)):
        clips = one.clips.clone()
        part = (..., slice(4 * row, 4 * row + 4), slice(4 * column, 4 * column + 4))
        clips[part] = one.clips.mean(dim=(-2, -1), keepdim=True)
        expected = embedder.model.network.features(clips, one.cameras).sum(dim=0)
        assert found.without[row, column] == pytest.approx((expected / expected.norm()).numpy(), abs=1e-5)


def test_of_very_many_clips_an_even_spread_is_taken(tmp_path: Path) -> None:
    write_jpeg(tmp_path / "a.jpg")
    row = Tracklet(name="long", frames=("a.jpg",) * 100, modality=Modality.VISIBLE)
    table = TrackletTable(root=tmp_path, rows=(row, replace(row, name="short", frames=("a.jpg",) * 2)))
    embedder = Embedder(
        write_model(tmp_path / "model"), table, config=EmbedConfig(sampling="dense", frames=2)
    )
    found = clips_of(embedder, 0)
    assert found.clips.shape[:2] == found.positions.shape == (MOST_CLIPS, 2)
    assert found.left_out == 50 - MOST_CLIPS
    assert found.positions[0].tolist() == [2, 3]
    assert found.positions[-1].tolist() == [96, 97]
    assert clips_of(embedder, 1).left_out == 0
