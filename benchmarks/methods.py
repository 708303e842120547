"""What each method costs: parameters, FLOP of one tracklet, a training step, embedding; weights are random.

    python benchmarks/methods.py                                             # tiny scale, a minute on 2 cores
    python benchmarks/methods.py --device cuda --scale vit-b16 --precision bf16
    python benchmarks/methods.py --scale vit-b16 --repeats 0             # counts only: a minute of a CPU
    python benchmarks/methods.py --scale vit-b16 --identities 2 --clips 1 --frames 3 --repeats 1 # a CPU

Every method is timed in turns with the first of the list, so that a busy machine slows both; the ratio is of
those two. "embedding" is the network on clips that are already tensors, without reading frames. Parameters
"in use" are those that an inference feature depends on; the others work in training only (classifiers, CII,
prompts, adversaries, an unused projection).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from common import Timing, alternate, flops, machine, peak_memory
from training_step import IDENTITIES, LR, batch_of, trainee_of

from xreid.inference.processes import Processes, choose_device
from xreid.methods.registry import build_network, method_named
from xreid.training.config import TrainConfig
from xreid.training.presets import PRESETS, SCALES, preset_named
from xreid.training.step import Stepper

METHODS = ("image", "pcl_clip", "tf_clip", "mitml", "m3_reid", "baseline", "paper")


def config_of(preset: str, options: argparse.Namespace) -> TrainConfig:
    """The preset with the batch that was asked for."""
    config = preset_named(preset, scale=options.scale)
    asked = {name: getattr(options, name) for name in ("identities", "clips", "frames")}
    batch = replace(config.batch, **{name: value for name, value in asked.items() if value})
    train = replace(config.train, precision=options.precision or config.train.precision)
    return replace(config, batch=batch, train=train)


class Contender:
    """A method's network, with a batch of noise."""

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.batch = batch_of(config, identities=config.batch.identities, device=device)
        self.trainee = trainee_of(config, device)
        table: Any = SimpleNamespace()  # only names the clips of a batch that fails
        self.stepper = Stepper(self.trainee, config, processes=Processes(device=device), table=table)

    def step(self) -> None:
        """One optimiser step."""
        self.stepper(self.batch, lr=LR, where="the benchmark")

    def embed(self) -> None:
        """The features of the batch."""
        bf16 = self.config.train.precision == "bf16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=bf16):
            self.trainee.network.embed(self.batch.clips, self.batch.cameras)


def counts(config: TrainConfig) -> dict[str, Any]:
    """Parameters, and FLOP of one tracklet.

    Without cameras: a test camera unseen in training has no vector.
    """
    network = build_network(replace(config.network, weights=None, num_identities=IDENTITIES))
    clips = torch.zeros(1, config.batch.frames, 3, *config.network.frame_size)
    gflop = flops(partial(network.embed, clips)) / 1e9
    output = network.requires_grad_(True).eval()(clips[:, :1])
    kept = [
        getattr(output, name) if name.startswith("bn_") else output.sequence(name)
        for name, _ in network.layout
    ]
    torch.stack([feature.float().sum() for feature in kept]).sum().backward()
    return {
        "parameters": sum(p.numel() for p in network.parameters()),
        "parameters_in_use": sum(p.numel() for p in network.parameters() if p.grad is not None),
        "feature": sum(width for _, width in network.layout),
        "tracklet_gflop": gflop,
    }


def row_of(config: TrainConfig, reference: TrainConfig, options: argparse.Namespace) -> dict[str, Any]:
    """One row of the table."""
    title = method_named(config.network.method).title
    row = {"preset": config.preset, "title": title, **counts(config)}
    if not options.repeats:
        return row
    device = choose_device(options.device)
    own = Contender(config, device)
    other = own if config.preset == reference.preset else Contender(reference, device)
    return row | _times(own, other, options.repeats)


def _times(contender: Contender, reference: Contender, repeats: int) -> dict[str, Any]:
    step, step_ratio = _timed(contender, reference, "step", repeats)
    embed, embed_ratio = _timed(contender, reference, "embed", repeats)
    clips, frames = contender.batch.clips.shape[:2]
    return {
        "step_gflop": flops(contender.step) / 1e9,
        "step_s": step.median,
        "step_ratio": step_ratio,
        "embed_tracklets_per_s": clips / embed.median,
        "embed_frames_per_s": clips * frames / embed.median,
        "embed_ratio": 1 / embed_ratio,
        "memory_gib": peak_memory(contender.step, contender.device),
    }


def _timed(contender: Contender, reference: Contender, work: str, repeats: int) -> tuple[Timing, float]:
    ways = {"reference": getattr(reference, work)}
    if contender is not reference:
        ways["own"] = getattr(contender, work)
    timing = alternate(ways, device=contender.device, repeats=repeats)
    own = timing.get("own", timing["reference"])
    return own, own.median / timing["reference"].median


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "method": lambda r: r["title"],
        "preset": lambda r: f"`{r['preset']}`",
        "parameters (M)": lambda r: f"{r['parameters'] / 1e6:.2f}",
        "in use (M)": lambda r: f"{r['parameters_in_use'] / 1e6:.2f}",
        "feature": lambda r: str(r["feature"]),
        "GFLOP a tracklet": lambda r: f"{r['tracklet_gflop']:.3g}",
    }
    if "step_s" in rows[0]:
        columns |= {
            "GFLOP a step": lambda r: f"{r['step_gflop']:.4g}",
            "step (ms)": lambda r: f"{1000 * r['step_s']:.0f}",
            "time to first": lambda r: f"{r['step_ratio']:.2f}",
            "tracklets/s": lambda r: f"{r['embed_tracklets_per_s']:.3g}",
            "rate to first": lambda r: f"{r['embed_ratio']:.2f}",
        }
    lines = [list(columns), ["---", "---", *["---:"] * (len(columns) - 2)]]
    lines += [[column(row) for column in columns.values()] for row in rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main() -> None:
    """Print a table of the methods: parameters (M), GFLOP, ms a step, tracklets a second."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scale", choices=SCALES, default="tiny")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=list(METHODS))
    parser.add_argument("--precision", choices=("fp32", "bf16"), help="default: the scale's")
    for name in ("identities", "clips", "frames"):
        parser.add_argument(f"--{name}", type=int, default=0, help="of a batch; default: the scale's")
    parser.add_argument("--repeats", type=int, default=5, help="0: parameters and FLOP of a tracklet only")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    configs = [config_of(preset, options) for preset in options.presets]
    rows = [row_of(config, configs[0], options) for config in configs]
    b = configs[0].batch
    what = {
        "machine": machine(choose_device(options.device)),
        "scale": options.scale,
        "precision": configs[0].train.precision,
        "clips": 2 * b.identities * b.clips,
        "frames": b.frames,
    }
    if options.json:
        print(json.dumps({**what, "rows": rows}, indent=2))
        return
    print(", ".join(f"{name} {value}" for name, value in what.items()), table(rows), sep="\n\n")


if __name__ == "__main__":
    main()
