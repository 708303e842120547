"""Presets, scales, YAML files and the command line give one configuration, or one clear error."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.training.micro import micro
from xreid.cli.train import parse
from xreid.core.errors import ConfigError
from xreid.core.records import from_plain, to_plain
from xreid.methods.registry import build_objective
from xreid.models.config import CLIP_WEIGHTS, NetworkConfig
from xreid.training.config import (
    BatchConfig,
    LoopConfig,
    OptimiserConfig,
    SelectionConfig,
    TrainConfig,
)
from xreid.training.presets import PRESETS, SCALES, preset_named
from xreid.training.settings import SECTIONS, changed, configuration, differences, write_settings

PLACE = ["--data", "archive", "--out", "run"]


def test_paper_is_the_letter_of_the_paper() -> None:
    config = preset_named("paper", scale="vit-b16")
    assert config == TrainConfig()
    assert (config.batch.identities, config.batch.clips, config.batch.frames) == (4, 2, 10)
    optimiser = config.optimiser
    assert (optimiser.name, optimiser.lr, optimiser.weight_decay) == ("adam", 5e-6, 1e-4)
    assert (optimiser.warmup_lr, optimiser.warmup_epochs, optimiser.milestones) == (5e-7, 10, (30, 50))
    assert config.train.epochs == 60
    assert (config.train.memory, config.objective.cpc.momentum, config.objective.cpc.update) == (
        "once",
        0.2,
        "cross",
    )
    network = config.network
    assert (network.use_sii, network.use_lii, network.use_cii, network.sii_stride, network.lii_stride) == (
        True,
        True,
        True,
        1,
        2,
    )
    assert network.weights == CLIP_WEIGHTS


@pytest.mark.parametrize("scale", ["vit-b16", "tiny"])
def test_best_differs_from_paper_by_mirror_images(scale: str) -> None:
    best, paper = (preset_named(name, scale=scale) for name in ("best", "paper"))
    assert differences(to_plain(best), to_plain(paper)) == [
        "preset best -> paper",
        "batch.test_flip True -> False",
    ]


def test_official_leaves_out_what_the_authors_code_leaves_out() -> None:
    config = preset_named("official", scale="vit-b16")
    assert not config.network.use_lii
    assert not config.network.use_cii
    assert config.network.detach_tokens
    assert config.network.sii_depth == 2
    assert config.train.memory == "epoch"
    assert (config.objective.cpc.update, config.objective.cpc.momentum) == ("either", 0.1)
    assert config.objective.identity_weight == 0.25


def test_baseline_has_one_memory_per_modality_and_no_interaction() -> None:
    config = preset_named("baseline", scale="tiny")
    assert not config.network.has_interaction
    assert (config.objective.cpc.update, config.objective.cpc.pairing) == ("own", "own")


@pytest.mark.parametrize("preset", PRESETS)
def test_the_tiny_scale_changes_sizes_and_keeps_the_method(preset: str) -> None:
    full, tiny = (preset_named(preset, scale=scale) for scale in SCALES)
    assert (full.scale, tiny.scale) == ("vit-b16", "tiny")
    sizes = {
        f.name
        for f in fields(NetworkConfig)
        if getattr(NetworkConfig.tiny(), f.name) != getattr(NetworkConfig(), f.name)
    }
    for field in fields(NetworkConfig):
        expected = NetworkConfig.tiny() if field.name in sizes else full.network
        if field.name not in ("camera_embedding", "lii_stride"):
            assert getattr(tiny.network, field.name) == getattr(expected, field.name)
    assert not tiny.network.camera_embedding, "a fresh class token would carry little but its camera"
    assert tiny.network.lii_stride < tiny.batch.frames, "else the query would attend to its own frame"
    assert replace(tiny.objective, cmcl_reduction=full.objective.cmcl_reduction) == full.objective
    assert tiny.network.weights is None


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("scale", SCALES)
def test_plain_values_come_back_the_same(preset: str, scale: str, tmp_path: Path) -> None:
    config = preset_named(preset, scale=scale)
    assert from_plain(TrainConfig, to_plain(config), what="it") == config
    write_settings(tmp_path / "config.yaml", config)
    assert configuration(file=tmp_path / "config.yaml") == config


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("scale", SCALES)
def test_every_preset_has_fitting_network_and_losses(preset: str, scale: str) -> None:
    config = preset_named(preset, scale=scale)
    build_objective(config.objective, network=replace(config.network, num_identities=2))


def test_command_line_over_file_over_preset(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("preset: official\nscale: tiny\ntrain: {epochs: 7, seed: 3}\noptimiser: {lr: 5e-4}\n")
    _, config = parse([*PLACE, "--config", str(path), "--train.epochs", "9", "--objective.cpc.momentum=0.3"])
    assert (config.preset, config.scale) == ("official", "tiny")
    assert (config.train.epochs, config.train.seed, config.optimiser.lr) == (9, 3, 5e-4)
    assert config.objective.cpc == replace(preset_named("official", scale="tiny").objective.cpc, momentum=0.3)
    _, config = parse([*PLACE, "--config", str(path), "--preset=paper"])
    assert (config.preset, config.train.epochs, config.network.use_lii) == ("paper", 7, True)


def test_spellings() -> None:
    options, config = parse(
        ["archive", "run", "--network.frame-size", "[32, 16]", "--cache-mib=5", "--scale", "tiny"]
    )
    assert (options.data, options.out, options.cache_mib) == (Path("archive"), Path("run"), 5)
    assert config.network.frame_size == (32, 16)
    _, config = parse([*PLACE, "--weights", "none"])
    assert config.network.weights is None
    _, config = parse([*PLACE, "--weights", "some/where.safetensors"])
    assert config.network.weights == "some/where.safetensors"
    _, config = parse([*PLACE, "--optimiser.milestones", "[1,2,3]", "--selection.held_out=0.1"])
    assert (config.optimiser.milestones, config.selection.held_out) == ((1, 2, 3), 0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*PLACE, "--preset", "nonsense"], "unknown preset 'nonsense'; expected paper, best, official"),
        ([*PLACE, "--scale=huge"], "unknown scale"),
        ([*PLACE, "--train.epoch", "3"], "train.epoch"),
        ([*PLACE, "--train.epochs", "three"], r"train\.epochs"),
        ([*PLACE, "--train.epochs", "0"], "epochs is out of range; expected 1 or more; got 0"),
        ([*PLACE, "--optimiser.lr=-1"], "lr is out of range"),
        ([*PLACE, "--optimiser.betas", "[0.9, 1.5]"], "betas"),
        ([*PLACE, "--optimiser.clip_norm=0"], "clip_norm"),
        ([*PLACE, "--nonsense"], "nonsense"),
        ([*PLACE, "--train.precision=fp8"], "precision"),
        ([*PLACE, "--network.heads", "5"], "divisor"),
        ([*PLACE, "--network.num_identities", "5"], "come from the data"),
        ([*PLACE, "--train.accumulate=4"], "micro-batches"),
        ([*PLACE, "--train.memory=prompts", "--objective.cpc.enabled=false"], "CPC"),
        ([*PLACE, "--selection.keep=best"], "held-out"),
        ([*PLACE, "--selection.held_out=1.5"], "held_out"),
        ([*PLACE, "--train.memory=prompts"], "cpc.update none"),
        ([*PLACE, "--scale=tiny", "--network.lii_stride=2"], "lii_stride.*less than the 2 frames"),
        ([*PLACE, "--batch.frames=1"], "sii_stride.*less than the 1 frames"),
        ([*PLACE, "--preset"], "preset"),
        (["--data", "archive"], "out"),
    ],
)
def test_wrong_options_are_named(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(arguments)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format: 2\n", "written by a newer xreid; expected format 1 or older; got format 2"),
        ("format: new\n", "no valid format number"),
        ("trian: {epochs: 3}\n", r"unknown setting trian.*Did you mean train\?"),
        ("train: {epoch: 3}\n", r"unknown setting train\.epoch.*Did you mean train\.epochs\?"),
        ("train: 3\n", "train is a section"),
        ("objective: {cpc: {momentum: high}}\n", r"objective\.cpc\.momentum|cpc"),
        ("- train\n", "no mapping"),
        ("train: [\n", "not YAML"),
        ("preset: nonsense\n", "unknown preset"),
        ("train: {epochs: -1}\n", "epochs is out of range"),
        ("", "no mapping"),
    ],
)
def test_wrong_files_are_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        configuration(file=path)


def test_missing_file() -> None:
    with pytest.raises(ConfigError, match="cannot read configuration"):
        configuration(file=Path("/nowhere/my.yaml"))


def test_differences_are_named_with_both_values() -> None:
    one, two = to_plain(micro()), to_plain(micro(train=LoopConfig(epochs=3, seed=4, tensorboard=False)))
    assert differences(one, two) == ["train.seed 0 -> 4", "train.log_every 3 -> 10"]
    assert differences(one, one) == []


def test_changed_rejects_what_the_sections_reject() -> None:
    assert changed(micro(), {"train": {"seed": 8}}).train.seed == 8
    with pytest.raises(ConfigError, match="unknown setting"):
        changed(micro(), {"train": {"sed": 8}})


def test_every_field_is_read() -> None:
    """A setting that no code reads is worse than none."""
    source = "\n".join(
        path.read_text()
        for path in Path(__file__).resolve().parents[2].glob("src/xreid/*/*.py")
        if path.name != "config.py"
    )

    def names(kind: Any) -> list[str]:
        return [name for f in fields(kind) for name in ([f.name] if not is_dataclass(f.type) else [])]

    for section in (BatchConfig, LoopConfig, OptimiserConfig, SelectionConfig, SECTIONS["archive"]):
        for name in names(section):
            assert f".{name}" in source or f'"{name}"' in source, f"{section.__name__}.{name} is never read"
