from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from xreid.core.tracklets import Modality
from xreid.simulation import studio
from xreid.simulation.atlas import Atlas
from xreid.simulation.config import SimulationConfig
from xreid.simulation.plan import plan_walks
from xreid.simulation.studio import fake_infrared, shoot, shoot_encoded


def walk_of(config: SimulationConfig, modality: Modality, number: int = 0):
    walks = [walk for walk in plan_walks(config) if modality in walk.modalities]
    return replace(walks[number], frames=6)


def test_infrared_does_not_see_colour(
    hitsz_config: SimulationConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = walk_of(hitsz_config, Modality.INFRARED)
    before = shoot(hitsz_config, walk).images[Modality.INFRARED]
    original = studio.cast_person

    def recoloured(*key: object):
        person, mesh, atlas = original(*key)
        return person, mesh, Atlas(visible=255 - atlas.visible, infrared=atlas.infrared)

    monkeypatch.setattr(studio, "cast_person", recoloured)
    after = shoot(hitsz_config, walk).images[Modality.INFRARED]
    assert all((a == b).all() for a, b in zip(before, after, strict=True))


def test_infrared_frames_are_grey_and_visible_ones_are_not(hitsz_config: SimulationConfig) -> None:
    for modality, grey in ((Modality.INFRARED, True), (Modality.VISIBLE, False)):
        for image in shoot(hitsz_config, walk_of(hitsz_config, modality)).images[modality]:
            assert image.dtype == np.uint8
            assert (np.ptp(image, axis=2) == 0).all() == grey
            assert image.shape[0] == hitsz_config.frame_height
            assert 0.3 < image.shape[1] / image.shape[0] < 0.75


def test_frames_of_a_walk_move_but_little(hitsz_config: SimulationConfig) -> None:
    calm = replace(hitsz_config, nuisance=0.0)
    images = shoot(calm, walk_of(calm, Modality.VISIBLE)).images[Modality.VISIBLE]
    steps = [np.abs(a.astype(int) - b.astype(int)).mean() for a, b in pairwise(images)]
    assert 1 < np.mean(steps) < 60


def test_nuisance_off_means_off(hitsz_config: SimulationConfig) -> None:
    off = replace(hitsz_config, nuisance=0.0)
    walk = walk_of(off, Modality.VISIBLE, 3)
    strong = shoot(replace(off, nuisance=1.0), walk)
    plain = shoot(off, walk)
    assert plain.quality == off.jpeg_quality
    assert strong.quality < plain.quality

    def sharpness(images: list[np.ndarray]) -> float:
        return float(np.mean([cv2.Laplacian(cv2.blur(i, (3, 3)), cv2.CV_32F).std() for i in images]))

    assert sharpness(plain.images[Modality.VISIBLE]) > 0
    assert plain.images[Modality.VISIBLE][0].shape[0] == strong.images[Modality.VISIBLE][0].shape[0]


def test_pairs_are_frame_aligned(bupt_config: SimulationConfig) -> None:
    config = replace(bupt_config, nuisance=0.0, frame_height=128)
    walk = walk_of(config, Modality.INFRARED, 1)
    images = shoot(config, walk).images
    assert set(images) == set(Modality)
    for visible, infrared in zip(images[Modality.VISIBLE], images[Modality.INFRARED], strict=True):
        assert visible.shape == infrared.shape
        edges = [cv2.Canny(cv2.GaussianBlur(i[..., 1], (0, 0), 1.5), 25, 60) > 0 for i in (visible, infrared)]
        near = cv2.dilate(edges[0].astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        shifted = np.roll(near, 30, axis=0)
        assert near[edges[1]].mean() > shifted[edges[1]].mean()  # outlines coincide in both spectra


def test_encoded_files_are_jpeg_and_fake_infrared_is_made_of_visible(bupt_config: SimulationConfig) -> None:
    walk = walk_of(bupt_config, Modality.INFRARED)
    files = shoot_encoded(bupt_config, walk)
    assert set(files) == {"rgb", "ir", "fake"}
    assert {len(data) for data in files.values()} == {walk.frames}
    for kind in files:
        image = cv2.imdecode(np.frombuffer(files[kind][0], np.uint8), cv2.IMREAD_COLOR)
        assert image.shape[0] == bupt_config.frame_height
    visible = cv2.imdecode(np.frombuffer(files["rgb"][0], np.uint8), cv2.IMREAD_COLOR)
    fake = fake_infrared(visible)
    assert (fake[..., 0] == fake[..., 2]).all()
    assert fake.std() < visible.std()
