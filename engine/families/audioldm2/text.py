"""How do words become AudioLDM2's text condition?

    words -> CLAP -> 1 vector --+
    words -> T5   -> L tokens --+-> projection -> GPT-2, eight times -> generated [8, 768]
                       +-----------------------------------------------> text [L, 1024]

Each text is encoded alone and whole. diffusers' pipeline cuts the negative prompt to the length of
the positive one; this module does not.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.runtimes.runner import Runner

GENERATED_TOKENS = 8  # AudioLDM2's GPT-2 predicts AudioMAE's features, pooled to eight
CACHE_SIZE = 256


@dataclass(frozen=True)
class TextCondition:
    """A text condition: GPT-2's vectors [8, 768] and T5's tokens [L, 1024]."""

    generated: np.ndarray
    text: np.ndarray


class TextConditioner:
    """Encodes texts and caches them. One thread at a time."""

    def __init__(
        self, runners: Mapping[str, Runner], clap_tokenizer: Any, t5_tokenizer: Any
    ) -> None:
        self._runners = runners
        self._tokenizers = {"clap_text": clap_tokenizer, "word_embedding": t5_tokenizer}
        self._cache: OrderedDict[str, TextCondition] = OrderedDict()

    def words(self, text: str) -> TextCondition:
        """The condition of one text, cached."""
        if text not in self._cache:
            self._cache[text] = self._encode(text)
            while len(self._cache) > CACHE_SIZE:
                self._cache.popitem(last=False)
        self._cache.move_to_end(text)
        return self._cache[text]

    def plain_condition(self, text: str) -> TextCondition:
        """The condition without a soft prompt."""
        return self.words(text)

    def is_cut(self, text: str) -> bool:
        """Whether a text is longer than an encoder can read."""
        return any(
            len(tokenizer(text, verbose=False)["input_ids"]) > tokenizer.model_max_length
            for tokenizer in self._tokenizers.values()
        )

    def _encode(self, text: str) -> TextCondition:
        return self._read(text, self._embed(self._ids("word_embedding", text)["input_ids"]))

    def _embed(self, input_ids: np.ndarray) -> np.ndarray:
        """T5's embeddings [B, L, 1024] of tokens [B, L]."""
        return self._runners["word_embedding"](input_ids=input_ids)[0]

    def _read(self, text: str, embedded: np.ndarray) -> TextCondition:
        """The condition of a text for CLAP and of its embeddings [1, L, 1024] for T5."""
        (embedding,) = self._runners["clap_text"](**self._ids("clap_text", text))
        every = np.ones(embedded.shape[:2], np.int64)
        (tokens,) = self._runners["t5_encoder"](embedded=embedded, attention_mask=every)
        sequence, mask = self._runners["projection"](
            embedding=embedding, tokens=tokens, attention_mask=every
        )
        return TextCondition(
            generate(self._runners["language_model"], sequence, mask)[0], tokens[0]
        )

    def _ids(self, stage: str, text: str) -> dict[str, np.ndarray]:
        tokenizer = self._tokenizers[stage]
        found = tokenizer([text], truncation=True, max_length=tokenizer.model_max_length)
        return {name: np.asarray(found[name], np.int64) for name in ("input_ids", "attention_mask")}


def generate(language_model: Runner, sequence: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The eight vectors [B, 8, C] that follow a sequence [B, S, C] with its mask [B, S]."""
    for _ in range(GENERATED_TOKENS):
        (following,) = language_model(sequence=sequence, sequence_mask=mask)
        sequence = np.concatenate([sequence, following[:, None]], axis=1)
        mask = np.concatenate([mask, np.ones_like(mask[:, :1])], axis=1)
    return sequence[:, -GENERATED_TOKENS:]


def stack(conditions: list[TextCondition]) -> dict[str, np.ndarray]:
    """Conditions of different lengths as one batch of the UNet's inputs.

    Returns `generated`, `text` and `text_mask`.
    """
    longest = max(len(words.text) for words in conditions)
    text = np.zeros((len(conditions), longest, conditions[0].text.shape[1]), np.float32)
    mask = np.zeros((len(conditions), longest), np.float32)
    for row, words in enumerate(conditions):
        text[row, : len(words.text)], mask[row, : len(words.text)] = words.text, 1.0
    return {
        "generated": np.stack([words.generated for words in conditions]),
        "text": text,
        "text_mask": mask,
    }
