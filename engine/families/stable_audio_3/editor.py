"""A scene and a few words in, the region's stem out: Stable Audio 3's inference on runners.

    words, negative words -> text_encoder --+
    length of the window -> its embedding --+-> transformer x steps -> vae_decoder -> samples of the region
    scene -> vae_encoder -> latent ---------+

audio to audio   begins at (1 - n) latent + n noise and walks from n to 0;  n = 1 - strength
a hole           begins at noise; `kept` has the latent of all frames but the region's

`kept` is given in every task, all zeros where nothing stays: so the authors trained and sample it,
while diffusers' audio to audio leaves it out, biases and all. Rule: knows runners only. One thread
at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from engine.audio.scene import Scene
from engine.errors import Cancelled
from engine.families.shared.flow import noise_for, sample_flow
from engine.families.shared.window import window_of
from engine.families.stable_audio_3.stages import MAX_WORDS
from engine.families.stable_audio_3.tasks import Task
from engine.knobs import Knobs
from engine.progress import Progress, stage_progress
from engine.runtimes.runner import Runner

LOG_SNR = (-6.2, 2.0)  # of the schedule's ends, noise first
LEAST_NOISE = 0.01
# 12 s: the autoencoder's mask has a row and a column for each of 17 tokens a frame
CHUNK_FRAMES = 128
LEAST_SECONDS = 1.0
TEXTS_HELD = 64  # read once, .8 MB each
ENCODED, GENERATED, DECODED = 0.05, 0.85, 0.95  # fractions of the job at which each part ends


@dataclass(frozen=True)
class Sizes:
    """What the configurations say, as the editor needs it."""

    rate_hz: int  # 44100
    frame_samples: int  # 4096
    channels: int  # 2
    latent_channels: int  # 256
    vae_reach: int  # latent frames on either side that one of the autoencoder's hears


@dataclass(frozen=True)
class Condition:
    """What the transformer is told: context [1, 257, 768] and which of it are words."""

    context: np.ndarray
    context_mask: np.ndarray


class Editor:
    """The loaded stages at work. The constructor takes finished parts."""

    def __init__(
        self,
        runners: Mapping[str, Runner],
        tokenizer: Any,
        scheduler_config: Mapping[str, Any],
        sizes: Sizes,
    ) -> None:
        self.sizes, self.runners = sizes, runners
        self.is_distilled = bool(scheduler_config.get("stochastic_sampling"))
        self._tokenizer, self._scheduler_config = tokenizer, scheduler_config
        self._words = lru_cache(TEXTS_HELD)(self._encoded_words)

    def made(
        self,
        scene: Scene,
        knobs: Knobs,
        task: Task,
        max_seconds: float,
        progress: Progress = lambda stage, fraction: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> np.ndarray:
        """The region's samples [n, 2]. Raises Cancelled, EngineError out_of_memory."""
        progress("encoding", 0.0)
        rate_hz = self.sizes.rate_hz
        window = window_of(
            scene,
            self.sizes.frame_samples,
            round(LEAST_SECONDS * rate_hz),
            round(max_seconds * rate_hz),
        )
        source = self.encoded(window.samples.T, cancelled)
        noise = noise_for(knobs.seed, *source.shape).T[None]
        kept = np.zeros((1 + len(source), source.shape[1]), np.float32)
        level, start = noise_level(knobs.strength), noise
        if task.refills:
            kept[0] = 1 - window.mask
            kept[1:], level = source * kept[0], 1.0
        else:
            start = np.float32(1 - level) * source + np.float32(level) * noise
        predict = self._predictor(knobs, len(window.samples) / rate_hz, kept)
        advance = stage_progress(progress, "generating", ENCODED, GENERATED)
        latent = sample_flow(
            predict, start, self._scheduler(knobs.steps, level), knobs.seed, advance, cancelled
        )
        samples = self.decoded(
            latent[0], stage_progress(progress, "decoding", GENERATED, DECODED), cancelled
        )
        return np.ascontiguousarray(samples.T[window.region])

    def encoded(
        self, samples: np.ndarray, cancelled: Callable[[], bool] = lambda: False
    ) -> np.ndarray:
        """Latent [256, T] of samples [2, 4096 T], in chunks that overlap by the autoencoder's
        reach: as the whole.
        """
        step, found = self.sizes.frame_samples, []
        for wide, inner in self._chunks(samples.shape[1] // step, cancelled):
            (latent,) = self.runners["vae_encoder"](
                samples=samples[None, :, wide.start * step : wide.stop * step]
            )
            found.append(latent[0][:, inner])
        return np.concatenate(found, axis=1)

    def decoded(
        self,
        latent: np.ndarray,
        advance: Callable[[float], None] = lambda fraction: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> np.ndarray:
        """Samples [2, 4096 T] of a latent [256, T], in such chunks."""
        step, found, frames = self.sizes.frame_samples, [], latent.shape[1]
        for wide, inner in self._chunks(frames, cancelled):
            (samples,) = self.runners["vae_decoder"](latent=latent[None, :, wide])
            found.append(samples[0][:, inner.start * step : inner.stop * step])
            advance((wide.start + inner.stop) / frames)
        return np.concatenate(found, axis=1)

    def is_cut(self, text: str) -> bool:
        """Whether a text is longer than the encoder reads."""
        return len(self._tokenizer(text, verbose=False)["input_ids"]) > MAX_WORDS

    def _chunks(self, frames: int, cancelled: Callable[[], bool]) -> Iterator[tuple[slice, slice]]:
        """What to hear, and which part of that to take. Raises Cancelled between two."""
        for first in range(0, frames, CHUNK_FRAMES):
            if cancelled():
                raise Cancelled
            last = min(frames, first + CHUNK_FRAMES)
            wide = slice(
                max(0, first - self.sizes.vae_reach), min(frames, last + self.sizes.vae_reach)
            )
            yield wide, slice(first - wide.start, last - wide.start)

    def _predictor(
        self, knobs: Knobs, seconds: float, kept: np.ndarray
    ) -> Callable[[np.ndarray, float], np.ndarray]:
        """The guided velocity of a latent [1, 256, T] at a time, all rows in one batch."""
        (duration,) = self.runners["duration_embedder"](seconds=np.full(1, seconds, np.float32))
        knobs = replace(knobs, guidance=1.0) if self.is_distilled else knobs
        rows_at = lru_cache(lambda guidance: self._rows(knobs, guidance, duration))
        rows_at(knobs.guidance)  # words are read before the first step

        def predict(latent: np.ndarray, time: float) -> np.ndarray:
            told, factors = zip(*rows_at(knobs.guidance_at(1 - time)), strict=True)
            count = len(told)
            (velocities,) = self.runners["transformer"](
                latent=np.repeat(latent, count, axis=0),
                time=np.full(count, time, np.float32),
                context=np.concatenate([each.context for each in told]),
                context_mask=np.concatenate([each.context_mask for each in told]),
                duration=np.repeat(duration, count, axis=0),
                kept=np.repeat(kept[None], count, axis=0),
            )
            return (np.float32(factors)[:, None, None] * velocities).sum(axis=0, keepdims=True)

        return predict

    def _rows(
        self, knobs: Knobs, guidance: float, duration: np.ndarray
    ) -> list[tuple[Condition, float]]:
        """What the transformer is told, and what each answer counts; what counts nothing is not
        asked.
        """
        rows = [(text, guidance * weight) for text, weight in knobs.prompts] + [
            (knobs.negative, 1 - guidance)
        ]
        return [(self.condition(text, duration), factor) for text, factor in rows if factor]

    def condition(self, text: str, duration: np.ndarray) -> Condition:
        """Words, padded, and after them the length as one more."""
        words, mask = self._words(text)
        context = np.concatenate([words, duration[:, None]], axis=1)
        return Condition(context, np.concatenate([mask, np.ones((1, 1), np.int64)], axis=1))

    def _encoded_words(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Tokens [1, 256, 768] and which of them are words [1, 256]."""
        found = self._tokenizer([text], padding="max_length", max_length=MAX_WORDS, truncation=True)
        ids, mask = (np.asarray(found[name], np.int64) for name in ("input_ids", "attention_mask"))
        (words,) = self.runners["text_encoder"](input_ids=ids, attention_mask=mask)
        return words, mask

    def _scheduler(self, steps: int, level: float) -> Any:
        """The authors' schedule from a noise level to 0.

        Below 1 its second time lies above the first: it is theirs.
        """
        from diffusers import FlowMatchEulerDiscreteScheduler
        from diffusers.pipelines.stable_audio_3.pipeline_stable_audio_3 import logsnr_sigma_schedule

        own = {
            name: value
            for name, value in self._scheduler_config.items()
            if not name.startswith("_")
        }
        scheduler = FlowMatchEulerDiscreteScheduler.from_config(own)
        scheduler.set_timesteps(sigmas=logsnr_sigma_schedule(steps, *LOG_SNR, sigma_max=level))
        return scheduler


def noise_level(strength: float) -> float:
    """How much of the source is drowned: strength 0 leaves nothing of it, 1 next to all."""
    return float(min(1.0, max(LEAST_NOISE, 1.0 - strength)))
