"""MusicGen's training loss: which labels belong to codes in the delay pattern?

    frames  a0 a1 a2      labels  a0 a1 a2  -      inputs  S a0 a1 a2
            b0 b1 b2               - b0 b1 b2              S  S b0 b1

"-" is not counted; S is start and padding. transformers shifts the labels but does not delay them.
Labels without delay, or cut to the T frames, reach as low a loss, but the model then produces
garbage, or garbage in the last frames. So labels have T + D steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.adapters.soft_prompts import SoftPrompt
from engine.families.musicgen.chroma import no_melody
from engine.families.musicgen.conditions import condition, melody_of, text_states
from engine.families.musicgen.delay import apply_delays, delays_of


def labels(codes: Tensor, padding: int, channels: int = 1) -> Tensor:
    """Labels [B, T + D, K] of codes [B, K, T], with `padding` where a codebook is silent."""
    delays = delays_of(codes.shape[1], channels)
    steps = np.stack([apply_delays(row, delays, padding) for row in codes.cpu().numpy()])
    return torch.from_numpy(steps).to(codes.device).transpose(1, 2)


def loss(
    model: Any,
    codes: Tensor,
    input_ids: Tensor,
    mask: Tensor,
    *,
    soft_prompt: SoftPrompt | None = None,
    dropped: Tensor | None = None,
    melody: Tensor | None = None,
) -> Tensor:
    """Mean cross entropy of codes [B, K, T] under words [B, L]; also for peft's models.

    `dropped` [B], bool: rows without words, as in the unguided half; guidance needs a share of .1
    to .3 in training. `melody` [B, any, 12]: for melody models only; dropped rows have none either.
    """
    states, mask = text_states(model, input_ids, mask, soft_prompt)
    kept = torch.ones_like(mask[:, :1]) if dropped is None else (~dropped[:, None]).to(mask)
    given = condition(model, states * kept[..., None], mask * kept, _melody(model, melody, kept))
    config = model.config.decoder
    target = labels(codes, config.pad_token_id, config.audio_channels)
    return model.decoder(labels=target, **given.keywords(states.dtype)).loss


def _melody(model: Any, melody: Tensor | None, kept: Tensor) -> Tensor | None:
    """[B, 235, 12] for a melody model, with no melody in the dropped rows; None for the others."""
    if not hasattr(model, "audio_enc_to_dec_proj"):
        return None
    rows = [no_melody()] * len(kept) if melody is None else [row.cpu().numpy() for row in melody]
    melodies = [
        row if keep else no_melody() for row, keep in zip(rows, kept[:, 0].tolist(), strict=True)
    ]
    return melody_of(model, melodies).to(kept.device)
