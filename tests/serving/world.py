"""A small gallery of drawn people, two cameras by day and night, embedded by an untrained model."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tests.inference.small import write_model
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.inference.embed import EmbedConfig, embed_tracklets
from xreid.retrieval.gallery import Gallery
from xreid.serving.config import Limits, ServeConfig

NIGHT_S = 1_794_000_000.0  # a November evening of 2026, Unix time
COLOURS = ((200, 40, 40), (40, 160, 60), (50, 70, 200), (210, 170, 40))
FRAMES = 6


def person(
    number: int, *, step: int = 0, grey: bool = False, size: tuple[int, int] = (40, 80)
) -> Image.Image:
    """A figure with a shirt of its own colour, which swings its legs."""
    image = Image.new("RGB", size, (120, 130, 125))
    draw, (w, h) = ImageDraw.Draw(image), size
    draw.ellipse((0.36 * w, 0.05 * h, 0.64 * w, 0.2 * h), fill=(210, 180, 150))
    draw.rectangle((0.25 * w, 0.2 * h, 0.75 * w, 0.55 * h), fill=COLOURS[number % len(COLOURS)])
    swing = 0.12 * w * (1 if step % 2 else -1)
    draw.line((0.4 * w, 0.55 * h, 0.4 * w - swing, h), fill=(30, 30, 40), width=max(2, w // 6))
    draw.line((0.6 * w, 0.55 * h, 0.6 * w + swing, h), fill=(30, 30, 40), width=max(2, w // 6))
    return image.convert("L").convert("RGB") if grey else image


def noisy(image: Image.Image, *, seed: int) -> Image.Image:
    """The picture with a little grey noise, so that no two tracklets are the same."""
    noise = np.random.default_rng(seed).normal(0, 5, (image.height, image.width, 1))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def as_bytes(image: Image.Image, kind: str = "PNG") -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def write_tracklets(root: Path, *, people: int = 4, rounds: int = 3) -> TrackletTable:
    """Each person passes the gate (visible) and the yard (infrared), once a round."""
    rows = []
    for turn in range(rounds):
        for number in range(people):
            for grey, camera, place in ((False, "gate", "street"), (True, "yard", "court")):
                name = f"{camera}-{turn}{number}"
                start = NIGHT_S + 3600 * turn + 300 * number + (60 if grey else 0)
                frames = []
                for step in range(FRAMES):
                    frame = f"frames/{name}/{step:06d}.jpg"
                    (root / frame).parent.mkdir(parents=True, exist_ok=True)
                    noisy(person(number, step=step, grey=grey), seed=100 * turn + number).save(root / frame)
                    frames.append(frame)
                rows.append(
                    Tracklet(
                        name=name,
                        frames=tuple(frames),
                        modality=Modality.INFRARED if grey else Modality.VISIBLE,
                        identity=f"p{number}" if turn else None,
                        camera=camera,
                        place=place,
                        source=f"{camera}.mp4",
                        start_s=start,
                        end_s=start + 4,
                        quality=0.25 * number + 0.1,
                        modality_confidence=1.0,
                    )
                )
    return TrackletTable(root=root, rows=tuple(rows))


def write_world(folder: Path) -> Path:
    """A checkpoint, an embedding set and a gallery: model/, imports/people, gallery/."""
    model = write_model(folder / "model", cameras=())
    table = write_tracklets(folder / "tracklets")
    embeddings = embed_tracklets(model, table, out=folder / "imports" / "people", config=EmbedConfig())
    Gallery.create(folder / "gallery").append(embeddings, name="people")
    return folder


def config_of(world: Path, state: Path, **values: object) -> ServeConfig:
    """Settings of a server over that world, with a state of its own."""
    settings: dict[str, object] = {
        "gallery": str(world / "gallery"),
        "checkpoint": world / "model",
        "imports": world / "imports",
        "state": state,
        "port": 0,
        "limits": Limits(upload_mib=4, image_megapixels=2, video_seconds=5.0, query_frames=8),
    }
    return ServeConfig(**{**settings, **values})  # type: ignore[arg-type]


def noise_video(path: Path, *, frames: int = 20, size: tuple[int, int] = (120, 160), fps: int = 10) -> Path:
    """A person of the world who walks through a picture."""
    from tests.retrieval.footage import write_video

    def picture(i: int) -> np.ndarray:
        image = Image.new("RGB", (size[1], size[0]), (90, 95, 100))
        image.paste(person(0, step=i), (10 + 4 * i, 30))
        return np.asarray(image)[:, :, ::-1].copy()

    return write_video(path, (picture(i) for i in range(frames)), fps=fps)
