"""From /edit to its /ack while the worker computes another job: the ack comes after the journal has
the job on disk.

Beside it what no ack can do without: a /ping, which touches no disk, and one fsync of the disk with
the journal.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from retimbre_client import Client

from benchmarks.figures import Figure, median, percentile
from benchmarks.setting import TEXT, BenchmarkError, Running, Setting, running, write_region
from osc_protocol import ROOT, decode_reply, encode

GOAL_P99_MS = 10.0
PATIENCE_SECONDS = 5.0
# requests of people and patches do not come in one burst, nor while the last is written down
APART_SECONDS = 0.02


def measure(setting: Setting) -> list[Figure]:
    """p50 and p99 over UDP."""
    count = setting.sizes.acks
    with running(setting) as server, _busy(server, setting), Wire(server.address.port) as wire:
        region = write_region(server.folder / "region.wav", setting.sizes.region_seconds)
        time.sleep(0.3)  # a file that was just written is watched until it is settled
        acks = [_ack_ms(wire, str(region), f"ack-{index}") for index in range(count)]
        pings = [_ping_ms(wire, f"ping-{index}") for index in range(count)]
        syncs = _sync_ms(server.folder / "sync", count)
    notes = f"{count} over UDP, worst {max(acks):.3g} ms"
    return [
        Figure("ack, worker busy, p50", median(acks), "ms", notes=notes),
        Figure("ack, worker busy, p99", percentile(acks, 99), "ms", GOAL_P99_MS),
        Figure("ping, worker busy, p50", median(pings), "ms", notes="an ack without the disk"),
        Figure("ping, worker busy, p99", percentile(pings, 99), "ms"),
        Figure(
            "fsync, worker busy, p50",
            median(syncs),
            "ms",
            notes="4 KB appended: what one commit waits for",
        ),
        Figure("fsync, worker busy, p99", percentile(syncs, 99), "ms"),
    ]


class Wire:
    """One UDP socket, for times that a client library must not be part of."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE_SECONDS)
        self._socket.connect(("127.0.0.1", port))

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, packet: bytes) -> None:
        """One packet, without an answer."""
        self._socket.send(packet)

    def ask_ms(self, packet: bytes, reply: str, identity: str) -> float:
        """Send, and wait for the reply whose first argument (of /done: second) is `identity`."""
        began = time.perf_counter()
        self._socket.send(packet)
        while True:
            try:
                message = decode_reply(self._socket.recv(65_507))
            except TimeoutError as error:
                raise BenchmarkError(
                    f"no /{reply} for {identity} within {PATIENCE_SECONDS:g} s"
                ) from error
            if message.address == f"{ROOT}/{reply}" and identity in message.args[:2]:
                return 1000 * (time.perf_counter() - began)


def _ack_ms(wire: Wire, path: str, identity: str) -> float:
    milliseconds = wire.ask_ms(encode(f"{ROOT}/edit", identity, path, "a flute"), "ack", identity)
    # or the queue would fill; its end is on the disk
    wire.ask_ms(encode(f"{ROOT}/cancel", identity), "fail", identity)
    wire.send(encode(f"{ROOT}/got", identity))
    time.sleep(APART_SECONDS)
    return milliseconds


def _ping_ms(wire: Wire, identity: str) -> float:
    milliseconds = wire.ask_ms(encode(f"{ROOT}/ping", identity), "pong", identity)
    time.sleep(APART_SECONDS)
    return milliseconds


def _sync_ms(path: Path, count: int) -> list[float]:
    times_ms = []
    with open(path, "wb", buffering=0) as file:
        for _ in range(count):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            times_ms.append(1000 * (time.perf_counter() - began))
            time.sleep(APART_SECONDS)
    return times_ms


@contextlib.contextmanager
def _busy(server: Running, setting: Setting) -> Iterator[None]:
    """A worker that computes from here to the end; raises BenchmarkError when it did not."""
    region = write_region(server.folder / "long.wav", setting.sizes.long_seconds)
    with server.client() as client, server.client() as observer:
        job = client.submit(region, TEXT, steps=setting.sizes.busy_steps, job_id="busy")
        _wait_until_busy(observer)
        yield
        state = observer.status()["state"]
        job.cancel()
        if state != "busy":
            raise BenchmarkError(
                f"the worker was {state} at the end, so this was not measured beside a busy one; "
                "give it more to do: --long-seconds"
            )


def _wait_until_busy(observer: Client) -> None:
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while observer.status()["state"] != "busy":
        if time.monotonic() > ends_at:
            raise BenchmarkError("the long job did not begin")
        time.sleep(0.02)
    time.sleep(0.5)  # past its reading and encoding
