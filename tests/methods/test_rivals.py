"""What every rival must do: train, embed, come back from a checkpoint, and be the same in two processes."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from tests.data.tiny_archives import write_hitsz
from tests.losses.test_objective import Ranks
from tests.methods.small import LABELS, MODALITIES, RIVALS, built, clips, config_of
from tests.training.micro import files_of, in_process, train_and_die
from xreid.cli.main import main
from xreid.inference.checkpoint import load_checkpoint
from xreid.losses.objective import LossTerms
from xreid.training.config import BatchConfig, LoopConfig
from xreid.training.presets import preset_named

TERMS = {
    "image": {"triplet_proj", "identity_proj"},
    "pcl_clip": {"cpcl_identity", "identity_cls", "identity_proj"},
    "tf_clip": {"v2m", "triplet_proj", "triplet_interaction", "identity_proj", "identity_interaction"},
    "mitml": {"modality", "confusion", "triplet_interaction", "identity_interaction"},
    "m3_reid": {"mma_clips", "mma_frames", "ofr", "dac", "identity_interaction", "identity_frames"},
}
WIDTHS = {"image": (16, 8), "pcl_clip": (16, 8), "tf_clip": (16, 8, 16), "mitml": (16,), "m3_reid": (96,)}
# no loss looks at these, and the inference feature does not either or takes them as they start
UNTRAINED = {
    "image": {"necks.cls.weight"},
    "pcl_clip": set(),
    "tf_clip": {"necks.cls.weight"},
    "mitml": {"encoder.vit.head.weight", "necks.cls.weight", "necks.proj.weight"},
    "m3_reid": {"encoder.vit.head.weight", "necks.cls.weight", "necks.proj.weight"},
}


@pytest.mark.parametrize("preset", RIVALS)
def test_losses_features_and_gradients(preset: str) -> None:
    network, objective = built(preset)
    output = network(clips(), modalities=MODALITIES)
    terms = objective(output, LABELS, MODALITIES, network)
    assert set(terms.terms) == TERMS[preset]
    terms.total.backward()
    silent = {n for n, p in network.named_parameters() if p.grad is None or not bool(p.grad.any())}
    assert silent == UNTRAINED[preset]
    assert tuple(width for _, width in network.layout) == WIDTHS[preset]
    vectors = network.embed(clips())
    assert vectors.shape == (16, sum(WIDTHS[preset]))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(16))


@pytest.mark.parametrize("preset", RIVALS)
def test_one_frame_is_a_clip(preset: str) -> None:
    network, objective = built(preset)
    terms = objective(network(clips(1), modalities=MODALITIES), LABELS, MODALITIES, network)
    terms.total.backward()
    assert all(bool(p.grad.isfinite().all()) for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("preset", RIVALS)
def test_autocast_keeps_losses_in_float32(preset: str) -> None:
    network, objective = built(preset)
    exact = objective(network(clips(), modalities=MODALITIES), LABELS, MODALITIES, network)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = objective(network(clips(), modalities=MODALITIES), LABELS, MODALITIES, network)
    for name, value in terms.terms.items():
        assert value.dtype == torch.float32, name
        assert value.item() == pytest.approx(exact.terms[name].item(), rel=0.2, abs=0.1), name


@pytest.mark.parametrize("preset", RIVALS)
def test_two_processes_equal_one(preset: str) -> None:
    network, objective = built(preset)
    ranks, found = Ranks(2), dict[int, LossTerms]()
    copies = [(copy.deepcopy(network), copy.deepcopy(objective)) for _ in range(2)]

    def work(rank: int) -> None:
        part, gather = slice(8 * rank, 8 * rank + 8), ranks.gather_of(rank)
        own_network, own_objective = copies[rank]
        own_network.set_gather(gather)
        output = own_network(clips()[part], modalities=MODALITIES[part])
        found[rank] = own_objective(output, LABELS[part], MODALITIES[part], own_network, gather=gather)

    ranks.run(work)
    assert set(found) == {0, 1}
    expected = objective(network(clips(), modalities=MODALITIES), LABELS, MODALITIES, network)
    for name, value in expected.terms.items():
        for rank in range(2):
            assert found[rank].terms[name].item() == pytest.approx(value.item(), rel=1e-4, abs=1e-6), name
    expected.total.backward()
    (found[0].total + found[1].total).backward()
    first, second = (dict(own.named_parameters()) for own, _ in copies)
    for name, one in network.named_parameters():
        if one.grad is None:
            assert first[name].grad is None
            assert second[name].grad is None
            continue
        both = (first[name].grad + second[name].grad) / 2  # type: ignore[operator]
        torch.testing.assert_close(both, one.grad, rtol=1e-3, atol=2e-5, msg=name)
    objective.update(expected)
    for rank, (own_network, own_objective) in enumerate(copies):
        own_objective.update(found[rank])
        for mine, theirs in ((own_objective, objective), (own_network, network)):
            torch.testing.assert_close(dict(mine.named_buffers()), dict(theirs.named_buffers()))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hitsz(tmp_path_factory.mktemp("archive"), train_ids=(1, 2, 3, 4), cameras=(1, 2), frames=12)


@pytest.mark.parametrize("preset", RIVALS)
def test_it_trains_from_the_command_line_and_embeds(preset: str, archive: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["train", "--preset", preset, "--scale", "tiny", "--data", str(archive), "--out", str(run)]
    words += ["--train.epochs", "1", "--batch.per_epoch", "3", "--batch.identities", "4"]
    assert main([*words, "--train.tensorboard", "false"]) == 0
    model = load_checkpoint(run)
    assert model.checkpoint.network.method == preset_named(preset, scale="tiny").network.method
    assert model.checkpoint.provenance["preset"] == preset
    vectors = model.network.embed(torch.randn(2, 2, 3, 64, 32))
    assert vectors.shape[1] == sum(width for _, width in model.network.layout)


@pytest.mark.parametrize("preset", ["pcl_clip", "m3_reid"])
def test_a_killed_run_ends_with_the_same_bytes(preset: str, archive: Path, tmp_path: Path) -> None:
    from xreid.training.loop import train

    small = config_of(preset)
    config = type(small)(
        preset=preset,
        scale="micro",
        batch=BatchConfig(identities=4, clips=1, frames=2, per_epoch=3),
        network=small.network,
        objective=small.objective,
        train=LoopConfig(epochs=2, tensorboard=False, memory=small.train.memory, checkpoint_every=2),
    )
    train(config, data=archive, out=tmp_path / "run")
    expected = files_of(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "undisturbed")
    assert in_process(train_and_die, config, archive, tmp_path / "run", "step", 6) == -9
    train(config, data=archive, out=tmp_path / "run")
    assert files_of(tmp_path / "run") == expected
