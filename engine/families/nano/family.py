"""nano: words and a region's own sound in, the same notes on another instrument out.

    words  -> text_encoder -> tokens ------------------------------+
    region -> features -> audio_encoder -> pool(omega) -> tokens --+-> denoiser x steps -> latent_decoder -> samples
    seed   -> noise -----------------------------------------------+                            -> match_note_balance -> match_transients

Rule: this file only joins the stages; what a graph is stands in stages.py, what is heard in
features.py, what is spoken in synthesis.py, how loud each note is in balance.py, how sharply it
begins in transients.py, how the flow is walked in sampler.py, what further stems are asked for in
arranged_edit.py. One thread at a time may call a family.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from engine import knobs as knob_table
from engine.arranging.wording import Intent, parse_intent
from engine.audio.region import ModelPort, reflected
from engine.cache import LRUCache
from engine.errors import Cancelled, EngineError
from engine.families.nano import features as F
from engine.families.nano.adapters import NanoAdapters
from engine.families.nano.arranged_edit import ArrangedEdit
from engine.families.nano.balance import match_note_balance
from engine.families.nano.pooling import pool
from engine.families.nano.sampler import (
    BATCH_WINDOWS,
    cut,
    flow,
    noise_for,
    planned_frames,
    time_embedding,
    window_count,
)
from engine.families.nano.stages import STAGES
from engine.families.nano.synthesis import OverlapAddSynthesizer
from engine.families.nano.transients import match_transients
from engine.knobs import Knobs
from engine.runtimes import providers
from engine.runtimes.runner import REINSTALL, OnnxRunner, Runner
from presets.style import ResolvedStyle

WEIGHTS = Path(__file__).parent / "weights"
TOKENIZER, CONFIG = "tokenizer.json", "config.json"
SERVING_STAGES = ("text_encoder", "audio_encoder", "denoiser", "latent_decoder")
DEFAULTS: Mapping[str, Any] = {
    "strength": 1.0,
    "pooling": 1,
    "fidelity": 1.0,
    "guidance": 1.8,
    "guidance_from": 0.0,
    "guidance_to": 1.0,
    "negative": "",
    "steps": 4,
    "seed": -1,
    "stems": "",
    "tempo": 0.0,
}
PADDING_BIAS = -1e4  # exp() of it is 0 in float32
MAX_TEXT_TOKENS = 64
TEXT_CACHE_SIZE = 256
# regions that are remembered for the next take, other words, another style; 29 MB for ten minutes
MOST_HEARD = 4
CHUNK_FRAMES = 512  # 20 s: ten minutes are heard and spoken in pieces, or they would take gigabytes
# the widest analysis window reaches (8192 - 640) / 2 samples = 2.95 frames further
FEATURES_REACH_FRAMES = 3
# Reach of the decoder: 3 slow blocks of +-3 frames, 6 fast ones of +-3 quarter frames: 13.5.
DECODER_REACH_FRAMES = 16
MAX_SECONDS = 600.0

# fractions of the job at which each part ends; generating is by far the longest
ENCODED, GENERATED, DECODED = 0.1, 0.85, 0.95


def missing(models: Path | None = None) -> str:
    """Why nano cannot be loaded, in words; empty when it can. Its weights ship with it, the models
    folder has none.
    """
    return missing_in(WEIGHTS)


def missing_in(folder: Path) -> str:
    """What a folder of weights lacks, in words; empty when everything is there."""
    names = [CONFIG, TOKENIZER, *(f"{stage}.onnx" for stage in SERVING_STAGES)]
    absent = [name for name in names if not (folder / name).is_file()]
    if not absent:
        return ""
    return f"expected nano's weights in {folder}, {', '.join(absent)} not found; install retimbre again from a full clone"


def defaults() -> Mapping[str, Any]:
    """Knob values of the shipped weights: DEFAULTS, overridden by what their config.json says."""
    try:
        return {
            **DEFAULTS,
            **json.loads((WEIGHTS / CONFIG).read_text(encoding="utf-8")).get("defaults", {}),
        }
    except (OSError, ValueError):  # `load` says what is wrong with it
        return DEFAULTS


def load(threads: int, models: Path | None = None) -> NanoFamily:
    """The shipped weights. EngineError not_ready."""
    return NanoFamily.load(None, threads)


@dataclass(frozen=True)
class TextCondition:
    """A text condition: tokens [L, 384] and what is added to the attention scores [L]."""

    tokens: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class GuidanceBranch:
    """A condition of the denoiser, and what its velocity counts."""

    words: TextCondition
    audio_scale: float
    factor: float


class NanoFamily:
    """The stages of nano, loaded.

    The constructor takes finished parts, `load` takes them from a folder.
    """

    device = "cpu"

    def __init__(
        self,
        runners: Mapping[str, Runner],
        tokenizer: Any,
        config: Mapping[str, Any],
        folder: Path | None = None,
    ) -> None:
        self.config, self.folder = config, folder
        self.runtime = providers.used().title
        self.defaults: Mapping[str, Any] = {**DEFAULTS, **config.get("defaults", {})}
        self._runners, self._tokenizer = runners, tokenizer
        self._text_cache: OrderedDict[str, np.ndarray] = OrderedDict()
        self._listened = LRUCache(MOST_HEARD)
        self._adapters = NanoAdapters()
        self._intent = Intent("timbre")

    @classmethod
    def load(cls, folder: Path | str | None = None, threads: int = 1) -> NanoFamily:
        """From a folder with config.json, tokenizer.json and `<stage>.onnx`; None: the shipped
        weights.

        The graphs themselves are read at their first use or by `warm_up`, and must be those that
        config.json names. EngineError not_ready, model_damaged.
        """
        folder = Path(folder) if folder else WEIGHTS
        if trouble := missing_in(folder):
            raise EngineError("not_ready", trouble)
        from tokenizers import Tokenizer

        try:
            config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        except Exception as error:  # tokenizers raises nothing more definite
            raise EngineError(
                "model_damaged",
                f"{CONFIG} or {TOKENIZER} in {folder} cannot be read: {error}; {REINSTALL}",
            ) from error
        released = config.get("files", {})
        runners = {}
        for stage in STAGES:
            file = f"{stage.name}.onnx"
            runners[stage.name] = OnnxRunner(stage, folder / file, threads, released.get(file, ""))
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TEXT_TOKENS)
        return cls(runners, tokenizer, config, folder)

    def files(self) -> dict[str, Path]:
        """The files that decide what the stem sounds like."""
        names = [CONFIG, TOKENIZER, *(f"{stage}.onnx" for stage in SERVING_STAGES)]
        return {name: self.folder / name for name in names} if self.folder else {}

    def warm_up(
        self,
        cancelled: Callable[[], bool] = lambda: False,
        progress: Callable[[str, float], None] = lambda stage, fraction: None,
    ) -> None:
        """Build every session that serving needs, in a second or so.

        Raises Cancelled between two of them.
        """
        for name in SERVING_STAGES:
            if cancelled():
                raise Cancelled
            runner = self._runners[name]
            if isinstance(runner, OnnxRunner):
                runner.load()

    def prepare(self, style: ResolvedStyle, knobs: Knobs) -> list[str]:
        """Take the style's adapters and soft prompts; read what task the words ask for.

        EngineError bad_preset, not_ready.
        """
        by_weight = sorted(knobs.prompts, key=lambda prompt: -prompt[1])
        self._intent = parse_intent(", ".join(words for words, _ in by_weight), style.task)
        return list(self._adapters.set_adapters(style, self._runners["denoiser"]).notes)

    def close(self) -> None:
        """The sessions go with the object."""

    def port(
        self, knobs: Knobs, progress: Callable[[str, float], None], cancelled: Callable[[], bool]
    ) -> ModelPort:
        """nano as the region contract wants a model, with what `prepare` took.

        EngineError bad_args.
        """

        def play(
            mono: np.ndarray, knobs: Knobs, progress: Callable[[str, float], None]
        ) -> np.ndarray:
            prompted = replace(knobs, prompts=(*self._adapters.prompts, *knobs.prompts))
            return self._transferred(mono, prompted, progress, cancelled)

        port = ModelPort(
            F.SAMPLE_RATE_HZ,
            run=lambda mono: play(mono, knobs, progress),
            window_samples=lambda count: planned_frames(F.frame_count(count)) * F.SAMPLES_PER_FRAME,
            max_seconds=MAX_SECONDS,
        )
        if self._intent.task == "timbre":
            return port
        arranged = ArrangedEdit(self._intent, knobs.stems, knobs.tempo)
        run = lambda mono: arranged.run(mono, knobs, play, progress)  # noqa: E731
        return replace(port, run=run, voices=arranged.voices, notes=arranged.notes)

    def edit(
        self, mono_32k: np.ndarray, text: str, knobs: Mapping[str, Any] | None = None
    ) -> dict[str, np.ndarray]:
        """The stems by name that a text asks for, mono at 32 kHz. EngineError bad_args."""
        decided, _ = knob_table.resolve(text, knobs or {}, None, self.defaults)
        self.prepare(ResolvedStyle(), decided)
        port = self.port(decided, lambda stage, fraction: None, lambda: False)
        stems = np.atleast_2d(port.run(mono_32k))
        return {
            voice.name or self._intent.task: stem
            for voice, stem in zip(port.voices, stems, strict=True)
        }

    def transfer(
        self,
        mono_32k: np.ndarray,
        text: str,
        knobs: Mapping[str, Any] | None = None,
        progress: Callable[[str, float], None] = lambda stage, fraction: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> np.ndarray:
        """Mono float32 at 32 kHz in and out, the same length, of any length.

        EngineError bad_args, cancelled.
        """
        decided, _ = knob_table.resolve(text, knobs or {}, None, self.defaults)
        return self._transferred(mono_32k, decided, progress, cancelled)

    def reconstruct(self, mono_32k: np.ndarray) -> np.ndarray:
        """The sound through encoder and decoder alone, the same length: what the codec costs."""
        gain = F.level_gain(mono_32k)
        heard = features_of(mono_32k * np.float32(gain), lambda: False)
        (latent,) = self._runners["codec_encoder"](features=heard[None])
        return self._decoded(latent[0], lambda fraction: None, lambda: False)[
            : len(mono_32k)
        ] / np.float32(gain)

    def _transferred(
        self,
        mono: np.ndarray,
        knobs: Knobs,
        progress: Callable[[str, float], None],
        cancelled: Callable[[], bool],
    ) -> np.ndarray:
        progress("encoding", 0.0)
        frames = planned_frames(F.frame_count(len(mono)))
        window = reflected(np.asarray(mono, np.float32), 0, frames * F.SAMPLES_PER_FRAME)
        gain = np.float32(F.level_gain(window))
        window = window * gain
        heard = self._listened.get(window, lambda: self._heard(window, frames, cancelled))
        velocity = self._velocity(knobs, *pool(heard, knobs.pooling))
        progress("generating", ENCODED)
        latent = flow(
            velocity,
            noise_for(knobs.seed, frames, F.LATENT_CHANNELS),
            knobs.steps,
            lambda done: progress("generating", ENCODED + (GENERATED - ENCODED) * done),
            cancelled,
        )
        progress("decoding", GENERATED)
        advance = lambda done: progress("decoding", GENERATED + (DECODED - GENERATED) * done)  # noqa: E731
        stem = self._decoded(latent, advance, cancelled)[: len(mono)]
        # who does not listen is not held to what was played
        fidelity = knobs.fidelity * min(1.0, knobs.strength)
        stem = match_note_balance(stem, window[: len(mono)], fidelity, knobs.pooling, cancelled)
        return (
            match_transients(stem, window[: len(mono)], fidelity / knobs.pooling, cancelled) / gain
        )

    def _heard(self, window: np.ndarray, frames: int, cancelled: Callable[[], bool]) -> np.ndarray:
        """Audio tokens of every window: [W, 128, 384]."""
        windows = cut(features_of(window, cancelled), frames)
        tokens = []
        for first in range(0, len(windows), BATCH_WINDOWS):
            if cancelled():
                raise Cancelled
            tokens.append(
                self._runners["audio_encoder"](features=windows[first : first + BATCH_WINDOWS])[0]
            )
        assert sum(map(len, tokens)) == window_count(frames)
        return np.concatenate(tokens)

    def _velocity(self, knobs: Knobs, audio: np.ndarray, positions: np.ndarray):
        """The denoiser as the sampler wants it; where there is guidance, both branches run in one
        batch.
        """
        branches_at = lru_cache(lambda guidance: self._branches(knobs, guidance))
        branches_at(knobs.guidance)  # words are read before the first step

        def velocity(latent: np.ndarray, time: float, part: slice) -> np.ndarray:
            branches = branches_at(knobs.guidance_at(time))
            # [branches, L, 384], [branches, L]
            text, bias = stacked([branch.words for branch in branches])
            factors = np.array([branch.factor for branch in branches], np.float32)[
                :, None, None, None
            ]
            scales = np.array([branch.audio_scale for branch in branches], np.float32)
            count, times = len(latent), len(branches)
            (moved,) = self._runners["denoiser"](
                latent=np.tile(latent, (times, 1, 1)),
                time_embedding=time_embedding(time, times * count),
                text=np.repeat(text, count, axis=0),
                text_bias=np.repeat(bias, count, axis=0),
                audio=np.tile(audio[part], (times, 1, 1)),
                audio_position=np.tile(positions[part], (times, 1)),
                audio_scale=np.repeat(scales, count),
            )
            return (factors * moved.reshape(times, *latent.shape)).sum(axis=0)

        return velocity

    def _branches(self, knobs: Knobs, guidance: float) -> list[GuidanceBranch]:
        """v = lambda v_positive + (1 - lambda) v_negative, and a branch that counts 0 is not run.

        The negative one does not hear the region (as in AP-Adapter, where it hears silence): so
        guidance pushes towards the tune as well as towards the words.
        """
        rows = [
            (knobs.prompts, knobs.strength, guidance),
            (((knobs.negative, 1.0),), 0.0, 1 - guidance),
        ]
        return [
            GuidanceBranch(self.words(prompts), scale, factor)
            for prompts, scale, factor in rows
            if factor
        ]

    def words(self, prompts: tuple[tuple[str, float], ...]) -> TextCondition:
        """Several prompts as one condition: their tokens in a row, each with log(weight) on its
        attention scores.
        """
        tokens = [self._tokens(text) for text, _ in prompts]
        bias = [
            np.full(len(own), np.log(weight), np.float32)
            for own, (_, weight) in zip(tokens, prompts, strict=True)
        ]
        return TextCondition(np.concatenate(tokens), np.concatenate(bias))

    def _tokens(self, text: str) -> np.ndarray:
        """Token vectors [L, 384] of a text, from the cache if it was asked before."""
        if (learned := self._adapters.tokens(text)) is not None:
            return learned
        if text not in self._text_cache:
            ids = np.array([self._tokenizer.encode(text).ids], np.int64)
            (tokens,) = self._runners["text_encoder"](
                input_ids=ids, attention_mask=np.ones_like(ids)
            )
            self._text_cache[text] = tokens[0]
            while len(self._text_cache) > TEXT_CACHE_SIZE:
                self._text_cache.popitem(last=False)
        self._text_cache.move_to_end(text)
        return self._text_cache[text]

    def _decoded(
        self, latent: np.ndarray, advance: Callable[[float], None], cancelled: Callable[[], bool]
    ) -> np.ndarray:
        """Samples [T * 1280] of latents [T, 48]; chunks overlap by the decoder's reach, so they
        equal the whole.
        """
        frames, chunks, synthesizer = len(latent), [], OverlapAddSynthesizer()
        for first in range(0, frames, CHUNK_FRAMES):
            if cancelled():
                raise Cancelled
            last = min(frames, first + CHUNK_FRAMES)
            begin, end = (
                max(0, first - DECODER_REACH_FRAMES),
                min(frames, last + DECODER_REACH_FRAMES),
            )
            own = slice((first - begin) * F.MEL_PER_FRAME, (last - begin) * F.MEL_PER_FRAME)
            parts = self._runners["latent_decoder"](latent=latent[None, begin:end])
            chunks.append(
                synthesizer.process(*(part[0, own] for part in parts), is_last=last == frames)
            )
            advance(last / frames)
        return np.concatenate(chunks)


def features_of(samples: np.ndarray, cancelled: Callable[[], bool]) -> np.ndarray:
    """`features.features` [T, 944] of samples of any length, in chunks that overlap by its reach."""
    frames, chunks = F.frame_count(len(samples)), []
    for first in range(0, frames, CHUNK_FRAMES):
        if cancelled():
            raise Cancelled
        last = min(frames, first + CHUNK_FRAMES)
        begin, end = (
            max(0, first - FEATURES_REACH_FRAMES),
            min(frames, last + FEATURES_REACH_FRAMES),
        )
        heard = F.features(samples[begin * F.SAMPLES_PER_FRAME : end * F.SAMPLES_PER_FRAME])
        chunks.append(heard[first - begin : last - begin])
    return np.concatenate(chunks)


def stacked(conditions: list[TextCondition]) -> tuple[np.ndarray, np.ndarray]:
    """Conditions of different lengths as one batch: tokens [B, L, 384], bias [B, L] with -1e4 on
    the padding.
    """
    longest = max(len(words.bias) for words in conditions)
    tokens = np.zeros((len(conditions), longest, conditions[0].tokens.shape[1]), np.float32)
    bias = np.full((len(conditions), longest), PADDING_BIAS, np.float32)
    for row, words in enumerate(conditions):
        tokens[row, : len(words.bias)], bias[row, : len(words.bias)] = words.tokens, words.bias
    return tokens, bias
