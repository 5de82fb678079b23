"""Samples codes from the language model, step by step, for any number of frames.

    frames   |ppppp|-------------------------|     p: a prompt that is continued
    windows  |=============|                       30 s, as long as the model was trained
                    |cccccc|======|                c: the last 12 s, the prompt of the next 18 s
                           |cccccc|======|

A window is sampled in the delay pattern, with one call of the decoder for each step. numpy draws
the random numbers, so a seed gives the same codes on every device. A longer region begins like a
shorter one, except for the frames where the shorter one ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.errors import Cancelled
from engine.families.musicgen.delay import apply_delays, remove_delays
from engine.progress import Advance, IsCancelled, ignore_advance, never_cancelled


class CachedDecoder(Protocol):
    """A language model with a cache: steps in, the prediction of the next step [K, V] out."""

    def prefill(self, first_frame: int, steps: np.ndarray) -> np.ndarray:
        """Start over with the first steps [K, S] of a window that begins at `first_frame`."""

    def decode_step(self, step: np.ndarray) -> np.ndarray:
        """One more step [K]."""


@dataclass(frozen=True)
class SamplingOptions:
    """How a prediction becomes a token. `temperature` 0 or `top_k` 1: always the likeliest."""

    temperature: float = 1.0
    top_k: int = 250


@dataclass(frozen=True)
class Span:
    """Lengths in frames."""

    window: int
    kept: int  # of the window before, as the prompt of the next


def sample(
    decoder: CachedDecoder,
    prompt: np.ndarray,
    frames: int,
    delays: np.ndarray,
    padding: int,
    span: Span,
    options: SamplingOptions,
    seed: int,
    advance: Advance = ignore_advance,
    cancelled: IsCancelled = never_cancelled,
) -> np.ndarray:
    """Codes int64 [K, P + frames] that begin with a prompt [K, P], which is shorter than a window.

    `advance` gets the fraction done. `cancelled` is called before every step. Raises Cancelled.
    """
    assert prompt.shape[1] < span.window, (
        f"a prompt of {prompt.shape[1]} frames leaves no room in {span.window}"
    )
    random, codes = np.random.default_rng(seed), np.asarray(prompt, np.int64)
    total = prompt.shape[1] + frames
    while codes.shape[1] < total:
        first = max(0, codes.shape[1] - span.kept) if codes.shape[1] >= span.window else 0
        window = _Window(codes[:, first:], min(span.window, total - first), delays, padding)
        done = codes.shape[1] - prompt.shape[1]
        for step in window.unknown_steps():
            if cancelled():
                raise Cancelled
            predicted = (
                decoder.decode_step(window.previous(step))
                if window.begun
                else decoder.prefill(first, window.prefix(step))
            )
            window.write(step, draw_tokens(predicted, options, random))
            advance(min(1.0, (done + step - window.known + 1) / frames))
        codes = np.concatenate([codes[:, :first], window.codes()], axis=1)
    return codes


def draw_tokens(
    logits: np.ndarray, options: SamplingOptions, random: np.random.Generator
) -> np.ndarray:
    """Draw a token of each codebook [K] from its prediction [K, V], with one random number each.

    Only the `top_k` likeliest tokens can come.
    """
    number = random.random(len(logits))
    if not options.temperature:
        return logits.argmax(axis=1)
    order = np.argsort(-logits, axis=1, kind="stable")[:, : options.top_k]
    likeliest = np.take_along_axis(logits, order, axis=1).astype(np.float64) / options.temperature
    shares = np.cumsum(np.exp(likeliest - likeliest[:, :1]), axis=1)
    chosen = (shares < (number * shares[:, -1])[:, None]).sum(axis=1)
    return np.take_along_axis(order, chosen[:, None], axis=1)[:, 0]


class _Window:
    """One window in delayed steps, some of them known, the others to be sampled."""

    def __init__(self, known: np.ndarray, frames: int, delays: np.ndarray, padding: int) -> None:
        self.known, self.begun = known.shape[1], False
        self._delays, self._frames = delays, frames
        unknown = np.full((len(delays), frames - self.known), -1, np.int64)
        self._pattern = apply_delays(np.concatenate([known, unknown], axis=1), delays, padding)
        self._steps = self._pattern.copy()
        self._start = np.full((len(delays), 1), padding, np.int64)

    def unknown_steps(self) -> range:
        """All steps from the first that is not wholly known."""
        return range(self.known, self._steps.shape[1])

    def prefix(self, step: int) -> np.ndarray:
        """The start token and all steps before this one [K, step + 1]."""
        self.begun = True
        return np.concatenate([self._start, self._steps[:, :step]], axis=1)

    def previous(self, step: int) -> np.ndarray:
        """The step before this one [K]."""
        return self._steps[:, step - 1]

    def write(self, step: int, tokens: np.ndarray) -> None:
        """Set the step's tokens where they are not known already."""
        unknown = self._pattern[:, step] < 0
        self._steps[unknown, step] = tokens[unknown]

    def codes(self) -> np.ndarray:
        return remove_delays(self._steps, self._delays)
