"""Everything a run is made of, built from its configuration and data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from xreid.core.errors import ConfigError
from xreid.data.augment import ClipAugment
from xreid.data.clips import ClipReader
from xreid.inference.checkpoint import Checkpoint, Preprocessing
from xreid.inference.processes import Processes
from xreid.methods.registry import build_network, build_objective
from xreid.models.network import TrackletNetwork
from xreid.training.config import TrainConfig
from xreid.training.material import Material, sampling_at_test
from xreid.training.optimiser import build_optimiser
from xreid.training.run_folder import RunFolder
from xreid.training.selection import HeldOutScore
from xreid.training.state import Trainee
from xreid.training.step import Stepper


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Where and how a run loads; changes its result by rounding at most.

    Attributes:
        workers: Loader processes of each process; 0 loads in a thread.
        cache_mib: Memory for decoded frames in MiB; 0 for none.
    """

    workers: int = 0
    cache_mib: int = 1024

    def __post_init__(self) -> None:
        if self.workers < 0 or self.cache_mib < 0:
            raise ConfigError("workers and cache_mib must not be negative")


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """The parts of a run.

    Attributes:
        trainee: Network, objective and optimiser.
        description: What the checkpoint will say, but for the epoch.
        reader: Over the training tracklets.
        augment: Of training clips.
        stepper: Trains on one batch.
        score: Evaluates the held-out identities, or None.
    """

    trainee: Trainee
    description: Checkpoint
    reader: ClipReader
    augment: ClipAugment
    stepper: Stepper
    score: HeldOutScore | None


def build_pieces(
    config: TrainConfig, *, material: Material, folder: RunFolder, processes: Processes, runtime: Runtime
) -> Pieces:
    """Build the parts of a run.

    Raises:
        CheckpointError: The pre-trained weights cannot be used.
        ConfigError: Options do not fit each other or the number of processes.
        DataError: The held-out identities cannot be evaluated.
    """
    shape = replace(config.network, num_identities=len(material.identities), cameras=material.cameras)
    objective = build_objective(config.objective, network=shape).to(processes.device)
    network = build_network(shape, seed=config.train.seed).to(processes.device)
    trainee = Trainee(
        network=network,
        objective=objective,
        optimiser=build_optimiser(network, config.optimiser),
        average=_average(network, decay=config.train.average),
    )
    description = Checkpoint(
        network=shape,
        preprocessing=Preprocessing(
            frames=config.batch.frames,
            sampling=sampling_at_test(config.batch, source=material.table.source),
            flip=config.batch.test_flip,
        ),
        identities=material.identities,
        source=material.table.source,
        licence=material.table.licence,
        provenance=_provenance(config, folder),
    )
    reader = ClipReader(
        material.table,
        size=shape.frame_size,
        mean=description.preprocessing.mean,
        std=description.preprocessing.std,
        on_unreadable=config.archive.on_unreadable,
        cache_bytes=runtime.cache_mib * 2**20,
    )
    score = None
    if material.held_out is not None:
        score = HeldOutScore(
            material.held_out,
            network=trainee.kept,
            checkpoint=description,
            precision=config.train.precision,
            on_unreadable=config.archive.on_unreadable,
            processes=processes,
            workers=runtime.workers,
            cache_bytes=runtime.cache_mib * 2**20 // 4,
        )
    if config.train.compile:
        network.encoder.compile()
    return Pieces(
        trainee=trainee,
        description=description,
        reader=reader,
        augment=ClipAugment(config.augment, mean=reader.mean, std=reader.std),
        stepper=Stepper(trainee, config, processes=processes, table=material.table),
        score=score,
    )


def _average(network: TrackletNetwork, *, decay: float) -> AveragedModel | None:
    """A running mean of weights and of the BNNecks' statistics; begins with what it sees first."""
    if not decay:
        return None
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def _provenance(config: TrainConfig, folder: RunFolder) -> dict[str, Any]:
    record = folder.record
    data = {k: v for k, v in record["data"].items() if k not in ("root", "held_out_identities")}
    return {
        "preset": config.preset,
        "scale": config.scale,
        "seed": config.train.seed,
        "config": record["config"],
        "config_sha256": record["config_sha256"],
        "data": data,
        "versions": record["versions"],
        "commit": record["commit"],
    }
