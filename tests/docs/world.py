"""What a reader of the documentation already has: archives, a run, embeddings, footage; all simulated.

Each thing is made once per test session, when a page first names it, and each page gets its own copy.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.docs.blocks import Block, run_xreid
from tests.retrieval.footage import walkers, write_images, write_video


def archive(layout: str, world: World, out: Path) -> None:
    """Ten people of few small frames, in one of the two published trees."""
    words = f"--preset tiny --layout {layout} --train_identities 6 --test_identities 4 --workers 1"
    run_xreid(["simulate", str(out), *words.split()], place="world")


def run(epochs: int, seed: int, world: World, out: Path) -> None:
    """A run of the tiny scale, but smaller still; it has learnt next to nothing."""
    words = f"--scale tiny --network.depth 1 --network.width 64 --train.epochs {epochs}"
    words += f" --batch.identities 3 --batch.per_epoch 2 --train.seed {seed} --train.tensorboard false"
    run_xreid(["train", str(world.made("HITSZ-VCM")), str(out), *words.split()], place="world")


def embeddings(data: str, options: str, world: World, out: Path) -> None:
    """What the run says about a set of tracklets."""
    words = ["embed", str(world.made("runs/vcm")), str(world.made(data)), str(out), *options.split()]
    run_xreid(words, place="world")


def same(name: str, world: World, out: Path) -> None:
    """A copy, under the name that stands for the reader's own."""
    shutil.copytree(world.made(name), out)


def video(world: World, out: Path) -> None:
    """Two people walk past a camera for visible light."""
    write_video(out, walkers(170))


def footage(world: World, out: Path) -> None:
    """Recordings of two cameras, named after camera and local time."""
    out.mkdir(parents=True)
    write_video(out / "gate_20261120_213000.mp4", walkers(120))
    write_video(out / "yard_20261120_213000.mp4", walkers(170))


def night(world: World, out: Path) -> None:
    """The tracklets of the same camera's infrared twin, named yard-..."""
    frames = write_images(out.parent / f".{out.name}-frames", walkers(170), grey=True)
    run_xreid(["ingest", str(frames), str(out), "--camera", "yard", "--fps", "10"], place="world")


def pairs(world: World, out: Path) -> None:
    """Images of a double camera."""
    frames = list(walkers(100))[40:100:6]
    write_images(out / "visible", frames)
    write_images(out / "infrared", frames, grey=True)


Maker = Callable[["World", Path], None]

# A page that names one of these in a block finds it in its folder.
THINGS: dict[str, Maker] = {
    "HITSZ-VCM": partial(archive, "hitsz-vcm"),
    "BUPTCampus": partial(archive, "bupt-campus"),
    "runs/vcm": partial(run, 1, 0),
    "embeddings/vcm": partial(embeddings, "HITSZ-VCM", ""),
    "gate.mp4": video,
    "footage": footage,
    "tracklets/yard": night,
    "embeddings/yard": partial(embeddings, "tracklets/yard", ""),
    "pairs": pairs,
    "DATA": partial(same, "HITSZ-VCM"),
    "CHECKPOINT": partial(same, "runs/vcm"),
    "EMBEDDINGS": partial(same, "embeddings/vcm"),
    "QUERIES": partial(embeddings, "HITSZ-VCM", "--subset query"),
    "GALLERY": partial(embeddings, "HITSZ-VCM", "--subset gallery"),
    "SECOND": partial(embeddings, "HITSZ-VCM", "--part second-half"),
}


@dataclass
class World:
    """Makes things on demand, once, under `folder`."""

    folder: Path
    done: set[str] = field(default_factory=set)

    def made(self, name: str) -> Path:
        """The place of a thing that exists."""
        path = self.folder / name
        if name not in self.done:
            path.parent.mkdir(parents=True, exist_ok=True)
            THINGS[name](self, path)
            self.done.add(name)
        return path

    def furnish(self, page: Path, blocks: list[Block]) -> None:
        """Copy into the folder `page` whatever the blocks name."""
        text = "\n".join(block.text for block in blocks)
        for name in THINGS:
            if re.search(rf"(?<![\w/]){re.escape(name)}(?![\w-])", text):
                source, target = self.made(name), page / name
                target.parent.mkdir(parents=True, exist_ok=True)
                copy = shutil.copytree if source.is_dir() else shutil.copy
                copy(source, target)
