"""Turns planned walks into encoded frames; keeps recently used people and cameras."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from xreid.core.seeding import numpy_generator
from xreid.core.tracklets import Modality
from xreid.simulation.arrays import Bytes
from xreid.simulation.atlas import Atlas
from xreid.simulation.camera import Camera, draw_camera
from xreid.simulation.config import SimulationConfig
from xreid.simulation.figure import build_figure
from xreid.simulation.identity import Person, draw_person
from xreid.simulation.mesh import Mesh
from xreid.simulation.nuisance import Nuisance, draw_nuisance
from xreid.simulation.paint import paint_person
from xreid.simulation.plan import FRAME_STEP_S, PlannedWalk
from xreid.simulation.render import Actor, render_walk
from xreid.simulation.scene import paint_scene
from xreid.simulation.sensor import encode
from xreid.simulation.walk import Walk, draw_walk, place

EXTRAS = 60  # different bystanders in a world


@lru_cache(maxsize=96)
def cast_person(seed: int, name: str, difficulty: float) -> tuple[Person, Mesh, Atlas]:
    """A person of a world, with figure and surface; those used last are kept."""
    person = draw_person(seed, name, difficulty=difficulty)
    return person, build_figure(person), paint_person(person, seed=seed, name=name)


@lru_cache(maxsize=48)
def _set_up(seed: int, name: str, modality: Modality, paired: bool) -> tuple[Camera, Bytes]:
    """The camera and its empty scene; paired cameras share one optical axis."""
    camera = draw_camera(seed, name, modality)
    if paired:
        other = draw_camera(seed, name, Modality.VISIBLE)
        camera = replace(camera, height_m=other.height_m, tilt=other.tilt, focal_px=other.focal_px)
    return camera, paint_scene(seed, camera)


@dataclass(frozen=True, kw_only=True)
class Footage:
    """A rendered walk.

    Attributes:
        images: For each spectrum, uint8 [H, W, 3] crops (blue, green, red).
        quality: JPEG quality to store them with.
    """

    images: dict[Modality, list[Bytes]]
    quality: int


def shoot(config: SimulationConfig, walk: PlannedWalk) -> Footage:
    """Render a walk in its spectra.

    Frame-aligned where the walk has both spectra: the same motion, boxes and nuisances.
    """
    seed, paired = config.seed, len(walk.modalities) > 1
    person, mesh, atlas = cast_person(seed, walk.person, config.difficulty)
    rng = numpy_generator(seed, "walk", walk.key)
    camera, _ = _set_up(seed, walk.camera, walk.modalities[0], paired)
    path = draw_walk(rng, person, camera, frames=walk.frames, step_s=FRAME_STEP_S[config.layout])
    nuisance = draw_nuisance(rng, frames=walk.frames, strength=config.nuisance, quality=config.jpeg_quality)
    actor = Actor(mesh=mesh, atlas=atlas, placed=place(person, mesh, path))
    bystander = _bystander(config, rng, path, nuisance)
    shots = {}
    for modality in walk.modalities:
        camera, scene = _set_up(seed, walk.camera, modality, paired)
        frames = render_walk(
            camera,
            scene,
            actor,
            bystander=bystander,
            nuisance=nuisance,
            height=config.frame_height,
            rng=numpy_generator(seed, "noise", walk.key, modality.value),
        )
        shots[modality] = list(frames)
    return Footage(images=shots, quality=nuisance.quality)


def shoot_encoded(config: SimulationConfig, walk: PlannedWalk) -> dict[str, list[bytes]]:
    """JPEG files of a walk by kind: "rgb", "ir", and "fake" (grey imitation of infrared) for pairs."""
    footage = shoot(config, walk)
    files = {
        "rgb" if modality is Modality.VISIBLE else "ir": [encode(image, footage.quality) for image in images]
        for modality, images in footage.images.items()
    }
    if len(walk.modalities) > 1:
        visible = footage.images[Modality.VISIBLE]
        files["fake"] = [encode(fake_infrared(image), footage.quality) for image in visible]
    return files


def fake_infrared(image: Bytes) -> Bytes:
    """A visible frame made to look like infrared, as BUPTCampus' FakeIR: grey, soft, low contrast."""
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (0, 0), 0.9)
    flat = cv2.convertScaleAbs(grey, alpha=0.62, beta=44)
    return cv2.merge([flat, flat, flat])


def _bystander(
    config: SimulationConfig, rng: np.random.Generator, path: Walk, nuisance: Nuisance
) -> Actor | None:
    if nuisance.bystander is None:
        return None
    name = f"extra-{int(rng.integers(EXTRAS))}"
    person, mesh, atlas = cast_person(config.seed, name, config.difficulty)
    frames = np.arange(len(path.phase), dtype=np.float32)[:, None]
    offset = np.array(nuisance.bystander, np.float32) + frames * np.array(nuisance.drift, np.float32)
    position = path.position + offset
    position[:, 1] = np.maximum(position[:, 1], 2.5)
    beside = replace(path, position=position, phase=path.phase + np.float32(rng.uniform(0, 6)))
    return Actor(mesh=mesh, atlas=atlas, placed=place(person, mesh, beside))
