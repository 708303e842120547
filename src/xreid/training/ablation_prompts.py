"""A small text encoder of random weights in the format of CLIP's, for textual prompts at the tiny scale.

No CLIP has image and text features as narrow as the tiny network's. The two stages then run as they are, but
the sentences mean nothing: what is learnt in stage one is a memory behind a frozen random network. A row made
so is labelled.
"""

from __future__ import annotations

from pathlib import Path

import torch

from xreid.core.files import atomic_file

RANDOM_TEXT = "random text encoder"
_VOCABULARY, _CONTEXT, _WIDTH, _DEPTH = 49408, 77, 64, 2  # CLIP's words; one head of 64 channels


def random_text_weights(path: Path, *, width: int) -> None:
    """Write the file, where it is missing; always the same numbers.

    Args:
        path: A .safetensors file.
        width: Width of the features, network.projection.

    Raises:
        XReidError: It cannot be written.
    """
    from safetensors.torch import save_file

    from xreid.models.text import ClipTextEncoder

    if path.exists():
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = ClipTextEncoder(
            width=_WIDTH, depth=_DEPTH, projection=width, vocabulary=_VOCABULARY, context=_CONTEXT, heads=1
        )
        torch.nn.init.normal_(encoder.token_embedding.weight, std=0.02)  # CLIP's own initialisation
    with atomic_file(path) as temporary:
        save_file({n: v.contiguous() for n, v in encoder.state_dict().items()}, temporary)
