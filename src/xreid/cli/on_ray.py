"""The options of verbs that can share their work out on Ray."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xreid.core.errors import ConfigError

if TYPE_CHECKING:
    from xreid.distribution.cluster import Cluster


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """Who shares the work.

    Attributes:
        ray: Worker processes on Ray, here or on a cluster, which share the work; 0: none.
        ray_address: Of a running cluster: auto, or host:port; none starts Ray here, for this work only.
        ray_cpus: Cores that a worker is given; fractions let several share one.
        ray_gpus: GPUs that a worker is given.
    """

    ray: int = 0
    ray_address: str | None = None
    ray_cpus: float = 1.0
    ray_gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.ray < 0:
            raise ConfigError("ray is out of range", expected="0 or more", got=str(self.ray))
        if self.ray_address and not self.ray:
            raise ConfigError("--ray_address needs workers", todo="Say how many: --ray N.")

    def cluster(self) -> Cluster:
        """Where the work runs.

        Raises:
            ConfigError: Workers have no cores.
        """
        from xreid.distribution.cluster import Cluster

        return Cluster(workers=self.ray, address=self.ray_address, cpus=self.ray_cpus, gpus=self.ray_gpus)
