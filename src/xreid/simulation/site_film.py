"""Films one recording: frame after frame with everybody in it, and the truth about each frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from xreid.core.seeding import numpy_generator
from xreid.core.tracklets import Modality
from xreid.simulation.arrays import Bytes, Floats
from xreid.simulation.camera import Camera
from xreid.simulation.render import Actor, View, cast_shadow, paint_figure, view_of
from xreid.simulation.site_config import SiteConfig
from xreid.simulation.site_layers import Layer, Rect, disjoint
from xreid.simulation.site_light import Look, look_at
from xreid.simulation.site_map import site_cameras
from xreid.simulation.site_plan import Passage, Recording, plan_passages
from xreid.simulation.site_stage import FRAME, Stage, stage_of
from xreid.simulation.studio import cast_person
from xreid.simulation.walk import Walk, place

_PAD = 4  # pixels around a figure
_DRIFT = 0.012  # of the automatic exposure


@dataclass(frozen=True, kw_only=True)
class TrueBox:
    """Where a person is in a frame.

    Attributes:
        track: Number of the passage.
        box: Left, top, right, bottom in pixels, within the frame; behind things as if they were not there.
        visibility: Share of the person's outline that is seen: not hidden, not beyond the border.
        whole: Whether the whole outline lies within the frame.
    """

    track: int
    box: tuple[float, float, float, float]
    visibility: float
    whole: bool

    @property
    def has_area(self) -> bool:
        """Whether a pixel or more of it lies within the frame."""
        left, top, right, bottom = self.box
        return right - left >= 1 and bottom - top >= 1


@dataclass(frozen=True, kw_only=True)
class FilmedFrame:
    """A frame: uint8 [360, 640, 3] (blue, green, red), or [360, 640] in infrared; and who is where."""

    image: Bytes
    modality: Modality
    boxes: tuple[TrueBox, ...]


class _Player:
    """One passage during one recording."""

    def __init__(self, config: SiteConfig, recording: Recording, passage: Passage, camera: Camera) -> None:
        times = recording.start_s + np.arange(recording.frames) / config.fps
        inside = np.flatnonzero((times >= passage.start_s) & (times <= passage.end_s))
        self.passage, self.first = passage, int(inside[0]) if len(inside) else 0
        self.frames = range(self.first, self.first + len(inside))
        if not self.frames:
            return
        self.person, self.mesh, self.atlas = cast_person(config.seed, passage.person, config.difficulty)
        rng = numpy_generator(config.seed, "site", "passage", passage.person, passage.camera, passage.number)
        gone = times[inside] - passage.start_s
        position, heading = passage.path.at(gone * passage.speed)
        pace = passage.speed / self.person.gait.speed
        phase = rng.uniform(0, 2 * np.pi) + 2 * np.pi * self.person.gait.cadence * pace * gone
        walk = Walk(
            position=position,
            heading=heading,
            phase=phase.astype(np.float32),
            habit=bool(rng.random() < 0.75),
        )
        self.actor = Actor(mesh=self.mesh, atlas=self.atlas, placed=place(self.person, self.mesh, walk))
        self.ground = position[:, 1]
        self._views: dict[Modality, View] = {}
        self.pixels = camera.project(self.actor.placed.points)[0]

    def box(self, frame: int) -> Floats:
        """Left, top, right, bottom of the outline, unclipped."""
        pixels = self.pixels[frame - self.first]
        return np.concatenate([pixels.min(0), pixels.max(0)])

    def distance(self, frame: int) -> float:
        return float(self.ground[frame - self.first])

    def view(self, camera: Camera) -> View:
        if camera.modality not in self._views:
            self._views[camera.modality] = view_of(self.actor, camera)
        return self._views[camera.modality]

    def layer(self, stage: Stage, frame: int) -> Layer | None:
        """The figure, or None where nothing of it falls into the frame."""
        i = frame - self.first
        rect = Rect.around(self.pixels[i], margin=_PAD)
        if rect.meet(FRAME).empty:
            return None
        corner = np.array([rect.left, rect.top], np.float32)
        figure = paint_figure(
            self.pixels[i] - corner,
            self.view(stage.camera),
            self.actor,
            stage.camera,
            i,
            size=rect.size,
        )
        if figure is None:
            return None
        return Layer(
            rect=rect,
            light=figure.light,
            weight=figure.weight,
            mask=figure.mask > 0.5,
            shown=self.passage.number,
        )

    def shadow_rect(self, stage: Stage, frame: int) -> Rect:
        """Around the shadows on the ground."""
        points = self.actor.placed.points[frame - self.first]
        camera = stage.camera
        flat = points * np.array([1, 1, 0], np.float32)
        around = [camera.project(flat)[0]]
        if camera.modality is Modality.VISIBLE and camera.sun > 0.2:
            sun = np.array(camera.light, np.float32)
            around.append(camera.project(points - sun * (points[:, 2:3] / sun[2]))[0])
        return Rect.around(np.concatenate(around), margin=8)

    def cast(self, stage: Stage, canvas: Floats, frame: int, rect: Rect) -> None:
        low, high = self.box(frame)[1::2]
        corner = np.array([rect.left, rect.top], np.float32)
        part = canvas[rect.window]
        cast_shadow(
            part,
            self.actor,
            stage.camera,
            frame - self.first,
            corner=corner,
            zoom=1.0,
            tall=int(np.clip(high - low, 20, 400)),
        )


def film(
    config: SiteConfig, recording: Recording, *, frames: Sequence[int] | None = None
) -> Iterator[FilmedFrame]:
    """The frames of a recording in order, or those of the given numbers (from 0)."""
    (camera,) = (camera for camera in site_cameras(config) if camera.name == recording.camera)
    lens = stage_of(config, camera.name, Modality.VISIBLE, sunny=False).camera
    players = [
        player
        for passage in plan_passages(config)
        if passage.camera == camera.name and (player := _Player(config, recording, passage, lens)).frames
    ]
    drift = _exposure_drift(config, recording)
    for frame in range(recording.frames) if frames is None else frames:
        look = look_at(config, camera, recording.session, recording.first_s + frame / config.fps)
        stage = stage_of(config, camera.name, look.modality, sunny=look.sunny)
        here = [player for player in players if frame in player.frames]
        picture, boxes = _compose(stage, look, here, frame)
        picture = cv2.convertScaleAbs(picture, alpha=look.gain * float(drift[frame]))
        rng = numpy_generator(config.seed, "site", "grain", recording.name, frame)
        image = stage.noisy(np.asarray(picture), rng, level=look.level)
        yield FilmedFrame(image=image, modality=look.modality, boxes=tuple(boxes))


def _compose(stage: Stage, look: Look, players: Sequence[_Player], frame: int) -> tuple[Bytes, list[TrueBox]]:
    """The picture without noise, and who is where; only what people change is drawn again."""
    picture = stage.empty(look.level).copy()
    layers = [(player, layer) for player in players if (layer := player.layer(stage, frame)) is not None]
    layers.sort(key=lambda pair: -pair[0].distance(frame))
    shadows = {id(p): p.shadow_rect(stage, frame).meet(FRAME) for p, _ in layers}
    canvas = stage.full.copy() if layers else stage.full
    seen = np.zeros(canvas.shape[:2], np.int32)
    dirty = [layer.rect.join(shadows[id(player)]).meet(FRAME) for player, layer in layers]
    order = [(player.distance(frame), layer) for player, layer in layers] + stage.things
    order.sort(key=lambda pair: -pair[0])
    areas = disjoint(dirty)
    for area in areas:
        canvas[area.window] = stage.bare[area.window]
    for player, _ in layers:
        if not shadows[id(player)].empty:
            player.cast(stage, canvas, frame, shadows[id(player)])
    for _, layer in order:
        for area in areas:
            layer.lay(canvas, seen, area)
    for area in areas:
        picture[area.window] = stage.store(canvas, area, level=look.level)
    boxes = [_true_box(player, layer, frame, seen) for player, layer in layers]
    return picture, [box for box in boxes if box.has_area]


def _true_box(player: _Player, layer: Layer, frame: int, seen: Floats) -> TrueBox:
    left, top, right, bottom = (float(v) for v in player.box(frame))
    part = layer.rect.meet(FRAME)
    shown = int((seen[part.window] == player.passage.number).sum())
    return TrueBox(
        track=player.passage.number,
        box=(max(left, 0.0), max(top, 0.0), min(right, FRAME.right), min(bottom, FRAME.bottom)),
        visibility=shown / max(1, int(layer.mask.sum())),
        whole=left >= 0 and top >= 0 and right <= FRAME.right and bottom <= FRAME.bottom,
    )


def _exposure_drift(config: SiteConfig, recording: Recording) -> Floats:
    """Slow changes of the automatic exposure: factors on the brightness, float64 [F]."""
    rng = numpy_generator(config.seed, "site", "drift", recording.name)
    times = np.arange(recording.frames) / config.fps
    waves = [np.sin(2 * np.pi * times / rng.uniform(4, 30) + rng.uniform(0, 6)) for _ in range(2)]
    return 1 + _DRIFT * 0.5 * (waves[0] + waves[1])
