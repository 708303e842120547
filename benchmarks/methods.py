"""What each method costs: parameters, FLOP of one tracklet, a training step, embedding; weights are random.

    python benchmarks/methods.py                                             # tiny scale, a minute on 2 cores
    python benchmarks/methods.py --device cuda --scale vit-b16 --precision bf16
    python benchmarks/methods.py --scale vit-b16 --identities 2 --clips 1 --repeats 0   # counts only: any CPU

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
from training_step import LR, batch_of, trainee_of

from xreid.data.loader import ClipBatch
from xreid.inference.processes import Processes, choose_device
from xreid.methods.registry import method_named
from xreid.models.network import TrackletNetwork
from xreid.training.config import TrainConfig
from xreid.training.presets import PRESETS, SCALES, preset_named
from xreid.training.step import Stepper

METHODS = ("image", "pcl_clip", "tf_clip", "mitml", "m3_reid", "baseline", "paper")


class Contender:
    """One preset, its network and a batch of noise."""

    def __init__(self, preset: str, options: argparse.Namespace, device: torch.device) -> None:
        self.preset, self.device = preset, device
        self.config = self._config(options)
        b = self.config.batch
        self.batch = batch_of(self.config, identities=b.identities, device=device)
        self.trainee = trainee_of(self.config, device)
        table: Any = SimpleNamespace()  # only names the clips of a batch that fails
        self.stepper = Stepper(self.trainee, self.config, processes=Processes(device=device), table=table)

    def _config(self, options: argparse.Namespace) -> TrainConfig:
        config = preset_named(self.preset, scale=options.scale)
        asked = {name: getattr(options, name) for name in ("identities", "clips", "frames")}
        batch = replace(config.batch, **{name: value for name, value in asked.items() if value})
        train = replace(config.train, precision=options.precision or config.train.precision)
        return replace(config, batch=batch, train=train)

    def step(self) -> None:
        """One optimiser step."""
        self.stepper(self.batch, lr=LR, where="the benchmark")

    def embed(self, count: int | None = None) -> None:
        """The features of the batch, or of its first clips."""
        batch, bf16 = self.batch, self.config.train.precision == "bf16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=bf16):
            self.trainee.network.embed(batch.clips[:count], batch.cameras[:count])


def parameters(network: TrackletNetwork, batch: ClipBatch) -> tuple[int, int]:
    """Parameters in all, and those that the inference feature depends on."""
    before = {name: p.requires_grad for name, p in network.named_parameters()}
    network.requires_grad_(True).zero_grad(set_to_none=True)
    network.eval()
    output = network(batch.clips[:1], batch.cameras[:1])
    kept = [
        getattr(output, name) if name.startswith("bn_") else output.sequence(name)
        for name, _ in network.layout
    ]
    torch.stack([feature.float().sum() for feature in kept]).sum().backward()
    used = sum(p.numel() for p in network.parameters() if p.grad is not None)
    network.zero_grad(set_to_none=True)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(before[name])
    return sum(p.numel() for p in network.parameters()), used


def measure(contender: Contender, reference: Contender, repeats: int) -> dict[str, Any]:
    """One row of the table."""
    total, used = parameters(contender.trainee.network, contender.batch)
    row = {
        "preset": contender.preset,
        "title": method_named(contender.config.network.method).title,
        "parameters": total,
        "parameters_in_use": used,
        "feature": sum(width for _, width in contender.trainee.network.layout),
        "tracklet_gflop": flops(partial(contender.embed, 1)) / 1e9,
    }
    return row | _times(contender, reference, repeats) if repeats else row


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
    device = choose_device(options.device)
    reference = Contender(options.presets[0], options, device)
    rows = [measure(reference, reference, options.repeats)]
    for preset in options.presets[1:]:
        rows.append(measure(Contender(preset, options, device), reference, options.repeats))
    b = reference.config.batch
    what = {
        "machine": machine(device),
        "scale": options.scale,
        "precision": reference.config.train.precision,
        "clips": len(reference.batch),
        "frames": b.frames,
    }
    if options.json:
        print(json.dumps({**what, "rows": rows}, indent=2))
        return
    print(", ".join(f"{name} {value}" for name, value in what.items()), table(rows), sep="\n\n")


if __name__ == "__main__":
    main()
