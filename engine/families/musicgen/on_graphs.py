"""A checkpoint whose stages are graphs: what the editor asks of `components.Components`, without a
module of torch.

    prefill: condition and first steps -> prediction, keys and values
    step:    one more step, keys and values -> prediction, its own key and value      once for every 20 ms

Keys and values lie in arrays with room for more, in which every step writes its own behind the
others.
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
from engine.runtimes.runner import Runner

ROOM = 256  # steps: how much memory grows at once; the graph reads all of it


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
        """Of each codebook, in steps [K]."""
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
        """States [L, H] of one text, learned words before it."""
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

    def encode_melodies(self, heard: Sequence[np.ndarray]) -> np.ndarray:
        """States [B, 235, H] of a chroma [any, 12] for each row."""
        rows = np.stack([fit_length(chroma, self.sizes["chroma_frames"]) for chroma in heard])
        return self.runners["melody"](chroma=rows)[0]

    def decoder(self, factors: np.ndarray, heard: Callable[[int], Condition]) -> GraphDecoder:
        """`factors` [B] of the condition's rows; `heard(first_frame)`: a window's condition."""
        return GraphDecoder(self.runners, self.sizes["layers"], factors, heard)


class GraphDecoder:
    """The decoder of `sampler` on two graphs. One thread at a time."""

    def __init__(
        self,
        runners: Mapping[str, Runner],
        layers: int,
        factors: np.ndarray,
        heard: Callable[[int], Condition],
    ) -> None:
        self._prefill, self._step = runners["prefill"], runners["step"]
        pairs = [f"{what}_{layer}" for layer in range(layers) for what in ("keys", "values")]
        self._own_names, self._words_names = (
            [f"{name}_{pair}" for pair in pairs] for name in ("own", "words")
        )
        self._factors, self._heard = np.asarray(factors, np.float32)[:, None, None], heard
        self._cache = _KeyValueCache([])
        self._same: dict[str, np.ndarray] = {}  # inputs of every step of a window

    def prefill(self, first_frame: int, steps: np.ndarray) -> np.ndarray:
        """Prediction [K, V] after the first steps [K, S]."""
        heard = self._heard(first_frame)
        mask = {} if heard.mask is None else {"mask": heard.mask}
        logits, *held = self._prefill(tokens=self._for_all(steps), states=heard.states, **mask)
        count = len(self._own_names)
        self._cache = _KeyValueCache(held[:count])
        self._same = {
            **mask,
            **dict(zip(self._words_names if mask else (), held[count:], strict=True)),
        }
        return self._guide(logits)

    def decode_step(self, step: np.ndarray) -> np.ndarray:
        """Prediction [K, V] after one more step [K]."""
        own = dict(zip(self._own_names, self._cache.held, strict=True))
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
        self.held = [_widen(values, ROOM - self.count % ROOM) for values in first]

    def add(self, new: Sequence[np.ndarray]) -> None:
        """One more step of each [B, heads, 1, width]."""
        if self.count == self.held[0].shape[2]:
            self.held = [_widen(values, ROOM) for values in self.held]
        for values, one in zip(self.held, new, strict=True):
            values[:, :, self.count] = one[:, :, 0]
        self.count += 1


def _widen(values: np.ndarray, more: int) -> np.ndarray:
    return np.pad(values, ((0, 0), (0, 0), (0, more), (0, 0)))
