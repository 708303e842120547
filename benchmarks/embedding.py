"""Embedding tracklets, files to vectors, against the plain way, as ratios of medians of one run.

    python benchmarks/embedding.py                                  # tiny scale, two minutes on 2 cores
    python benchmarks/embedding.py --device cuda --scale vit-b16 --tracklets 512 --workers 8

"plain" takes one tracklet after the other: Pillow and torchvision frame by frame, then benchmarks/plain.py.
"model" is the network alone on clips that are already on the device; its FLOP/s are held against the
fastest large matrix product of the same run and type.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from common import alternate, flops, machine, matrix_product_peak, peak_memory
from loading import write_archive
from plain import PlainNetwork, read_frames
from torch.nn import functional as F

from xreid.core.tracklets import TrackletTable
from xreid.data.sampling import FrameSampling, sample
from xreid.inference.checkpoint import Checkpoint, LoadedModel, Preprocessing
from xreid.inference.embed import EmbedConfig, Embedder
from xreid.inference.processes import choose_device
from xreid.methods.registry import build_network
from xreid.training.presets import SCALES, preset_named


def model_of(scale: str, device: torch.device) -> LoadedModel:
    """A model of random weights at a scale."""
    config = preset_named("paper", scale=scale)
    shape = replace(config.network, weights=None)
    checkpoint = Checkpoint(network=shape, preprocessing=Preprocessing(frames=10))
    network = build_network(shape).to(device).eval()
    return LoadedModel(network=network, checkpoint=checkpoint, sha256="random", device=device)


@torch.no_grad()
def plainly(model: LoadedModel, table: TrackletTable) -> np.ndarray:
    """One tracklet after the other."""
    network, vectors = PlainNetwork(model.network), []
    frames = model.checkpoint.preprocessing.frames
    for row in table:
        (chosen,) = sample(FrameSampling.CHUNK_FIRST, len(row.frames), frames)
        paths = [table.frame_path(row.frames[i]) for i in chosen]
        clip = read_frames(paths, size=model.network.config.frame_size)[None].to(model.device)
        out = network(clip, None)
        parts = {"bn_cls": out.bn_cls, "bn_proj": out.bn_proj, "bn_interaction": out.bn_interaction}
        vectors.append(F.normalize(torch.cat([parts[n] for n, _ in model.network.layout], dim=1), dim=1))
    return torch.cat(vectors).cpu().numpy()


def measure(
    model: LoadedModel,
    table: TrackletTable,
    *,
    precision: Literal["fp32", "bf16"],
    options: argparse.Namespace,
) -> None:
    """Print one line."""
    device, frames = model.device, model.checkpoint.preprocessing.frames
    config = EmbedConfig(precision=precision, clips_per_batch=options.batch)
    embedder = Embedder(model, table, config=config, workers=options.workers)
    plain_table = table.take(range(min(len(table), options.plain_tracklets)))
    cosine = (embedder.embed(range(len(plain_table))) * plainly(model, plain_table)).sum(axis=1).min()
    clips = torch.randn(options.batch, frames, 3, *model.network.config.frame_size, device=device)

    def alone() -> torch.Tensor:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
            return model.network.features(clips)

    ways = {
        "ours": lambda: embedder.embed(range(len(table))),
        "plain": lambda: plainly(model, plain_table),
        "model": alone,
    }
    timing = alternate(ways, device=device, repeats=options.repeats)
    rate = len(table) * frames / timing["ours"].median
    plain_rate = len(plain_table) * frames / timing["plain"].median
    model_rate = options.batch * frames / timing["model"].median
    speed = flops(alone) / timing["model"].median
    peak = matrix_product_peak(device, torch.bfloat16 if precision == "bf16" else torch.float32)
    memory = peak_memory(alone, device)
    print(
        f"{precision}: {rate:.0f} frames/s from files ({rate / frames:.1f} tracklets/s); plain fp32 "
        f"{plain_rate:.0f}, ratio {rate / plain_rate:.2f}; model alone {model_rate:.0f} frames/s, "
        f"{speed / 1e9:.0f} GFLOP/s = {100 * speed / peak:.0f}% of the {peak / 1e9:.0f} of a matrix product"
        + ("" if memory is None else f", {memory:.1f} GiB")
        + f"; least cosine to plain {cosine:.6f}",
        flush=True,
    )


def main() -> None:
    """Print frames a second from files and of the model alone, and the ratio to the plain way."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scale", choices=SCALES, default="tiny")
    parser.add_argument("--precisions", nargs="+", choices=("fp32", "bf16"), default=["fp32", "bf16"])
    parser.add_argument("--tracklets", type=int, default=64)
    parser.add_argument("--plain-tracklets", type=int, default=32, help="of the baseline")
    parser.add_argument("--batch", type=int, default=16, help="clips")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    device = choose_device(options.device)
    model = model_of(options.scale, device)
    with tempfile.TemporaryDirectory() as folder:
        table = write_archive(Path(folder), size=(256, 128))
        rows = [
            replace(row, name=f"{row.name}-{i}")
            for i in range(-(-options.tracklets // len(table)))
            for row in table
        ]
        table = replace(table, rows=tuple(rows[: options.tracklets]))
        print(f"{machine(device)}; {options.scale}, {len(table)} tracklets, JPEG 256x128")
        for precision in options.precisions:
            measure(model, table, precision=precision, options=options)


if __name__ == "__main__":
    main()
