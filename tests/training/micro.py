"""A run of a second: four people of grey frames, a few thousand weights; and a way to kill it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import re
import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from tests.waiting import PATIENCE_S
from xreid.data.augment import AugmentConfig
from xreid.inference.processes import job
from xreid.losses.config import ObjectiveConfig, PrototypeConfig
from xreid.models.config import NetworkConfig
from xreid.training.config import BatchConfig, LoopConfig, OptimiserConfig, SelectionConfig, TrainConfig
from xreid.training.loop import Runtime, train

IDENTITIES = (1, 2, 3, 4)
NETWORK = NetworkConfig(
    frame_size=(16, 8),
    patch=4,
    width=16,
    depth=1,
    heads=2,
    projection=8,
    interaction_heads=2,
    lii_stride=1,
    weights=None,
    freeze_patch_projection=False,
)


def micro(**sections: Any) -> TrainConfig:
    """Three epochs of four steps; sections are replaced as a whole."""
    usual: dict[str, Any] = {
        "preset": "micro",
        "scale": "micro",
        "batch": BatchConfig(identities=4, clips=1, frames=2, per_epoch=4),
        "augment": AugmentConfig(pad=1),
        "network": NETWORK,
        "objective": ObjectiveConfig(cpc=PrototypeConfig(), cmcl_reduction="mean"),
        "optimiser": OptimiserConfig(lr=1e-3, warmup_epochs=1, milestones=(2,)),
        "selection": SelectionConfig(),
        "train": LoopConfig(epochs=3, log_every=3, tensorboard=False),
    }
    return TrainConfig(**{**usual, **sections})


def loop(**changes: Any) -> LoopConfig:
    """The micro run's loop with some fields changed."""
    return replace(micro().train, **changes)


def objective(**changes: Any) -> ObjectiveConfig:
    """The micro run's objective with some fields changed."""
    return replace(micro().objective, **changes)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, by relative path; without the commit, which others may change meanwhile."""
    found = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    return {
        name: re.sub(rb'"commit": .*', b'"commit": ...', data) if name.endswith(".json") else data
        for name, data in found.items()
    }


@cache
def spawner() -> ForkServerContext:
    """Starts processes from one that has imported everything and computed nothing: forks of a process that
    has used its threads may hang."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["xreid.training.loop", "xreid.training.selection", __name__])
    return context


def in_process(work: Callable[..., None], *arguments: Any) -> int | None:
    """Run a function of this module's kind (importable) in another process; its exit code, -9 if killed."""
    process = spawner().Process(target=work, args=arguments)
    process.start()
    process.join(PATIENCE_S)
    assert process.exitcode is not None, "the process hangs"
    return process.exitcode


def train_and_die(config: TrainConfig, data: Path, out: Path, place: str, count: int) -> None:
    """Train, and die by SIGKILL when the `count`-th call of `place` begins or, with "+", has ended."""
    owner, name = PLACES[place.rstrip("+")]()
    original, calls = getattr(owner, name), 0

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count and not place.endswith("+"):
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **named)
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, counted)
    train(config, data=data, out=out)


def _places() -> dict[str, Callable[[], tuple[Any, str]]]:
    import shutil

    from xreid.inference import checkpoint
    from xreid.training import loop, state
    from xreid.training.log import MetricsLog
    from xreid.training.step import Stepper

    return {
        "step": lambda: (Stepper, "__call__"),
        "log": lambda: (MetricsLog, "write"),
        "save": lambda: (loop, "save_state"),
        "tensors": lambda: (state, "write_tensors"),
        "rename": lambda: (Path, "rename"),
        "rmtree": lambda: (shutil, "rmtree"),
        "model": lambda: (checkpoint, "write_tensors"),
        "memory": lambda: (loop, "build_memory"),
    }


PLACES = _places()


def train_as_rank(config: TrainConfig, data: Path, out: Path, rank: int, size: int, port: int) -> None:
    """Train as one process of several."""
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    with job("cpu") as processes:
        train(config, data=data, out=out, processes=processes, runtime=Runtime(cache_mib=1))


def free_port() -> int:
    """A port nobody listens on, between those that Ray gives its workers and those that the kernel gives."""
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port")


def together(work: Callable[..., None], size: int, *arguments: Any) -> None:
    """Run `work(*arguments, rank, size, port)` in `size` processes that talk to each other."""
    port = free_port()
    processes = [spawner().Process(target=work, args=(*arguments, rank, size, port)) for rank in range(size)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE_S)
    assert [process.exitcode for process in processes] == [0] * size
