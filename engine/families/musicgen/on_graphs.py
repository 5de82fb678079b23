"""A MusicGen checkpoint on exported graphs, without a torch module.

    prefill: condition and first steps -> prediction, keys and values
    step:    one more step, keys and values -> prediction, its own key and value

There is a step for every 20 ms. Keys and values lie in arrays with room for more, so that a step
appends its own without copying the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.adapters.soft_prompts import SoftPrompt
from engine.families.musicgen.chroma import fit_length
from engine.families.musicgen.conditions import Condition, tokenize
from engine.families.musicgen.delay import delays_of
from engine.families.musicgen.sampler import CachedDecoder
from engine.runtimes.runner import Runner

ROOM = 256  # steps by which the cache grows; the graph reads all of it


@dataclass(frozen=True)
class GraphParts:
    """Runners by the names of `stages.table`, which takes `sizes`."""

    runners: Mapping[str, Runner]
    tokenizer: Any
    sizes: Mapping[str, int]
    rate_hz: int
    hop: int
    channels: int
    padding: int

    @property
    def frames_per_second(self) -> int:
        return self.rate_hz // self.hop

    @property
    def delays(self) -> np.ndarray:
        """The delay of each codebook in steps [K]."""
        return delays_of(self.sizes["codebooks"], self.channels)

    @property
    def width(self) -> int:
        return self.sizes["width"]

    @property
    def text_width(self) -> int:
        return self.sizes["text_width"]

    @property
    def hears_melody(self) -> bool:
        return bool(self.sizes["chroma_frames"])

    def encode(self, samples: np.ndarray) -> np.ndarray:
        """Codes int64 [K, frames] of samples [n, channels]; each channel alone."""
        (codes,) = self.runners["codec_encoder"](samples=samples.T)
        return codes.transpose(1, 0, 2).reshape(-1, codes.shape[2])  # left, right, left, right

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Samples float32 [hop * frames, channels] of codes [K, frames]."""
        sides = codes.reshape(-1, self.channels, codes.shape[1]).transpose(1, 0, 2)
        (samples,) = self.runners["codec_decoder"](codes=sides)
        return samples.T[: self.hop * codes.shape[1]].copy()

    def encode_words(self, words: str, prompt: SoftPrompt | None) -> np.ndarray:
        """States [L, H] of a text with the soft prompt before it."""
        ids = np.array(tokenize(self.tokenizer, [words])["input_ids"], np.int64)
        (embedded,) = self.runners["word_embedding"](input_ids=ids)
        if prompt is not None:
            embedded = np.concatenate(
                [prompt.vectors.detach().cpu().numpy()[None], embedded], axis=1
            )
        (states,) = self.runners["text_encoder"](
            embedded=embedded, mask=np.ones(embedded.shape[:2], np.int64)
        )
        return states[0]

    def encode_melodies(self, melodies: Sequence[np.ndarray]) -> np.ndarray:
        """States [B, 235, H] of a chroma [any, 12] for each row."""
        rows = np.stack([fit_length(chroma, self.sizes["chroma_frames"]) for chroma in melodies])
        return self.runners["melody"](chroma=rows)[0]

    def decoder(
        self, factors: np.ndarray, condition_at: Callable[[int], Condition]
    ) -> CachedDecoder:
        """`factors` [B]: of the condition's rows; `condition_at`: of a window's first frame."""
        return GraphDecoder(self.runners, self.sizes["layers"], factors, condition_at)


class GraphDecoder:
    """A sampler.CachedDecoder on two graphs. One thread at a time."""

    def __init__(
        self,
        runners: Mapping[str, Runner],
        layers: int,
        factors: np.ndarray,
        condition_at: Callable[[int], Condition],
    ) -> None:
        self._prefill, self._step = runners["prefill"], runners["step"]
        pairs = [f"{what}_{layer}" for layer in range(layers) for what in ("keys", "values")]
        self._own_names, self._words_names = (
            [f"{name}_{pair}" for pair in pairs] for name in ("own", "words")
        )
        self._factors = np.asarray(factors, np.float32)[:, None, None]
        self._condition_at = condition_at
        self._cache = _KeyValueCache([])
        self._same: dict[str, np.ndarray] = {}  # inputs of every step of a window

    def prefill(self, first_frame: int, steps: np.ndarray) -> np.ndarray:
        """Prediction [K, V] after the first steps [K, S]."""
        given = self._condition_at(first_frame)
        mask = {} if given.mask is None else {"mask": given.mask}
        logits, *cached = self._prefill(tokens=self._for_all(steps), states=given.states, **mask)
        count = len(self._own_names)
        self._cache = _KeyValueCache(cached[:count])
        self._same = {
            **mask,
            **dict(zip(self._words_names if mask else (), cached[count:], strict=True)),
        }
        return self._guide(logits)

    def decode_step(self, step: np.ndarray) -> np.ndarray:
        """Prediction [K, V] after one more step [K]."""
        own = dict(zip(self._own_names, self._cache.arrays, strict=True))
        position = np.array([self._cache.count], np.int64)
        logits, *new = self._step(
            tokens=self._for_all(step[:, None]), position=position, **own, **self._same
        )
        self._cache.add(new)
        return self._guide(logits)

    def _for_all(self, steps: np.ndarray) -> np.ndarray:
        return np.tile(steps, (len(self._factors), 1, 1))

    def _guide(self, logits: np.ndarray) -> np.ndarray:
        return (self._factors * logits).sum(axis=0)


class _KeyValueCache:
    """Arrays [B, heads, room, width] of which the first `count` steps are written."""

    def __init__(self, first: Sequence[np.ndarray]) -> None:
        self.count = first[0].shape[2] if first else 0
        self.arrays = [_widen(values, ROOM - self.count % ROOM) for values in first]

    def add(self, new: Sequence[np.ndarray]) -> None:
        """One more step of each [B, heads, 1, width]."""
        if self.count == self.arrays[0].shape[2]:
            self.arrays = [_widen(values, ROOM) for values in self.arrays]
        for values, one in zip(self.arrays, new, strict=True):
            values[:, :, self.count] = one[:, :, 0]
        self.count += 1


def _widen(values: np.ndarray, more: int) -> np.ndarray:
    return np.pad(values, ((0, 0), (0, 0), (0, more), (0, 0)))
