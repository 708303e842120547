"""onnxruntime on the CPU against PyTorch: pixels to unit vectors, as ratios of medians of one run.

    python benchmarks/export.py                                        # tiny scale
    python benchmarks/export.py --scale vit-b16 --tracklets 1 --frames 4 --repeats 3

Both start from uint8 frames in memory, at the network's size. Weights are random, and int8 is calibrated on
noise: this is about speed; `xreid export --check` is about the same answers. Wall time is what a user waits
for; with one thread, CPU time is the same thing on a machine that others keep busy.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from common import machine
from embedding import model_of

from xreid.data.augment import Normalise
from xreid.inference.checkpoint import LoadedModel
from xreid.inference.export_encoder import TrackletEncoder
from xreid.inference.export_graph import INPUTS, store_as_bfloat16, trace
from xreid.inference.export_int8 import quantise
from xreid.inference.onnx_encoder import open_session
from xreid.training.presets import SCALES

Way = Callable[[], np.ndarray]


def pytorch(model: LoadedModel, frames: np.ndarray, *, bf16: bool) -> Way:
    """The way that `xreid embed` goes."""
    preprocessing = model.checkpoint.preprocessing
    normalise = Normalise(mean=preprocessing.mean, std=preprocessing.std)
    pixels = torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 1, 4, 2, 3)))
    cameras, modalities = torch.full((len(frames),), -1), torch.zeros(len(frames), dtype=torch.int64)

    def embed() -> np.ndarray:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            return model.network.embed(normalise(pixels), cameras, modalities=modalities).numpy()

    return embed


def exports(model: LoadedModel, frames: np.ndarray, *, threads: int) -> dict[str, Way]:
    """Every precision in onnxruntime, loaded from files, as a user does."""
    numbers = np.zeros(len(frames), dtype=np.int64)
    values = dict(zip(INPUTS, (frames, numbers - 1, numbers), strict=True))
    plain = trace(TrackletEncoder(model))
    graphs = {
        "fp32": plain,
        "fp16": trace(TrackletEncoder(model, half=True)),
        "int8": quantise(plain, [values]),
    }
    stored = type(plain)()
    stored.CopyFrom(plain)
    store_as_bfloat16(stored)
    graphs["bf16"] = stored
    ways = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, graph in graphs.items():
            path = Path(folder) / f"{name}.onnx"
            path.write_bytes(graph.SerializeToString())
            print(f"  {name}: {path.stat().st_size / 1e6:.1f} MB", flush=True)
            session = open_session(path, threads=threads)
            ways[f"onnxruntime {name}"] = lambda session=session: session.run(["embeddings"], values)[0]
    return ways


def in_turns(ways: Mapping[str, Way], *, repeats: int) -> dict[str, tuple[float, float]]:
    """Median (wall, CPU) seconds of each, called in turns; each runs once before."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, way in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            way()
            if repeat:
                seconds[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: (statistics.median(w for w, _ in s), statistics.median(c for _, c in s))
        for name, s in seconds.items()
    }


def main() -> None:
    """Print frames a second, by clock and by CPU time, of PyTorch and each export, and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scale", choices=SCALES, default="tiny")
    parser.add_argument("--tracklets", type=int, default=16)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = model_of(options.scale, torch.device("cpu"))
    shape = (options.tracklets, options.frames, *model.network.config.frame_size, 3)
    frames = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    import onnxruntime

    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{machine(torch.device('cpu'))}; onnxruntime {onnxruntime.__version__}; load {load} at the start")
    print(
        f"{options.scale}, {options.tracklets} tracklets x {options.frames} frames, {options.repeats} repeats"
    )
    ways = {
        "PyTorch fp32": pytorch(model, frames, bf16=False),
        "PyTorch bf16 autocast": pytorch(model, frames, bf16=True),
        **exports(model, frames, threads=options.threads),
    }
    reference = ways["PyTorch fp32"]()
    cosines = {name: (way() * reference).sum(axis=1).min() for name, way in ways.items()}
    medians, count = in_turns(ways, repeats=options.repeats), options.tracklets * options.frames
    wall, cpu = medians["PyTorch fp32"]
    for name, (own_wall, own_cpu) in medians.items():
        print(
            f"{name:22} {count / own_wall:8.1f} frames/s, {wall / own_wall:5.2f} x PyTorch fp32 by clock; "
            f"{count / own_cpu:8.1f} frames per CPU second, {cpu / own_cpu:5.2f} x; "
            f"least cosine {cosines[name]:.5f}"
        )
    print(f"load {', '.join(f'{value:.1f}' for value in os.getloadavg())} at the end")


if __name__ == "__main__":
    main()
