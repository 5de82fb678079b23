"""The region contract: whatever a model does, the stem drops into the place of its region.

    file      ....ccccc|RRRRRRRRRRRR|ccccc......   c: real context, as much as the window holds
    model         [ rr cccc RRRRRRRRRRRR cccc rr ] r: reflection, where the file has no more audio
    stem               |SSSSSSSSSSSS|              same frames, rate, channels; frame 0 is frame 0

Rule 1: positions are counted in input frames from the first sample that is resampled. Both
        resamplers keep sample 0 at sample 0, so the region is cut out where it was put in.
Rule 2: nothing outside this file knows about channels, rates or lengths of the client.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.audio.loudness import PEAK_CEILING, block_powers, limit, match_loudness, peak, to_db
from engine.audio.reading import RegionAudio, resample
from engine.audio.spatial import SILENT_PEAK, downmix, polarities, upmix
from engine.errors import EngineError

MIN_SECONDS = 0.05
RESAMPLER_MARGIN_SECONDS = 0.02
FADE_SECONDS = 0.003
FADE_RATIO = 2.0  # an edge of the stem that is 6 dB louder than the input's own edge clicks
FADE_FLOOR = 10 ** (-50 / 20)
OFFSET_WORTH_REMOVING = 0.01
OFFSET_MIN_SECONDS = 0.4  # below, a constant cannot be told from a bass note
LEVELS = ("match", "none")


@dataclass(frozen=True)
class Voice:
    """One stem of a model: a re-drawn region, or new sound without a place in its channels."""

    name: str = ""  # empty: named by the task
    is_new: bool = False
    level_db: float = 0.0  # beside the region


@dataclass(frozen=True)
class ModelOutput:
    """What a model gives for a region of N samples."""

    samples: np.ndarray  # [N], or [voices, N] where there are several
    notes: tuple[str, ...] = ()  # for the manifest


@dataclass(frozen=True)
class ModelPort:
    """What the region contract must know about a model: mono float32 in and out.

    `run`: the region's samples [N] -> ModelOutput.
    `window_samples(n)`: how many samples the model likes to get for a region of n (at least n).
    `delay_samples`: how much later than the input the output is; compensated here.
    """

    rate_hz: int
    run: Callable[[np.ndarray], ModelOutput]
    window_samples: Callable[[int], int] = lambda count: count
    delay_samples: int = 0
    max_seconds: float = 600.0
    voices: tuple[Voice, ...] = (Voice(),)


@dataclass(frozen=True)
class Stem:
    """What the region contract must know about a model: mono float32 in and out."""

    samples: np.ndarray
    source_mono: np.ndarray  # at mono_rate_hz, the region alone
    stem_mono: np.ndarray
    mono_rate_hz: int
    notes: list[str]
    name: str = ""  # of its voice


@dataclass(frozen=True)
class Placement:
    """How the region lies in the model's window, in input frames and in model samples."""

    lead_frames: int  # context and reflection before the region
    total_frames: int  # of the window
    margin_frames: int  # on either side of the window for the resampler's edges
    total_samples: int
    margin_samples: int  # exactly margin_frames at the model's rate


def context_seconds(region_frames: int, rate_hz: int, model: ModelPort) -> float:
    """How much real audio on either side of the region the model can use."""
    needed = math.ceil(region_frames * model.rate_hz / rate_hz)
    spare = model.window_samples(needed + model.delay_samples) - needed
    return spare / model.rate_hz + 4 * RESAMPLER_MARGIN_SECONDS


def check_length(frames: int, rate_hz: int, max_seconds: float) -> None:
    """EngineError too_short or too_long; one frame of tolerance for rounded seconds."""
    seconds = frames / rate_hz
    if frames + 1 < MIN_SECONDS * rate_hz:
        raise EngineError(
            "too_short", f"expected at least {MIN_SECONDS} s, got {seconds:.4f} s; select more"
        )
    if frames - 1 > max_seconds * rate_hz:
        raise EngineError(
            "too_long", f"expected at most {max_seconds:.0f} s, got {seconds:.1f} s; select less"
        )


def run_region(region: RegionAudio, model: ModelPort, level: str = "match") -> list[Stem]:
    """The stems of a region, one for each voice.

    EngineError: too_short, too_long, bad_args, or the model's own.
    """
    check_length(region.frames, region.info.rate_hz, model.max_seconds)
    if level not in LEVELS:
        raise EngineError("bad_args", f"level: expected one of {', '.join(LEVELS)}, got {level!r}")
    notes = list(region.notes)
    samples = _without_offset(region, notes)
    source = samples[region.lead_frames : region.lead_frames + region.frames]  # [frames, channels]
    if _is_silent(source):
        notes.append("input: the region is silent, so is the stem; the model was not run")
        return [_silent_stem(region, model, voice, notes) for voice in model.voices]
    signs = polarities(source)
    mono = downmix(samples, signs)
    place = _placement(region, model)
    window = _to_model_rate(mono, region, place, model)
    before = _region_part(window, region, place, model)
    powers = block_powers(source, region.info.rate_hz)
    stems = []
    answers, told = _run_model(model, window)
    for voice, answer in zip(model.voices, answers, strict=True):
        own = [*notes, *told]
        stem = _in_channels(
            _from_model_rate(answer, region, place, model), voice, source, signs, region, own
        )
        stem = fade_edges(stem, source, region.info.rate_hz, own)
        stem, more = match_level(
            stem, region.info.rate_hz, powers * 10 ** (voice.level_db / 10), level
        )
        after = _region_part(answer, region, place, model)
        stems.append(Stem(stem, before, after, model.rate_hz, own + more, voice.name))
    return stems


def _in_channels(
    stem: np.ndarray,
    voice: Voice,
    source: np.ndarray,
    signs: np.ndarray,
    region: RegionAudio,
    notes: list[str],
) -> np.ndarray:
    """The mono stem [frames] on the client's channels: as the region, or new in the middle."""
    if voice.is_new:
        return np.repeat(stem[:, None], source.shape[1], axis=1)
    stem, how = upmix(stem, source, signs, region.info.rate_hz)
    notes += [how] if how else []
    return stem


def _without_offset(region: RegionAudio, notes: list[str]) -> np.ndarray:
    """The samples less a constant offset, if there is one worth the name."""
    if len(region.samples) < OFFSET_MIN_SECONDS * region.info.rate_hz:
        steady = region.region.min(axis=0) == region.region.max(axis=0)
        if not (steady.all() and region.region.any()):
            return region.samples
    offset = region.region.mean(axis=0, dtype=np.float64).astype(np.float32)
    if np.abs(offset).max() < OFFSET_WORTH_REMOVING:
        return region.samples
    notes.append(f"input: constant offset of {np.abs(offset).max():.3f} removed")
    return region.samples - offset


def _is_silent(samples: np.ndarray) -> bool:
    return peak(samples) <= SILENT_PEAK


def _silent_stem(region: RegionAudio, model: ModelPort, voice: Voice, notes: list[str]) -> Stem:
    mono = np.zeros(math.ceil(region.frames * model.rate_hz / region.info.rate_hz), np.float32)
    silence = np.zeros((region.frames, region.info.channels), np.float32)
    return Stem(silence, mono, mono, model.rate_hz, notes, voice.name)


def _placement(region: RegionAudio, model: ModelPort) -> Placement:
    rate_hz = region.info.rate_hz
    needed = math.ceil(region.frames * model.rate_hz / rate_hz) + model.delay_samples
    total_samples = max(needed, model.window_samples(needed))
    total_frames = max(region.frames, math.ceil(total_samples * rate_hz / model.rate_hz))
    behind = len(region.samples) - region.lead_frames - region.frames
    lead = _share(total_frames - region.frames, region.lead_frames, behind)
    # the smallest step that is whole at both rates, as often as it takes
    step_frames = rate_hz // math.gcd(rate_hz, model.rate_hz)
    margin_frames = step_frames * math.ceil(RESAMPLER_MARGIN_SECONDS * rate_hz / step_frames)
    margin_samples = margin_frames * model.rate_hz // rate_hz
    return Placement(lead, total_frames, margin_frames, total_samples, margin_samples)


def _share(spare: int, before: int, after: int) -> int:
    """Frames of the spare room before the region: half, or as real audio on each side allows."""
    real = min(spare, before + after)
    lead = min(before, max(real - after, real // 2))
    return lead + (spare - real) // 2


def _to_model_rate(
    mono: np.ndarray, region: RegionAudio, place: Placement, model: ModelPort
) -> np.ndarray:
    """The model's window [total_samples] of the mono signal at the client's rate."""
    first = region.lead_frames - place.lead_frames - place.margin_frames
    wide = reflect(mono, first, place.total_frames + 2 * place.margin_frames)
    at_model_rate = resample(wide, region.info.rate_hz, model.rate_hz)
    return reflect(at_model_rate, place.margin_samples, place.total_samples)


def _run_model(model: ModelPort, window: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """The model's outputs [voices, total_samples] without its delay, and its notes."""
    output = model.run(window)
    answers = np.atleast_2d(np.asarray(output.samples, np.float32))
    expected = (len(model.voices), *window.shape)
    assert answers.shape == expected, (
        f"the model should answer {expected} samples and answered {answers.shape}"
    )
    if not np.isfinite(answers).all():
        raise EngineError(
            "internal",
            "the model answered NaN or infinite samples; try another seed or fewer steps",
        )
    return answers[:, model.delay_samples :], output.notes


def _from_model_rate(
    answer: np.ndarray, region: RegionAudio, place: Placement, model: ModelPort
) -> np.ndarray:
    """The region's frames [frames] of the model's output, at the client's rate."""
    wide = reflect(answer, -place.margin_samples, len(answer) + 2 * place.margin_samples)
    at_client_rate = resample(wide, model.rate_hz, region.info.rate_hz)
    return reflect(at_client_rate, place.margin_frames + place.lead_frames, region.frames)


def _region_part(
    window: np.ndarray, region: RegionAudio, place: Placement, model: ModelPort
) -> np.ndarray:
    """The region alone, at the model's rate."""
    scale = model.rate_hz / region.info.rate_hz
    return window[round(place.lead_frames * scale) :][: round(region.frames * scale)]


def reflect(signal: np.ndarray, first: int, count: int) -> np.ndarray:
    """`signal[first : first + count]`, mirrored at the ends without repeating the end sample."""
    last, size = first + count, len(signal)
    if first >= 0 and last <= size:
        return signal[first:last]
    before = _mirror(signal, np.arange(first, min(last, 0)))
    after = _mirror(signal, np.arange(max(first, size), last))
    return np.concatenate([before, signal[max(first, 0) : max(last, 0)], after])


def _mirror(signal: np.ndarray, index: np.ndarray) -> np.ndarray:
    period = max(1, 2 * (len(signal) - 1))
    position = index % period
    return signal[np.minimum(position, period - position)]


def fade_edges(stem: np.ndarray, source: np.ndarray, rate_hz: int, notes: list[str]) -> np.ndarray:
    """Fade 3 ms at an edge where the stem would click and the input does not."""
    count = min(len(stem) // 4, max(1, round(FADE_SECONDS * rate_hz)))
    # compare at equal level, if there is one
    scale = math.sqrt(_power(source) / max(_power(stem), 1e-20)) or 1.0
    ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / count)).astype(np.float32)[
        :, None
    ]
    for name, edge, fade in (
        ("start", slice(0, count), ramp),
        ("end", slice(len(stem) - count, None), ramp[::-1]),
    ):
        if peak(stem[edge]) * scale > max(FADE_RATIO * peak(source[edge]), FADE_FLOOR):
            stem[edge] *= fade
            notes.append(
                f"edges: the stem fades over {1000 * count / rate_hz:.0f} ms at the {name}"
            )
    return stem


def _power(samples: np.ndarray) -> float:
    flat = samples.reshape(-1)
    return float(flat @ flat) / max(1, len(flat))


def match_level(
    stem: np.ndarray, rate_hz: int, powers: np.ndarray, level: str
) -> tuple[np.ndarray, list[str]]:
    """The stem as loud as blocks of these powers, or only limited (`level` none); and notes."""
    if level == "match":
        return match_loudness(stem, rate_hz, powers)
    limited = limit(stem, rate_hz)
    if limited is stem:
        return stem, []
    return limited, [f"level: peaks limited by {to_db(peak(stem) / PEAK_CEILING):.1f} dB"]
