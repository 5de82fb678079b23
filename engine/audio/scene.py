"""The region contract for models that make new sound and may hear what lies about the region.

    file      ....bbbbbb|RRRRRRRRRRRR|aaaaaa....   b, a: real audio, as much as the model asks for
    model     Scene(before, region, after)         at its rate, with its channels; nothing mirrored
    stem                |SSSSSSSSSSSS|             same frames, rate, channels; frame 0 is frame 0

Rule: what `engine.audio.region` says of places holds here too; the region begins at a whole sample
of either rate. Unlike there a stereo model hears and gives two channels, and a silent region is
filled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.audio.loudness import block_powers
from engine.audio.reading import RegionAudio, resample
from engine.audio.region import (
    RESAMPLER_MARGIN_SECONDS,
    Stem,
    check_length,
    fade_edges,
    match_level,
)
from engine.audio.spatial import downmix, polarities
from engine.errors import EngineError

JOIN_SECONDS = 0.02


@dataclass(frozen=True)
class Scene:
    """What a model hears, float32 [samples, channels]: the region, and the real audio about it."""

    before: np.ndarray
    region: np.ndarray
    after: np.ndarray


@dataclass(frozen=True)
class ScenePort:
    """What this contract must know about a model.

    `run`: a scene -> as many samples [samples, channels] as its region has.
    """

    rate_hz: int
    channels: int  # 1 or 2
    run: Callable[[Scene], np.ndarray]
    context_seconds: float = 0.0  # of real audio on either side that the model can use
    max_seconds: float = 600.0
    # "start", "end": where the stem goes on in the audio about the region, without a seam
    joins: tuple[str, ...] = ()


def run_scene(region: RegionAudio, model: ScenePort, level: str = "match") -> list[Stem]:
    """The one stem of a region. EngineError: too_short, too_long, or whatever the model raises."""
    rate_hz, source = region.info.rate_hz, region.region
    check_length(region.frames, rate_hz, model.max_seconds)
    scene = _scene(region, model)
    answer = np.asarray(model.run(scene), np.float32)
    assert answer.shape == scene.region.shape, (
        f"the model got {scene.region.shape} and answered {answer.shape}"
    )
    if not np.isfinite(answer).all():
        raise EngineError(
            "internal",
            "the model answered NaN or infinite samples; try another seed or less guidance",
        )
    notes = list(region.notes)
    stem = _with_channels(
        _from_model_rate(answer, rate_hz, model, region.frames), source.shape[1], notes
    )
    stem, more = match_level(
        fade_edges(stem, source, rate_hz, notes), rate_hz, block_powers(source, rate_hz), level
    )
    stem = _join(stem, source, rate_hz, model.joins)
    before, after = (samples.mean(axis=1) for samples in (scene.region, answer))
    return [Stem(stem, before, after, model.rate_hz, notes + more)]


def _scene(region: RegionAudio, model: ScenePort) -> Scene:
    """The file's audio at the model's rate, cut where the region begins and ends."""
    # frames that are whole samples, too
    step = region.info.rate_hz // math.gcd(region.info.rate_hz, model.rate_hz)
    lead = region.lead_frames // step * step
    samples = _to_model_channels(
        region.samples[region.lead_frames - lead :], region.region, model.channels
    )
    samples = resample(samples, region.info.rate_hz, model.rate_hz)
    first = lead * model.rate_hz // region.info.rate_hz
    last = first + math.ceil(region.frames * model.rate_hz / region.info.rate_hz)
    # a resampler may round the last sample away
    inside = np.zeros((last - first, model.channels), np.float32)
    inside[: len(samples) - first] = samples[first:last]
    return Scene(samples[:first], inside, samples[last:])


def _to_model_channels(samples: np.ndarray, region: np.ndarray, channels: int) -> np.ndarray:
    """[frames, channels of the model]: as they are, or the mix of the channels that sound."""
    if samples.shape[1] == channels:
        return samples
    signs = polarities(region if region.any() else samples)
    return np.repeat(downmix(samples, signs)[:, None], channels, axis=1)


def _from_model_rate(answer: np.ndarray, rate_hz: int, model: ScenePort, frames: int) -> np.ndarray:
    """[frames, channels of the model]; mirrored at the ends, where the resampler would ring."""
    step = rate_hz // math.gcd(rate_hz, model.rate_hz)
    margin_frames = step * math.ceil(RESAMPLER_MARGIN_SECONDS * rate_hz / step)
    margin = margin_frames * model.rate_hz // rate_hz
    wide = np.pad(answer, ((margin, margin + 1), (0, 0)), mode="reflect")
    return resample(wide, model.rate_hz, rate_hz)[margin_frames : margin_frames + frames].copy()


def _join(stem: np.ndarray, source: np.ndarray, rate_hz: int, edges: tuple[str, ...]) -> np.ndarray:
    """The stem, cross-faded over 20 ms with the input at the edges where the file goes on."""
    count = min(len(stem) // 4, round(JOIN_SECONDS * rate_hz))
    ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / count)).astype(np.float32)[
        :, None
    ]
    for name, edge, share in (
        ("start", slice(0, count), ramp),
        ("end", slice(len(stem) - count, None), ramp[::-1]),
    ):
        if name in edges:
            stem[edge] = share * stem[edge] + (1 - share) * source[edge]
    return stem


def _with_channels(stem: np.ndarray, channels: int, notes: list[str]) -> np.ndarray:
    """The stem on the client's channels.

    New sound has no pan of its own there, so the region's is not laid over it.
    """
    made = stem.shape[1]
    if made == channels:
        return stem
    if made == 1:
        notes.append("channels: the model is mono, every channel has the same")
        return np.repeat(stem, channels, axis=1)
    if channels == 1:
        notes.append(
            "channels: the model is stereo, the region mono; the stem is the mean of both sides"
        )
        return stem.mean(axis=1, keepdims=True)
    notes.append(
        f"channels: the model is stereo; of {channels} channels the first two have the stem"
    )
    return np.concatenate([stem, np.zeros((len(stem), channels - made), np.float32)], axis=1)
