"""`xreid convert IN.pt OUT.safetensors`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xreid.cli.options import parse


@dataclass(frozen=True, kw_only=True)
class ConvertOptions:
    """Convert CLIP image-encoder weights, such as OpenAI's ViT-B-16.pt archive, to safetensors.

    Attributes:
        source: The weights: OpenAI's TorchScript archive, a PyTorch state dict, or safetensors of another
            spelling.
        out: The safetensors file to write.
    """

    source: Path
    out: Path


def main(argv: Sequence[str]) -> int:
    """Run the verb."""
    options = parse(ConvertOptions, argv, verb="convert", positional=("source", "out"))
    from xreid.models.weights import convert_archive

    count = convert_archive(options.source, options.out)
    print(f"{options.out}: {count} tensors of the image encoder, names of timm, float32")
    return 0
