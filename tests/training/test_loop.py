"""What a run leaves, what its options do, and that it learns."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.training.micro import IDENTITIES, NETWORK, files_of, loop, micro, objective
from xreid.core.errors import ConfigError, DataError
from xreid.data import open_archive
from xreid.inference.checkpoint import load_checkpoint
from xreid.losses.config import PromptConfig, PrototypeConfig
from xreid.models.text import ClipTextEncoder
from xreid.training.config import OptimiserConfig, SelectionConfig, TrainConfig
from xreid.training.loop import Runtime, train
from xreid.training.material import held_out_identities, load_material, training_rows
from xreid.training.run_folder import locked
from xreid.training.settings import configuration, read_settings
from xreid.training.step import DivergedError, Stepper


def weights_of(config: TrainConfig, archive: Path, out: Path, **named: Any) -> dict[str, Tensor]:
    return load_file(train(config, data=archive, out=out, **named).checkpoint / "model.safetensors")


def test_the_run_folder_answers_what_made_the_model(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(micro(train=loop(tensorboard=True)), data=archive, out=out)
    names = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    assert names == {"checkpoint", "config.yaml", "metrics.jsonl", "run.json", "tensorboard"}
    assert any((out / "tensorboard").iterdir())
    record = json.loads((out / "run.json").read_text())
    assert record["data"]["source"] == "hitsz-vcm"
    assert "HITSZ-VCM" in record["data"]["licence"]
    assert record["data"]["identities"] == len(IDENTITIES)
    assert {"python", "torch", "xreid"} <= record["versions"].keys()
    assert record["seed"] == 0
    assert "commit" in record
    assert yaml.safe_load((out / "config.yaml").read_text())["train"]["epochs"] == 3
    checkpoint = load_checkpoint(out).checkpoint
    assert checkpoint.identities == ("0001", "0002", "0003", "0004")
    assert checkpoint.network.cameras == ("D1", "D2")
    assert checkpoint.licence == record["data"]["licence"]
    assert checkpoint.preprocessing.frames == 2
    assert checkpoint.provenance["config_sha256"] == record["config_sha256"]
    selection = checkpoint.provenance["selection"]
    assert (selection["keep"], selection["epoch"]) == ("last", 3)


def test_its_configuration_can_be_run_again(archive: Path, tmp_path: Path) -> None:
    one = weights_of(micro(), archive, tmp_path / "one")
    values = read_settings(tmp_path / "one" / "config.yaml")
    path = tmp_path / "again.yaml"
    path.write_text(yaml.safe_dump({**values, "preset": "paper", "scale": "tiny"}))
    again = configuration(file=path)
    two = weights_of(again, archive, tmp_path / "two")
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_metrics_name_every_term(archive: Path, tmp_path: Path) -> None:
    train(micro(train=loop(log_every=1)), data=archive, out=tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "step"]
    assert [line["step"] for line in steps] == list(range(1, 13))
    terms = {"cpcl_vis", "cpcl_ir", "triplet_proj", "triplet_interaction", "identity_proj", "cmcl_sii_vis"}
    assert terms | {"loss", "grad_norm", "lr", "epoch"} <= steps[0].keys()
    assert [line["lr"] for line in steps[:5]] == pytest.approx([5e-7, 2.5e-4, 5e-4, 7.5e-4, 1e-3], rel=1e-2)
    assert steps[8]["lr"] == pytest.approx(1e-4)  # after the milestone


def test_it_learns(archive: Path, tmp_path: Path) -> None:
    config = micro(
        optimiser=OptimiserConfig(lr=3e-3, warmup_epochs=0, decay="none"),
        train=loop(epochs=30, log_every=4),
    )
    train(config, data=archive, out=tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["kind"] == "step"]
    assert losses[-1] < 0.85 * losses[0]


def test_loader_processes_and_cache_change_nothing(archive: Path, tmp_path: Path) -> None:
    one = weights_of(micro(), archive, tmp_path / "one", runtime=Runtime(workers=0, cache_mib=0))
    two = weights_of(micro(), archive, tmp_path / "two", runtime=Runtime(workers=2, cache_mib=1))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_micro_batches_add_up(archive: Path, tmp_path: Path) -> None:
    """Where no loss looks at several clips at once, two micro-batches give the gradient of one batch."""
    config = micro(
        network=replace(NETWORK, classifiers=()),
        objective=objective(triplet_weight=0.0, identity_weight=0.0),
        optimiser=OptimiserConfig(lr=1e-3, eps=1e-3, warmup_epochs=0),
    )
    one = weights_of(config, archive, tmp_path / "one")
    two = weights_of(replace(config, train=loop(accumulate=2)), archive, tmp_path / "two")
    for name in one:
        if "necks" not in name:  # their statistics are those of micro-batches
            torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-5, msg=name)


def test_accumulation_splits_identities_whole(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    forward = Stepper._forward
    monkeypatch.setattr(
        Stepper, "_forward", lambda self, batch: (seen.append(batch.labels.tolist()), forward(self, batch))[1]
    )
    train(micro(train=loop(epochs=1, accumulate=2)), data=archive, out=tmp_path / "run")
    assert len(seen) == 8
    assert all(len(labels) == 4 and len(set(labels)) == 2 for labels in seen)
    assert set(seen[0]).isdisjoint(seen[1])


@pytest.mark.parametrize(
    "changes",
    [{"precision": "bf16"}, {"memory": "epoch"}],
)
def test_options_of_the_loop_run(changes: dict[str, Any], archive: Path, tmp_path: Path) -> None:
    one = weights_of(micro(), archive, tmp_path / "one")
    two = weights_of(micro(train=loop(**changes)), archive, tmp_path / "two")
    assert any(not torch.equal(one[name], two[name]) for name in one)
    assert all(bool(value.isfinite().all()) for value in two.values())


def test_the_running_mean_of_the_weights_is_kept(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Tensor]] = []
    original = Stepper.__call__

    def watched(self: Stepper, *arguments: Any, **named: Any) -> Any:
        result = original(self, *arguments, **named)
        seen.append({name: value.clone() for name, value in self.trainee.network.state_dict().items()})
        return result

    monkeypatch.setattr(Stepper, "__call__", watched)
    kept = weights_of(micro(train=loop(average=0.75)), archive, tmp_path / "run")
    expected = seen[0]
    for later in seen[1:]:
        expected = {name: 0.75 * value + 0.25 * later[name] for name, value in expected.items()}
    assert len(seen) == 12
    for name, value in kept.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-6, msg=name)
    plain = weights_of(micro(), archive, tmp_path / "plain")
    assert all(torch.equal(plain[name], seen[11][name]) for name in plain)


def test_gradient_checkpointing_changes_nothing(archive: Path, tmp_path: Path) -> None:
    one = weights_of(micro(), archive, tmp_path / "one")
    config = micro(network=replace(NETWORK, gradient_checkpointing=True))
    two = weights_of(config, archive, tmp_path / "two")
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.slow
def test_compiled(archive: Path, tmp_path: Path) -> None:
    one = weights_of(micro(), archive, tmp_path / "one")
    two = weights_of(micro(train=loop(compile=True)), archive, tmp_path / "two")
    assert one.keys() == two.keys()
    assert all(torch.allclose(one[name], two[name], atol=2e-2) for name in one)


def test_the_best_epoch_is_kept(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from xreid.training.selection import HeldOutScore

    given = iter([0.2, 0.9, 0.9])
    monkeypatch.setattr(
        HeldOutScore, "__call__", lambda self: {"mAP": (m := next(given)), "I2V Rank-1": m, "I2V mAP": m}
    )
    batch = replace(micro().batch, identities=2)
    config = micro(batch=batch, selection=SelectionConfig(keep="best", held_out=0.5))
    result = train(config, data=archive, out=tmp_path / "run")
    assert result.selection["epoch"] == 2  # the earlier of two equal ones
    assert result.selection["held_out_scores"]["mAP"] == 0.9
    assert result.selection["held_out_identities"] == 2
    last = train(replace(config, selection=SelectionConfig()), data=archive, out=tmp_path / "other")
    assert last.selection["epoch"] == 3


def test_held_out_people_are_never_trained_on(archive: Path) -> None:
    from xreid.inference.processes import Processes

    config = micro(selection=SelectionConfig(held_out=0.5), batch=replace(micro().batch, identities=2))
    material = load_material(archive, config, processes=Processes())
    assert material.held_out is not None
    held, trained = set(material.held_out.identities()), set(material.identities)
    assert len(held) == len(trained) == 2
    assert held.isdisjoint(trained)
    table = training_rows(material.table)
    names = [held_out_identities(table, share=1.0, seed=seed) for seed in (0, 0, 1)]
    assert names[0] == names[1]
    with pytest.raises(DataError, match="leaves nothing"):
        held_out_identities(table, share=0.1, seed=0)


def test_not_a_number_stops_with_term_and_tracklets(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, calls = Stepper._forward, 0

    def poisoned(self: Stepper, batch: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 6:
            batch.clips[2] = float("nan")
        return forward(self, batch)

    monkeypatch.setattr(Stepper, "_forward", poisoned)
    with pytest.raises(DivergedError, match=r"step 6 \(epoch 2, batch 2\).*loss.*triplet_proj") as caught:
        train(micro(), data=archive, out=tmp_path / "run")
    (culprit,) = str(caught.value).partition("tracklets with such features: ")[2].split(". ")[:1]
    assert culprit in {row.name for row in open_archive(archive)}
    monkeypatch.setattr(Stepper, "_forward", forward)
    expected = weights_of(micro(), archive, tmp_path / "other")
    found = weights_of(micro(), archive, tmp_path / "run")  # goes on from the state before
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_too_high_a_learning_rate_is_reported_not_saved(archive: Path, tmp_path: Path) -> None:
    config = micro(optimiser=OptimiserConfig(lr=1e30, warmup_epochs=0))
    with pytest.raises(DivergedError, match=r"Lower --optimiser\.lr"):
        train(config, data=archive, out=tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoint").exists()


def test_one_run_at_a_time(archive: Path, tmp_path: Path) -> None:
    from tests.training.micro import in_process

    with locked(tmp_path / "run"):
        assert in_process(_refused, archive, tmp_path / "run") == 0
    train(micro(), data=archive, out=tmp_path / "run")


def _refused(archive: Path, out: Path) -> None:
    with pytest.raises(ConfigError, match="another process"):
        train(micro(), data=archive, out=out)


def test_memories_from_sentences(archive: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = ClipTextEncoder(
        width=64, depth=1, projection=NETWORK.projection, vocabulary=49408, context=77, heads=1
    )
    weights = tmp_path / "text.safetensors"
    save_file({name: value.contiguous() for name, value in encoder.state_dict().items()}, weights)
    config = micro(
        objective=objective(cpc=PrototypeConfig(update="none", pairing="own")),
        train=loop(memory="prompts"),
        prompts=PromptConfig(weights=str(weights), epochs=2),
    )
    one = weights_of(config, archive, tmp_path / "one")
    two = weights_of(config, archive, tmp_path / "two")
    assert all(torch.equal(one[name], two[name]) for name in one)
    with pytest.raises(ConfigError, match="text encoder does not fit"):
        train(replace(config, network=replace(NETWORK, projection=4)), data=archive, out=tmp_path / "three")


def test_the_global_generator_is_left_alone(archive: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(micro(), data=archive, out=tmp_path / "run")
    assert torch.equal(torch.rand(3), expected)
    assert not [name for name in files_of(tmp_path / "run") if name.startswith("state")]
