"""Several processes train as one would."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training.micro import loop, micro, objective, together, train_as_rank
from xreid.core.errors import ConfigError
from xreid.inference.processes import Processes, choose_device, job
from xreid.losses.config import PrototypeConfig
from xreid.models.config import NetworkConfig
from xreid.training.config import OptimiserConfig, SelectionConfig, TrainConfig
from xreid.training.loop import train

# Adam turns a gradient that is zero but for rounding (a key's bias has such) into a step of full length,
# so that with its usual eps the weights differ by the learning rate wherever the sums are ordered otherwise
SCHEDULE = OptimiserConfig(lr=1e-3, eps=1e-3, warmup_epochs=1, milestones=(2,))
BATCH = micro().batch


@pytest.mark.parametrize(
    "config",
    [
        micro(optimiser=SCHEDULE),
        micro(
            optimiser=SCHEDULE,
            batch=type(BATCH)(identities=4, clips=2, frames=2, per_epoch=3),
            objective=objective(
                cpc=PrototypeConfig(feature="bn_concat", update="either", denominator="batch"),
                triplet_features=("cls", "proj", "interaction"),
                frame_identity_weight=1.0,
            ),
            train=loop(epochs=2, memory="epoch"),
        ),
    ],
    ids=["paper", "official-like"],
)
def test_two_processes_equal_one(config: TrainConfig, archive: Path, tmp_path: Path) -> None:
    train(config, data=archive, out=tmp_path / "one")
    together(train_as_rank, 2, config, archive, tmp_path / "two")
    one, two = (load_file(tmp_path / n / "checkpoint" / "model.safetensors") for n in ("one", "two"))
    assert one.keys() == two.keys()
    start = untrained(config, tmp_path / "one")
    moved = max(float((one[name] - start[name]).abs().max()) for name in one if "running" not in name)
    worst = max(float((one[name] - two[name]).abs().max()) for name in one)
    assert moved > 1e-3
    print(f"weights moved by {moved:.1e}, the two runs differ by {worst:.1e}")
    assert worst < 1e-5
    logs = [
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    ]
    assert [line["step"] for line in logs[0]] == [line["step"] for line in logs[1]]
    for first, second in zip(*logs, strict=True):
        for name, value in first.items():
            assert second[name] == (pytest.approx(value, rel=1e-3) if isinstance(value, float) else value), (
                name
            )


def untrained(config: TrainConfig, run: Path) -> dict[str, torch.Tensor]:
    from xreid.inference.checkpoint import load_checkpoint
    from xreid.methods.registry import build_network

    network: NetworkConfig = load_checkpoint(run).checkpoint.network
    return build_network(network, seed=config.train.seed).state_dict()


def test_two_processes_share_evaluation_and_micro_batches(archive: Path, tmp_path: Path) -> None:
    config = micro(
        optimiser=SCHEDULE,
        batch=type(BATCH)(identities=2, clips=1, frames=2, per_epoch=2),
        selection=SelectionConfig(keep="best", held_out=0.5),
        train=loop(epochs=2),
    )
    train(config, data=archive, out=tmp_path / "one")
    together(train_as_rank, 2, config, archive, tmp_path / "two")
    one, two = (
        json.loads((tmp_path / n / "checkpoint" / "config.json").read_text())["provenance"]["selection"]
        for n in ("one", "two")
    )
    assert one == two


def _gather_gradients(folder: Path, rank: int, size: int, port: int) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with job("cpu") as me:
        local = (torch.arange(6.0).reshape(3, 2) + 10 * me.rank).requires_grad_()
        rows = me.gather(local)
        (rows.square().sum() * (me.rank + 1)).backward()
        numbers = [torch.full((2,), float(me.rank)), torch.full((3,), 2.0 * me.rank)]
        me.average(numbers)
        assert me.gather(torch.tensor([me.rank])).tolist() == [0, 1]
        assert me.broadcast({"rank": me.rank}) == {"rank": 0}
        assert [x.tolist() for x in numbers] == [[0.5, 0.5], [1.0, 1.0, 1.0]]
        torch.save({"rows": rows.detach(), "grad": local.grad}, folder / f"{me.rank}.pt")


def test_the_gather_sums_gradients_over_processes(tmp_path: Path) -> None:
    together(_gather_gradients, 2, tmp_path)
    everything = torch.cat([torch.arange(6.0).reshape(3, 2), torch.arange(6.0).reshape(3, 2) + 10])
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert torch.equal(found["rows"], everything)
        # process r weighs its loss by r + 1: the sum over processes is 3 x 2 x
        assert torch.equal(found["grad"], 6 * everything[3 * rank : 3 * rank + 3])


def test_alone_nothing_is_exchanged() -> None:
    me = Processes()
    values = torch.ones(2, requires_grad=True)
    assert me.gather(values) is values
    assert me.broadcast("x") == "x"
    me.average([values])
    me.wait()


@pytest.mark.parametrize("name", ["nonsense", "cuda:99", "meta"])
def test_absent_devices_are_named(name: str) -> None:
    with pytest.raises(ConfigError, match=r"device|GPU"):
        choose_device(name)


def test_processes_that_do_not_fit_the_batch(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--batch.identities|identities_per_batch"):
        train(micro(), data=archive, out=tmp_path / "run", processes=Processes(rank=0, size=3))
    assert not (tmp_path / "run").exists()
