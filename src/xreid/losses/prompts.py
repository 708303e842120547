"""Textual prompts (Table 4): one learnt sentence per identity and modality, as CLIP-ReID (Li et al., 2023)
does.

Stage one, here: "A visible/infrared video of a X X X X person." is fitted to stored image features while both
encoders stand still. Stage two is CPCL with the text features as memories that nobody updates:
`PrototypeConfig(feature="tap_v", update="none", pairing="own")` and
`prototypes.initialise(*prompts.memories())`.

Shapes: B features, Y identities, L tokens of a sentence, W token width, d projected width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xreid.losses.config import PromptConfig
from xreid.losses.pairing import MODALITIES
from xreid.models.text import ClipTextEncoder

# CLIP's byte-pair tokens of "<start> a {visible|infrared} video of a X X X X person. <end>"
BEFORE = {"vis": (49406, 320, 8626, 1455, 539, 320), "ir": (49406, 320, 22867, 1455, 539, 320)}
AFTER = (2533, 269, 49407)
NUM_LEARNT = 4


class TextualPrompts(nn.Module):
    """The learnt tokens X X X X of every identity, shared by its two sentences."""

    before: Tensor
    after: Tensor

    def __init__(self, encoder: ClipTextEncoder, *, num_identities: int, generator: torch.Generator) -> None:
        super().__init__()
        self.encoder = encoder
        drawn = torch.randn(num_identities, NUM_LEARNT, encoder.width, generator=generator)
        self.learnt = nn.Parameter(0.02 * drawn)
        with torch.no_grad():
            words = torch.tensor([BEFORE[name] for name in MODALITIES])
            self.register_buffer("before", encoder.token_embedding(words).clone())
            self.register_buffer("after", encoder.token_embedding(torch.tensor(AFTER)).clone())

    def forward(self, labels: Tensor, modalities: Tensor) -> Tensor:
        """Text features [B, d] of the sentences of identities int64 [B] in modalities int64 [B]."""
        after = self.after.expand(len(labels), -1, -1)
        return self.encoder(torch.cat([self.before[modalities], self.learnt[labels], after], dim=1))

    @torch.no_grad()
    def memories(self) -> tuple[Tensor, Tensor, Tensor]:
        """Features [2Y, d], labels and modalities of all sentences, to initialise the memories with."""
        num_identities = len(self.learnt)
        labels = torch.arange(num_identities, device=self.learnt.device).repeat(len(MODALITIES))
        modalities = torch.arange(len(labels), device=labels.device) // num_identities
        parts = [self(y, m) for y, m in zip(labels.split(256), modalities.split(256), strict=True)]
        return torch.cat(parts), labels, modalities


# CLIP-ReID eqs 4, 5: L_i2t + L_t2i, every clip (sentence) against the sentences (clips) of the batch,
# averaged over those of its own identity and modality
def prompt_loss(images: Tensor, texts: Tensor, slots: Tensor, *, temperature: float) -> Tensor:
    """Contrast image features with the sentences of their identity and modality.

    Args:
        images: [B, d].
        texts: [B, d], text i describes image i.
        slots: int64 [B], equal for features of one identity and modality.
        temperature: Divides the cosines.

    Returns:
        Scalar.
    """
    logits = F.normalize(images, dim=1) @ F.normalize(texts, dim=1).t() / temperature
    own = (slots.unsqueeze(0) == slots.unsqueeze(1)).to(logits.dtype)
    own = own / own.sum(dim=1, keepdim=True)
    image_to_text = -(own * logits.log_softmax(dim=1)).sum(dim=1).mean()
    text_to_image = -(own * logits.t().log_softmax(dim=1)).sum(dim=1).mean()
    return image_to_text + text_to_image


def learn_prompts(
    prompts: TextualPrompts,
    features: Tensor,
    *,
    labels: Tensor,
    modalities: Tensor,
    config: PromptConfig,
    generator: torch.Generator,
) -> list[float]:
    """Fit the learnt tokens to stored image features; nothing else changes.

    Args:
        prompts: Changed in place.
        features: TAP of v of every training clip by the frozen image encoder, [n, d].
        labels: int64 [n].
        modalities: int64 [n], 0 visible, 1 infrared.
        config: Length and pace.
        generator: Orders the features.

    Returns:
        The mean loss of every epoch.
    """
    slots = modalities * len(prompts.learnt) + labels
    optimiser = torch.optim.Adam([prompts.learnt], lr=config.learning_rate)
    history = []
    for epoch in range(config.epochs):
        pace = 0.5 * (1 + math.cos(math.pi * epoch / config.epochs))
        optimiser.param_groups[0]["lr"] = config.learning_rate * pace
        order = torch.randperm(len(features), generator=generator).to(features.device)
        losses = []
        for chosen in order.split(config.batch_size):
            texts = prompts(labels[chosen], modalities[chosen])
            loss = prompt_loss(features[chosen], texts, slots[chosen], temperature=config.temperature)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        history.append(sum(losses) / len(losses))
    return history
