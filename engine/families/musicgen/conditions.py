"""What the language model listens to: words, learned words, a melody; and how much each mixture of
them counts.

    words -> (soft prompt +) T5's embeddings -> T5 -> projection -> text [B, L, H], zero where there is no word
    melody [B, 235, 12] -> projection ----------------------------> melody [B, 235, H], in front of the text

The plain models hear the text by cross-attention; the melody models have none and hear both as the
beginning of the sequence. Training and playing use the same functions, with and without gradients.
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
    """What one batch hears: states [B, S, H], and which of them are there [B, S]; None: all of them
    (melody).

    Tensors where a model is trained, arrays on their way to what speaks.
    """

    states: Tensor | np.ndarray
    mask: Tensor | np.ndarray | None

    def on(self, device: Any) -> Condition:
        """The same as tensors there, of arrays."""
        mask = None if self.mask is None else torch.from_numpy(self.mask).to(device)
        return Condition(torch.from_numpy(self.states).to(device), mask)

    def keywords(self, dtype: torch.dtype) -> dict[str, Any]:
        """For the decoder's forward."""
        heard = {"encoder_hidden_states": self.states.to(dtype)}
        return heard if self.mask is None else {**heard, "encoder_attention_mask": self.mask}


@dataclass(frozen=True)
class Branch:
    """A term of the guided prediction: words (None: no words at all), its learned words, its
    melody, its factor.
    """

    words: str | None
    prompt: SoftPrompt | None
    hears: bool
    factor: float


def branches_of(
    prompts: Sequence[tuple[str, float]],
    negative: str,
    guidance: float,
    soft_prompts: Sequence[tuple[SoftPrompt, float]] = (),
) -> list[Branch]:
    """(1 - guidance) * what is avoided + guidance * (the prompts by their weights, each as its
    learned words have it).

    A soft prompt of weight w plays its part of the prediction, the plain words the rest: 1 is as
    trained, 0 is off. A term that counts nothing is left out. Without negative words no words are
    avoided: what the model was taught.
    """
    rest = 1.0 - sum(weight for _, weight in soft_prompts)
    ways = [*soft_prompts, (None, rest)]
    avoided = Branch(negative or None, None, False, 1.0 - guidance)
    asked = [
        Branch(words, prompt, True, guidance * weight * share)
        for words, weight in prompts
        for prompt, share in ways
    ]
    return [branch for branch in (avoided, *asked) if abs(branch.factor) > 1e-9]


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


def condition(model: Any, states: Tensor, mask: Tensor, melody: Tensor | None = None) -> Condition:
    """The whole condition of text states [B, L, H]; for a melody model with its melodies [B, F,
    12].
    """
    if melody is None:
        return Condition(states, mask)
    if hasattr(model, "audio_enc_to_dec_proj"):
        melody = model.audio_enc_to_dec_proj(melody.to(states))
    return Condition(torch.cat([melody, states], dim=1), None)


def melody_of(model: Any, heard: Sequence[np.ndarray]) -> Tensor:
    """Melodies [B, 235, 12] of one chroma [any, 12] for each row."""
    frames = model.config.chroma_length
    return torch.from_numpy(np.stack([fit_length(chroma, frames) for chroma in heard]))


class Parts(Protocol):
    """What a conditioner asks of a checkpoint, on torch (components) or on its graphs (exporting)."""

    @property
    def width(self) -> int: ...
    @property
    def hears_melody(self) -> bool: ...

    def encode_words(self, words: str, prompt: SoftPrompt | None) -> np.ndarray:
        """States [L, H] of one text with the learned words before it."""

    def encode_melodies(self, heard: Sequence[np.ndarray]) -> np.ndarray:
        """States [B, 235, H] of a chroma [any, 12] for each row."""


class Conditioner:
    """Turns branches into one batch. Remembers the words' states of one job."""

    def __init__(self, parts: Parts, branches: Sequence[Branch]) -> None:
        self._parts, self._branches = parts, branches
        self.factors = np.array([branch.factor for branch in branches], np.float32)
        self._states, self._mask = self._stack()

    def heard(self, chroma: np.ndarray | None = None) -> Condition:
        """The condition of a batch with a row for each branch; the melody only where a branch hears
        it.
        """
        if not self._parts.hears_melody:
            return Condition(self._states, self._mask)
        melody = no_melody() if chroma is None else chroma
        rows = self._parts.encode_melodies(
            [melody if branch.hears else no_melody() for branch in self._branches]
        )
        return Condition(np.concatenate([rows, self._states], axis=1), None)

    def _stack(self) -> tuple[np.ndarray, np.ndarray]:
        """Each text is read alone, so that no padding reaches T5; zeros where a branch has fewer
        words, or none.
        """
        read = [self._read(branch) for branch in self._branches]
        shape = len(read), max(1, *map(len, read))
        states, mask = np.zeros((*shape, self._parts.width), np.float32), np.zeros(shape, np.int64)
        for row, found in enumerate(read):
            states[row, : len(found)], mask[row, : len(found)] = found, 1
        return states, mask

    def _read(self, branch: Branch) -> np.ndarray:
        """States [L, H] of a branch's words; [0, H] where it has none."""
        if branch.words is None:
            return np.zeros((0, self._parts.width), np.float32)
        return self._parts.encode_words(branch.words, branch.prompt)


def tokenize(tokenizer: Any, texts: Sequence[str]) -> Mapping[str, list[list[int]]]:
    """`input_ids` and `attention_mask` of texts, cut where T5 ends (512 tokens)."""
    found = tokenizer(list(texts), truncation=True, max_length=tokenizer.model_max_length)
    return {name: found[name] for name in ("input_ids", "attention_mask")}


def is_cut(tokenizer: Any, text: str) -> bool:
    """Whether a text is longer than T5 reads."""
    return len(tokenizer(text, verbose=False)["input_ids"]) > tokenizer.model_max_length
