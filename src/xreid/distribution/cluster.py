"""Items of work on Ray Data: on this machine, or on a cluster that is there.

A worker process is made once and takes item after item. One that dies is started again, and its item with
it: whatever it writes must be whole or not there, and found by whoever does the item next.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from xreid.core.errors import ConfigError, XReidError

_PROBLEM = "problem"
_START_SECONDS = "120"  # a busy machine needs more than Ray's own 30 s to start


class Worker(Protocol):
    """Does items; made once in each process."""

    def do(self, item: int) -> dict[str, Any]:
        """Do one item; what it returns are numbers and strings.

        Raises:
            XReidError: It cannot be done; all stops.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where work runs.

    Attributes:
        workers: Worker processes.
        address: Of a running cluster ("auto", or host:port); none: Ray is started here, for this work only.
        cpus: Cores that a worker is given; fractions let several share one.
        gpus: GPUs that a worker is given.
    """

    workers: int = 1
    address: str | None = None
    cpus: float = 1.0
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.workers < 1 or self.cpus <= 0 or self.gpus < 0:
            raise ConfigError(
                "the workers on Ray are wrong",
                expected="one worker or more, with more than 0 cores each",
                got=f"{self.workers} workers, {self.cpus:g} cores and {self.gpus:g} GPUs each",
            )


def do_all(
    items: Sequence[int],
    make: Callable[..., Worker],
    arguments: Mapping[str, Any],
    *,
    cluster: Cluster,
) -> Iterator[dict[str, Any]]:
    """Do the items in any order; yields what each gave, as it comes.

    Args:
        items: Numbers that the worker understands.
        make: Makes a worker, in its process; an importable class or function.
        arguments: What with; small, since every process gets a copy.
        cluster: Where.

    Raises:
        ConfigError: Ray is not installed, or cannot be reached or started.
        XReidError: A worker raised it.
    """
    if not items:
        return
    with _ray(cluster) as ray:
        rows = ray.data.from_items([{"item": item} for item in items], override_num_blocks=len(items))
        done = rows.map_batches(
            _Caller,
            fn_constructor_kwargs={"make": make, "arguments": dict(arguments)},
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(cluster.workers, len(items))),
            num_cpus=cluster.cpus,
            num_gpus=cluster.gpus or None,
        )
        for row in done.iter_rows():
            if row.get(_PROBLEM):
                raise XReidError(str(row[_PROBLEM]))
            yield row


class _Caller:
    """A worker as Ray Data calls it; a problem travels as a value, so that it is not tried again."""

    def __init__(self, *, make: Callable[..., Worker], arguments: Mapping[str, Any]) -> None:
        self._problem, self._worker = "", None
        try:
            self._worker = make(**arguments)
        except XReidError as error:
            self._problem = str(error)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        given: dict[str, Any] = {}
        problem = self._problem
        if self._worker is not None:
            try:
                given = self._worker.do(int(batch["item"][0]))
            except XReidError as error:
                problem = str(error)
        return {name: [value] for name, value in {**given, _PROBLEM: problem}.items()}


@contextmanager
def _ray(cluster: Cluster) -> Iterator[Any]:
    """Ray, reached or started; what was started here ends here. It tells nobody."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_raylet_start_wait_time_s", _START_SECONDS)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ConfigError("this needs the package ray", todo="pip install 'xreid[ray]'") from error
    mine = not ray.is_initialized()
    if mine:
        _begin(ray, cluster)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    try:
        yield ray
    finally:
        if mine:
            ray.shutdown()


def start(ray: Any, **values: Any) -> None:
    """Start Ray here, and once more where that fails: now and then its raylet ends before it writes a line.

    Args:
        ray: The package.
        **values: Of `ray.init`.
    """
    try:
        ray.init(**values)
    except Exception:  # noqa: BLE001 - Ray raises plain ones
        ray.shutdown()
        ray.init(**values)


def _begin(ray: Any, cluster: Cluster) -> None:
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    # Ray Data keeps a core for itself: with as many as the workers have it would wait for ever
    here = {"num_cpus": int(cluster.workers * cluster.cpus) + 2, **quiet}
    try:
        if cluster.address is None:
            start(ray, **here)
        else:
            ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # Ray raises plain ones
        where = cluster.address or "on this machine"
        raise ConfigError(
            f"cannot reach or start Ray {where}",
            got=str(error).splitlines()[0] if str(error) else type(error).__name__,
            todo="Start a cluster (`ray start --head`) and name it, or leave the address out.",
        ) from error
