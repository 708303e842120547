"""docs/extending.md, followed: its file and its entry points, put on the path, train and embed."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

from tests.data.tiny_archives import write_hitsz
from xreid.cli.main import main
from xreid.core.errors import ConfigError
from xreid.inference.checkpoint import load_checkpoint
from xreid.training import presets
from xreid.training.config import TrainConfig
from xreid.training.presets import preset_named

PAGE = Path(__file__).resolve().parents[2] / "docs" / "extending.md"
MODULE = "attention_pooling"


def block_of(language: str) -> str:
    """The page's first block of that language."""
    match = re.search(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert match is not None
    return match[1]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's package as an installer would leave it."""
    folder = tmp_path / "site"
    info = folder / f"{MODULE}-0.1.dist-info"
    info.mkdir(parents=True)
    (folder / f"{MODULE}.py").write_text(block_of("python"))
    groups = tomllib.loads(block_of("toml"))["project"]["entry-points"]
    lines = [
        line
        for group, entries in groups.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    return folder


def test_the_page_can_be_followed(package: Path, tmp_path: Path) -> None:
    archive = write_hitsz(tmp_path / "data", train_ids=(1, 2, 3), cameras=(1, 2), frames=12)
    run, out = tmp_path / "run", tmp_path / "embeddings"
    words = ["train", str(archive), str(run), "--preset", MODULE, "--scale", "tiny"]
    words += ["--network.method_options.heads", "3", "--train.epochs", "1", "--batch.per_epoch", "2"]
    words += ["--train.log_every", "1"]
    assert main([*words, "--batch.identities", "3", "--train.tensorboard", "false"]) == 0
    assert '"spread"' in (run / "metrics.jsonl").read_text()
    model = load_checkpoint(run)
    assert model.checkpoint.provenance["preset"] == MODULE
    assert model.network.layout == (("bn_cls", 128), ("bn_proj", 64), ("bn_interaction", 384))
    assert main(["embed", str(run), str(archive), str(out)]) == 0


def test_a_checkpoint_of_an_absent_package_is_named(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from xreid.methods.registry import build_network

    config = preset_named(MODULE, scale="tiny").network
    assert build_network(config).embed(torch.zeros(1, 2, 3, 64, 32)).shape == (1, 448)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(package)])
    with pytest.raises(ConfigError, match="unknown method 'attention-pooling'"):
        build_network(config)


def test_a_preset_takes_the_name_of_its_entry_point(package: Path) -> None:
    config = preset_named(MODULE, scale="tiny")
    assert (config.preset, config.scale) == (MODULE, "tiny")
    assert config.network.width == 128


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no_such_module:preset", "preset strange of no_such_module:preset cannot be loaded"),
        ("math:no_such_name", "cannot be loaded"),
        ("builtins:dict", "gives no preset; expected a TrainConfig; got dict"),
    ],
)
def test_a_preset_that_cannot_be_used_is_named(
    value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = EntryPoint(name="strange", value=value, group=presets.GROUP)
    monkeypatch.setattr(presets, "entry_points", lambda group: [found])
    with pytest.raises(ConfigError, match=message):
        preset_named("strange", scale="tiny")
    with pytest.raises(ConfigError, match="unknown preset 'other'.*strange"):
        preset_named("other", scale="tiny")


def test_presets_of_the_package_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    found = EntryPoint(name="paper", value="builtins:dict", group=presets.GROUP)
    monkeypatch.setattr(presets, "entry_points", lambda group: [found])
    assert isinstance(preset_named("paper", scale="tiny"), TrainConfig)
