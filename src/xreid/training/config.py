"""One training run, completely: what is computed, by whom it was chosen, and the option names.

Where it runs (device, processes, loader workers) is `Runtime`, in xreid.training.loop: it changes no result
but for rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from xreid.core.errors import ConfigError
from xreid.data.archive import Layout
from xreid.data.augment import AugmentConfig
from xreid.data.bupt_campus import FakeIr
from xreid.data.clips import OnUnreadable
from xreid.inference.checkpoint import SamplingChoice
from xreid.losses.config import ObjectiveConfig, PromptConfig
from xreid.models.config import NetworkConfig


@dataclass(frozen=True, kw_only=True)
class ArchiveConfig:
    """How the training data is read.

    Attributes:
        layout: Layout of the archive; "auto" decides by structure.
        min_frames: Shorter tracklets are left out; none: the layout's rule (12 for HITSZ-VCM).
        strict: Drop frames that contradict their tracklet's person, modality or camera.
        fake_ir: Use of BUPTCampus' synthetic infrared frames.
        auxiliary: Also train on BUPTCampus' auxiliary identities (one camera each).
        single_modality: Identities seen in one modality only: "error", or "skip" leaves them out.
        on_unreadable: Unreadable frames: "error", or "replace" takes the nearest readable one and counts.
    """

    layout: Layout = "auto"
    min_frames: int | None = None
    strict: bool = False
    fake_ir: FakeIr = "off"
    auxiliary: bool = False
    single_modality: Literal["error", "skip"] = "error"
    on_unreadable: OnUnreadable = "error"


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """What a training batch holds: identities x 2 modalities x clips x frames.

    Attributes:
        identities: P, identities of a batch, over all processes.
        clips: K, clips of each identity in each modality.
        frames: T, frames of a clip, in training, in the memory and, by default, when embedding.
        per_epoch: Batches of an epoch; none: as many as see each tracklet of the rarer modality about once.
        sampling: Which frames make a training clip.
        test_sampling: Which frames stand for a tracklet at test time, unless asked otherwise: "auto" is the
            rule of the benchmark's published evaluators, "dense" takes all.
        test_flip: Embed every clip and its mirror image, and take the mean; costs twice the time.
        paired: Draw visible and infrared tracklets recorded at once, with the same frames (BUPTCampus).
    """

    identities: int = 4
    clips: int = 2
    frames: int = 10
    per_epoch: int | None = 300
    sampling: Literal["chunk-random", "sorted-random"] = "chunk-random"
    test_sampling: SamplingChoice = "auto"
    test_flip: bool = False
    paired: bool = False

    def __post_init__(self) -> None:
        _at_least(self, identities=2, clips=1, frames=1)
        if self.per_epoch is not None:
            _at_least(self, per_epoch=1)


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """Adam and its schedule. Epochs of the schedule are counted in steps, so that warm-up is smooth.

    Attributes:
        name: "adam" with weight decay in the gradient, or "adamw" with it apart from the gradient.
        lr: Learning rate after warm-up.
        weight_decay: Of matrices; vectors (biases, norms) have it only with decay_vectors.
        decay_vectors: Decay biases and norms too, as the authors' code does.
        betas: Adam's.
        eps: Adam's; gradients well below it move nothing, larger ones by their sign and history.
        bias_multiplier: Of the learning rate of biases, on top of the others.
        classifier_multiplier: Of the learning rate of the backbone's identity classifiers.
        interaction_multiplier: Of the learning rate of SII, LII and CII, or of another method's own
            modules.
        interaction_classifier_multiplier: Of the learning rate of the interaction features' classifiers.
        warmup_epochs: Epochs of the linear warm-up.
        warmup_lr: Learning rate at its start.
        decay: After warm-up: "step" at the milestones, "cosine" to zero at the last epoch, or "none".
        milestones: Epochs at which the learning rate is multiplied by `step_factor`.
        step_factor: That factor.
        clip_norm: Largest norm of the gradient; none: as it is.
    """

    name: Literal["adam", "adamw"] = "adam"
    lr: float = 5e-6
    weight_decay: float = 1e-4
    decay_vectors: bool = True
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    bias_multiplier: float = 2.0
    classifier_multiplier: float = 10.0
    interaction_multiplier: float = 10.0
    interaction_classifier_multiplier: float = 100.0
    warmup_epochs: float = 10.0
    warmup_lr: float = 5e-7
    decay: Literal["step", "cosine", "none"] = "step"
    milestones: tuple[int, ...] = (30, 50)
    step_factor: float = 0.1
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        numbers = ("lr", "weight_decay", "eps", "warmup_epochs", "warmup_lr", "step_factor")
        multipliers = (name for name in self.__dataclass_fields__ if name.endswith("multiplier"))
        _at_least(self, **dict.fromkeys((*numbers, *multipliers), 0))
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError("betas are out of range", expected="0 <= beta < 1", got=str(self.betas))
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise ConfigError("clip_norm is out of range", expected="above 0", got=str(self.clip_norm))


@dataclass(frozen=True, kw_only=True)
class SelectionConfig:
    """Which epoch is kept. Never decided on test data.

    Attributes:
        keep: "last", or "best" by mAP on held-out identities (mean of I2V and V2I).
        held_out: Share of the training identities that is left out of training and evaluated.
        every: Epochs between evaluations; the last epoch is always evaluated.
    """

    keep: Literal["last", "best"] = "last"
    held_out: float = 0.0
    every: int = 1

    def __post_init__(self) -> None:
        _at_least(self, every=1)
        if not 0 <= self.held_out < 1:
            raise ConfigError("held_out is out of range", expected="0 <= share < 1", got=str(self.held_out))
        if self.keep == "best" and not self.held_out:
            raise ConfigError(
                "keep=best needs held-out identities", todo="Set --selection.held_out, for instance to 0.1."
            )


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """The course of the run.

    Attributes:
        epochs: Epochs.
        seed: Root of every random draw: weights, held-out identities, batches, frames, augmentation.
        memory: When the prototype memories are built: "once" before training (paper), at the start of every
            "epoch" (the authors' code), or once from sentences learnt in a stage of their own: "prompts".
        precision: "fp32", or "bf16": autocast of the encoder and the interaction; losses stay in float32.
        average: Decay of a running mean of the weights, taken after every step; the mean is what is scored
            and kept. 0: none, the last weights are.
        accumulate: Micro-batches of a step, each of identities / accumulate identities. Gradients are
            averaged; BNNecks and the triplet see one micro-batch; memories are updated once a step.
        compile: Compile the encoder with torch.compile.
        checkpoint_every: Steps between saved states, beside the one at the end of each epoch; 0: none.
        log_every: Steps that one line of metrics.jsonl averages over.
        tensorboard: Also write TensorBoard logs.
    """

    epochs: int = 60
    seed: int = 0
    memory: Literal["once", "epoch", "prompts"] = "once"
    precision: Literal["fp32", "bf16"] = "fp32"
    average: float = 0.0
    accumulate: int = 1
    compile: bool = False
    checkpoint_every: int = 0
    log_every: int = 10
    tensorboard: bool = True

    def __post_init__(self) -> None:
        _at_least(self, epochs=1, accumulate=1, checkpoint_every=0, log_every=1)
        if not 0 <= self.average < 1:
            raise ConfigError("average is out of range", expected="0 <= decay < 1", got=str(self.average))


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run.

    Attributes:
        preset: Name of the preset it started from.
        scale: Name of the scale it started from.
        archive: How the data is read.
        batch: What a batch holds.
        augment: Augmentation of training clips.
        network: The network; num_identities and cameras are filled in from the data.
        objective: The losses.
        optimiser: Adam and its schedule.
        selection: Which epoch is kept.
        train: The course of the run.
        prompts: Stage one of train.memory = "prompts"; else not read.
    """

    preset: str = "paper"
    scale: str = "vit-b16"
    archive: ArchiveConfig = field(default_factory=ArchiveConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    train: LoopConfig = field(default_factory=LoopConfig)
    prompts: PromptConfig = field(default_factory=PromptConfig)

    def __post_init__(self) -> None:
        if self.network.num_identities or self.network.cameras:
            raise ConfigError(
                "network.num_identities and network.cameras come from the data", todo="Leave them out."
            )
        self._require_neighbours()
        cpc = self.objective.cpc
        if self.train.memory == "prompts" and not cpc.enabled:
            raise ConfigError(
                "train.memory prompts learns sentences for the memories of CPC, which is off",
                todo="Drop it, or set --objective.cpc.enabled true.",
            )
        if self.train.memory == "prompts" and (cpc.feature, cpc.update) != ("tap_v", "none"):
            raise ConfigError(
                "memories made from sentences are held against TAP v and updated by nothing",
                todo="Set --objective.cpc.feature tap_v --objective.cpc.update none.",
            )
        micro, rest = divmod(self.batch.identities, self.train.accumulate)
        if rest or micro < 2:
            raise ConfigError(
                f"{self.batch.identities} identities a batch cannot be split into {self.train.accumulate} "
                "micro-batches",
                expected="equal micro-batches of 2 identities or more (the triplet needs negatives)",
                todo="Change --batch.identities or --train.accumulate.",
            )

    def _require_neighbours(self) -> None:
        """SII and LII must reach another frame, or be told not to (stride 0)."""
        network, frames = self.network, self.batch.frames
        strides = (
            (
                "sii_stride",
                network.use_sii,
                "reaches past the clip: no channel would be exchanged",
                "exchanges nothing",
            ),
            ("lii_stride", network.use_lii, "comes round to frames that are nearer", "stays in the frame"),
        )
        for name, used, trouble, zero in strides:
            stride = getattr(network, name)
            if used and stride >= frames:
                raise ConfigError(
                    f"{name} {trouble}",
                    expected=f"less than the {frames} frames of a clip",
                    got=str(stride),
                    todo=f"Raise --batch.frames, or lower --network.{name} (0 {zero}).",
                )


def _at_least(config: object, **limits: float) -> None:
    for name, low in limits.items():
        value = getattr(config, name)
        if not value >= low:
            raise ConfigError(f"{name} is out of range", expected=f"{low} or more", got=str(value))
