"""How does Stable Audio 3 make a region's stem from a scene and a few words?

    words, negative words -> text_encoder --+
    length of the window -> its embedding --+-> transformer x steps -> vae_decoder -> the region
    scene -> vae_encoder -> latent ---------+

audio to audio   begins at (1 - n) latent + n noise and walks from n to 0;  n = 1 - strength
a hole           begins at noise; `kept` has the latent of all frames but the region's

Every task gives `kept`, all zeros where nothing is kept, as the authors train and sample the model.
diffusers' audio to audio leaves it out, biases and all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from engine.errors import Cancelled
from engine.families.shared.flow import Velocity, noise_for
from engine.families.shared.latent_editor import FlowStart, LatentEditor, LatentSizes
from engine.families.shared.tasks import SceneTask
from engine.families.shared.window import LatentWindow
from engine.families.stable_audio_3.stages import MAX_WORDS
from engine.knobs import Knobs
from engine.progress import Advance, IsCancelled, ignore_advance, never_cancelled
from engine.runtimes.runner import Runner

LOG_SNR = (-6.2, 2.0)  # of the schedule's ends, noise first
LEAST_NOISE = 0.01
# 12 s: the autoencoder's mask has a row and a column for each of 17 tokens a frame
CHUNK_FRAMES = 128
LEAST_SECONDS = 1.0
TEXTS_KEPT = 64  # 0.8 MB each


@dataclass(frozen=True)
class Condition:
    """What the transformer is told: context [1, 257, 768] and which of it are words."""

    context: np.ndarray
    context_mask: np.ndarray


class Editor(LatentEditor[SceneTask]):
    """Stable Audio 3's stages at work."""

    least_seconds, generated = LEAST_SECONDS, 0.85

    def __init__(
        self,
        runners: Mapping[str, Runner],
        tokenizer: Any,
        scheduler_config: Mapping[str, Any],
        sizes: LatentSizes,
    ) -> None:
        super().__init__(runners, tokenizer, scheduler_config, sizes)
        self.is_distilled = bool(scheduler_config.get("stochastic_sampling"))
        self._words = lru_cache(TEXTS_KEPT)(self._encode_words)

    def begin(
        self, window: LatentWindow, knobs: Knobs, task: SceneTask, cancelled: IsCancelled
    ) -> FlowStart:
        """Raises Cancelled between two chunks of the autoencoder."""
        source = self.encode(window.samples.T, cancelled)
        noise = noise_for(knobs.seed, *source.shape).T[None]
        kept = np.zeros((1 + len(source), source.shape[1]), np.float32)
        level, start = noise_level(knobs.strength), noise
        if task.refills:
            kept[0] = 1 - window.mask
            kept[1:], level = source * kept[0], 1.0
        else:
            start = np.float32(1 - level) * source + np.float32(level) * noise
        predict = self._predictor(knobs, len(window.samples) / self.sizes.rate_hz, kept)
        return FlowStart(start, predict, noise_levels(knobs.steps, level))

    def encode(self, samples: np.ndarray, cancelled: IsCancelled = never_cancelled) -> np.ndarray:
        """Latent [256, T] of samples [2, 4096 T].

        The chunks overlap by the autoencoder's reach, so that they equal the whole.
        """
        step, found = self.sizes.frame_samples, []
        for wide, inner in self._chunks(samples.shape[1] // step, cancelled):
            chunk = samples[None, :, wide.start * step : wide.stop * step]
            (latent,) = self.runners["vae_encoder"](samples=chunk)
            found.append(latent[0][:, inner])
        return np.concatenate(found, axis=1)

    def decode(
        self,
        latent: np.ndarray,
        advance: Advance = ignore_advance,
        cancelled: IsCancelled = never_cancelled,
    ) -> np.ndarray:
        """Samples [2, 4096 T] of a latent [256, T], in chunks as `encode` has them."""
        step, found, frames = self.sizes.frame_samples, [], latent.shape[1]
        for wide, inner in self._chunks(frames, cancelled):
            (samples,) = self.runners["vae_decoder"](latent=latent[None, :, wide])
            found.append(samples[0][:, inner.start * step : inner.stop * step])
            advance((wide.start + inner.stop) / frames)
        return np.concatenate(found, axis=1)

    def is_cut(self, text: str) -> bool:
        return len(self._tokenizer(text, verbose=False)["input_ids"]) > MAX_WORDS

    def _chunks(self, frames: int, cancelled: IsCancelled) -> Iterator[tuple[slice, slice]]:
        """Frames to hear, and which of these to take. Raises Cancelled between two chunks."""
        for first in range(0, frames, CHUNK_FRAMES):
            if cancelled():
                raise Cancelled
            last = min(frames, first + CHUNK_FRAMES)
            reach = self.sizes.vae_reach
            wide = slice(max(0, first - reach), min(frames, last + reach))
            yield wide, slice(first - wide.start, last - wide.start)

    def _predictor(self, knobs: Knobs, seconds: float, kept: np.ndarray) -> Velocity:
        """The guided velocity of a latent [1, 256, T] at a time, all rows in one batch."""
        (duration,) = self.runners["duration_embedder"](seconds=np.full(1, seconds, np.float32))
        knobs = replace(knobs, guidance=1.0) if self.is_distilled else knobs
        rows_at = lru_cache(lambda guidance: self._rows(knobs, guidance, duration))
        rows_at(knobs.guidance)  # words are read before the first step

        def predict(latent: np.ndarray, time: float) -> np.ndarray:
            rows = rows_at(knobs.guidance_at(1 - time))
            conditions, count = [condition for condition, _ in rows], len(rows)
            factors = np.array([factor for _, factor in rows], np.float32)
            (velocities,) = self.runners["transformer"](
                latent=np.repeat(latent, count, axis=0),
                time=np.full(count, time, np.float32),
                context=np.concatenate([each.context for each in conditions]),
                context_mask=np.concatenate([each.context_mask for each in conditions]),
                duration=np.repeat(duration, count, axis=0),
                kept=np.repeat(kept[None], count, axis=0),
            )
            return (factors[:, None, None] * velocities).sum(axis=0, keepdims=True)

        return predict

    def _rows(
        self, knobs: Knobs, guidance: float, duration: np.ndarray
    ) -> list[tuple[Condition, float]]:
        """Conditions and the factors of their velocities; rows with factor 0 are left out."""
        rows = [(text, guidance * weight) for text, weight in knobs.prompts] + [
            (knobs.negative, 1 - guidance)
        ]
        return [(self.condition(text, duration), factor) for text, factor in rows if factor]

    def condition(self, text: str, duration: np.ndarray) -> Condition:
        """Padded words, and the length as one more after them."""
        words, mask = self._words(text)
        context = np.concatenate([words, duration[:, None]], axis=1)
        return Condition(context, np.concatenate([mask, np.ones((1, 1), np.int64)], axis=1))

    def _encode_words(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Tokens [1, 256, 768] and which of them are words [1, 256]."""
        found = self._tokenizer([text], padding="max_length", max_length=MAX_WORDS, truncation=True)
        ids, mask = (np.asarray(found[name], np.int64) for name in ("input_ids", "attention_mask"))
        (words,) = self.runners["text_encoder"](input_ids=ids, attention_mask=mask)
        return words, mask


def noise_levels(steps: int, highest: float) -> Any:
    """The authors' schedule from a noise level to 0. Below 1 its second level exceeds the first."""
    from diffusers.pipelines.stable_audio_3.pipeline_stable_audio_3 import logsnr_sigma_schedule

    return logsnr_sigma_schedule(steps, *LOG_SNR, sigma_max=highest)


def noise_level(strength: float) -> float:
    """Where audio to audio begins: at strength 0 with noise alone, at 1 with hardly any."""
    return float(min(1.0, max(LEAST_NOISE, 1.0 - strength)))
