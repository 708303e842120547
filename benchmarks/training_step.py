"""One training step (forward, losses, backward, Adam, memories) against the plain way, as ratios of one run.

    python benchmarks/training_step.py                                   # tiny scale, a minute on 2 cores
    python benchmarks/training_step.py --device cuda --scale vit-b16 --plain-identities 2 --compile

"plain" is benchmarks/plain.py with torch's Adam as it comes; both share the losses, and the features are
compared before anything is timed. FLOP are counted on ours, so that the share of the peak compares work done
with time; the peak is the fastest large matrix product of the same run and type.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Literal

import torch
from common import alternate, flops, machine, matrix_product_peak, peak_memory
from plain import PlainNetwork, largest_difference

from xreid.data.loader import ClipBatch
from xreid.inference.processes import Processes, choose_device
from xreid.methods.registry import build_network, build_objective
from xreid.training.config import TrainConfig
from xreid.training.optimiser import build_optimiser, trainable
from xreid.training.presets import PRESETS, SCALES, preset_named
from xreid.training.state import Trainee
from xreid.training.step import Stepper

IDENTITIES, CAMERAS = 500, 12
LR = 1e-5


def batch_of(config: TrainConfig, *, identities: int, device: torch.device) -> ClipBatch:
    """Noise in the shape of a training batch."""
    b, generator = config.batch, torch.Generator().manual_seed(0)
    count = identities * 2 * b.clips
    clips = torch.randn(count, b.frames, 3, *config.network.frame_size, generator=generator)
    labels = torch.arange(identities).repeat_interleave(2 * b.clips)
    modalities = torch.arange(2).repeat_interleave(b.clips).repeat(identities)
    cameras = torch.randint(CAMERAS, (count,), generator=generator)
    return ClipBatch(
        clips=clips, labels=labels, modalities=modalities, cameras=cameras, rows=torch.arange(count)
    ).to(device)


def trainee_of(config: TrainConfig, device: torch.device) -> Trainee:
    """Network with random weights, objective with random memories, optimiser."""
    shape = replace(
        config.network,
        weights=None,
        num_identities=IDENTITIES,
        cameras=tuple(str(i) for i in range(CAMERAS)),
    )
    network = build_network(shape).to(device)
    objective = build_objective(config.objective, network=shape).to(device)
    if objective.prototypes is not None:
        width = objective.prototypes.memory.shape[2]
        features = torch.randn(2 * IDENTITIES, width, generator=torch.Generator().manual_seed(1))
        labels, modalities = torch.arange(IDENTITIES).repeat(2), torch.arange(2).repeat_interleave(IDENTITIES)
        objective.prototypes.initialise(features.to(device), labels.to(device), modalities.to(device))
    return Trainee(network=network, objective=objective, optimiser=build_optimiser(network, config.optimiser))


class PlainStep:
    """The baseline's step: the plain network and Adam's defaults."""

    def __init__(self, trainee: Trainee, batch: ClipBatch) -> None:
        self.network, self.objective, self.batch = PlainNetwork(trainee.network), trainee.objective, batch
        self.parameters = [parameter for _, parameter in trainable(trainee.network)]
        self.optimiser = torch.optim.Adam(self.parameters, lr=LR, foreach=False, fused=False)

    def __call__(self) -> float:
        batch = self.batch
        self.network.network.train()
        output = self.network(batch.clips, batch.cameras)
        network: Any = self.network  # the objective asks it for CII and frame logits only
        terms = self.objective(output, batch.labels, batch.modalities, network)
        self.optimiser.zero_grad()
        terms.total.backward()
        self.optimiser.step()
        self.objective.update(terms)
        return terms.total.item()


def check(trainee: Trainee, batch: ClipBatch) -> float:
    """Largest difference between the plain features and ours, in evaluation mode."""
    trainee.network.eval()
    with torch.no_grad():
        ours = trainee.network(batch.clips, batch.cameras)
        plain = PlainNetwork(trainee.network)(batch.clips, batch.cameras)
    return largest_difference(ours, plain)


def measure(
    options: argparse.Namespace,
    *,
    precision: Literal["fp32", "bf16"],
    compiled: bool,
    device: torch.device,
) -> dict[str, Any]:
    """Ours, in one setting, against plain in fp32."""
    config = preset_named(options.preset, scale=options.scale)
    config = replace(config, train=replace(config.train, precision=precision))
    identities = options.identities or config.batch.identities
    batch = batch_of(config, identities=identities, device=device)
    few = batch_of(config, identities=min(identities, options.plain_identities or identities), device=device)
    ours, plain = trainee_of(config, device), trainee_of(config, device)
    difference = check(ours, few)
    counted = Stepper(ours, config, processes=Processes(device=device), table=SimpleNamespace())  # type: ignore[arg-type]
    operations = flops(lambda: counted(batch, lr=LR, where="the count"))
    if compiled:
        ours.network.encoder.compile()
    ways = {
        "ours": lambda: counted(batch, lr=LR, where="the benchmark"),
        "plain": PlainStep(plain, few),
    }
    timing = alternate(ways, device=device, repeats=options.repeats)
    frames = batch.clips.shape[0] * batch.clips.shape[1]
    plain_frames = few.clips.shape[0] * few.clips.shape[1]
    seconds, plain_seconds = timing["ours"].median, timing["plain"].median * frames / plain_frames
    peak = matrix_product_peak(device, torch.bfloat16 if precision == "bf16" else torch.float32)
    return {
        "precision": precision + (" compiled" if compiled else ""),
        "frames": frames,
        "ours_s": seconds,
        "ours_best_s": timing["ours"].best,
        "plain_s": plain_seconds,
        "ratio": plain_seconds / seconds,
        "difference": difference,
        "gflop": operations / 1e9,
        "gflop_per_s": operations / seconds / 1e9,
        "peak_gflop_per_s": peak / 1e9,
        "share_of_peak": operations / seconds / peak,
        "share_of_peak_best": operations / timing["ours"].best / peak,
        "memory_gib": peak_memory(ways["ours"], device),
    }


def main() -> None:
    """Print seconds a step, frames a second, GFLOP/s and the ratio to the plain way."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scale", choices=SCALES, default="tiny")
    parser.add_argument("--preset", choices=PRESETS, default="paper")
    parser.add_argument("--precisions", nargs="+", choices=("fp32", "bf16"), default=["fp32", "bf16"])
    parser.add_argument("--compile", action="store_true", help="also measure with torch.compile")
    parser.add_argument("--identities", type=int, default=0, help="of a batch; default the preset's")
    parser.add_argument(
        "--plain-identities", type=int, default=0, help="of the baseline's batch, scaled up; default all"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    device = choose_device(options.device)
    rows = [
        measure(options, precision=precision, compiled=compiled, device=device)
        for precision in options.precisions
        for compiled in ([False, True] if options.compile else [False])
    ]
    if options.json:
        print(json.dumps({"machine": machine(device), "scale": options.scale, "rows": rows}, indent=2))
        return
    print(f"{machine(device)}; {options.preset}, {options.scale}, {rows[0]['frames']} frames a step")
    for row in rows:
        memory = "" if row["memory_gib"] is None else f", {row['memory_gib']:.1f} GiB"
        print(
            f"{row['precision']:>13}: {row['ours_s']:.3f} s a step (best {row['ours_best_s']:.3f}), "
            f"{row['frames'] / row['ours_s']:.0f} frames/s; plain fp32 {row['plain_s']:.3f} s, ratio "
            f"{row['ratio']:.2f}; {row['gflop']:.1f} GFLOP, {row['gflop_per_s']:.0f} GFLOP/s = "
            f"{100 * row['share_of_peak']:.0f}% (best {100 * row['share_of_peak_best']:.0f}%) of the "
            f"{row['peak_gflop_per_s']:.0f} of a matrix product{memory}; "
            f"features differ by {row['difference']:.0e}"
        )


if __name__ == "__main__":
    main()
