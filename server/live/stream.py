"""One open PortAudio stream: its callback, and what others may ask of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import sounddevice

from server.errors import RequestError
from server.live.clock import FrameClock
from server.live.player import Player
from server.live.ring import Ring

NO_OUTPUT = "none"
# a stream runs when so many callbacks came, or of large blocks a few
FIRST_TICKS, FIRST_SECONDS = 8, 3.0
XRUNS_REMEMBERED = 256
RING_BYTES_AT_MOST = 2**31  # 93 minutes of stereo at 48 kHz


@dataclass(frozen=True)
class Options:
    """What /live/start asks for; see its row."""

    input: str
    output: str
    rate: int = 0
    channels: int = 2
    first: int = 1
    blocksize: int = 0
    seconds: float = 64.0


class Stream:
    """Writes the input into `ring`, and plays `player`. Raises RequestError(no_device).

    `_on_both` and `_on_input` are the callback; the rest is for other threads. Input and output run
    in one callback, so one count of frames serves both: a sample that is put out at frame n comes
    back in at n + `round_trip`.
    """

    def __init__(self, options: Options) -> None:
        self.input = find_device(options.input, "input")
        self.output = None if options.output == NO_OUTPUT else find_device(options.output, "output")
        self.rate_hz = options.rate or round(self.input["default_samplerate"])
        self.channels = min(options.channels, self.input["max_input_channels"] - options.first + 1)
        if self.channels < 1:
            raise RequestError(
                "no_device",
                f"first: {self.input['name']} has {self.input['max_input_channels']} input "
                f"channels, so there is no channel {options.first}",
            )
        ring_bytes = 4 * options.seconds * self.rate_hz * self.channels
        if ring_bytes > RING_BYTES_AT_MOST:
            raise RequestError(
                "bad_args",
                f"seconds: {options.seconds:g} of {self.channels} channels at {self.rate_hz} Hz "
                f"need {ring_bytes / 2**30:.1f} GB; at most {RING_BYTES_AT_MOST / 2**30:g} are "
                "taken; ask for fewer seconds or channels",
            )
        self.ring = Ring(round(options.seconds * self.rate_hz), self.channels)
        self.player = Player(self.rate_hz, min(options.channels, self._outputs))
        self.xruns = 0
        self.block = 0  # frames of the latest callback
        self.measured: int | None = None
        self._skip = options.first - 1
        self._xrun_frames = np.full(XRUNS_REMEMBERED, -1, np.int64)
        self._called_at = time.perf_counter()
        self._stream = self._open(options)
        self.clock = FrameClock(self.rate_hz, self.latencies[0] / self.rate_hz)

    @property
    def _outputs(self) -> int:
        return self.output["max_output_channels"] if self.output else 0

    def _open(self, options: Options) -> Any:
        shared = {"samplerate": self.rate_hz, "blocksize": options.blocksize, "dtype": "float32"}
        inputs, outputs = self._skip + self.channels, min(options.channels, self._outputs)
        with translate_errors("cannot be opened like this"):
            if self.output is None:
                return sounddevice.InputStream(
                    device=self.input["index"], channels=inputs, callback=self._on_input, **shared
                )
            return sounddevice.Stream(
                device=(self.input["index"], self.output["index"]),
                channels=(inputs, outputs),
                callback=self._on_both,
                **shared,
            )

    # The callback

    def _on_both(
        self, indata: np.ndarray, outdata: np.ndarray, frames: int, times: Any, status: Any
    ) -> None:
        self.player.fill(outdata, self.ring.head)
        self._on_input(indata, frames, times, status)

    def _on_input(self, indata: np.ndarray, frames: int, times: Any, status: Any) -> None:
        now = self._called_at = time.perf_counter()
        if (
            status.input_overflow
            or status.input_underflow
            or status.output_underflow
            or status.output_overflow
        ):
            self._xrun_frames[self.xruns % XRUNS_REMEMBERED] = self.ring.head
            self.xruns += 1
        self.clock.tick(self.ring.head, now, times.currentTime - times.inputBufferAdcTime)
        self.block = frames
        self.ring.write(indata[:, self._skip :])

    # For other threads

    def start(self) -> None:
        """Start, and wait until sound comes. Raises RequestError(no_device)."""
        with translate_errors("cannot be started"):
            self._stream.start()
        ends_at = time.perf_counter() + FIRST_SECONDS
        while self.clock.ticks < FIRST_TICKS and time.perf_counter() < ends_at:
            time.sleep(0.005)
        if not self.clock.ticks:
            self.close()
            raise RequestError(
                "no_device",
                f"{self.input['name']} was opened, but no sound came within "
                f"{FIRST_SECONDS:g} s; is another program holding it?",
            )
        self.xruns = 0  # drivers stumble while they start

    def close(self) -> None:
        """Give the devices back."""
        self._stream.abort(ignore_errors=True)
        self._stream.close(ignore_errors=True)

    def silent_seconds(self) -> float:
        """How long the driver has not called; infinite when it has ended the stream."""
        return time.perf_counter() - self._called_at if self._stream.active else float("inf")

    @property
    def latencies(self) -> tuple[int, int]:
        """Input and output latency in frames, as PortAudio reports them."""
        seconds = self._stream.latency
        seconds = seconds if isinstance(seconds, tuple) else (seconds, 0.0)
        return round(seconds[0] * self.rate_hz), round(seconds[1] * self.rate_hz)

    @property
    def round_trip(self) -> int:
        """From output to input in frames: measured if it was, else as reported."""
        return sum(self.latencies) if self.measured is None else self.measured

    def xruns_within(self, start: int, frames: int) -> int:
        """How often sound was lost in [start, start + frames)."""
        return int(
            np.count_nonzero((self._xrun_frames >= start) & (self._xrun_frames < start + frames))
        )


@contextlib.contextmanager
def translate_errors(what: str) -> Iterator[None]:
    """Raise RequestError(no_device) for PortAudio's errors. `what`: what failed."""
    try:
        yield
    except (sounddevice.PortAudioError, ValueError) as error:
        raise RequestError(
            "no_device",
            f"the device {what}: {error}; /retimbre/live/devices lists what is there, "
            "with rates and channels",
        ) from error


def find_device(name: str, kind: str) -> dict[str, Any]:
    """The device that a number, a part of a name or "" (the default) means.

    `kind`: input or output. Raises RequestError(no_device).
    """
    wanted = int(name) if name.isdigit() else name or None
    try:
        found = sounddevice.query_devices(wanted, kind)
    except (sounddevice.PortAudioError, ValueError) as error:
        raise RequestError(
            "no_device",
            f"{kind}: {name!r} is not there ({error}); /retimbre/live/devices lists what is, "
            "and `retimbre doctor` looks for sound systems",
        ) from error
    if not found[f"max_{kind}_channels"]:
        raise RequestError(
            "no_device",
            f"{kind}: {found['name']} has no {kind} channels; choose another from "
            "/retimbre/live/devices",
        )
    return found


def devices() -> list[dict[str, Any]]:
    """Everything that PortAudio sees, as the values of /live/device."""
    defaults = sounddevice.default.device
    systems = [system["name"] for system in sounddevice.query_hostapis()]
    return [
        {
            "index": each["index"],
            "name": each["name"],
            "system": systems[each["hostapi"]],
            "inputs": each["max_input_channels"],
            "outputs": each["max_output_channels"],
            "rate": max(1, round(each["default_samplerate"])),
            "is_input": int(each["index"] == defaults[0]),
            "is_output": int(each["index"] == defaults[1]),
        }
        for each in sounddevice.query_devices()
    ]
