"""AP-Adapter's inference: how do a region and a few words become the same music in another timbre?

    words, negative words -> TextConditioner -----------------------+
    region -> fbank -> audio_encoder -> pooled -> audio tokens -----+-> unet x steps -> vae_decoder
    zeros as fbank -> audio_encoder -> pooled -> null audio --------+                        |
    samples <- vocoder <---------------------------------------------------------------------+

    noise = (1 - lambda) unet(negative words, null audio) + lambda unet(words, region)

The editor joins the stages and knows runners only. A window has 10.24 s: 1024 mel frames, 256
latent frames. One thread at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.audio.region import reflect
from engine.cache import LRUCache, content_key
from engine.errors import Cancelled
from engine.families.audioldm2 import features as F
from engine.families.audioldm2.sampler import (
    WindowNoise,
    Windows,
    build_scheduler,
    noise_for,
    sample,
    scheduler_for,
    time_embedding,
)
from engine.families.audioldm2.text import TextCondition, stack
from engine.knobs import Knobs
from engine.progress import (
    Advance,
    IsCancelled,
    Progress,
    ignore_advance,
    ignore_progress,
    never_cancelled,
    stage_progress,
)
from engine.runtimes.runner import Runner

if TYPE_CHECKING:
    from engine.families.audioldm2.learned import LearnedText

# another take, other words or another style need not encode the region again; 1.6 MB a window
REGIONS_KEPT = 4
OVERLAP_SHARE = 4  # a quarter of a window: 2.56 s

# fractions of the job at which each part ends
ENCODED, GENERATED, DECODED = 0.05, 0.9, 0.95


@dataclass(frozen=True)
class Sizes:
    """What the published configurations say, as the editor needs it."""

    latent: tuple[int, int, int]  # channels, frames, bands of one window: (8, 256, 16)
    frames_per_latent: int  # 4 mel frames
    samples_per_latent: int  # 640
    audio_grid: tuple[int, int]  # tokens along time and frequency: (64, 8)
    time_width: int  # 128
    vocoder_reach: int  # mel frames on either side that a sample depends on

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Sizes:
        """Sizes that went through JSON, where a tuple is a list."""
        channels, frames, bands = row["latent"]
        times, frequencies = row["audio_grid"]
        return cls(
            **{**row, "latent": (channels, frames, bands), "audio_grid": (times, frequencies)}
        )

    @property
    def windows(self) -> Windows:
        frames = self.latent[1]
        return Windows(frames, frames // OVERLAP_SHARE)

    @property
    def mel_windows(self) -> Windows:
        ours = self.windows
        return Windows(ours.frames * self.frames_per_latent, ours.overlap * self.frames_per_latent)


@dataclass(frozen=True)
class _Branch:
    """A term of the guided noise: words, whether the region is heard with them, and its factor."""

    words: TextCondition
    hears: bool
    factor: float


class Editor:
    """Transfers regions with the loaded stages."""

    def __init__(
        self,
        runners: Mapping[str, Runner],
        text: LearnedText,
        scheduler_config: Mapping[str, Any],
        sizes: Sizes,
    ) -> None:
        self.sizes, self.text = sizes, text
        self.runners, self.scheduler_config = runners, scheduler_config
        self._audio_cache: LRUCache[bytes, np.ndarray] = LRUCache(REGIONS_KEPT)
        self._null_audio: np.ndarray | None = None
        self._pooled_null: dict[int, np.ndarray] = {}  # by omega

    def window_samples(self, count: int) -> int:
        """Samples of whole windows that cover a region of `count`."""
        latents = -(-count // self.sizes.samples_per_latent)
        return self.sizes.windows.frames_for(latents) * self.sizes.samples_per_latent

    def transfer(
        self,
        mono: np.ndarray,
        knobs: Knobs,
        alpha: float,
        progress: Progress = ignore_progress,
        cancelled: IsCancelled = never_cancelled,
    ) -> np.ndarray:
        """Mono float32 at 16 kHz in and out, the same length.

        Raises Cancelled, EngineError out_of_memory.
        """
        progress("encoding", 0.0)
        planned = self.window_samples(len(mono))
        window = reflect(np.asarray(mono, np.float32), 0, planned)
        heard = self._audio_cache.get(
            content_key(window), lambda: self._encode_windows(window, cancelled)
        )
        predict = self.predictor(knobs, heard, alpha)
        channels, _, bands = self.sizes.latent
        noise = noise_for(knobs.seed, channels, planned // self.sizes.samples_per_latent, bands)
        scheduler = build_scheduler(scheduler_for(knobs.steps), self.scheduler_config)
        latent = sample(
            predict,
            noise,
            self.sizes.windows,
            scheduler,
            knobs.steps,
            stage_progress(progress, "generating", ENCODED, GENERATED),
            cancelled,
        )
        advance = stage_progress(progress, "decoding", GENERATED, DECODED)
        return self.vocode(self.decode(latent, cancelled), advance, cancelled)[: len(mono)]

    def encode_audio(self, samples: np.ndarray) -> np.ndarray:
        """AudioMAE's tokens [1, 512, 768] of a window; missing samples are mirrored, never zero."""
        frames = self.sizes.mel_windows.frames
        whole = reflect(samples, 0, F.fbank_samples(frames))
        fbank = F.normalise(F.fbank(whole), frames)
        return self.runners["audio_encoder"](fbank=fbank[None])[0]

    def null_audio(self) -> np.ndarray:
        """AudioMAE's tokens [1, 512, 768] of a filter bank that is zero after normalisation."""
        if self._null_audio is None:
            fbank = np.zeros((1, self.sizes.mel_windows.frames, F.FBANK_BANDS), np.float32)
            (self._null_audio,) = self.runners["audio_encoder"](fbank=fbank)
        return self._null_audio

    def decode(self, latent: np.ndarray, cancelled: IsCancelled = never_cancelled) -> np.ndarray:
        """Log-mel [M, 64] of a latent [C, planned, F], decoded window by window and cross-faded."""
        windows = []
        for window in self.sizes.windows.cut(latent):
            if cancelled():
                raise Cancelled
            windows.append(self.runners["vae_decoder"](latent=window[None])[0][0])
        return self.sizes.mel_windows.merge(np.stack(windows))

    def vocode(
        self,
        mel: np.ndarray,
        advance: Advance = ignore_advance,
        cancelled: IsCancelled = never_cancelled,
    ) -> np.ndarray:
        """Samples [160 M] of a log-mel [M, 64], in chunks.

        The chunks overlap by the vocoder's reach, so the result equals that of one piece.
        """
        hop = self.sizes.samples_per_latent // self.sizes.frames_per_latent
        frames, size, chunks = len(mel), self.sizes.mel_windows.frames, []
        for first in range(0, frames, size):
            if cancelled():
                raise Cancelled
            last = min(frames, first + size)
            begin = max(0, first - self.sizes.vocoder_reach)
            end = min(frames, last + self.sizes.vocoder_reach)
            (samples,) = self.runners["vocoder"](mel=mel[None, begin:end])
            chunks.append(samples[0, (first - begin) * hop : (last - begin) * hop])
            advance(last / frames)
        return np.concatenate(chunks)

    def _encode_windows(self, samples: np.ndarray, cancelled: IsCancelled) -> np.ndarray:
        """Tokens [W, 512, 768] of every window; its last frames reach into the next window."""
        step, tokens = self.sizes.samples_per_latent, []
        for first in self.sizes.windows.starts(len(samples) // step):
            if cancelled():
                raise Cancelled
            window = samples[first * step :][: F.fbank_samples(self.sizes.mel_windows.frames)]
            tokens.append(self.encode_audio(window)[0])
        return np.stack(tokens)

    def _branches(self, knobs: Knobs, guidance: float) -> list[_Branch]:
        """The terms of the guidance with a factor; prompts share lambda by their weights."""
        asked = [
            _Branch(self.text.words(words), True, guidance * weight)
            for words, weight in knobs.prompts
        ]
        avoided = (
            [_Branch(self.text.plain_condition(knobs.negative), False, 1 - guidance)]
            if guidance != 1
            else []
        )
        return [branch for branch in (*avoided, *asked) if branch.factor]

    def predictor(self, knobs: Knobs, heard: np.ndarray, alpha: float) -> WindowNoise:
        """The UNet as the sampler calls it, guided by words and by every window's audio tokens.

        `heard`: [W, 512, 768].
        """
        branches_at = lru_cache(lambda guidance: self._branches(knobs, guidance))
        branches_at(knobs.guidance)  # words are read before the first step
        audio, positions = self._pool(heard, knobs.pooling)
        noise_levels = self.scheduler_config["num_train_timesteps"]

        def predict(latent: np.ndarray, time: float, part: slice) -> np.ndarray:
            branches = branches_at(knobs.guidance_at(1 - (time + 1) / noise_levels))
            words = stack([branch.words for branch in branches])
            factors = np.array([branch.factor for branch in branches], np.float32)[
                :, None, None, None, None
            ]
            count, times = len(latent), len(branches)
            (noise,) = self.runners["unet"](
                latent=np.tile(latent, (times, 1, 1, 1)),
                time_embedding=time_embedding(time, times * count, self.sizes.time_width),
                **{name: np.repeat(values, count, axis=0) for name, values in words.items()},
                audio=np.concatenate(
                    [
                        audio[part] if branch.hears else self._silent(knobs.pooling, count)
                        for branch in branches
                    ]
                ),
                audio_position=np.tile(positions, (times * count, 1)),
                audio_scale=np.full(times * count, alpha, np.float32),
            )
            return (factors * noise.reshape(times, *latent.shape)).sum(axis=0)

        return predict

    def _silent(self, omega: int, count: int) -> np.ndarray:
        """The pooled null audio, repeated: [count, A, 768]."""
        if omega not in self._pooled_null:
            self._pooled_null[omega], _ = self._pool(self.null_audio(), omega)
        return np.repeat(self._pooled_null[omega], count, axis=0)

    def _pool(self, tokens: np.ndarray, omega: int) -> tuple[np.ndarray, np.ndarray]:
        """Audio tokens [W, A, 768] and their centres in latent frames [A]."""
        import torch

        from engine.families.audioldm2.ap_adapter import pool_positions, pool_tokens

        grid = self.sizes.audio_grid
        found = pool_tokens(torch.from_numpy(tokens), grid, (omega, omega)).numpy()
        return found, pool_positions(grid, (omega, omega), self.sizes.latent[1] / grid[0]).numpy()


def vocoder_reach(config: Any) -> int:
    """Mel frames on either side that a sample of a SpeechT5HifiGan depends on, rounded up.

    A convolution reaches (kernel - 1) / 2 * dilation cells of its own rate. A transposed one
    reaches kernel / rate / 2 cells of the rate before it.
    """
    reach, cells = 3.0, 1  # first convolution: kernel 7
    for rate, kernel in zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True):
        reach += kernel / rate / 2 / cells + 1 / cells
        cells *= rate
        blocks = zip(config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True)
        reach += (
            max(
                (kernel - 1) / 2 * (sum(dilations) + len(dilations)) for kernel, dilations in blocks
            )
            / cells
        )
    return int(np.ceil(reach + 3 / cells))  # last convolution: kernel 7
