"""The three tasks of MusicGen: how do a scene and a few words become new music for the region?

    generate        words ---------------------------------> codes -> EnCodec -> the region
    accompaniment   words, the region's melody (chroma) ---> codes -> EnCodec -> the region
    continue        words, the audio before the region ----> codes -> EnCodec -> less that audio

Where the file has nothing before the region, its first third is continued, and kept as it is.
Lengths are counted in frames of codes (640 samples, 20 ms). One thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from engine.adapters.soft_prompts import SoftPrompt
from engine.audio.scene import Scene
from engine.errors import Cancelled
from engine.families.musicgen.chroma import HOP_SAMPLES, chroma
from engine.families.musicgen.conditions import Condition, Conditioner, ConditionParts, branches_of
from engine.families.musicgen.sampler import CachedDecoder, SamplingOptions, Span, sample
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

WINDOW_SECONDS, KEPT_SECONDS = 30.0, 12.0  # the reference's: 18 s are new in every further window
PROMPT_SECONDS, LEAST_PROMPT_SECONDS = 10.0, 1.0  # of audio that is continued
SEAM_SECONDS = 0.05
OVERLAP_SECONDS = 1.0  # of two chunks that EnCodec decodes; it depends on less of the past

ENCODED, GENERATED, DECODED = 0.02, 0.9, 0.95  # fractions of the job at which each part ends


class EditorParts(ConditionParts, Protocol):
    """What the editor needs of a checkpoint, on torch or on exported graphs."""

    @property
    def tokenizer(self) -> Any: ...
    @property
    def text_width(self) -> int: ...
    @property
    def rate_hz(self) -> int: ...
    @property
    def hop(self) -> int: ...
    @property
    def frames_per_second(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def delays(self) -> np.ndarray: ...
    @property
    def padding(self) -> int: ...

    def encode(self, samples: np.ndarray) -> np.ndarray:
        """Codes int64 [K, frames] of samples [n, channels]."""

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Samples float32 [hop * frames, channels] of codes [K, frames]."""

    def decoder(
        self, factors: np.ndarray, condition_at: Callable[[int], Condition]
    ) -> CachedDecoder:
        """`factors` [B]: of the condition's rows; `condition_at`: of a window's first frame."""


@dataclass(frozen=True)
class Lengths:
    """In frames of codes."""

    span: Span
    prompt: int
    least_prompt: int
    seam: int  # in samples
    overlap: int

    @classmethod
    def of(cls, parts: EditorParts) -> Lengths:
        """As the model was trained: 1500 and 600, 500 and 50."""
        per_second = parts.frames_per_second
        span = Span(round(WINDOW_SECONDS * per_second), round(KEPT_SECONDS * per_second))
        prompts = (round(PROMPT_SECONDS * per_second), round(LEAST_PROMPT_SECONDS * per_second))
        return cls(
            span, *prompts, round(SEAM_SECONDS * parts.rate_hz), round(OVERLAP_SECONDS * per_second)
        )


class Editor:
    """MusicGen on a scene. `lengths` None: as the model was trained."""

    def __init__(self, parts: EditorParts, lengths: Lengths | None = None) -> None:
        self.parts, self.lengths = parts, lengths or Lengths.of(parts)

    def edit(
        self,
        scene: Scene,
        task: str,
        knobs: Knobs,
        soft_prompts: Sequence[tuple[SoftPrompt, float]] = (),
        progress: Progress = ignore_progress,
        cancelled: IsCancelled = never_cancelled,
    ) -> np.ndarray:
        """Samples [n, channels] for the region. Raises Cancelled, EngineError out_of_memory."""
        progress("encoding", 0.0)
        past, kept = self._prompt(scene) if task == "continue" else (scene.region[:0], 0)
        prompt = self._encode(past)
        wanted = len(scene.region) - kept
        melody = scene.region.mean(axis=1) if task == "accompaniment" else None
        codes = sample(
            self._decoder(knobs, soft_prompts, melody, prompt.shape[1]),
            prompt,
            -(-wanted // self.parts.hop),
            self.parts.delays,
            self.parts.padding,
            self.lengths.span,
            SamplingOptions(knobs.temperature, knobs.top_k),
            knobs.seed,
            stage_progress(progress, "generating", ENCODED, GENERATED),
            cancelled,
        )
        sound = self.decode(
            codes, stage_progress(progress, "decoding", GENERATED, DECODED), cancelled
        )
        new = sound[self.parts.hop * prompt.shape[1] :][:wanted]
        if task != "continue":
            return new
        return np.concatenate([scene.region[:kept], self._crossfade(new, scene.region[kept:])])

    def decode(
        self,
        codes: np.ndarray,
        advance: Advance = ignore_advance,
        cancelled: IsCancelled = never_cancelled,
    ) -> np.ndarray:
        """Samples [hop * T, channels] of codes [K, T], in windows that are cross-faded."""
        hop, overlap, total = self.parts.hop, self.lengths.overlap, codes.shape[1]
        sound = np.zeros((hop * total, self.parts.channels), np.float32)
        for first in range(0, max(1, total - overlap), self.lengths.span.window - overlap):
            if cancelled():
                raise Cancelled
            chunk = self.parts.decode(codes[:, first : first + self.lengths.span.window])
            if first:
                rise = ((np.arange(hop * overlap) + 0.5) / (hop * overlap)).astype(np.float32)[
                    :, None
                ]
                before = sound[hop * first :][: len(rise)]
                chunk[: len(rise)] = rise * chunk[: len(rise)] + (1 - rise) * before
            sound[hop * first :][: len(chunk)] = chunk
            advance(min(1.0, (first + self.lengths.span.window) / total))
        return sound

    def _prompt(self, scene: Scene) -> tuple[np.ndarray, int]:
        """The samples to continue, in whole frames, and how many samples of the region are kept."""
        hop, lengths = self.parts.hop, self.lengths
        before = min(len(scene.before) // hop, lengths.prompt)
        if before >= lengths.least_prompt:
            return scene.before[len(scene.before) - before * hop :], 0
        kept = min(len(scene.region) // 3 // hop, lengths.prompt) * hop
        return scene.region[:kept], kept

    def _encode(self, samples: np.ndarray) -> np.ndarray:
        """Codes [K, T] of samples in whole frames; [K, 0] of no samples."""
        if not len(samples):
            return np.zeros((len(self.parts.delays), 0), np.int64)
        return self.parts.encode(samples)

    def _decoder(
        self,
        knobs: Knobs,
        soft_prompts: Sequence[tuple[SoftPrompt, float]],
        melody: np.ndarray | None,
        prompt: int,
    ) -> CachedDecoder:
        """The decoder under these words; each window of a melody model has its own melody."""
        parts = self.parts
        conditioner = Conditioner(
            parts, branches_of(knobs.prompts, knobs.negative, knobs.guidance, soft_prompts)
        )
        whole = None if melody is None else chroma(melody, parts.rate_hz)

        def condition_at(first: int) -> Condition:
            if whole is None:
                return conditioner.build_condition()
            passed = max(0, first - prompt) * parts.hop // HOP_SAMPLES
            return conditioner.build_condition(whole[min(passed, len(whole) - 1) :])

        return parts.decoder(conditioner.factors, condition_at)

    def _crossfade(self, new: np.ndarray, old: np.ndarray) -> np.ndarray:
        """Fade the continuation in over the old audio, because EnCodec's prompt ended elsewhere."""
        count = min(self.lengths.seam, len(new))
        rise = (0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / max(1, count))).astype(
            np.float32
        )[:, None]
        return np.concatenate([rise * new[:count] + (1 - rise) * old[:count], new[count:]])
