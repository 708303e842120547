"""Checkpoints come back exactly, or with one clear error."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.inference.small import write_model
from xreid.core import records
from xreid.core.errors import CheckpointError, DataError, XReidError
from xreid.core.records import to_plain
from xreid.inference import checkpoint as checkpoint_module
from xreid.inference.checkpoint import Checkpoint, load_checkpoint
from xreid.methods.registry import build_network
from xreid.models.config import NetworkConfig


def test_round_trip(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    expected = build_network(model.checkpoint.network, seed=0).state_dict()
    for name, value in model.network.state_dict().items():
        assert torch.equal(value, expected[name])
    assert not model.network.training
    assert model.checkpoint.identities == ("a", "b", "c")
    assert model.checkpoint.licence == "for tests"
    assert model.checkpoint.provenance == {"seed": 0}
    meta = json.loads((tmp_path / "model" / "config.json").read_text())
    assert meta["layout"] == [["bn_cls", 16], ["bn_proj", 8], ["bn_interaction", 16]]
    assert meta["network"] == to_plain(model.checkpoint.network)


def test_the_model_of_a_run_is_found(tmp_path: Path) -> None:
    model = write_model(tmp_path / "run" / "checkpoint")
    assert load_checkpoint(tmp_path / "run").sha256 == model.sha256


def test_hashes_tell_models_apart(tmp_path: Path) -> None:
    one, same, other = (write_model(tmp_path / str(i), seed=seed) for i, seed in enumerate((0, 0, 1)))
    assert one.sha256 == same.sha256 != other.sha256
    assert one.checkpoint.hash == other.checkpoint.hash
    fewer = replace(one.checkpoint, preprocessing=replace(one.checkpoint.preprocessing, frames=4))
    assert fewer.hash != one.checkpoint.hash


def edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        meta = json.loads((folder / "config.json").read_text())
        change(meta)
        (folder / "config.json").write_text(json.dumps(meta))

    return apply


def narrower(folder: Path) -> None:
    import hashlib

    weights = load_file(folder / "model.safetensors")
    weights["encoder.vit.head.weight"] = weights["encoder.vit.head.weight"][:4].contiguous()
    save_file(weights, folder / "model.safetensors")
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    edit(lambda meta: meta.update(weights_sha256=digest))(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: shutil.rmtree(folder), "there is no checkpoint"),
        (lambda folder: (folder / "config.json").unlink(), "is no checkpoint"),
        (lambda folder: (folder / "config.json").write_text("{"), "is not JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), "damaged"),
        (lambda folder: (folder / "model.safetensors").unlink(), "is missing"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 99), "damaged or was exchanged"),
        (edit(lambda meta: meta.update(format=2)), "written by a newer xreid"),
        (edit(lambda meta: meta.pop("format")), "no valid format"),
        (edit(lambda meta: meta.pop("network")), "lacks 'network'"),
        (edit(lambda meta: meta["network"].update(width="wide")), "does not fit"),
        (edit(lambda meta: meta["network"].update(colour="red")), "does not fit"),
        (edit(lambda meta: meta["network"].update(width=20, heads=2)), "does not fit the model"),
        (narrower, r"does not fit the model: encoder.vit.head.weight; expected \[8, 16\]; got \[4, 16\]"),
    ],
)
def test_damage_is_named(damage: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    write_model(tmp_path / "model")
    damage(tmp_path / "model")
    with pytest.raises((CheckpointError, DataError), match=message):
        load_checkpoint(tmp_path / "model")


def test_an_unfinished_run_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(CheckpointError, match="not finished.*Restart `xreid train`"):
        load_checkpoint(tmp_path)


def test_nothing_is_left_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xreid.inference import checkpoint

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_tensors", full)
    with pytest.raises(XReidError, match="No space left"):
        write_model(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_loading_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    write_model(tmp_path / "model")
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    load_checkpoint(tmp_path / "model")
    assert torch.equal(torch.rand(2), expected)


def test_a_setting_that_is_at_its_default_changes_no_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    network = NetworkConfig.tiny(num_identities=3)
    before = Checkpoint(network=network).hash
    plain = records.to_plain
    monkeypatch.setattr(  # as if xreid had gained a setting since
        checkpoint_module,
        "to_plain",
        lambda value: {**plain(value), **({"later": 1} if isinstance(value, NetworkConfig) else {})},
    )
    assert Checkpoint(network=network).hash == before
    assert Checkpoint(network=replace(network, width=256)).hash != before
