"""The last frames of an input."""

from __future__ import annotations

import numpy as np

# beyond what is promised: room for a block that is written while an old one is read
SLACK_FRAMES = 2**16


class FramesGone(LookupError):
    """Frames that the ring does not hold, or not yet."""


class Ring:
    """Remembers the last `capacity` frames, [frames, channels] of float32.

    Frames are counted from the first that came. One thread writes, any thread reads, nobody waits.
    `read` gives exactly what was asked for, or raises.
    """

    def __init__(self, capacity: int, channels: int, slack: int = SLACK_FRAMES) -> None:
        self.capacity = capacity
        self.head = 0  # frames that have come; set only by the writer, when they are in place
        self._samples = np.zeros((capacity + slack, channels), np.float32)

    @property
    def oldest(self) -> int:
        """The first frame that is still held."""
        return max(0, self.head - self.capacity)

    def write(self, block: np.ndarray) -> None:
        """Append [frames, channels]. For the audio callback."""
        size = len(self._samples)
        head = self.head + len(block)
        block = block[-size:]  # of a block longer than the ring, what will be left of it
        at = (head - len(block)) % size
        before_wrap = min(len(block), size - at)
        self._samples[at : at + before_wrap] = block[:before_wrap]
        self._samples[: len(block) - before_wrap] = block[before_wrap:]
        self.head = head

    def read(self, start: int, frames: int) -> np.ndarray:
        """A copy of [start, start + frames). Raises FramesGone."""
        if start + frames > self.head:
            raise FramesGone(f"frame {start + frames} has not come; the newest is {self.head}")
        size = len(self._samples)
        at = start % size
        copy = np.empty((frames, self._samples.shape[1]), np.float32)
        before_wrap = min(frames, size - at)
        copy[:before_wrap] = self._samples[at : at + before_wrap]
        copy[before_wrap:] = self._samples[: frames - before_wrap]
        if start < self.oldest:  # asked after the copy: the writer may have come round meanwhile
            raise FramesGone(f"frame {start} is forgotten; the oldest is {self.oldest}")
        return copy
