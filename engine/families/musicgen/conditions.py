"""How do words, soft prompts and a melody become the language model's condition?

    words -> (soft prompt +) T5's embeddings -> T5 -> projection -> text [B, L, H]
    melody [B, 235, 12] -> projection -> melody [B, 235, H]

The text is zero where there is no word. The plain models read it by cross-attention. The melody
models have none: melody and text are the beginning of their sequence. Training and playing use the
same functions, with and without gradients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from engine.adapters.soft_prompts import SoftPrompt
from engine.families.musicgen.chroma import fit_length, no_melody


@dataclass(frozen=True)
class Condition:
    """A batch's states [B, S, H] as arrays, and which of them count [B, S]; None: all (melody)."""

    states: np.ndarray
    mask: np.ndarray | None

    def on(self, device: Any) -> TensorCondition:
        """The same as tensors on a device."""
        mask = None if self.mask is None else torch.from_numpy(self.mask).to(device)
        return TensorCondition(torch.from_numpy(self.states).to(device), mask)


@dataclass(frozen=True)
class TensorCondition:
    """A Condition as tensors, with gradients where a model is trained."""

    states: Tensor
    mask: Tensor | None

    def keywords(self, dtype: torch.dtype) -> dict[str, Any]:
        """Keyword arguments of the decoder's forward."""
        states = {"encoder_hidden_states": self.states.to(dtype)}
        return states if self.mask is None else {**states, "encoder_attention_mask": self.mask}


@dataclass(frozen=True)
class Branch:
    """A term of the guided prediction."""

    words: str | None  # None: no words at all
    prompt: SoftPrompt | None
    hears_melody: bool
    factor: float


def branches_of(
    prompts: Sequence[tuple[str, float]],
    negative: str,
    guidance: float,
    soft_prompts: Sequence[tuple[SoftPrompt, float]] = (),
) -> list[Branch]:
    """The terms of (1 - guidance) * negative words + guidance * prompts by their weights.

    A soft prompt of weight w takes the share w of a prompt, the plain words take the rest: 1 is as
    trained, 0 is off. Terms without weight are left out. Without negative words the first term has
    no words at all, as the model was trained.
    """
    rest = 1.0 - sum(weight for _, weight in soft_prompts)
    ways = [*soft_prompts, (None, rest)]
    avoided = Branch(negative or None, None, False, 1.0 - guidance)
    wanted = [
        Branch(words, prompt, True, guidance * weight * share)
        for words, weight in prompts
        for prompt, share in ways
    ]
    return [branch for branch in (avoided, *wanted) if abs(branch.factor) > 1e-9]


def text_states(
    model: Any, input_ids: Tensor, mask: Tensor, prompt: SoftPrompt | None = None
) -> tuple[Tensor, Tensor]:
    """Projected states of words [B, L, H] and their mask; [B, length + L, H] with a soft prompt."""
    embedded = model.text_encoder.get_input_embeddings()(input_ids)
    if prompt is not None:
        embedded, mask = prompt(embedded, mask)
    return encode_text(model, embedded, mask), mask


def encode_text(model: Any, embedded: Tensor, mask: Tensor) -> Tensor:
    """Projected states [B, L, H] of T5's embeddings [B, L, width]."""
    states = model.text_encoder(inputs_embeds=embedded, attention_mask=mask).last_hidden_state
    if hasattr(model, "enc_to_dec_proj"):
        states = model.enc_to_dec_proj(states)
    return states * mask[..., None]


def condition(
    model: Any, states: Tensor, mask: Tensor, melody: Tensor | None = None
) -> TensorCondition:
    """The condition of text states [B, L, H] and, for a melody model, melodies [B, F, 12]."""
    if melody is None:
        return TensorCondition(states, mask)
    if hasattr(model, "audio_enc_to_dec_proj"):
        melody = model.audio_enc_to_dec_proj(melody.to(states))
    return TensorCondition(torch.cat([melody, states], dim=1), None)


def melody_of(model: Any, melodies: Sequence[np.ndarray]) -> Tensor:
    """Melodies [B, 235, 12] of one chroma [any, 12] for each row."""
    frames = model.config.chroma_length
    return torch.from_numpy(np.stack([fit_length(chroma, frames) for chroma in melodies]))


class ConditionParts(Protocol):
    """What a conditioner needs of a checkpoint, on torch or on exported graphs."""

    @property
    def width(self) -> int: ...
    @property
    def hears_melody(self) -> bool: ...

    def encode_words(self, words: str, prompt: SoftPrompt | None) -> np.ndarray:
        """States [L, H] of a text with the soft prompt before it."""

    def encode_melodies(self, melodies: Sequence[np.ndarray]) -> np.ndarray:
        """States [B, 235, H] of a chroma [any, 12] for each row."""


class Conditioner:
    """Turns the branches of one job into a batch. The words' states are encoded once."""

    def __init__(self, parts: ConditionParts, branches: Sequence[Branch]) -> None:
        self._parts, self._branches = parts, branches
        self.factors = np.array([branch.factor for branch in branches], np.float32)
        self._states, self._mask = self._stack()

    def build_condition(self, chroma: np.ndarray | None = None) -> Condition:
        """The condition of a batch, a row for each branch; some branches hear the melody."""
        if not self._parts.hears_melody:
            return Condition(self._states, self._mask)
        melody = no_melody() if chroma is None else chroma
        rows = self._parts.encode_melodies(
            [melody if branch.hears_melody else no_melody() for branch in self._branches]
        )
        return Condition(np.concatenate([rows, self._states], axis=1), None)

    def _stack(self) -> tuple[np.ndarray, np.ndarray]:
        """States and mask of all branches, zero where one has fewer words.

        Each text is encoded alone, so that no padding reaches T5.
        """
        texts = [self._encode(branch) for branch in self._branches]
        shape = len(texts), max(1, *map(len, texts))
        states, mask = np.zeros((*shape, self._parts.width), np.float32), np.zeros(shape, np.int64)
        for row, found in enumerate(texts):
            states[row, : len(found)], mask[row, : len(found)] = found, 1
        return states, mask

    def _encode(self, branch: Branch) -> np.ndarray:
        """States [L, H] of a branch's words; [0, H] where it has none."""
        if branch.words is None:
            return np.zeros((0, self._parts.width), np.float32)
        return self._parts.encode_words(branch.words, branch.prompt)


def tokenize(tokenizer: Any, texts: Sequence[str]) -> Mapping[str, list[list[int]]]:
    """`input_ids` and `attention_mask` of texts, cut at T5's limit (512 tokens)."""
    found = tokenizer(list(texts), truncation=True, max_length=tokenizer.model_max_length)
    return {name: found[name] for name in ("input_ids", "attention_mask")}


def is_cut(tokenizer: Any, text: str) -> bool:
    """Whether a text is longer than T5 reads."""
    return len(tokenizer(text, verbose=False)["input_ids"]) > tokenizer.model_max_length
