"""Methods by name: network class, objective class and options of their own.

A method is one module that defines METHOD. Those of this folder are found by their file's name; those of
other packages by an entry point of the group "xreid.methods" that names such a module. docs/extending.md adds
one.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.metadata import entry_points
from typing import Any, TypeVar

import torch

from xreid.core.errors import ConfigError
from xreid.core.records import from_plain
from xreid.core.seeding import stream_seed
from xreid.losses.config import ObjectiveConfig
from xreid.losses.objective import Objective
from xreid.models.config import NetworkConfig
from xreid.models.network import TrackletNetwork
from xreid.models.weights import load_encoder_weights

GROUP = "xreid.methods"
_NO_METHODS = ("registry",)

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """A method without options of its own."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to learn features of tracklets.

    Attributes:
        title: Its name in tables.
        reference: Authors, title, venue, year.
        network: Its network.
        objective: Its losses.
        options: Frozen dataclass of its own options; `--network.method_options.NAME` sets one.
        feature_is_optional: Its network's `interact` may be left out, as X-ReID's SII and LII may; else a
            configuration without it is refused, since nothing of the method might be left.
    """

    title: str
    reference: str
    network: type[TrackletNetwork] = TrackletNetwork
    objective: type[Objective] = Objective
    options: type = NoOptions
    feature_is_optional: bool = False


def method_names() -> list[str]:
    """The methods that are installed, in order."""
    return sorted(_modules())


def method_named(name: str) -> Method:
    """The method of that name.

    Raises:
        ConfigError: There is none, or its module cannot be imported or defines no METHOD.
    """
    modules = _modules()
    if name not in modules:
        close = difflib.get_close_matches(name, list(modules), n=1)
        raise ConfigError(
            f"unknown method {name!r}",
            expected=", ".join(sorted(modules)),
            todo=f"Did you mean {close[0]}?" if close else "Install the package that offers it.",
        )
    try:
        found = getattr(importlib.import_module(modules[name]), "METHOD", None)
    except ImportError as error:
        raise ConfigError(f"method {name} of module {modules[name]} cannot be loaded: {error}") from error
    if not isinstance(found, Method):
        raise ConfigError(
            f"module {modules[name]} defines no METHOD", expected="a xreid.methods.registry.Method"
        )
    return found


def options_of(config: NetworkConfig, cls: type[T]) -> T:
    """The method's own options, checked.

    Raises:
        ConfigError: One is unknown, of the wrong type or out of range.
    """
    values: Mapping[str, Any] = config.method_options
    unknown = sorted(set(values) - {field.name for field in fields(cls)})  # type: ignore[arg-type]
    if unknown:
        raise ConfigError(
            f"method {config.method} has no option {unknown[0]}",
            expected=", ".join(field.name for field in fields(cls)) or "none",  # type: ignore[arg-type]
        )
    return from_plain(cls, values, what=f"options of method {config.method}")


def build_network(config: NetworkConfig, *, seed: int = 0) -> TrackletNetwork:
    """The method's network: weights drawn from `seed`, those of the encoder where the config names any.

    The global random state is left as it was.

    Raises:
        CheckpointError: The weights are absent or of another shape.
        ConfigError: There is no such method or option, or its feature is asked for and not made, or the
            reverse.
    """
    method = method_named(config.method)
    options_of(config, method.options)
    makes_feature = method.network.interact is not TrackletNetwork.interact
    if makes_feature and not config.has_interaction and not method.feature_is_optional:
        raise ConfigError(
            f"method {config.method} makes a feature of its own, which the configuration leaves out",
            todo="Set own_feature to true.",
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(seed, "initialise"))
        network = method.network(config)
    if config.weights is not None:
        load_encoder_weights(network.encoder.vit, config.weights)
    return network


def build_objective(config: ObjectiveConfig, *, network: NetworkConfig) -> Objective:
    """The method's losses.

    Raises:
        ConfigError: They do not fit the network.
    """
    return method_named(network.method).objective(config, network=network)


def _modules() -> dict[str, str]:
    """Module by method name; a file's underscores are hyphens in the name."""
    package = importlib.import_module(__package__ or "xreid.methods")
    own = {
        info.name.replace("_", "-"): f"{package.__name__}.{info.name}"
        for info in pkgutil.iter_modules(package.__path__)
        if info.name not in _NO_METHODS
    }
    return {entry.name: entry.value for entry in entry_points(group=GROUP)} | own
