"""Pre-trained encoder weights: where they come from, and how they are fitted to the frame size."""

from __future__ import annotations

import math
import warnings
import zipfile
from pathlib import Path

import torch
from timm.layers import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from xreid.core.errors import CheckpointError
from xreid.core.files import atomic_file
from xreid.models.hub import hub_file
from xreid.models.weight_names import Weights, to_timm_names

OWN_WEIGHTS = "model.safetensors"  # of a checkpoint folder (xreid.inference.checkpoint)
FILE_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")


def load_encoder_weights(vit: VisionTransformer, source: str) -> None:
    """Load CLIP weights into an encoder; the position embedding is resampled to its grid.

    Args:
        vit: The encoder to fill, its head without bias.
        source: A file (.safetensors, OpenAI's ViT-B-16.pt, a PyTorch state dict), a run or checkpoint of
            xreid, or a timm or Hugging Face name.

    Raises:
        CheckpointError: The weights are absent, damaged, or of another shape than the encoder.
    """
    weights = read_encoder_weights(source)
    if "pos_embed" in weights:
        weights["pos_embed"] = resample_positions(weights["pos_embed"], grid=vit.patch_embed.grid_size)
    _require_same_shapes(weights, vit.state_dict(), source=source)
    vit.load_state_dict(weights)


def read_encoder_weights(source: str) -> Weights:
    """CLIP image-encoder weights under timm's names, in float32.

    Raises:
        CheckpointError: They are absent, damaged, or no CLIP image encoder.
    """
    path = locate_weights(source)
    try:
        return to_timm_names(read_tensors(path))
    except CheckpointError as error:
        raise CheckpointError(
            f"{source}: {error.what}", expected=error.expected, got=error.got, todo=error.todo
        ) from error


def locate_weights(source: str) -> Path:
    """The file that `source` names: itself, or one of the hub's.

    Raises:
        CheckpointError: There is no such file or name.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return path
    for folder in (path, path / "checkpoint"):
        if (folder / OWN_WEIGHTS).is_file():
            return folder / OWN_WEIGHTS
    if path.suffix in FILE_SUFFIXES or path.is_absolute():
        raise CheckpointError(
            f"there are no weights at {source}",
            expected="a file (.safetensors, .pt), a finished run of xreid, or a name such as "
            "openai/clip-vit-base-patch16",
        )
    return hub_file(source)


def convert_archive(source: Path, out: Path) -> int:
    """Write the image encoder of OpenAI's ViT-B-16.pt (or any weights file known here) as safetensors.

    The names are timm's and the values float32, with the position embedding on its own grid.

    Returns:
        The number of tensors written.

    Raises:
        CheckpointError: The source is absent, damaged, or holds no CLIP image encoder.
        XReidError: The file cannot be written.
    """
    from safetensors.torch import save_file

    if not source.is_file():
        raise CheckpointError(f"there are no weights at {source}", expected="OpenAI's ViT-B-16.pt")
    weights = {name: value.contiguous() for name, value in read_encoder_weights(str(source)).items()}
    with atomic_file(out) as temporary:
        save_file(weights, temporary, metadata={"format": "pt", "names": "timm", "source": source.name})
    return len(weights)


def resample_positions(pos_embed: Tensor, *, grid: tuple[int, int]) -> Tensor:
    """Resample a position embedding to another grid of patches: bilinear, no antialiasing, as the authors do.

    Args:
        pos_embed: [1, 1 + N, D]; N is a square grid, as in every published CLIP, or already `grid`.
        grid: Rows and columns wanted.

    Returns:
        [1, 1 + rows * columns, D].

    Raises:
        CheckpointError: N is neither a square nor the wanted grid.
    """
    num_patches = pos_embed.shape[1] - 1
    side = math.isqrt(num_patches)
    if side * side != num_patches:
        if num_patches == grid[0] * grid[1]:
            return pos_embed
        raise CheckpointError(
            "the position embedding is not on a square grid",
            got=f"{num_patches} positions beside the class token",
        )
    if (side, side) == tuple(grid):
        return pos_embed
    return resample_abs_pos_embed(
        pos_embed, new_size=list(grid), old_size=[side, side], interpolation="bilinear", antialias=False
    )


def read_tensors(path: Path) -> Weights:
    """Tensors of a safetensors file, a TorchScript archive or a state dict, under their own names.

    A state dict is read without running its pickle.

    Raises:
        CheckpointError: The file is damaged or holds no tensors.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        if _is_torchscript(path):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # deprecated, yet the only reader of OpenAI's archives
                return dict(torch.jit.load(str(path), map_location="cpu").state_dict())
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes make the readers raise nearly anything
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"cannot read weights {path}", got=reason, todo="Fetch the file again."
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict):
        raise CheckpointError(f"{path} holds no weights", expected="a state dict", got=type(loaded).__name__)
    return {name: value for name, value in loaded.items() if isinstance(value, Tensor)}


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _require_same_shapes(weights: Weights, expected: Weights, *, source: str) -> None:
    missing = sorted(expected.keys() - weights.keys())
    surplus = sorted(weights.keys() - expected.keys())
    if missing or surplus:
        raise CheckpointError(
            f"the weights of {source} do not fit the encoder",
            expected=f"{len(expected)} tensors" + (f" with {missing[0]}" if missing else ""),
            got=f"{len(weights)} tensors" + (f" with {surplus[0]}" if surplus else f" without {missing[0]}"),
            todo="Set --network.stem patch (and patch, width, depth, heads and projection to those of the "
            "weights)."
            if "patch_embed.proj.weight" in surplus
            else "Check stem, depth and width, or choose the weights of that model.",
        )
    for name, value in expected.items():
        if weights[name].shape != value.shape:
            raise CheckpointError(
                f"the weights of {source} do not fit the encoder: {name}",
                expected=str(list(value.shape)),
                got=str(list(weights[name].shape)),
                todo="Check width, patch and projection, or choose the weights of that model.",
            )
