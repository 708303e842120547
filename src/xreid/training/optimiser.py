"""Adam with learning rates by group, and the schedule as a function of the step."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from xreid.training.config import OptimiserConfig

_BACKBONE = ("encoder", "camera_embedding", "necks")


def build_optimiser(network: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """Adam over the trainable parameters, one group per learning rate and weight decay.

    Groups carry `multiplier`; `set_lr` keeps their learning rates at multiplier x the schedule's.
    """
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in trainable(network):
        decay = config.weight_decay if parameter.dim() > 1 or config.decay_vectors else 0.0
        groups.setdefault((multiplier(name, config), decay), []).append(parameter)
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    device = next(network.parameters()).device.type
    return kind(
        [
            {"params": parameters, "weight_decay": decay, "multiplier": factor}
            for (factor, decay), parameters in groups.items()
        ],
        lr=config.lr,
        betas=config.betas,
        eps=config.eps,
        fused=device in ("cpu", "cuda"),
    )


def trainable(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Names and parameters that are trained, in a fixed order."""
    return ((name, p) for name, p in network.named_parameters() if p.requires_grad)


def multiplier(name: str, config: OptimiserConfig) -> float:
    """Factor of the learning rate of the parameter of that name."""
    part, *rest = name.split(".")
    factor = 1.0
    if part == "classifiers":
        factor = config.classifier_multiplier
        if rest[0] in ("interaction", "cii"):
            factor = config.interaction_classifier_multiplier
    elif part not in _BACKBONE:
        factor = config.interaction_multiplier
    return factor * (config.bias_multiplier if name.endswith("bias") else 1.0)


def learning_rate(config: OptimiserConfig, *, epoch: float, epochs: int) -> float:
    """Learning rate at a point of the run, for multiplier 1.

    Args:
        config: The schedule.
        epoch: Epochs done, with fraction.
        epochs: Epochs of the run.
    """
    if epoch < config.warmup_epochs:
        return config.warmup_lr + (config.lr - config.warmup_lr) * epoch / config.warmup_epochs
    if config.decay == "step":
        return config.lr * config.step_factor ** sum(epoch >= milestone for milestone in config.milestones)
    if config.decay == "cosine":
        span = max(epochs - config.warmup_epochs, 1e-9)
        return config.lr * 0.5 * (1 + math.cos(math.pi * min((epoch - config.warmup_epochs) / span, 1)))
    return config.lr


def set_lr(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Set every group's learning rate to its multiplier times `lr`."""
    for group in optimiser.param_groups:
        group["lr"] = lr * group["multiplier"]


def optimiser_tensors(optimiser: torch.optim.Optimizer, network: nn.Module) -> dict[str, Tensor]:
    """The optimiser's state as named tensors: "<parameter>/exp_avg" and so on."""
    return {
        f"{name}/{key}": value
        for name, parameter in trainable(network)
        for key, value in optimiser.state.get(parameter, {}).items()
    }


def restore_optimiser(
    optimiser: torch.optim.Optimizer, network: nn.Module, tensors: dict[str, Tensor]
) -> None:
    """Put back what `optimiser_tensors` gave; parameters never stepped have no state, as before."""
    parameters = dict(trainable(network))
    for full_name, value in tensors.items():
        name, _, key = full_name.rpartition("/")
        parameter = parameters[name]
        optimiser.state[parameter][key] = value.to(parameter.device)
