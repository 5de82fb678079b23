"""What the denoiser hears of the words: one text condition, or several of them in a batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PADDING_BIAS = -1e4  # exp() of it is 0 in float32


@dataclass(frozen=True)
class TextCondition:
    """A text condition: tokens [L, 384] and what is added to the attention scores [L]."""

    tokens: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class GuidanceBranch:
    """A condition of the denoiser, and the factor of its velocity."""

    text: TextCondition
    audio_scale: float
    factor: float


def stack_conditions(conditions: list[TextCondition]) -> tuple[np.ndarray, np.ndarray]:
    """Conditions of different lengths as a batch: tokens [B, L, 384], bias [B, L], padded."""
    longest = max(len(text.bias) for text in conditions)
    tokens = np.zeros((len(conditions), longest, conditions[0].tokens.shape[1]), np.float32)
    bias = np.full((len(conditions), longest), PADDING_BIAS, np.float32)
    for row, text in enumerate(conditions):
        tokens[row, : len(text.bias)], bias[row, : len(text.bias)] = text.tokens, text.bias
    return tokens, bias
