"""Every spelling of CLIP weights gives the same encoder, and everything else one clear message."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from xreid.cli.main import main
from xreid.core.errors import CheckpointError
from xreid.methods.registry import build_network
from xreid.models import hub
from xreid.models.backbone import ClipImageEncoder
from xreid.models.config import CLIP_WEIGHTS, NetworkConfig
from xreid.models.weights import load_encoder_weights, read_encoder_weights, resample_positions

# a square grid, as published weights have: 6 x 6 patches of 8 pixels
SQUARE = replace(
    NetworkConfig.tiny(),
    stem="patch",
    frame_size=(48, 48),
    width=32,
    depth=2,
    heads=2,
    interaction_heads=2,
    projection=8,
)
TARGET = replace(SQUARE, frame_size=(64, 32))


@pytest.fixture
def timm_weights() -> dict[str, Tensor]:
    torch.manual_seed(3)
    weights = dict(ClipImageEncoder(SQUARE).vit.state_dict())
    return {name: torch.randn(value.shape) for name, value in weights.items()}


def as_openai(weights: dict[str, Tensor], *, prefix: str = "visual.") -> dict[str, Tensor]:
    """OpenAI's and open_clip's spelling, from timm's."""
    named = {
        "class_embedding": weights["cls_token"].flatten(),
        "positional_embedding": weights["pos_embed"][0],
        "proj": weights["head.weight"].t().contiguous(),
        "conv1.weight": weights["patch_embed.proj.weight"],
    }
    pairs = [
        ("norm_pre.", "ln_pre."),
        ("norm.", "ln_post."),
        ("norm1.", "ln_1."),
        ("norm2.", "ln_2."),
        ("attn.qkv.", "attn.in_proj_"),
        ("attn.proj.", "attn.out_proj."),
        ("mlp.fc1.", "mlp.c_fc."),
        ("mlp.fc2.", "mlp.c_proj."),
    ]
    for name, value in weights.items():
        for timm_part, openai_part in pairs:
            if name.startswith(("norm_pre.", "norm.")) and name.startswith(timm_part):
                named[name.replace(timm_part, openai_part)] = value
            elif name.startswith("blocks.") and f".{timm_part}" in name:
                renamed = name.replace("blocks.", "transformer.resblocks.").replace(timm_part, openai_part)
                named[renamed] = value
    return {prefix + name: value for name, value in named.items()}


def as_transformers(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """transformers' spelling (CLIPVisionModelWithProjection, or CLIPModel), with q, k, v apart."""
    named = {
        "vision_model.embeddings.class_embedding": weights["cls_token"].flatten(),
        "vision_model.embeddings.position_embedding.weight": weights["pos_embed"][0],
        "vision_model.embeddings.position_ids": torch.arange(weights["pos_embed"].shape[1])[None],
        "vision_model.embeddings.patch_embedding.weight": weights["patch_embed.proj.weight"],
        "visual_projection.weight": weights["head.weight"],
        "text_model.final_layer_norm.weight": torch.ones(4),
        "logit_scale": torch.ones(()),
    }
    for kind in ("weight", "bias"):
        named[f"vision_model.pre_layrnorm.{kind}"] = weights[f"norm_pre.{kind}"]
        named[f"vision_model.post_layernorm.{kind}"] = weights[f"norm.{kind}"]
        for i in range(SQUARE.depth):
            ours, theirs = f"blocks.{i}.", f"vision_model.encoder.layers.{i}."
            for part, value in zip("qkv", weights[f"{ours}attn.qkv.{kind}"].chunk(3), strict=True):
                named[f"{theirs}self_attn.{part}_proj.{kind}"] = value
            named[f"{theirs}self_attn.out_proj.{kind}"] = weights[f"{ours}attn.proj.{kind}"]
            for n in (1, 2):
                named[f"{theirs}layer_norm{n}.{kind}"] = weights[f"{ours}norm{n}.{kind}"]
                named[f"{theirs}mlp.fc{n}.{kind}"] = weights[f"{ours}mlp.fc{n}.{kind}"]
    return named


class Archive(nn.Module):
    """A stand-in for ViT-B-16.pt: half-precision parameters under OpenAI's names, and a text tower."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        for name, value in {**as_openai(weights), "token_embedding.weight": torch.ones(2, 2)}.items():
            module: nn.Module = self
            *path, last = name.split(".")
            for part in path:
                if part not in dict(module.named_children()):
                    module.add_module(part, nn.Module())
                module = module.get_submodule(part)
            module.register_parameter(last, nn.Parameter(value.half()))

    def forward(self, x: Tensor) -> Tensor:
        return x


def write_torchscript(weights: dict[str, Tensor], path: Path) -> None:
    torch.jit.save(torch.jit.script(Archive(weights)), str(path))


@pytest.mark.parametrize(
    "spelling", ["timm", "openai", "open_clip", "bare", "module", "trunk", "transformers"]
)
def test_every_spelling_gives_the_same_weights(
    spelling: str, timm_weights: dict[str, Tensor], tmp_path: Path
) -> None:
    trunk = {f"visual.trunk.{n}": v for n, v in timm_weights.items() if n != "head.weight"}
    spelled = {
        "timm": timm_weights | {"head.bias": torch.zeros(8)},
        "openai": as_openai(timm_weights) | {"logit_scale": torch.ones(())},
        "open_clip": as_openai(timm_weights) | {"transformer.resblocks.0.ln_1.weight": torch.ones(4)},
        "bare": as_openai(timm_weights, prefix=""),
        "module": as_openai(timm_weights, prefix="module.visual."),
        "trunk": trunk | {"visual.head.proj.weight": timm_weights["head.weight"].clone()},
        "transformers": as_transformers(timm_weights),
    }[spelling]
    save_file({name: value.contiguous() for name, value in spelled.items()}, tmp_path / "w.safetensors")
    read = read_encoder_weights(str(tmp_path / "w.safetensors"))
    assert read.keys() == timm_weights.keys()
    for name, value in timm_weights.items():
        assert torch.equal(read[name], value), name


def test_pytorch_state_dict(timm_weights: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({"state_dict": as_openai(timm_weights)}, tmp_path / "w.pt")
    read = read_encoder_weights(str(tmp_path / "w.pt"))
    assert torch.equal(read["blocks.1.attn.qkv.bias"], timm_weights["blocks.1.attn.qkv.bias"])


def test_convert_openai_archive(
    timm_weights: dict[str, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive, out = tmp_path / "ViT-B-16.pt", tmp_path / "sub" / "vit.safetensors"
    write_torchscript(timm_weights, archive)
    with pytest.raises(Exception, match="TorchScript|weights_only"):
        torch.load(archive, weights_only=True)  # trap: it is no state dict
    assert main(["convert", str(archive), str(out)]) == 0
    assert f"{len(timm_weights)} tensors" in capsys.readouterr().out
    converted = load_file(out)
    assert converted.keys() == timm_weights.keys()
    for name, value in timm_weights.items():
        assert converted[name].dtype == torch.float32
        assert torch.equal(converted[name], value.half().float()), name
    direct, through_file = ClipImageEncoder(TARGET).vit, ClipImageEncoder(TARGET).vit
    load_encoder_weights(direct, str(archive))
    load_encoder_weights(through_file, str(out))
    for name, value in direct.state_dict().items():
        assert torch.equal(value, through_file.state_dict()[name])


def test_a_run_of_ones_own_is_a_pre_trained_encoder(tmp_path: Path) -> None:
    config = NetworkConfig.tiny(num_identities=3)
    trained = build_network(config, seed=5)
    (tmp_path / "checkpoint").mkdir()
    save_file(dict(trained.state_dict()), tmp_path / "checkpoint" / "model.safetensors")
    for source in (tmp_path, tmp_path / "checkpoint", tmp_path / "checkpoint" / "model.safetensors"):
        network = build_network(replace(config, num_identities=7, weights=str(source)), seed=0)
        for name, value in trained.encoder.state_dict().items():
            assert torch.equal(network.encoder.state_dict()[name], value), name


def test_weights_without_the_stem_say_what_to_set(timm_weights: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(timm_weights, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match="Set --network.stem patch"):
        build_network(replace(NetworkConfig.tiny(), weights=str(tmp_path / "w.safetensors")))


def test_positions_are_resampled_as_torch_does_without_antialiasing(
    timm_weights: dict[str, Tensor], tmp_path: Path
) -> None:
    save_file(timm_weights, tmp_path / "w.safetensors")
    network = build_network(replace(TARGET, weights=str(tmp_path / "w.safetensors")))
    loaded, source = network.encoder.vit.pos_embed, timm_weights["pos_embed"]
    square = source[:, 1:].reshape(1, 6, 6, 32).permute(0, 3, 1, 2)
    expected = nn.functional.interpolate(square, size=(8, 4), mode="bilinear", antialias=False)
    torch.testing.assert_close(loaded[:, 1:], expected.permute(0, 2, 3, 1).reshape(1, 32, 32))
    assert torch.equal(loaded[:, 0], source[:, 0])


def test_positions_already_on_the_grid() -> None:
    positions = torch.randn(1, 1 + 32, 4)
    assert torch.equal(resample_positions(positions, grid=(8, 4)), positions)
    assert torch.equal(resample_positions(torch.ones(1, 10, 4), grid=(3, 3)), torch.ones(1, 10, 4))
    with pytest.raises(CheckpointError, match="square"):
        resample_positions(positions, grid=(5, 4))


JUNK_ZIP = b"PK\x05\x06" + b"\xff" * 18  # the end of an archive that is not there


def damaged(case: str, weights: dict[str, Tensor], folder: Path) -> str:
    """Write the named kind of wrong weights; return the source to load."""
    path = folder / "w.safetensors"
    changed = dict(weights)
    if case == "absent":
        return str(folder / "nowhere.safetensors")
    if case == "truncated":
        save_file(weights, path)
        path.write_bytes(path.read_bytes()[:100])
        return str(path)
    if case == "text":
        (folder / "w.pt").write_text("hello")
        return str(folder / "w.pt")
    if case == "empty":
        path.touch()
        return str(path)
    if case.startswith("junk "):
        (folder / "w.pth").write_bytes({"junk 4": b"junk", "junk zip": JUNK_ZIP}[case])
        return str(folder / "w.pth")
    if case == "list":
        torch.save([1, 2], folder / "w.pt")
        return str(folder / "w.pt")
    if case == "missing block":
        del changed["blocks.1.mlp.fc1.weight"]
    elif case == "deeper":
        changed |= {
            n.replace("blocks.1", "blocks.2"): v.clone() for n, v in weights.items() if "blocks.1" in n
        }
    elif case == "wider":
        changed["norm.weight"] = torch.ones(48)
    elif case == "other patch":
        changed["patch_embed.proj.weight"] = torch.ones(32, 3, 16, 16)
    elif case == "classifier":
        changed["head.bias"] = torch.ones(8)
    elif case == "no clip":
        changed = {"conv1.bias": torch.ones(2)}
    elif case == "trunk without head":
        changed = {f"visual.trunk.{n}": v for n, v in weights.items() if n != "head.weight"}
    elif case == "no k":
        changed = as_transformers(weights)
        del changed["vision_model.encoder.layers.0.self_attn.k_proj.weight"]
    save_file({n: v.contiguous() for n, v in changed.items()}, path)
    return str(path)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("absent", "no weights at"),
        ("truncated", "cannot read"),
        ("text", "cannot read"),
        ("empty", "cannot read"),
        ("junk 4", "cannot read.*Fetch the file again"),
        ("junk zip", "cannot read.*Fetch the file again"),
        ("list", "holds no weights"),
        ("missing block", "without blocks.1.mlp.fc1.weight"),
        ("deeper", "with blocks.2"),
        ("wider", r"norm.weight; expected \[32\]; got \[48\]"),
        ("other patch", "patch_embed.proj.weight"),
        ("classifier", "trained classifier"),
        ("no clip", "no CLIP image encoder"),
        ("trunk without head", "with head.weight; got .* without head.weight"),
        ("no k", "lack a part"),
    ],
)
def test_wrong_weights(case: str, message: str, timm_weights: dict[str, Tensor], tmp_path: Path) -> None:
    source = damaged(case, timm_weights, tmp_path)
    encoder = ClipImageEncoder(TARGET)
    before = {name: value.clone() for name, value in encoder.vit.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        load_encoder_weights(encoder.vit, source)
    assert all(torch.equal(value, before[name]) for name, value in encoder.vit.state_dict().items())


@pytest.mark.parametrize(
    "name", [CLIP_WEIGHTS, "openai/clip-vit-base-patch16", "nobody's", "no_such_model.x"]
)
def test_names_without_a_network_fail_fast(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def cached(*_: str, local_files_only: bool = False) -> str:
        assert local_files_only, "asked the hub, which hangs for 49 s"
        raise LocalEntryNotFoundError("not cached")

    monkeypatch.setattr(hub, "hub_answers", lambda: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", cached)
    with pytest.raises(CheckpointError, match="no weights named"):
        build_network(replace(TARGET, weights=name))


@pytest.mark.parametrize(
    ("held", "message"), [("pytorch_model.bin", ""), ("", "holds none of"), ("cut", "the download failed")]
)
def test_files_of_a_repository(
    held: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(repository: str, filename: str, *, local_files_only: bool = False) -> str:
        if local_files_only or held == "cut":
            raise LocalEntryNotFoundError("neither cached nor downloaded")
        if filename != held:
            raise EntryNotFoundError(filename)
        return str(tmp_path / filename)

    monkeypatch.setattr(hub, "hub_answers", lambda: True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    if not message:
        assert hub.hub_file("openai/clip-vit-base-patch16") == tmp_path / held
        return
    with pytest.raises(CheckpointError, match=message):
        hub.hub_file("openai/clip-vit-base-patch16")


def test_cached_name_needs_no_network(
    timm_weights: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file(
        {n: v.contiguous() for n, v in as_transformers(timm_weights).items()}, tmp_path / "model.safetensors"
    )
    monkeypatch.setattr(hub, "hub_answers", lambda: pytest.fail("asked the network"))

    def cached(repository: str, filename: str, *, local_files_only: bool = False) -> str:
        assert (repository, local_files_only) == ("openai/clip-vit-base-patch16", True)
        return str(tmp_path / filename)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", cached)
    network = build_network(replace(TARGET, weights="openai/clip-vit-base-patch16"))
    assert torch.equal(network.encoder.vit.norm.weight, timm_weights["norm.weight"])


@pytest.mark.parametrize(
    "arguments",
    [["convert"], ["convert", "nowhere.pt", "out.safetensors"], ["convert", "a", "b", "--shape", "1"]],
)
def test_convert_reports_one_line(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_config_and_help_do_not_import_torch() -> None:
    code = (
        "import sys, xreid.models.config, xreid.losses.config, xreid.cli.convert;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
