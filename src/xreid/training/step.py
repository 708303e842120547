"""One optimiser step: forward, losses, backward, gradients of all processes, update of the memories.

With `accumulate` A, a batch is dealt into A micro-batches, identity i to number i mod A, so that the deal is
the same for any number of processes. Gradients are the mean over micro-batches. What looks at several clips
at once (BNNecks, the triplet, CPCL with denominator "batch") sees one micro-batch; the memories are updated
once, by all clips, after the optimiser.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from xreid.core.errors import ConfigError, XReidError
from xreid.core.tracklets import TrackletTable
from xreid.data.loader import ClipBatch
from xreid.inference.processes import Processes
from xreid.losses.objective import LossTerms
from xreid.training.config import TrainConfig
from xreid.training.optimiser import set_lr, trainable
from xreid.training.state import Trainee


class DivergedError(XReidError):
    """A loss or gradient is not a number; training cannot go on."""


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """What one step gave.

    Attributes:
        terms: Every loss term, unweighted; "loss", their weighted sum; "grad_norm", before clipping.
        clips: Clips of the batch, over all processes.
    """

    terms: dict[str, float]
    clips: int


class Stepper:
    """Makes steps.

    Args:
        trainee: What is trained.
        config: The run.
        processes: This process among those of the job.
        table: The training tracklets, to name a batch that fails.

    Raises:
        ConfigError: Batch, micro-batches and processes do not fit.
    """

    def __init__(
        self, trainee: Trainee, config: TrainConfig, *, processes: Processes, table: TrackletTable
    ) -> None:
        self.trainee, self.config, self.processes, self.table = trainee, config, processes, table
        self.parameters = [parameter for _, parameter in trainable(trainee.network)]
        if config.batch.identities % (config.train.accumulate * processes.size):
            raise ConfigError(
                f"{config.batch.identities} identities cannot be dealt to {processes.size} processes with "
                f"{config.train.accumulate} micro-batches each",
                todo="Change --batch.identities, --train.accumulate or the number of processes.",
            )
        if processes.size > 1:
            trainee.network.set_gather(processes.gather)

    def __call__(self, batch: ClipBatch, *, lr: float, where: str) -> StepResult:
        """Train on one batch.

        Args:
            batch: This process's share, identity-major.
            lr: Learning rate for multiplier 1.
            where: Names the step in errors.

        Raises:
            DivergedError: A loss or the gradient is not finite.
        """
        trainee, accumulate = self.trainee, self.config.train.accumulate
        trainee.network.train()
        trainee.optimiser.zero_grad(set_to_none=True)
        parts, features = [], []
        for micro in self._deal(batch):
            terms, feature = self._forward(micro.to(self.processes.device, non_blocking=True))
            (terms.total / accumulate).backward()
            parts.append(replace(terms, total=terms.total.detach()))
            features.append(feature)
        norm = self._update(lr)
        trainee.objective.update(_joined(parts))
        values = self._report(parts, norm)
        if not all(map(math.isfinite, values.values())):
            raise self._diverged(values, batch, features, where=where)
        return StepResult(terms=values, clips=len(batch) * self.processes.size)

    def _deal(self, batch: ClipBatch) -> list[ClipBatch]:
        accumulate = self.config.train.accumulate
        if accumulate == 1:
            return [batch]
        of_identity = 2 * self.config.batch.clips
        number = torch.arange(len(batch)) // of_identity % accumulate
        return [_take(batch, torch.nonzero(number == i).squeeze(1)) for i in range(accumulate)]

    def _forward(self, batch: ClipBatch) -> tuple[LossTerms, Tensor]:
        network, bf16 = self.trainee.network, self.config.train.precision == "bf16"
        kind = self.processes.device.type
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=bf16), _attention_of(kind, bf16=bf16):
            output = network(batch.clips, batch.cameras, modalities=batch.modalities)
            terms = self.trainee.objective(
                output,
                batch.labels,
                batch.modalities,
                network,
                rows=batch.rows,
                gather=self.processes.gather,
            )
        return terms, output.sequence_proj.detach()

    def _update(self, lr: float) -> Tensor:
        """Average and clip the gradients, step; returns their norm before clipping."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        self.processes.average(gradients)
        norm = torch.nn.utils.get_total_norm(gradients)
        if self.config.optimiser.clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(self.parameters, self.config.optimiser.clip_norm, norm)
        set_lr(self.trainee.optimiser, lr)
        self.trainee.optimiser.step()
        if self.trainee.average is not None:
            self.trainee.average.update_parameters(self.trainee.network)
        return norm

    def _report(self, parts: list[LossTerms], norm: Tensor) -> dict[str, float]:
        """Means over the micro-batches, in one transfer from the device."""
        names = list(parts[0].terms)
        rows = [torch.stack([part.total.float(), *(part.terms[n].float() for n in names)]) for part in parts]
        values = torch.cat([torch.stack(rows).mean(dim=0), norm.detach().float().reshape(1)]).tolist()
        return {"loss": values[0], **dict(zip(names, values[1:-1], strict=True)), "grad_norm": values[-1]}

    def _diverged(
        self, values: dict[str, float], batch: ClipBatch, features: list[Tensor], *, where: str
    ) -> DivergedError:
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        rows = torch.cat([micro.rows for micro in self._deal(batch)])
        finite = torch.cat(features).isfinite().all(dim=1).cpu()
        culprits = rows[~finite] if not bool(finite.all()) else rows
        names = list(dict.fromkeys(self.table[row].name for row in culprits.tolist()))
        what = "with such features" if len(culprits) < len(rows) else "of the batch"
        return DivergedError(
            f"training stopped at {where}: {', '.join(bad)} not finite; tracklets {what}: "
            + ", ".join(names[:16])
            + (", ..." if len(names) > 16 else ""),
            todo="Lower --optimiser.lr, set --optimiser.clip_norm, try --train.precision fp32, or look at "
            "these tracklets. The last saved state is untouched.",
        )


def _attention_of(kind: str, *, bf16: bool) -> AbstractContextManager[None]:
    """On the CPU the backward pass of the fused attention takes half of a bf16 step: plain products there."""
    return sdpa_kernel(SDPBackend.MATH) if bf16 and kind == "cpu" else nullcontext()


def _take(batch: ClipBatch, index: Tensor) -> ClipBatch:
    return ClipBatch(**{field.name: getattr(batch, field.name)[index] for field in fields(batch)})


def _joined(parts: list[LossTerms]) -> LossTerms:
    """All clips of the step, for the memories."""
    if len(parts) == 1:
        return parts[0]
    banks = [part.bank for part in parts if part.bank is not None]
    return replace(
        parts[0],
        bank=torch.cat(banks) if banks else None,
        labels=torch.cat([part.labels for part in parts]),
        modalities=torch.cat([part.modalities for part in parts]),
    )
