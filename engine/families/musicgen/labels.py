"""What MusicGen is taught: the next step of the delay pattern, all of it, and nothing where a
codebook is silent.

    frames a0 a1 a2, b0 b1 b2     labels   a: a0 a1 a2  -      inputs   a: S a0 a1 a2       -: not counted
                                           b:  - b0 b1 b2               b: S  S b0 b1       S: start and padding

transformers shifts the labels but does not delay them. Labels that are not delayed, or that are cut
to the length of the frames, reach as low a loss and say garbage, or garbage in the last frames (see
the tests). So: T + D steps.
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
    """Labels [B, T + D, K] of codes [B, K, T]; `padding` where nothing is learned."""
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
    """Mean cross entropy of codes [B, K, T] under words [B, L]; peft's models too.

    `dropped` [B], bool: these hear no words, as the unguided half does when it plays; without some
    of them (.1 to .3) guidance gets worse. `melody` [B, any, 12]: for melody models only; there the
    dropped hear none either.
    """
    states, mask = text_states(model, input_ids, mask, soft_prompt)
    kept = torch.ones_like(mask[:, :1]) if dropped is None else (~dropped[:, None]).to(mask)
    heard = condition(model, states * kept[..., None], mask * kept, _melody(model, melody, kept))
    config = model.config.decoder
    taught = labels(codes, config.pad_token_id, config.audio_channels)
    return model.decoder(labels=taught, **heard.keywords(states.dtype)).loss


def _melody(model: Any, melody: Tensor | None, kept: Tensor) -> Tensor | None:
    """[B, 235, 12] for a melody model, with no melody in the dropped rows; None for the others."""
    if not hasattr(model, "audio_enc_to_dec_proj"):
        return None
    rows = [no_melody()] * len(kept) if melody is None else [row.cpu().numpy() for row in melody]
    heard = [
        row if keep else no_melody() for row, keep in zip(rows, kept[:, 0].tolist(), strict=True)
    ]
    return melody_of(model, heard).to(kept.device)
