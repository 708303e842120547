"""Textual prompts: the text encoder against open_clip's, its weights in every spelling, and stage one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from xreid.core.errors import CheckpointError, ConfigError
from xreid.core.seeding import torch_generator
from xreid.losses.config import PromptConfig, PrototypeConfig
from xreid.losses.prompts import AFTER, BEFORE, NUM_LEARNT, TextualPrompts, learn_prompts, prompt_loss
from xreid.losses.prototypes import CrossModalityPrototypes
from xreid.models.text import ClipTextEncoder, load_text_encoder

VOCABULARY = 49408


def encoder(*, width: int = 16, depth: int = 2, projection: int = 8) -> ClipTextEncoder:
    torch.manual_seed(0)
    made = ClipTextEncoder(
        width=width,
        depth=depth,
        projection=projection,
        vocabulary=VOCABULARY,
        context=77,
        heads=max(1, width // 64),
    )
    return made.requires_grad_(False).eval()


@torch.no_grad()
def test_parity_with_open_clip() -> None:
    transformer = pytest.importorskip("open_clip").transformer
    torch.manual_seed(0)
    reference = transformer.TextTransformer(
        width=128, heads=2, layers=2, output_dim=8, act_layer=transformer.QuickGELU
    ).eval()
    ours = encoder(width=128)
    weights = {n: v for n, v in reference.state_dict().items() if n != "attn_mask"}
    ours.load_state_dict(weights)
    tokens = torch.tensor([[*BEFORE[name], *[343] * NUM_LEARNT, *AFTER] for name in ("vis", "ir")])
    padded = torch.nn.functional.pad(tokens, (0, 77 - tokens.shape[1]))
    difference = (ours(ours.token_embedding(tokens)) - reference(padded)).abs().max().item()
    print(f"max difference to open_clip: {difference:.1e}")
    assert difference < 5e-6


def test_sentences_are_the_papers() -> None:
    tokenizer = pytest.importorskip("open_clip").SimpleTokenizer()
    for name, word in (("vis", "visible"), ("ir", "infrared")):
        tokens = tokenizer([f"A {word} video of a X X X X person."])[0].tolist()
        expected = [*BEFORE[name], *[343] * NUM_LEARNT, *AFTER]
        assert tokens[: len(expected)] == expected
        assert not any(tokens[len(expected) :])


def as_transformers(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    named = {
        "text_model.embeddings.token_embedding.weight": weights["token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": weights["positional_embedding"],
        "text_model.embeddings.position_ids": torch.arange(77)[None],
        "text_projection.weight": weights["text_projection"].t(),
        "vision_model.post_layernorm.weight": torch.ones(3),
    }
    for kind in ("weight", "bias"):
        named[f"text_model.final_layer_norm.{kind}"] = weights[f"ln_final.{kind}"]
        for i in range(2):
            ours, theirs = f"transformer.resblocks.{i}.", f"text_model.encoder.layers.{i}."
            for part, value in zip("qkv", weights[f"{ours}attn.in_proj_{kind}"].chunk(3), strict=True):
                named[f"{theirs}self_attn.{part}_proj.{kind}"] = value
            named[f"{theirs}self_attn.out_proj.{kind}"] = weights[f"{ours}attn.out_proj.{kind}"]
            named[f"{theirs}mlp.fc1.{kind}"] = weights[f"{ours}mlp.c_fc.{kind}"]
            named[f"{theirs}mlp.fc2.{kind}"] = weights[f"{ours}mlp.c_proj.{kind}"]
            for n in (1, 2):
                named[f"{theirs}layer_norm{n}.{kind}"] = weights[f"{ours}ln_{n}.{kind}"]
    return named


@pytest.mark.parametrize("spelling", ["openai", "open_clip", "transformers"])
def test_weights_in_every_spelling(spelling: str, tmp_path: Path) -> None:
    weights = {name: torch.randn(value.shape) for name, value in encoder().state_dict().items()}
    spelled = {
        "openai": weights | {"logit_scale": torch.ones(()), "visual.proj": torch.ones(2, 2)},
        "open_clip": {f"text.{name}": value for name, value in weights.items()},
        "transformers": as_transformers(weights),
    }[spelling]
    save_file({n: v.clone().contiguous() for n, v in spelled.items()}, tmp_path / "clip.safetensors")
    loaded = load_text_encoder(str(tmp_path / "clip.safetensors"))
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, weights[name]), name
    assert not any(p.requires_grad for p in loaded.parameters())


def test_weights_without_text_encoder(tmp_path: Path) -> None:
    save_file({"visual.proj": torch.ones(2, 2)}, tmp_path / "visual.safetensors")
    with pytest.raises(CheckpointError, match="no CLIP text encoder"):
        load_text_encoder(str(tmp_path / "visual.safetensors"))
    plain = {
        n: v for n, v in as_transformers(encoder().state_dict()).items() if n != "text_projection.weight"
    }
    save_file({n: v.clone().contiguous() for n, v in plain.items()}, tmp_path / "plain.safetensors")
    with pytest.raises(CheckpointError, match="no CLIP text encoder.*text_projection"):
        load_text_encoder(str(tmp_path / "plain.safetensors"))


def test_prompt_loss_follows_its_equations() -> None:
    generator = torch.Generator().manual_seed(0)
    images, texts = (torch.randn(5, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    slots = torch.tensor([0, 1, 0, 2, 1])

    def similarity(i: int, t: int) -> Tensor:
        return images[i] @ texts[t] / images[i].norm() / texts[t].norm() / 0.1

    expected = torch.zeros((), dtype=torch.float64)
    for i in range(5):
        own = [p for p in range(5) if slots[p] == slots[i]]
        for p in own:
            texts_of_i = sum(similarity(i, a).exp() for a in range(5))
            images_of_i = sum(similarity(a, i).exp() for a in range(5))
            expected -= (similarity(i, p).exp() / texts_of_i).log() / len(own) / 5
            expected -= (similarity(p, i).exp() / images_of_i).log() / len(own) / 5
    torch.testing.assert_close(prompt_loss(images, texts, slots, temperature=0.1), expected)
    leaf = texts.requires_grad_()
    assert torch.autograd.gradcheck(lambda t: prompt_loss(images, t, slots, temperature=0.1), leaf)


def test_stage_one_fits_the_prompts_and_nothing_else() -> None:
    prompts = TextualPrompts(encoder(), num_identities=3, generator=torch_generator(0))
    frozen = {name: value.clone() for name, value in prompts.encoder.state_dict().items()}
    labels, modalities = torch.arange(3).repeat(4), torch.tensor([0, 1]).repeat_interleave(6)
    features = torch.randn(6, 8, generator=torch.Generator().manual_seed(2))[modalities * 3 + labels]
    config = PromptConfig(epochs=60, batch_size=6, learning_rate=0.02, temperature=0.1)
    history = learn_prompts(
        prompts, features, labels=labels, modalities=modalities, config=config, generator=torch_generator(0)
    )
    assert history[-1] < 0.8 * history[0]
    assert all(torch.equal(value, frozen[name]) for name, value in prompts.encoder.state_dict().items())


def test_sentences_become_memories_that_nobody_updates() -> None:
    prompts = TextualPrompts(encoder(), num_identities=3, generator=torch_generator(0))
    memory = CrossModalityPrototypes(PrototypeConfig(update="none", pairing="own"), num_identities=3, width=8)
    memory.initialise(*prompts.memories())
    one = prompts(torch.tensor([2]), torch.tensor([1]))[0]
    torch.testing.assert_close(memory.memory[1, 2], (one / one.norm()).detach())
    assert (memory.memory[0, 2] - memory.memory[1, 2]).abs().max() > 1e-4  # the modality's word counts
    before = memory.memory.clone()
    memory.update(torch.randn(4, 8), torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1]))
    assert torch.equal(memory.memory, before)


def test_bad_options_are_named() -> None:
    with pytest.raises(ConfigError, match="temperature"):
        PromptConfig(temperature=0)
