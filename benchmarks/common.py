"""What the benchmarks of training and embedding share: machine peak, FLOP counts, timing in turns."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

Work = Callable[[], object]


def wait(device: torch.device) -> None:
    """Let the device finish what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(work: Work, device: torch.device) -> float:
    """Seconds of one call."""
    wait(device)
    start = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - start


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds of one contender.

    Attributes:
        median: Over the repeats; ratios are made of these.
        best: Of the repeats; what the machine can do when nobody else uses it.
    """

    median: float
    best: float


def alternate(ways: Mapping[str, Work], *, device: torch.device, repeats: int) -> dict[str, Timing]:
    """Time contenders in turns, so that a busy machine slows all of them; each runs twice before."""
    for work in ways.values():
        work()
        work()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, work in ways.items():
            seconds[name].append(timed(work, device))
    return {name: Timing(median=statistics.median(s), best=min(s)) for name, s in seconds.items()}


def flops(work: Work) -> int:
    """Floating-point operations of one call, backward passes included (a multiply-add counts as two).

    The counter does not know the CPU's fused attention, hence plain products while it counts.
    """
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def matrix_product_peak(device: torch.device, dtype: torch.dtype, *, repeats: int = 12) -> float:
    """FLOP/s of the fastest of several large matrix products of this type."""
    best = 0.0
    sizes = (8192, 12288) if device.type == "cuda" else (1024, 2048)
    for size in sizes:
        a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
        product = partial(torch.mm, a, b, out=torch.empty_like(a))
        for _ in range(3):
            product()
        seconds = min(timed(product, device) for _ in range(repeats))
        best = max(best, 2 * size**3 / seconds)
    return best


def machine(device: torch.device) -> str:
    """One line on what this runs on."""
    where = f"{torch.get_num_threads()} threads of {platform.processor() or platform.machine()}"
    if device.type == "cuda":
        where = torch.cuda.get_device_name(device)
    return f"torch {torch.__version__}, {where}"


def peak_memory(work: Work, device: torch.device) -> float | None:
    """GiB at the peak of one call, on a GPU."""
    if device.type != "cuda":
        return None
    wait(device)
    torch.cuda.reset_peak_memory_stats(device)
    work()
    wait(device)
    return torch.cuda.max_memory_allocated(device) / 2**30
