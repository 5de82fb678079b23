"""Live audio as a process: `python -m server.live.process`. One JSON object a line.

requests  {"op", "n", ...}; `op` is start, devices, transport, status, capture, play, silence or
          measure
events    {"event": "reply", "n", ...}   {"event": "refused", "n", "code", "message"}
          {"event": "xruns", "count"}
          {"event": "lost", "code", "message"}, after which the process ends

The end of stdin ends it. What each thread may do: see `server.live`.
"""

from __future__ import annotations

import json
import math
import os
import platform
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.event_pipe import EventPipe, EventSink, take_stdout
from server.errors import RequestError
from server.live import PORTAUDIO_CURES
from server.live.transport import Grid, Position, Transport

if TYPE_CHECKING:
    from server.live.stream import Stream

WATCH_SECONDS = 0.5
LOST_SECONDS = 4.0  # without a callback: longer than any block, and than a laptop that swaps
PEAK_SECONDS = 0.5
CLOSE_SECONDS = 2.0
# a request over UDP may come again while the first one runs: one sweep answers both
REPEAT_SECONDS = 3.0
# from a request to the first frame that can still be put out, beside two blocks
LEAD_SECONDS = 0.05
SILENCE_DBFS = -200.0
NO_TRANSPORT = (
    "no_transport",
    "where the bars are is not known; let the DAW send /retimbre/live/transport tempo "
    "beat, once when it starts and now and then while it plays",
)


class Process:
    """Answers requests, one method each, in the main thread; `watch` is for the watch thread."""

    def __init__(self, pipe: EventSink) -> None:
        self._pipe = pipe
        self._open_stream: Stream | None = None
        self._transport: Transport | None = None
        self._sent_xruns = 0
        self._measured_at = -math.inf

    def serve(self, lines: Iterable[str]) -> None:
        """Answer every request until there are no more."""
        for line in lines:
            request = json.loads(line)
            number = request.pop("n")
            try:
                self._pipe.send(
                    "reply", n=number, **(OPS[request.pop("op")](self, **request) or {})
                )
            except RequestError as error:
                self._pipe.send("refused", n=number, code=error.code, message=error.message)
            except Exception as error:
                # a mistake of ours, or a driver's; the server's client must hear of it
                traceback.print_exc()
                self._pipe.send(
                    "refused", n=number, code="internal", message=f"{type(error).__name__}: {error}"
                )

    def watch(self) -> None:
        """Report lost sound, and end the process when the device is gone. Never returns."""
        while True:
            time.sleep(WATCH_SECONDS)
            stream = self._open_stream
            if stream is None:
                continue
            if stream.silent_seconds() > LOST_SECONDS:
                self._pipe.send(
                    "lost",
                    code="no_device",
                    message=f"{stream.input['name']} is gone or its driver has stopped; "
                    "connect it, then send /retimbre/live/start",
                )
                os._exit(1)  # closing a stream whose device is gone may block for ever
            if stream.xruns != self._sent_xruns:
                self._sent_xruns = stream.xruns
                self._pipe.send("xruns", count=self._sent_xruns)

    def close(self) -> None:
        """Give the devices back. A driver that hangs while it closes ends the process."""
        guard = threading.Timer(CLOSE_SECONDS, os._exit, (1,))
        guard.daemon = True
        guard.start()
        stream, self._open_stream = self._open_stream, None
        if stream is not None:
            stream.close()

    # Requests

    def start(self, **options: Any) -> dict[str, Any]:
        """Open the devices."""
        stream_module = _portaudio()
        stream = stream_module.Stream(stream_module.Options(**options))
        stream.start()
        self._open_stream, self._transport = stream, Transport(stream.rate_hz)
        return {"rate": stream.rate_hz, "channels": stream.channels, **self._latencies()}

    def devices(self) -> dict[str, Any]:
        """The devices that there are now."""
        return {"devices": _portaudio().devices()}

    def transport(self, at: float, offset: float, **position: Any) -> None:
        """The DAW was at `position` at time `at`; its sound arrives here `offset` seconds later."""
        assert self._transport, "start comes first"
        self._transport.update(Position(**position), self._stream.clock.frame_at(at + offset))

    def status(self) -> dict[str, Any]:
        """Devices, latencies, what is remembered, and where the bars are."""
        import numpy as np

        stream, ring = self._stream, self._stream.ring
        recent = min(ring.head - ring.oldest, round(PEAK_SECONDS * stream.rate_hz))
        peak = float(np.abs(ring.read(ring.head - recent, recent)).max(initial=0.0))
        return {
            "input": stream.input["name"],
            "output": stream.output["name"] if stream.output else "none",
            "rate": stream.rate_hz,
            "channels": stream.channels,
            **self._latencies(),
            "round_trip": -1 if stream.measured is None else stream.measured,
            "xruns": stream.xruns,
            "seconds": ring.capacity / stream.rate_hz,
            "filled": (ring.head - ring.oldest) / stream.rate_hz,
            "peak": _dbfs(peak),
            **self._clock(),
        }

    def capture(self, bars: int, path: str) -> dict[str, Any]:
        """Write the last whole bars to a file."""
        import soundfile

        stream, ring = self._stream, self._stream.ring
        grid = self._grid()
        span = grid.last_bars(bars, ring.head)
        if span.start < ring.oldest:
            raise RequestError("too_short", self._explain_too_few(grid, bars, span.frames))
        samples = ring.read(span.start, span.frames)
        part = Path(path).with_suffix(".part")
        try:
            soundfile.write(part, samples, stream.rate_hz, subtype="FLOAT", format="WAV")
            os.replace(part, path)
        except (OSError, soundfile.LibsndfileError) as error:
            raise RequestError(
                "disk_full", f"the captured bars cannot be written: {error}"
            ) from error
        return {
            "rate": stream.rate_hz,
            "channels": stream.channels,
            "frames": span.frames,
            "beat": span.beat,
            "tempo": grid.position.tempo_bpm,
            "is_silent": bool(not samples.any()),
            "xruns": stream.xruns_within(span.start, span.frames),
        }

    def _explain_too_few(self, grid: Grid, bars: int, frames: int) -> str:
        stream, ring = self._stream, self._stream.ring
        there = grid.whole_bars(ring.oldest, ring.head)
        needed_seconds = frames * (bars + 1) / bars / stream.rate_hz
        cure = (
            "wait until more has been heard"
            if needed_seconds <= ring.capacity / stream.rate_hz
            else f"/retimbre/live/start … seconds {math.ceil(needed_seconds)} remembers enough"
        )
        return (
            f"bars: {bars} were asked for, and {there} whole bars are remembered "
            f"({(ring.head - ring.oldest) / stream.rate_hz:.1f} s of sound); {cure}, or ask for "
            "fewer"
        )

    def play(self, path: str, times: int) -> dict[str, Any]:
        """Play a file in time, from the next bar line that can be reached."""
        import soundfile

        stream, grid = self._stream, self._grid()
        if stream.output is None:
            raise RequestError(
                "no_device", "live audio was started with output none, so nothing can be played"
            )
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
        if rate_hz != stream.rate_hz:
            raise RequestError(
                "bad_audio",
                f"the stem has {rate_hz} Hz and live audio runs at {stream.rate_hz} Hz; "
                "start live audio with the stem's rate, or place the stem in the DAW",
            )
        now = stream.ring.head
        beat = grid.next_bar(now + self._lead() + stream.round_trip)
        bars = _bars_of(grid, len(samples))
        starts = [
            grid.frame_of(beat + bars * repeat * grid.position.bar_beats) - stream.round_trip
            for repeat in range(times)
        ]
        stream.player.play(samples, starts, now)
        return {
            "beat": beat,
            "seconds": (starts[0] + stream.round_trip - now) / stream.rate_hz,
            "times": times,
        }

    def silence(self) -> None:
        """Stop what is played."""
        self._stream.player.silence(self._stream.ring.head + self._lead())

    def measure(self) -> dict[str, Any]:
        """Measure the round trip with a sweep that is played and found again."""
        from server.live import measure

        stream = self._stream
        if stream.output is None:
            raise RequestError(
                "no_device", "live audio was started with output none, so nothing can be measured"
            )
        if time.perf_counter() - self._measured_at < REPEAT_SECONDS:
            return self._round_trip()
        played = measure.sweep(stream.rate_hz)
        at = stream.ring.head + self._lead()
        stream.player.play(played[:, None], [at], stream.ring.head)
        frames = len(played) + round(measure.LISTEN_SECONDS * stream.rate_hz)
        while stream.ring.head < at + frames and stream.silent_seconds() < LOST_SECONDS:
            time.sleep(0.02)
        found = (
            measure.find(played, stream.ring.read(at, frames))
            if stream.ring.head >= at + frames
            else None
        )
        if found is None:
            raise RequestError(
                "not_heard",
                f"a sweep was played on {stream.output['name']} and did not arrive at "
                f"{stream.input['name']}: connect output and input (a cable, a loopback "
                "device, a microphone before the speaker), and stop other sound",
            )
        stream.measured, self._measured_at = found, time.perf_counter()
        return self._round_trip()

    def _round_trip(self) -> dict[str, int]:
        return {"round_trip": self._stream.round_trip, "reported": sum(self._stream.latencies)}

    # Parts of them

    @property
    def _stream(self) -> Stream:
        assert self._open_stream, "start comes first"
        return self._open_stream

    def _grid(self) -> Grid:
        """Where the bars are. Raises RequestError(no_transport)."""
        grid = self._transport.grid if self._transport else None
        if grid is None:
            raise RequestError(*NO_TRANSPORT)
        return grid

    def _lead(self) -> int:
        """Frames from now to the first that the callback has certainly not taken yet."""
        return round(LEAD_SECONDS * self._stream.rate_hz) + 2 * self._stream.block

    def _latencies(self) -> dict[str, int]:
        input_frames, output_frames = self._stream.latencies
        return {"input_latency": input_frames, "output_latency": output_frames}

    def _clock(self) -> dict[str, Any]:
        ring, grid = self._stream.ring, self._transport.grid if self._transport else None
        if grid is None:
            return {"tempo": 0.0, "meter_num": 0, "meter_den": 0, "beat": 0.0, "bars": 0}
        return {
            "tempo": grid.position.tempo_bpm,
            "meter_num": grid.position.meter_num,
            "meter_den": grid.position.meter_den,
            "beat": grid.beat_at(ring.head),
            "bars": grid.whole_bars(ring.oldest, ring.head),
        }


OPS: dict[str, Callable[..., dict[str, Any] | None]] = {
    "start": Process.start,
    "devices": Process.devices,
    "transport": Process.transport,
    "status": Process.status,
    "capture": Process.capture,
    "play": Process.play,
    "silence": Process.silence,
    "measure": Process.measure,
}


def _bars_of(grid: Grid, frames: int) -> int:
    """Whole bars that hold so many frames: where the next repeat begins."""
    bar = grid.last_bars(1, 0).frames
    return max(1, -(-(frames - 2) // bar))  # two frames of rounding make no further bar


def _portaudio() -> Any:
    """`server.live.stream`, which loads PortAudio. Raises RequestError(no_portaudio)."""
    try:
        from server.live import stream
    except (ImportError, OSError) as error:
        cure = PORTAUDIO_CURES.get(platform.system(), "pip install --force-reinstall sounddevice")
        raise RequestError("no_portaudio", f"{error}; {cure}, then send it again") from error
    return stream


def _dbfs(peak: float) -> float:
    return max(SILENCE_DBFS, 20 * math.log10(peak)) if peak else SILENCE_DBFS


def main() -> None:
    """Serve stdin. Libraries of PortAudio print to stdout, so events have one of their own."""
    # without a reader the server is gone, and the end of stdin comes next
    process = Process(EventPipe(take_stdout(), on_closed=lambda: None))
    threading.Thread(target=process.watch, name="watch", daemon=True).start()
    process.serve(sys.stdin)
    process.close()


if __name__ == "__main__":
    main()
