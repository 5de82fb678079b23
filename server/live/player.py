"""Clips on their way to the output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FADE_SECONDS = 0.002  # at each jump: long enough not to click, shorter than an attack


@dataclass(frozen=True)
class Clip:
    """Samples [frames, channels] that begin at frame `start` of the output."""

    start: int
    samples: np.ndarray

    @property
    def end(self) -> int:
        """The frame after its last."""
        return self.start + len(self.samples)


class Player:
    """Mixes clips into the output. `fill` belongs to the callback, all else to one other thread.

    What both share is one tuple, which is replaced and never changed.
    """

    def __init__(self, rate_hz: int, channels: int) -> None:
        self._fade = max(1, round(FADE_SECONDS * rate_hz))
        self._channels = channels
        self._clips: tuple[Clip, ...] = ()

    def fill(self, out: np.ndarray, at: int) -> None:
        """Write frames [at, at + len(out)) of everything that sounds then."""
        out.fill(0)
        for clip in self._clips:
            first, last = max(clip.start, at), min(clip.end, at + len(out))
            if first < last:
                out[first - at : last - at] += clip.samples[first - clip.start : last - clip.start]

    def play(self, samples: np.ndarray, starts: list[int], now: int) -> None:
        """Play [frames, channels], once from each start on; what still sounds then, ends there.

        Ends are faded, the joints between repeats are not. A request that comes twice does no harm.
        """
        self.silence(starts[0])
        samples = as_channels(samples, self._channels)
        clips = [Clip(start, samples) for start in starts]
        clips[0] = Clip(starts[0], self._faded(clips[0].samples, at_start=True))
        clips[-1] = Clip(starts[-1], self._faded(clips[-1].samples, at_start=False))
        self._clips = (*(clip for clip in self._clips if clip.end > now), *clips)

    def silence(self, at: int) -> None:
        """End everything at a frame that is still to come, with a fade."""
        self._clips = tuple(
            clip
            if clip.end <= at
            else Clip(
                clip.start,
                self._faded(clip.samples[: at - clip.start + self._fade], at_start=False),
            )
            for clip in self._clips
            if clip.start < at
        )

    def _faded(self, samples: np.ndarray, at_start: bool) -> np.ndarray:
        samples = samples.copy()
        length = min(self._fade, len(samples))
        rise = np.linspace(0, 1, length, endpoint=False, dtype=np.float32)[:, None]
        if at_start:
            samples[:length] *= rise
        else:
            samples[len(samples) - length :] *= rise[::-1]
        return samples


def as_channels(samples: np.ndarray, channels: int) -> np.ndarray:
    """[frames, any] to [frames, channels]: mono goes to all, too many are cut off, missing ones
    stay silent.
    """
    if samples.shape[1] == 1:
        return np.repeat(samples, channels, axis=1)
    fitted = np.zeros((len(samples), channels), np.float32)
    shared = min(channels, samples.shape[1])
    fitted[:, :shared] = samples[:, :shared]
    return fitted
