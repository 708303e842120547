"""Translates the names of CLIP image-encoder weights into timm's.

Known spellings: OpenAI and open_clip (`visual.conv1.weight`, or without the prefix), transformers
(`vision_model.embeddings...`, q, k, v apart), timm itself (with or without `visual.trunk.`), and xreid's own
checkpoints (`encoder.vit.`).
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from xreid.core.errors import CheckpointError

Weights = dict[str, Tensor]

OPENAI_NAMES = (
    (r"^class_embedding$", "cls_token"),
    (r"^positional_embedding$", "pos_embed"),
    (r"^conv1\.weight$", "patch_embed.proj.weight"),
    (r"^ln_pre\.", "norm_pre."),
    (r"^ln_post\.", "norm."),
    (r"^proj$", "head.weight"),
    (r"^transformer\.resblocks\.(\d+)\.ln_([12])\.", r"blocks.\1.norm\2."),
    (r"^transformer\.resblocks\.(\d+)\.attn\.in_proj_", r"blocks.\1.attn.qkv."),
    (r"^transformer\.resblocks\.(\d+)\.attn\.out_proj\.", r"blocks.\1.attn.proj."),
    (r"^transformer\.resblocks\.(\d+)\.mlp\.c_fc\.", r"blocks.\1.mlp.fc1."),
    (r"^transformer\.resblocks\.(\d+)\.mlp\.c_proj\.", r"blocks.\1.mlp.fc2."),
)
TRANSFORMERS_NAMES = (
    (r"^vision_model\.embeddings\.class_embedding$", "cls_token"),
    (r"^vision_model\.embeddings\.position_embedding\.weight$", "pos_embed"),
    (r"^vision_model\.embeddings\.patch_embedding\.weight$", "patch_embed.proj.weight"),
    (r"^vision_model\.pre_layrnorm\.", "norm_pre."),  # the misspelling is transformers' own
    (r"^vision_model\.post_layernorm\.", "norm."),
    (r"^visual_projection\.weight$", "head.weight"),
    (r"^vision_model\.encoder\.layers\.(\d+)\.layer_norm([12])\.", r"blocks.\1.norm\2."),
    (r"^vision_model\.encoder\.layers\.(\d+)\.self_attn\.qkv\.", r"blocks.\1.attn.qkv."),
    (r"^vision_model\.encoder\.layers\.(\d+)\.self_attn\.out_proj\.", r"blocks.\1.attn.proj."),
    (r"^vision_model\.encoder\.layers\.(\d+)\.mlp\.fc([12])\.", r"blocks.\1.mlp.fc\2."),
)
TRANSFORMERS_TEXT_NAMES = (
    (r"^text_model\.embeddings\.token_embedding\.", "token_embedding."),
    (r"^text_model\.embeddings\.position_embedding\.weight$", "positional_embedding"),
    (r"^text_model\.final_layer_norm\.", "ln_final."),
    (r"^text_projection\.weight$", "text_projection"),
    (r"^text_model\.encoder\.layers\.(\d+)\.layer_norm([12])\.", r"transformer.resblocks.\1.ln_\2."),
    (r"^text_model\.encoder\.layers\.(\d+)\.self_attn\.qkv\.", r"transformer.resblocks.\1.attn.in_proj_"),
    (
        r"^text_model\.encoder\.layers\.(\d+)\.self_attn\.out_proj\.",
        r"transformer.resblocks.\1.attn.out_proj.",
    ),
    (r"^text_model\.encoder\.layers\.(\d+)\.mlp\.fc1\.", r"transformer.resblocks.\1.mlp.c_fc."),
    (r"^text_model\.encoder\.layers\.(\d+)\.mlp\.fc2\.", r"transformer.resblocks.\1.mlp.c_proj."),
)
TEXT_NAMES = ("token_embedding.", "positional_embedding", "transformer.", "ln_final.", "text_projection")


def to_openai_text_names(weights: Weights) -> Weights:
    """The text encoder's weights under OpenAI's names, in float32; empty where there is none."""
    weights = {name.removeprefix("module."): value for name, value in weights.items()}
    if "text_model.embeddings.token_embedding.weight" in weights:
        text = {n: v for n, v in weights.items() if n.startswith(("text_model.", "text_projection."))}
        text.pop("text_model.embeddings.position_ids", None)
        weights = _renamed(_join_qkv(text), TRANSFORMERS_TEXT_NAMES)
        weights["text_projection"] = weights["text_projection"].t()
    elif "text.token_embedding.weight" in weights:
        weights = _below(weights, "text.")
    return {name: value.float() for name, value in weights.items() if name.startswith(TEXT_NAMES)}


def to_timm_names(weights: Weights) -> Weights:
    """The image encoder's weights under timm's names, in float32; text-tower weights are dropped.

    Raises:
        CheckpointError: The names are of no known spelling.
    """
    weights = {name.removeprefix("module."): value for name, value in weights.items()}
    if "vision_model.embeddings.class_embedding" in weights:
        vision = {n: v for n, v in weights.items() if n.startswith(("vision_model.", "visual_projection."))}
        vision.pop("vision_model.embeddings.position_ids", None)
        named = _renamed(_join_qkv(vision), TRANSFORMERS_NAMES)
    elif "visual.class_embedding" in weights:
        named = _renamed(_below(weights, "visual."), OPENAI_NAMES)
    elif "class_embedding" in weights and "conv1.weight" in weights:
        named = _renamed(weights, OPENAI_NAMES)
    elif "visual.trunk.cls_token" in weights:
        named = _below(weights, "visual.trunk.")
        if "visual.head.proj.weight" in weights:  # its absence is named by the comparison with the encoder
            named["head.weight"] = weights["visual.head.proj.weight"]
    elif "encoder.vit.cls_token" in weights:
        named = _below(weights, "encoder.vit.")
    elif "cls_token" in weights and "patch_embed.proj.weight" in weights:
        named = dict(weights)
    else:
        raise CheckpointError(
            "the weights are no CLIP image encoder",
            expected="names of OpenAI, open_clip, transformers, timm or xreid",
            got=", ".join(sorted(weights)[:3]) or "nothing",
        )
    return _in_timm_shape(
        named, is_openai="visual.class_embedding" in weights or "class_embedding" in weights
    )


def _below(weights: Weights, prefix: str) -> Weights:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def _renamed(weights: Weights, rules: tuple[tuple[str, str], ...]) -> Weights:
    named = {}
    for name, value in weights.items():
        for pattern, replacement in rules:
            if re.search(pattern, name):
                named[re.sub(pattern, replacement, name)] = value
                break
        else:
            named[name] = value  # kept, so that the comparison with the encoder names it
    return named


def _join_qkv(weights: Weights) -> Weights:
    """Concatenate transformers' q_proj, k_proj and v_proj into one qkv."""
    joined = {}
    for name, value in weights.items():
        match = re.search(r"^(.*\.self_attn\.)([qkv])_proj\.(weight|bias)$", name)
        if match is None:
            joined[name] = value
        elif match[2] == "q":
            parts = [weights.get(f"{match[1]}{part}_proj.{match[3]}") for part in "qkv"]
            found = [part for part in parts if part is not None]
            if len(found) != 3:
                raise CheckpointError(
                    f"the weights lack a part of {match[1]}", expected="q_proj, k_proj and v_proj"
                )
            joined[f"{match[1]}qkv.{match[3]}"] = torch.cat(found)
    return joined


def _in_timm_shape(weights: Weights, *, is_openai: bool) -> Weights:
    """Add leading axes to the embeddings, turn OpenAI's projection, drop a zero head bias, use float32."""
    shaped = {name: value.float() for name, value in weights.items()}
    for name in ("cls_token", "pos_embed"):
        value = shaped.get(name)
        if value is not None and value.dim() < 3:
            shaped[name] = value.reshape(1, -1, value.shape[-1])
    if is_openai and "head.weight" in shaped:
        shaped["head.weight"] = shaped["head.weight"].t().contiguous()
    bias = shaped.pop("head.bias", None)
    if bias is not None and bias.abs().max() > 0:
        raise CheckpointError(
            "the weights' head has a bias, so it is a trained classifier and not CLIP's projection"
        )
    return shaped
