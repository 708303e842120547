"""One process or many (torchrun): who am I, and how do rows and gradients come together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from xreid.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Processes:
    """This process among those of the job.

    Attributes:
        rank: 0 .. size - 1; rank 0 writes files and reports.
        size: Number of processes.
        device: Where this process computes.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def gather(self, local: Tensor) -> Tensor:
        """Rows of all processes in rank order; differentiable, its backward sums over the processes.

        Args:
            local: [B, ...], as many rows on every process.
        """
        if self.size == 1:
            return local
        if local.requires_grad:
            gathered: Tensor = _Gather.apply(local, self)
            return gathered
        return _all_gather(local, self.size)

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors, in place, by their mean over the processes; one message per dtype."""
        if self.size == 1:
            return
        by_dtype: dict[torch.dtype, list[Tensor]] = {}
        for tensor in tensors:
            by_dtype.setdefault(tensor.dtype, []).append(tensor)
        for group in by_dtype.values():
            flat = torch.cat([tensor.flatten() for tensor in group])
            dist.all_reduce(flat)
            flat /= self.size
            for tensor, part in zip(group, flat.split([t.numel() for t in group]), strict=True):
                tensor.copy_(part.view_as(tensor))

    def sum(self, values: Tensor) -> Tensor:
        """Sum over the processes, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def align(self, values: Tensor) -> Tensor:
        """The first process's values, on every process, in place."""
        if self.size > 1:
            dist.broadcast(values, src=0)
        return values

    def broadcast(self, value: Any) -> Any:
        """The first process's value, on every process."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=self.device)
        return box[0]

    def wait(self) -> None:
        """Return when every process has got here."""
        if self.size > 1:
            dist.barrier(device_ids=[self.device.index] if self.device.type == "cuda" else None)


class _Gather(torch.autograd.Function):
    """All-gather whose backward sums the gradients of all processes and keeps the own rows."""

    @staticmethod
    def forward(ctx: Any, local: Tensor, processes: Processes) -> Tensor:
        ctx.processes, ctx.rows = processes, len(local)
        return _all_gather(local, processes.size)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0].contiguous()
        if gradient is gradients[0]:
            gradient = gradient.clone()
        dist.all_reduce(gradient)
        return gradient[ctx.processes.rank * ctx.rows :][: ctx.rows], None


def _all_gather(local: Tensor, size: int) -> Tensor:
    parts = [torch.empty_like(local, memory_format=torch.contiguous_format) for _ in range(size)]
    dist.all_gather(parts, local.detach().contiguous())
    return torch.cat(parts)


@contextmanager
def job(device: str = "auto") -> Iterator[Processes]:
    """Join the processes that torchrun started; alone, without it.

    Args:
        device: "auto" (a GPU where there is one), "cpu", "cuda" or "cuda:N".

    Raises:
        ConfigError: There is no such device.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    chosen = choose_device(device, local_rank=int(os.environ.get("LOCAL_RANK", "0")) if size > 1 else None)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if size > 1:
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", rank=rank, world_size=size)
    try:
        yield Processes(rank=rank, size=size, device=chosen)
    finally:
        if size > 1:
            dist.destroy_process_group()


def choose_device(name: str, *, local_rank: int | None = None) -> torch.device:
    """The device of that name; among several processes of a machine, that of this one.

    Raises:
        ConfigError: There is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise ConfigError(f"unknown device {name!r}", expected="auto, cpu, cuda, cuda:0, ... or mps")
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ConfigError(f"device {name} is not available", todo="Use --device cpu, or install CUDA.")
        count = torch.cuda.device_count()
        index = local_rank if local_rank is not None else device.index or 0
        if index >= count:
            raise ConfigError(f"there is no GPU number {index}", got=f"{count} GPUs")
        return torch.device("cuda", index)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError(f"device {name} is not available", todo="Use --device cpu.")
    return device


def loader_workers(asked: int | None, device: torch.device) -> int:
    """Loader processes: as asked, else none beside a CPU's own work and up to 8 beside a GPU's."""
    if asked is not None:
        return asked
    return min(8, os.cpu_count() or 1) if device.type == "cuda" else 0
