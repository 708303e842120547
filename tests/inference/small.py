"""A small untrained model, stored as a checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.training.micro import NETWORK
from xreid.inference.checkpoint import (
    Checkpoint,
    LoadedModel,
    Preprocessing,
    load_checkpoint,
    save_checkpoint,
)
from xreid.methods.registry import build_network

CAMERAS = ("D1", "D2")


def write_model(folder: Path, *, seed: int = 0, cameras: tuple[str, ...] = CAMERAS) -> LoadedModel:
    """Write a checkpoint of random weights and load it."""
    config = replace(NETWORK, num_identities=3, cameras=cameras)
    checkpoint = Checkpoint(
        network=config,
        preprocessing=Preprocessing(frames=3),
        identities=("a", "b", "c"),
        source="hitsz-vcm",
        licence="for tests",
        provenance={"seed": seed},
    )
    save_checkpoint(folder, build_network(config, seed=seed), checkpoint)
    return load_checkpoint(folder)
