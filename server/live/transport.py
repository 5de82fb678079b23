"""Where are the bars? The DAW's position, sent now and then, as a grid over the input's frames."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

# a later position than expected is a late message up to here (AbletonOSC: 0.1 s), then a jump
JUMP_SECONDS = 0.2
REMEMBERED = 16  # positions; few enough that two clocks have not drifted apart among them
ON_THE_LINE_BEATS = 1e-6  # 20.999999999 is bar line 21: sums of floats


@dataclass(frozen=True)
class Position:
    """What the DAW sends. Beats are quarter notes, as in every DAW; a bar of 6/8 has 3."""

    tempo_bpm: float
    beat: float
    meter_num: int = 4
    meter_den: int = 4
    bar_line: float = 0.0
    is_playing: bool = True

    @property
    def bar_beats(self) -> float:
        """Quarter notes in a bar."""
        return self.meter_num * 4 / self.meter_den


@dataclass(frozen=True)
class BarSpan:
    """Some whole bars: [start, start + frames), from `beat` on."""

    start: int
    frames: int
    beat: float


class Transport:
    """Takes the DAW's positions, and has a grid from the first on.

    Frames may be negative: a position of the time before the stream began.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        # the frame of beat 0, as each message implies it
        self._origins: deque[float] = deque(maxlen=REMEMBERED)
        self._stopped_at: float | None = None
        self._position: Position | None = None

    def update(self, position: Position, frame: float) -> None:
        """The DAW was at `position` when the input was at `frame`."""
        # wherever the playhead is put while the DAW stands still, the grid stays as it was
        if not position.is_playing and self._origins:
            self._stopped_at = frame if self._stopped_at is None else self._stopped_at
            return
        origin = frame - position.beat * 60 * self._rate_hz / position.tempo_bpm
        if self._stopped_at is not None or not self._goes_on(position, origin):
            self._origins.clear()
        self._origins.append(origin)
        self._stopped_at = None if position.is_playing else frame
        self._position = position

    def _goes_on(self, position: Position, origin: float) -> bool:
        before = self._position
        return (
            before is not None
            and before.tempo_bpm == position.tempo_bpm
            and abs(origin - min(self._origins)) < JUMP_SECONDS * self._rate_hz
        )

    @property
    def grid(self) -> Grid | None:
        """The bars as they are known now; None before the first position."""
        if self._position is None:
            return None
        origin = min(self._origins)  # messages are late, never early
        return Grid(self._rate_hz, self._position, origin, self._stopped_at)


@dataclass(frozen=True)
class Grid:
    """Bars over the frames of the input. While the DAW stands still, the grid goes on.

    `origin`: the frame of beat 0. `stopped_at`: the frame at which the DAW stopped.
    """

    rate_hz: int
    position: Position
    origin: float
    stopped_at: float | None

    @property
    def _beat_frames(self) -> float:
        return 60 * self.rate_hz / self.position.tempo_bpm

    def beat_at(self, frame: float) -> float:
        """The position at a frame."""
        return (frame - self.origin) / self._beat_frames

    def frame_of(self, beat: float) -> int:
        """The frame at a position."""
        return round(self.origin + beat * self._beat_frames)

    def last_bars(self, bars: int, head: int) -> BarSpan:
        """The last whole bars before frame `head`, or before the DAW stopped.

        They always have the same number of frames.
        """
        newest = head if self.stopped_at is None else min(head, self.stopped_at)
        end_beat = self._bar_line(newest, math.floor)
        beats = bars * self.position.bar_beats
        frames = round(beats * self._beat_frames)
        return BarSpan(self.frame_of(end_beat) - frames, frames, end_beat - beats)

    def whole_bars(self, oldest: int, head: int) -> int:
        """How many whole bars lie between two frames, counted back from the last bar line."""
        bar = self.last_bars(1, head)
        return max(0, math.floor((bar.start + bar.frames - oldest) / bar.frames))

    def next_bar(self, frame: float) -> float:
        """The beat of the first bar line at or after a frame."""
        return self._bar_line(frame, math.ceil)

    def _bar_line(self, frame: float, to_whole: Callable[[float], int]) -> float:
        position = self.position
        bars = (self.beat_at(frame) - position.bar_line) / position.bar_beats
        nearest = round(bars)
        whole = nearest if abs(bars - nearest) < ON_THE_LINE_BEATS else to_whole(bars)
        return position.bar_line + whole * position.bar_beats
