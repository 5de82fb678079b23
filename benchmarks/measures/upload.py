"""A minute of 48 kHz stereo float over TCP and in UDP chunks, also where every twentieth datagram
is lost.

The relay runs in this process, beside the client: the row with a relay that loses nothing shows
what it costs.
"""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.figures import Figure, median
from benchmarks.setting import RATE_HZ, BenchmarkError, Running, Setting, running, write_region
from benchmarks.tools.relay import LossyRelay

LOSSES = (0.0, 0.05)


def measure(setting: Setting) -> list[Figure]:
    """Seconds from /audio/open to the handle, the checksum compared by the server."""
    with running(setting) as server:
        source = write_region(server.folder / "long.wav", setting.sizes.long_seconds)
        plain = [
            _figure(
                source,
                transport,
                [_upload(server, source, transport) for _ in range(setting.sizes.uploads)],
            )
            for transport in ("tcp", "udp")
        ]
        return plain + [_through_relay(server, source, loss) for loss in LOSSES]


def _through_relay(server: Running, source: Path, loss: float) -> Figure:
    with LossyRelay(server.address.port, loss) as relay:
        seconds = _upload(server, source, "udp", relay.port)
    return _figure(
        source,
        f"udp, relay, {loss:.0%} lost",
        [seconds],
        f"; {relay.lost} of {relay.lost + relay.passed} datagrams lost",
    )


def _figure(source: Path, way: str, seconds: list[float], more: str = "") -> Figure:
    megabytes = source.stat().st_size / 1e6
    name = f"upload of {megabytes:.3g} MB, {way}"
    return Figure(name, median(seconds), "s", notes=f"{megabytes / median(seconds):.3g} MB/s{more}")


def _upload(server: Running, source: Path, transport: str, port: int = 0) -> float:
    with server.client(transport, port) as client:
        began = time.perf_counter()
        handle = client.upload(source)
        seconds = time.perf_counter() - began
        frames = client.region(handle)["frames"]
    if frames * 8 + 1000 < source.stat().st_size:
        raise BenchmarkError(f"{frames / RATE_HZ:g} s arrived of {source}")
    return seconds
