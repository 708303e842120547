"""Building the prototype memories: one clip per tracklet, in evaluation mode, camera embedding off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import torch
from torch import Tensor

from xreid.core.errors import ConfigError
from xreid.core.seeding import torch_generator
from xreid.data.clips import ClipReader
from xreid.data.loader import ClipBatch, evaluation_clips
from xreid.inference.background import ahead
from xreid.inference.processes import Processes
from xreid.losses.objective import Objective
from xreid.models.network import TrackletNetwork
from xreid.training.config import TrainConfig
from xreid.training.material import Material

_LEAST_CLIPS = 32  # of a batch; without gradients more fits than in training


def build_memory(
    network: TrackletNetwork,
    objective: Objective,
    *,
    reader: ClipReader,
    material: Material,
    config: TrainConfig,
    processes: Processes,
    workers: int = 0,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Initialise the memories: by the mean of b over each identity's tracklets, or from learnt sentences.

    Batches are dealt to the processes; each has the same clips whatever their number.

    Args:
        network: The current model; its mode is left as it was.
        objective: Owns the memories; without any, nothing happens.
        reader: Over the training table.
        material: The training data.
        config: Frames of a clip, precision, kind of memory.
        processes: This process among those of the job.
        workers: Loader processes.
        tell: Called with tracklets done and to do, of this process.

    Raises:
        CheckpointError: The text encoder's weights cannot be used.
        ConfigError: They have another width than the network.
    """
    if objective.prototypes is None:
        return
    rows = material.sampler.used_rows()
    size = max(_LEAST_CLIPS, 2 * config.batch.identities * config.batch.clips // config.train.accumulate)
    starts = range(0, len(rows), size)[processes.rank :: processes.size]
    clips = evaluation_clips(
        reader,
        [row for start in starts for row in rows[start : start + size]],
        frames_per_clip=config.batch.frames,
        clips_per_batch=size,
        identities=material.identities,
        workers=workers,
        pin_memory=processes.device.type == "cuda",
    )
    total = sum(len(rows[start : start + size]) for start in starts)
    features, labels, modalities = _bank(
        network,
        objective,
        clips=clips,
        rows=rows,
        bf16=config.train.precision == "bf16",
        processes=processes,
        tell=lambda done: tell(done, total),
    )
    if config.train.memory == "prompts":
        features, labels, modalities = _sentences(
            features, labels, modalities, config=config, num_identities=len(material.identities)
        )
    # stage one may round differently on every process
    objective.prototypes.initialise(processes.align(features), labels, modalities)


@torch.no_grad()
def _bank(
    network: TrackletNetwork,
    objective: Objective,
    *,
    clips: Iterator[ClipBatch],
    rows: Sequence[int],
    bf16: bool,
    processes: Processes,
    tell: Callable[[int], None],
) -> tuple[Tensor, Tensor, Tensor]:
    """b, labels and modalities of all rows, from this process's clips and those of the others."""
    assert objective.prototypes is not None
    was_training, device = network.training, processes.device
    network.eval()
    place = {row: i for i, row in enumerate(rows)}
    features = torch.zeros(len(rows), objective.prototypes.memory.shape[2], device=device)
    labels = torch.zeros(len(rows), dtype=torch.int64, device=device)
    modalities, done = torch.zeros_like(labels), 0
    with closing(ahead(clips, depth=2)) as batches:
        for batch in batches:
            moved = batch.to(device, non_blocking=True)
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
                output = network(moved.clips, None, modalities=moved.modalities, interaction=False)
            where = torch.tensor([place[row] for row in batch.rows.tolist()], device=device)
            features[where] = objective.bank_features(output).to(features)
            labels[where], modalities[where] = moved.labels, moved.modalities
            done += len(batch)
            tell(done)
    network.train(was_training)
    for values in (features, labels, modalities):  # zero where other processes have been
        processes.sum(values)
    return features, labels, modalities


def _sentences(
    features: Tensor, labels: Tensor, modalities: Tensor, *, config: TrainConfig, num_identities: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Text features of every identity and modality, fitted to the clips' features (Table 4)."""
    from xreid.losses.prompts import TextualPrompts, learn_prompts
    from xreid.models.text import load_text_encoder

    encoder = load_text_encoder(config.prompts.weights)
    width = encoder.text_projection.shape[1]
    if width != features.shape[1]:
        raise ConfigError(
            "the text encoder does not fit the network",
            expected=f"features of width {features.shape[1]} (network.projection)",
            got=f"{width} from {config.prompts.weights}",
        )
    drawn = torch_generator(config.train.seed, "prompts", "weights")
    prompts = TextualPrompts(encoder, num_identities=num_identities, generator=drawn).to(features.device)
    learn_prompts(
        prompts,
        features,
        labels=labels,
        modalities=modalities,
        config=config.prompts,
        generator=torch_generator(config.train.seed, "prompts", "order"),
    )
    texts, labels, modalities = prompts.memories()
    return texts.float().contiguous(), labels, modalities
