"""Loading of training batches against a plain PyTorch Dataset + DataLoader, as ratios of medians of one run.

    python benchmarks/loading.py            # about two minutes on 2 cores

The baseline is what published code does: for every frame open with Pillow, torchvision Resize, flip, pad,
crop, ToTensor, Normalize, RandomErasing; one item is a clip. Both load the same rows and as many frames of
the same files on one torch thread a process, and take turns, so that a busy machine slows both. "cold"
decodes every frame; "cached" is every later epoch with a cache that holds the frames.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.data.batches import CrossModalitySampler
from xreid.data.clips import IMAGENET_MEAN, IMAGENET_STD, ClipReader
from xreid.data.loader import training_batches
from xreid.data.sampling import chunk_random

IDENTITIES, TRACKLETS, FRAMES = 16, 2, 24
T, P, K = 10, 4, 2


def write_archive(root: Path, *, size: tuple[int, int]) -> TrackletTable:
    """Smooth shapes with some noise, as JPEG of quality 90; noise alone would not compress like a picture."""
    rng = np.random.default_rng(0)
    rows = []
    for identity in range(IDENTITIES):
        for modality in Modality:
            for number in range(TRACKLETS):
                name = f"{identity}-{modality.value}-{number}"
                frames = []
                for frame in range(FRAMES):
                    shapes = Image.fromarray(rng.integers(0, 256, (8, 4, 3), dtype=np.uint8))
                    shapes = shapes.resize(size[::-1], Image.Resampling.BICUBIC)
                    shapes = shapes.filter(ImageFilter.GaussianBlur(1))
                    pixels = np.asarray(shapes) + rng.normal(0, 4, (*size, 1))
                    path = f"{name}-{frame}.jpg"
                    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(root / path, quality=90)
                    frames.append(path)
                rows.append(
                    Tracklet(name=name, frames=tuple(frames), modality=modality, identity=str(identity))
                )
    return TrackletTable(root=root, rows=tuple(rows))


class PlainClips(Dataset[Tensor]):
    """The baseline: one clip an item, frame by frame."""

    def __init__(self, table: TrackletTable, *, size: tuple[int, int]) -> None:
        self.table = table
        self.transform = transforms.Compose(
            [
                transforms.Resize(size),
                transforms.RandomHorizontalFlip(),
                transforms.Pad(10),
                transforms.RandomCrop(size),
                transforms.ToTensor(),
                transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
                transforms.RandomErasing(0.5),
            ]
        )

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, row: int) -> Tensor:
        tracklet = self.table[row]
        frames = chunk_random(len(tracklet.frames), T, np.random.default_rng())
        paths = [self.table.frame_path(tracklet.frames[i]) for i in frames]
        return torch.stack([self.transform(Image.open(path).convert("RGB")) for path in paths])


def timed(batches: Iterable[object]) -> float:
    """Seconds to run through an iterable."""
    start = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - start


def measure(table: TrackletTable, *, size: tuple[int, int], workers: int, batches: int, repeats: int) -> None:
    """Print medians and ratios of one setting."""
    sampler = CrossModalitySampler(
        table, identities_per_batch=P, clips_per_modality=K, batches_per_epoch=batches, seed=0
    )
    warm = ClipReader(table, size=size, cache_bytes=2**31)
    for row in range(len(table)):
        warm.read(row, np.arange(FRAMES))
    epoch = iter(range(10**6))

    def plain() -> float:
        plans = [list(plan.rows) for plan in sampler.batches(next(epoch))]
        dataset = PlainClips(table, size=size)
        return timed(DataLoader(dataset, batch_sampler=plans, num_workers=workers))

    def ours(reader: Callable[[], ClipReader]) -> float:
        made = reader()
        return timed(training_batches(made, sampler, frames_per_clip=T, epoch=next(epoch), workers=workers))

    ways = {
        "plain": plain,
        "cold": lambda: ours(lambda: ClipReader(table, size=size)),
        "cached": lambda: ours(lambda: warm),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            seconds[name].append(way())
    median = {name: statistics.median(values) for name, values in seconds.items()}
    frames = batches * 2 * P * K * T
    rates = ", ".join(f"{name} {frames / value:6,.0f}" for name, value in median.items())
    print(
        f"{size[0]:3}x{size[1]:<3} workers {workers}: frames/s {rates}; "
        f"plain/cold {median['plain'] / median['cold']:.2f}, "
        f"plain/cached {median['plain'] / median['cached']:.1f}, "
        f"cached step of {2 * P * K * T} frames {1000 * median['cached'] / batches:.1f} ms",
        flush=True,
    )


def main() -> None:
    """Measure every setting."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--heights", type=int, nargs="+", default=[256, 512], help="of the files, twice the width"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)  # else the baseline mostly waits for other processes, and we would look better
    for file_size in [(height, height // 2) for height in options.heights]:
        with tempfile.TemporaryDirectory() as folder:
            table = write_archive(Path(folder), size=file_size)
            print(f"files {file_size[0]}x{file_size[1]}, {len(table) * FRAMES} frames")
            for size in ((288, 144), (128, 64), (64, 32)):
                for workers in (0, 2):
                    measure(
                        table, size=size, workers=workers, batches=options.batches, repeats=options.repeats
                    )


if __name__ == "__main__":
    main()
