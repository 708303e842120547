"""Building the prototype memories: one clip per tracklet, in evaluation mode, camera embedding off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing

import torch
from torch import Tensor

from xreid.data.clips import ClipReader
from xreid.data.loader import evaluation_clips
from xreid.inference.background import ahead
from xreid.inference.processes import Processes
from xreid.losses.objective import Objective
from xreid.models.network import XReID
from xreid.training.config import TrainConfig
from xreid.training.material import Material

_LEAST_CLIPS = 32  # of a batch; without gradients more fits than in training


@torch.no_grad()
def build_memory(
    network: XReID,
    objective: Objective,
    *,
    reader: ClipReader,
    material: Material,
    config: TrainConfig,
    processes: Processes,
    workers: int = 0,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Initialise the memories by the mean of b over each identity's tracklets, per modality.

    Batches are dealt to the processes; each has the same clips whatever their number.

    Args:
        network: The current model; its mode is left as it was.
        objective: Owns the memories; without any, nothing happens.
        reader: Over the training table.
        material: The training data.
        config: Frames of a clip, precision.
        processes: This process among those of the job.
        workers: Loader processes.
        tell: Called with tracklets done and to do, of this process.
    """
    if objective.prototypes is None:
        return
    rows = material.sampler.used_rows()
    size = max(_LEAST_CLIPS, 2 * config.batch.identities * config.batch.clips // config.train.accumulate)
    mine = [i for start in _share(range(0, len(rows), size), processes) for i in rows[start : start + size]]
    was_training = network.training
    network.eval()
    place = {row: i for i, row in enumerate(rows)}
    features, labels, modalities = _empty(objective, len(rows), processes)
    done = 0
    clips = evaluation_clips(
        reader,
        mine,
        frames_per_clip=config.batch.frames,
        clips_per_batch=size,
        identities=material.identities,
        workers=workers,
        pin_memory=processes.device.type == "cuda",
    )
    with closing(ahead(clips, depth=2)) as batches:
        for batch in batches:
            moved = batch.to(processes.device, non_blocking=True)
            bf16 = config.train.precision == "bf16"
            with torch.autocast(processes.device.type, dtype=torch.bfloat16, enabled=bf16):
                output = network(moved.clips, None, interaction=False)
            where = torch.tensor([place[row] for row in batch.rows.tolist()], device=processes.device)
            features[where] = objective.bank_features(output).to(features)
            labels[where], modalities[where] = moved.labels, moved.modalities
            done += len(batch)
            tell(done, len(mine))
    network.train(was_training)
    for values in (features, labels, modalities):  # zero where other processes have been
        processes.sum(values)
    objective.prototypes.initialise(features, labels, modalities)


def _share(starts: Sequence[int], processes: Processes) -> Sequence[int]:
    return starts[processes.rank :: processes.size]


def _empty(objective: Objective, rows: int, processes: Processes) -> tuple[Tensor, Tensor, Tensor]:
    assert objective.prototypes is not None
    width, device = objective.prototypes.memory.shape[2], processes.device
    numbers = torch.zeros(rows, dtype=torch.int64, device=device)
    return torch.zeros(rows, width, device=device), numbers, numbers.clone()
