"""Renders one walk: crops of a person passing a camera, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from xreid.core.tracklets import Modality
from xreid.simulation.arrays import Bytes, Floats
from xreid.simulation.atlas import Atlas
from xreid.simulation.camera import Camera
from xreid.simulation.mesh import Mesh
from xreid.simulation.nuisance import Nuisance, draw_occluder
from xreid.simulation.raster import crevices, draw
from xreid.simulation.scene import illumination
from xreid.simulation.sensor import expose, grain
from xreid.simulation.skeleton import BONE
from xreid.simulation.walk import Placed


@dataclass(frozen=True, kw_only=True)
class Actor:
    """A figure in a shot: its mesh, its surface and where it is in every frame."""

    mesh: Mesh
    atlas: Atlas
    placed: Placed


@dataclass(frozen=True, kw_only=True)
class View:
    """An actor as a camera sees it: pixels [F, V, 2], depth, facing and light [F, V], and its box.

    Attributes:
        pixels: float32 [F, V, 2], positions in the camera's frame.
        depth: float32 [F, V], metres.
        facing: float32 [F, V], cosine between normal and direction to the camera.
        light: float32 [F, V], light at the surface.
    """

    pixels: Floats
    depth: Floats
    facing: Floats
    light: Floats


def view_of(actor: Actor, camera: Camera) -> View:
    """Project an actor and light it: sun and sky, or the camera's own infrared lamp."""
    points, normals = actor.placed.points, actor.placed.normals
    pixels, depth = camera.project(points)
    towards = np.array([0, 0, camera.height_m], np.float32) - points
    towards /= np.linalg.norm(towards, axis=-1, keepdims=True)
    facing = (normals * towards).sum(-1)
    ambient = actor.mesh.ambient[None]
    if camera.modality is Modality.INFRARED:
        light = illumination(camera, depth) * ambient * (0.36 + 0.7 * np.clip(facing, 0, 1) ** 0.8)
    else:
        sky = ambient * (0.78 + 0.2 * normals[..., 2] + 0.2 * np.clip(facing, 0, 1))
        sun = np.clip(normals @ np.array(camera.light, np.float32), 0, 1)
        light = (1 - 0.5 * camera.sun) * sky + camera.sun * sun
    return View(pixels=pixels, depth=depth, facing=facing, light=light.astype(np.float32))


def boxes(view: View, nuisance: Nuisance) -> Floats:
    """Detector boxes around the figure: left, top, height in frame pixels, float32 [F, 3]."""
    low, high = view.pixels.min(1), view.pixels.max(1)  # [F, 2]
    middle, tall = (low + high) / 2, high[:, 1] - low[:, 1]
    core = np.median(view.pixels[..., 0], axis=1)
    centre = np.stack([0.5 * (core + middle[:, 0]), middle[:, 1]], 1)
    centre, tall = _smooth(centre), _smooth(tall[:, None])[:, 0]
    height = tall * 1.07 * nuisance.scale
    centre = centre + nuisance.shift * height[:, None]
    width = height * nuisance.aspect
    return np.stack([centre[:, 0] - width / 2, centre[:, 1] - height / 2, height], 1).astype(np.float32)


def _smooth(track: Floats) -> Floats:
    padded = np.pad(track, ((2, 2), (0, 0)), mode="edge")
    return np.stack([padded[i : i + len(track)] for i in range(5)]).mean(0)


def render_walk(
    camera: Camera,
    scene: Bytes,
    person: Actor,
    *,
    bystander: Actor | None,
    nuisance: Nuisance,
    height: int,
    rng: np.random.Generator,
) -> Iterator[Bytes]:
    """Yield the crops of a walk: uint8 [H, W, 3], blue, green, red."""
    size = (height, max(16, round(height * nuisance.aspect)))
    shots = [view_of(person, camera)]
    actors = [person]
    if bystander is not None:
        shots.append(view_of(bystander, camera))
        actors.append(bystander)
    box_of = boxes(shots[0], nuisance)
    places = person.placed.points.mean(1)
    for frame, (left, top, tall) in enumerate(box_of):
        zoom, corner = size[0] / tall, np.array([left, top], np.float32)
        image = _background(scene, left, top, zoom, size)
        order = sorted(range(len(actors)), key=lambda i: -float(shots[i].depth[frame].mean()))
        for i in order:
            cast_shadow(image, actors[i], camera, frame, corner=corner, zoom=zoom)
        for i in order:
            _draw_actor(image, actors[i], shots[i], camera, frame, corner=corner, zoom=zoom)
        if nuisance.occluder is not None:
            outline = _outline(nuisance, camera, places, frame)
            light = float(illumination(camera, 0.8 * float(places[frame, 1]))) if image.ndim == 2 else 0.8
            draw_occluder(
                image,
                nuisance.occluder,
                _leave_half((outline - corner) * zoom, size[1]),
                infrared=camera.modality is Modality.INFRARED,
                light=light,
                grain=grain(rng, size),
            )
        yield expose(
            image, camera, nuisance, frame=frame, box=(float(left), float(top), float(tall)), rng=rng
        )


def _background(scene: Bytes, left: float, top: float, zoom: float, size: tuple[int, int]) -> Floats:
    matrix = np.array([[1 / zoom, 0, left], [0, 1 / zoom, top]], np.float64)
    crop = cv2.warpAffine(
        scene,
        matrix,
        (size[1], size[0]),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return crop.astype(np.float32)


_FEET = (BONE["foot_l"], BONE["foot_r"])
#: Parts that cast one convex shadow each.
_LIMBS = (
    (BONE["pelvis"], BONE["chest"], BONE["head"]),
    *((BONE[f"thigh_{side}"], BONE[f"shin_{side}"], BONE[f"foot_{side}"]) for side in "lr"),
    *((BONE[f"upper_arm_{side}"], BONE[f"forearm_{side}"]) for side in "lr"),
)


def cast_shadow(
    image: Floats,
    actor: Actor,
    camera: Camera,
    frame: int,
    *,
    corner: Floats,
    zoom: float,
    tall: int | None = None,
) -> None:
    """Darken the ground under the feet and, in the visible, away from the sun.

    Args:
        image: float32 [H, W] or [H, W, 3], changed in place.
        actor: Who.
        camera: The camera.
        frame: Number of the frame.
        corner: Left and top of the image in the camera's frame.
        zoom: Pixels of the image for one of the frame.
        tall: Height of the figure in pixels of the image; none: the image is as high as the figure.
    """
    points, bones = actor.placed.points[frame], actor.mesh.bones[:, 0]
    infrared = camera.modality is Modality.INFRARED
    mask = np.zeros(image.shape[:2], np.uint8)
    if not infrared and camera.sun > 0.2:
        sun = np.array(camera.light, np.float32)
        fallen = points - sun * (points[:, 2:3] / sun[2])
        for limb in _LIMBS:
            _fill_hull(mask, camera, fallen[np.isin(bones, limb)][::2], corner, zoom, int(190 * camera.sun))
    for foot in _FEET:
        sole = points[bones == foot]
        lifted = float(sole[:, 2].min())  # a foot in the air darkens the ground less
        if lifted < 0.2:
            flat = sole * np.array([1, 1, 0], np.float32)
            _fill_hull(mask, camera, flat, corner, zoom, int((150 if infrared else 210) * (1 - 3.5 * lifted)))
    window = max(3, round((tall or image.shape[0]) / 28) | 1)
    factor = 1 - cv2.blur(cv2.blur(mask, (window, window)), (window, window)).astype(np.float32) / 255
    image *= factor if image.ndim == 2 else factor[..., None]


def _fill_hull(mask: Bytes, camera: Camera, points: Floats, corner: Floats, zoom: float, value: int) -> None:
    flat, _ = camera.project(points)
    hull = cv2.convexHull(np.clip((flat - corner) * zoom, -4000, 4000).astype(np.float32))
    cv2.fillConvexPoly(mask, np.round(hull * 8).astype(np.int32), value, cv2.LINE_8, 3)


def _draw_actor(
    image: Floats, actor: Actor, view: View, camera: Camera, frame: int, *, corner: Floats, zoom: float
) -> None:
    size = image.shape[:2]
    pixels = (view.pixels[frame] - corner) * np.float32(zoom)
    if pixels[:, 0].max() < 0 or pixels[:, 0].min() > size[1] or pixels[:, 1].min() > size[0]:
        return
    figure = paint_figure(pixels, view, actor, camera, frame, size=(size[0], size[1]))
    if figure is not None:
        weight = figure.weight if image.ndim == 2 else figure.weight[..., None]
        image += weight * (figure.light - image)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A drawn figure: light float32 [H, W] or [H, W, 3], 0 beside it, its share of each pixel, its outline.

    Attributes:
        light: 0..255.
        weight: float32 [H, W], 0..1, soft at the outline.
        mask: float32 [H, W], 1 where covered.
    """

    light: Floats
    weight: Floats
    mask: Floats


def paint_figure(
    pixels: Floats, view: View, actor: Actor, camera: Camera, frame: int, *, size: tuple[int, int]
) -> Figure | None:
    """Draw a figure alone, or None where nothing of it falls into the picture.

    Args:
        pixels: float32 [V, 2], positions in the picture.
        view: The actor as the camera sees it.
        actor: Who.
        camera: The camera.
        frame: Number of the frame.
        size: Height and width of the picture.
    """
    surface = draw(
        np.clip(pixels, -4000, 4000),
        view.depth[frame],
        view.facing[frame],
        quads=actor.mesh.quads,
        lift=actor.mesh.lift,
        uv=actor.mesh.uv,
        shade=view.light[frame],
        size=size,
    )
    if surface is None:
        return None
    light = surface.shade * crevices(surface, size)
    infrared = camera.modality is Modality.INFRARED
    values = surface.look_up(actor.atlas.infrared if infrared else actor.atlas.visible)
    layer = np.zeros((size[0] * size[1], *values.shape[1:]), np.float32)
    layer[surface.pixels] = values * (light if infrared else light[:, None])
    soft = cv2.GaussianBlur(surface.mask, (0, 0), 0.8 * size[0] / 256 + 0.1)
    return Figure(
        light=layer.reshape(*size, *values.shape[1:]), weight=soft * surface.mask, mask=surface.mask
    )


def _leave_half(outline: Floats, width: int) -> Floats:
    """Keep a wide thing from hiding more than half of the crop: detectors find no hidden people."""
    low, high = outline[:, 0].min(), outline[:, 0].max()
    tall = outline[:, 1].min() < 0.3 * width
    if high - low < 0.5 * width or not tall:
        return outline
    shift = max(0.0, 0.55 * width - low) if low + high > width else min(0.0, 0.45 * width - high)
    return outline + np.array([shift, 0], np.float32)


def _outline(nuisance: Nuisance, camera: Camera, places: Floats, frame: int) -> Floats:
    thing = nuisance.occluder
    assert thing is not None  # the caller checked
    anchor = places[len(places) // 2]
    y = np.float32(min(float(anchor[1]), float(places[frame, 1])) * thing.nearer)
    x = anchor[0] * thing.nearer + thing.offset_m
    w, h = thing.width_m, thing.height_m
    corners = np.array([[x - w, y, 0], [x + w, y, 0], [x + w, y, h], [x - w, y, h]], np.float32)
    return camera.project(corners)[0]
