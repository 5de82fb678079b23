"""Adds a soft prompt to AudioLDM2's text condition, for training and for playing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from engine.families.audioldm2.text import GENERATED_TOKENS, TextCondition, TextConditioner

if TYPE_CHECKING:
    from engine.adapters.soft_prompts import SoftPrompt
    from engine.families.audioldm2.components import Components

MOST_PROMPTS = 16  # soft prompts whose texts are cached


def states(
    components: Components, text: str, words: SoftPrompt | None = None
) -> tuple[Tensor, Tensor]:
    """GPT-2's vectors [8, 768] and T5's tokens [L, 1024] of one text, with gradients.

    CLAP reads the text without the placeholder.
    """
    device = components.t5.device
    tokenizer, plain = components.clap_tokenizer, words.without_placeholder(text) if words else text
    clap_ids = tokenizer(
        [plain], truncation=True, max_length=tokenizer.model_max_length, return_tensors="pt"
    )
    clap = components.clap(**{name: ids.to(device) for name, ids in clap_ids.items()}).text_embeds
    embedding = components.t5.get_input_embeddings()
    end = components.t5_tokenizer.eos_token_id
    if words is None:
        embedded = embedding(torch.tensor([[*token_ids(components, text), end]], device=device))
    else:
        embedded = words.embed(text, lambda part: token_ids(components, part), end, embedding)
    mask = torch.ones(embedded.shape[:2], dtype=torch.long, device=device)
    tokens = components.t5(inputs_embeds=embedded, attention_mask=mask).last_hidden_state
    joined = components.projection(
        functional.normalize(clap, dim=-1)[:, None],
        tokens,
        attention_mask=mask[:, :1],
        attention_mask_1=mask,
    )
    sequence, sequence_mask = joined.hidden_states, joined.attention_mask
    for _ in range(GENERATED_TOKENS):
        answer = components.language_model(
            inputs_embeds=sequence, attention_mask=sequence_mask, use_cache=False
        )
        sequence = torch.cat([sequence, answer.last_hidden_state[:, -1:]], dim=1)
        sequence_mask = torch.cat([sequence_mask, sequence_mask[:, :1]], dim=1)
    return sequence[0, -GENERATED_TOKENS:], tokens[0]


def token_ids(components: Components, text: str) -> list[int]:
    """T5's token ids of a text, cut at the tokenizer's limit, without the end token."""
    return _bare_ids(components.t5_tokenizer, text)


def _bare_ids(tokenizer: Any, text: str) -> list[int]:
    return (
        tokenizer(text, truncation=True, max_length=tokenizer.model_max_length)["input_ids"][:-1]
        if text
        else []
    )


class LearnedText(TextConditioner):
    """A TextConditioner with a soft prompt, which an empty text does not get. One thread.

    `width`: of T5's embeddings, 1024.
    """

    def __init__(self, runners: Any, clap_tokenizer: Any, t5_tokenizer: Any, width: int) -> None:
        super().__init__(runners, clap_tokenizer, t5_tokenizer)
        self._plain = TextConditioner(runners, clap_tokenizer, t5_tokenizer)
        self.width, self._t5_tokenizer = width, t5_tokenizer
        self._learned: SoftPrompt | None = None
        self._caches: OrderedDict[tuple, OrderedDict[str, TextCondition]] = OrderedDict()

    def learn(self, learned: SoftPrompt | None) -> None:
        """Use this soft prompt from now on; texts encoded with others stay cached."""
        self._learned = learned
        key = (
            (learned.placeholder, learned.vectors.detach().cpu().numpy().tobytes())
            if learned
            else ()
        )
        self._cache = self._caches.setdefault(key, OrderedDict())
        self._caches.move_to_end(key)
        while len(self._caches) > MOST_PROMPTS:
            self._caches.popitem(last=False)

    def plain_condition(self, text: str) -> TextCondition:
        return self._plain.words(text)

    def _encode(self, text: str) -> TextCondition:
        if self._learned is None or not text:
            return self._plain.words(text)
        tokenizer = self._t5_tokenizer
        embedded = self._learned.embed(
            text,
            lambda part: _bare_ids(tokenizer, part),
            tokenizer.eos_token_id,
            _Embedding(self._embed),
        )
        return self._read(self._learned.without_placeholder(text), embedded.detach().numpy())


class _Embedding:
    """A runner in place of a torch embedding: ids [L] to vectors [L, width]."""

    weight = torch.zeros(0)  # type and device

    def __init__(self, embed: Callable[[np.ndarray], np.ndarray]) -> None:
        self._embed = embed

    def __call__(self, input_ids: Tensor) -> Tensor:
        return torch.from_numpy(self._embed(input_ids[None].numpy())[0])
