"""Stems on their way to the output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FADE_SECONDS = 0.002  # at each jump: long enough not to click, shorter than an attack


@dataclass(frozen=True)
class PlayedSound:
    """Samples [frames, channels] that begin at frame `start` of the output."""

    start: int
    samples: np.ndarray

    @property
    def end(self) -> int:
        """The frame after its last."""
        return self.start + len(self.samples)


class Player:
    """Mixes sounds into the output. `fill` belongs to the callback, all else to one other thread.

    What both share is one tuple, which is replaced and never changed.
    """

    def __init__(self, rate_hz: int, channels: int) -> None:
        self._fade_frames = max(1, round(FADE_SECONDS * rate_hz))
        self._channels = channels
        self._sounds: tuple[PlayedSound, ...] = ()

    def fill(self, out: np.ndarray, at: int) -> None:
        """Write frames [at, at + len(out)) of everything that sounds then."""
        out.fill(0)
        for sound in self._sounds:
            first, last = max(sound.start, at), min(sound.end, at + len(out))
            if first < last:
                out[first - at : last - at] += sound.samples[
                    first - sound.start : last - sound.start
                ]

    def play(self, samples: np.ndarray, starts: list[int], now: int) -> None:
        """Play [frames, channels], once from each start on; what still sounds then, ends there.

        `now`: a frame that has been put out. Ends are faded, the joints between repeats are not. A
        request that comes twice does no harm.
        """
        self.silence(starts[0])
        samples = as_channels(samples, self._channels)
        sounds = [PlayedSound(start, samples) for start in starts]
        sounds[0] = PlayedSound(starts[0], self._fade(sounds[0].samples, at_start=True))
        sounds[-1] = PlayedSound(starts[-1], self._fade(sounds[-1].samples, at_start=False))
        self._sounds = (*(sound for sound in self._sounds if sound.end > now), *sounds)

    def silence(self, at: int) -> None:
        """End everything at a frame that is still to come, with a fade."""
        self._sounds = tuple(
            sound
            if sound.end <= at
            else PlayedSound(
                sound.start,
                self._fade(sound.samples[: at - sound.start + self._fade_frames], at_start=False),
            )
            for sound in self._sounds
            if sound.start < at
        )

    def _fade(self, samples: np.ndarray, at_start: bool) -> np.ndarray:
        samples = samples.copy()
        length = min(self._fade_frames, len(samples))
        rise = np.linspace(0, 1, length, endpoint=False, dtype=np.float32)[:, None]
        if at_start:
            samples[:length] *= rise
        else:
            samples[len(samples) - length :] *= rise[::-1]
        return samples


def as_channels(samples: np.ndarray, channels: int) -> np.ndarray:
    """[frames, any] to [frames, channels].

    Mono goes to all channels, channels too many are cut off, missing ones stay silent.
    """
    if samples.shape[1] == 1:
        return np.repeat(samples, channels, axis=1)
    fitted = np.zeros((len(samples), channels), np.float32)
    shared = min(channels, samples.shape[1])
    fitted[:, :shared] = samples[:, :shared]
    return fitted
