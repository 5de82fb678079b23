"""How does nano edit a region, so that the same notes sound on another instrument?

    words  -> text_encoder -> tokens ----------------------------+
    region -> features -> audio_encoder -> pool(omega) -> tokens -+-> denoiser x steps
    seed   -> noise ---------------------------------------------+          |
    stem <- match_transients <- match_note_balance <- synthesis <- latent_decoder

This module joins the stages. stages.py says what each graph is, features.py what is heard,
synthesis.py how samples are made, balance.py how loud each note is, transients.py how sharply it
begins, and sampler.py how the flow is followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from engine.audio.region import reflect
from engine.cache import LRUCache, content_key
from engine.errors import Cancelled
from engine.families.nano import features as F
from engine.families.nano.balance import match_note_balance
from engine.families.nano.conditions import GuidanceBranch, TextCondition, stack_conditions
from engine.families.nano.pooling import pool
from engine.families.nano.sampler import (
    BATCH_WINDOWS,
    WindowVelocity,
    cut,
    flow,
    noise_for,
    plan_frames,
    time_embedding,
    window_count,
)
from engine.families.nano.synthesis import OverlapAddSynthesizer
from engine.families.nano.transients import match_transients
from engine.knobs import Knobs
from engine.progress import (
    Advance,
    IsCancelled,
    Progress,
    ignore_advance,
    never_cancelled,
    stage_progress,
)
from engine.runtimes.runner import Runner

MOST_TEXTS = 256  # texts whose tokens are kept
# regions that are remembered for the next take, other words, another style; 29 MB for ten minutes
MOST_REGIONS = 4
# 20 s: ten minutes are heard and synthesised in pieces, or they would take gigabytes
CHUNK_FRAMES = 512
# the widest analysis window reaches (8192 - 640) / 2 samples = 2.95 frames further
FEATURES_REACH_FRAMES = 3
# Reach of the decoder: 3 slow blocks of +-3 frames, 6 fast ones of +-3 quarter frames: 13.5.
DECODER_REACH_FRAMES = 16

# fractions of the job at which each part ends; generating is by far the longest
ENCODED, GENERATED, DECODED = 0.1, 0.85, 0.95


class NanoEditor:
    """The loaded stages. One thread at a time.

    `learned_tokens`: the tokens [n, 384] of a learned prompt by its name; None for plain words.
    """

    def __init__(
        self,
        runners: dict[str, Runner],
        tokenizer: Any,
        learned_tokens: Callable[[str], np.ndarray | None] = lambda prompt: None,
    ) -> None:
        self.runners, self.tokenizer = runners, tokenizer
        self._learned_tokens = learned_tokens
        self._text_tokens: LRUCache[str, np.ndarray] = LRUCache(MOST_TEXTS)
        self._audio_tokens: LRUCache[bytes, np.ndarray] = LRUCache(MOST_REGIONS)

    def transfer(
        self, mono: np.ndarray, knobs: Knobs, progress: Progress, cancelled: IsCancelled
    ) -> np.ndarray:
        """The stem of a region: mono float32 [N] at 32 kHz in and out. Raises Cancelled."""
        progress("encoding", 0.0)
        frames = plan_frames(F.frame_count(len(mono)))
        window = reflect(np.asarray(mono, np.float32), 0, frames * F.SAMPLES_PER_FRAME)
        gain = np.float32(F.level_gain(window))
        window = window * gain
        listen = lambda: self._listen(window, frames, cancelled)  # noqa: E731
        heard = self._audio_tokens.get(content_key(window), listen)
        velocity = self._velocity(knobs, *pool(heard, knobs.pooling))
        latent = flow(
            velocity,
            noise_for(knobs.seed, frames, F.LATENT_CHANNELS),
            knobs.steps,
            stage_progress(progress, "generating", ENCODED, GENERATED),
            cancelled,
        )
        advance = stage_progress(progress, "decoding", GENERATED, DECODED)
        region = window[: len(mono)]
        stem = self._decode(latent, advance, cancelled)[: len(mono)]
        # The less of the region is heard, the less the stem has to agree with it.
        fidelity = knobs.fidelity * min(1.0, knobs.strength)
        stem = match_note_balance(stem, region, fidelity, knobs.pooling, cancelled)
        return match_transients(stem, region, fidelity / knobs.pooling, cancelled) / gain

    def reconstruct(self, mono: np.ndarray) -> np.ndarray:
        """The sound [N] through encoder and decoder alone: what the codec costs."""
        gain = np.float32(F.level_gain(mono))
        features = features_of(mono * gain, never_cancelled)
        (latent,) = self.runners["codec_encoder"](features=features[None])
        return self._decode(latent[0], ignore_advance, never_cancelled)[: len(mono)] / gain

    def encode_text(self, prompts: tuple[tuple[str, float], ...]) -> TextCondition:
        """Several prompts in a row, each with log(weight) on its attention scores."""
        tokens = [self._prompt_tokens(text) for text, _ in prompts]
        bias = [
            np.full(len(own), np.log(weight), np.float32)
            for own, (_, weight) in zip(tokens, prompts, strict=True)
        ]
        return TextCondition(np.concatenate(tokens), np.concatenate(bias))

    def _prompt_tokens(self, prompt: str) -> np.ndarray:
        learned = self._learned_tokens(prompt)
        if learned is not None:
            return learned
        return self._text_tokens.get(prompt, lambda: self._encode(prompt))

    def _encode(self, text: str) -> np.ndarray:
        """Token vectors of a text: [L, 384]."""
        ids = np.array([self.tokenizer.encode(text).ids], np.int64)
        (tokens,) = self.runners["text_encoder"](input_ids=ids, attention_mask=np.ones_like(ids))
        return tokens[0]

    def _listen(self, window: np.ndarray, frames: int, cancelled: IsCancelled) -> np.ndarray:
        """Audio tokens of every window: [W, 128, 384]."""
        windows = cut(features_of(window, cancelled), frames)
        tokens = []
        for first in range(0, len(windows), BATCH_WINDOWS):
            if cancelled():
                raise Cancelled
            tokens.append(
                self.runners["audio_encoder"](features=windows[first : first + BATCH_WINDOWS])[0]
            )
        assert sum(map(len, tokens)) == window_count(frames)
        return np.concatenate(tokens)

    def _velocity(self, knobs: Knobs, audio: np.ndarray, positions: np.ndarray) -> WindowVelocity:
        """The denoiser as the sampler wants it: with guidance, both branches run in one batch."""
        branches_at = lru_cache(lambda guidance: self._branches(knobs, guidance))
        branches_at(knobs.guidance)  # words are read before the first step

        def velocity(latent: np.ndarray, time: float, part: slice) -> np.ndarray:
            branches = branches_at(knobs.guidance_at(time))
            # [branches, L, 384], [branches, L]
            text, bias = stack_conditions([branch.text for branch in branches])
            factors = np.array([branch.factor for branch in branches], np.float32)
            scales = np.array([branch.audio_scale for branch in branches], np.float32)
            count, times = len(latent), len(branches)
            (moved,) = self.runners["denoiser"](
                latent=np.tile(latent, (times, 1, 1)),
                time_embedding=time_embedding(time, times * count),
                text=np.repeat(text, count, axis=0),
                text_bias=np.repeat(bias, count, axis=0),
                audio=np.tile(audio[part], (times, 1, 1)),
                audio_position=np.tile(positions[part], (times, 1)),
                audio_scale=np.repeat(scales, count),
            )
            moved = moved.reshape(times, *latent.shape)
            return (factors[:, None, None, None] * moved).sum(axis=0)

        return velocity

    def _branches(self, knobs: Knobs, guidance: float) -> list[GuidanceBranch]:
        """v = lambda v_positive + (1 - lambda) v_negative; a branch of factor 0 is not run.

        The negative branch does not hear the region, as in AP-Adapter, where it hears silence. So
        guidance pushes towards the tune as well as towards the words.
        """
        rows = [
            (knobs.prompts, knobs.strength, guidance),
            (((knobs.negative, 1.0),), 0.0, 1 - guidance),
        ]
        return [
            GuidanceBranch(self.encode_text(prompts), scale, factor)
            for prompts, scale, factor in rows
            if factor
        ]

    def _decode(self, latent: np.ndarray, advance: Advance, cancelled: IsCancelled) -> np.ndarray:
        """Samples [T * 1280] of latents [T, 48], in chunks that equal the whole."""
        frames, chunks, synthesizer = len(latent), [], OverlapAddSynthesizer()
        for first, last, begin, end in overlapping_chunks(frames, DECODER_REACH_FRAMES):
            if cancelled():
                raise Cancelled
            own = slice((first - begin) * F.MEL_PER_FRAME, (last - begin) * F.MEL_PER_FRAME)
            log_magnitude, phase, log_amplitude, offset = (
                part[0, own]
                for part in self.runners["latent_decoder"](latent=latent[None, begin:end])
            )
            chunks.append(
                synthesizer.process(log_magnitude, phase, log_amplitude, offset, last == frames)
            )
            advance(last / frames)
        return np.concatenate(chunks)


def features_of(samples: np.ndarray, cancelled: IsCancelled) -> np.ndarray:
    """`features.features` [T, 944] of samples of any length, in chunks that equal the whole."""
    chunks = []
    for first, last, begin, end in overlapping_chunks(
        F.frame_count(len(samples)), FEATURES_REACH_FRAMES
    ):
        if cancelled():
            raise Cancelled
        features = F.features(samples[begin * F.SAMPLES_PER_FRAME : end * F.SAMPLES_PER_FRAME])
        chunks.append(features[first - begin : last - begin])
    return np.concatenate(chunks)


def overlapping_chunks(frames: int, reach: int) -> Iterator[tuple[int, int, int, int]]:
    """(first, last, begin, end) of each chunk: its own frames, and with `reach` around them."""
    for first in range(0, frames, CHUNK_FRAMES):
        last = min(frames, first + CHUNK_FRAMES)
        yield first, last, max(0, first - reach), min(frames, last + reach)
