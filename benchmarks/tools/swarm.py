"""Many clients in one process: UDP sockets that send, remember what came and when, and acknowledge
every end.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.setting import BenchmarkError
from osc_protocol import ROOT, decode_reply, encode

AGAIN_SECONDS = 1.0  # a datagram may be lost: the same request again never starts a second job
PATIENCE_SECONDS = 600.0  # sixty clients may have turns before


@dataclass
class Sent:
    """One job, as its client saw it; times of time.perf_counter. `ends`: serial -> code, empty when
    done.
    """

    sent_at: float
    acked_at: float = 0.0
    position: int = -1
    heard_at: float = 0.0
    longest_silence: float = 0.0
    ended_at: float = 0.0
    ends: dict[int, str] = field(default_factory=dict)

    @property
    def ack_ms(self) -> float:
        """From the request to its ack."""
        return 1000 * (self.acked_at - self.sent_at)


class Client(asyncio.DatagramProtocol):
    """One socket; `jobs` by id. `on_end(client, id)` is called at the first end of each."""

    def __init__(self, on_end: Callable[[Client, str], None]) -> None:
        self.jobs: dict[str, Sent] = {}
        self._on_end = on_end
        self._news = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: tuple) -> None:
        message = decode_reply(data)
        name, values = message.address.removeprefix(f"{ROOT}/"), message.values
        job = self.jobs.get(values.get("id", ""))
        if job is None:
            return
        now = time.perf_counter()
        if name == "ack" and not job.acked_at:
            job.acked_at, job.position = now, values["queue_position"]
        if not job.ends:
            job.longest_silence = max(job.longest_silence, now - (job.heard_at or now))
            job.heard_at = now
        if name in ("done", "fail") and values["command"] == f"{ROOT}/edit":
            self._end(values["id"], job, values.get("serial", 0), values.get("code", ""), now)
        self._news.set()

    def _end(self, identity: str, job: Sent, serial: int, code: str, now: float) -> None:
        self.say("got", identity, serial)
        is_first = not job.ends
        job.ends[serial] = code
        if is_first:
            job.ended_at = now
            self._on_end(self, identity)

    def error_received(self, error: OSError) -> None:
        """The server is away for a moment, or for good: whoever waits will tell."""

    def say(self, name: str, *atoms: Any, **keys: Any) -> None:
        """One message, without waiting."""
        self._transport.sendto(encode(f"{ROOT}/{name}", *atoms, **keys))

    async def edit(self, identity: str, path: str, text: str, **keys: Any) -> Sent:
        """Send a job and wait for its ack or its end. Raises BenchmarkError."""
        job = self.jobs[identity] = Sent(time.perf_counter())
        await self._until(
            lambda: job.acked_at or job.ends,
            lambda: self.say("edit", identity, path, text, **keys),
            f"an ack of {identity}",
        )
        return job

    async def wait_for_end(self, identity: str) -> Sent:
        """Wait for the end of a job. Raises BenchmarkError."""
        job = self.jobs[identity]
        await self._until(
            lambda: job.ends, lambda: self.say("job/query", identity), f"an end of {identity}"
        )
        return job

    async def _until(self, is_there: Callable[[], Any], ask: Callable[[], None], what: str) -> None:
        gives_up_at = time.monotonic() + PATIENCE_SECONDS
        ask()
        while not is_there():
            if time.monotonic() > gives_up_at:
                raise BenchmarkError(f"{what} did not come within {PATIENCE_SECONDS:g} s")
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), AGAIN_SECONDS)
            except asyncio.TimeoutError:
                ask()

    def close(self) -> None:
        """Vanish."""
        self._transport.close()


@contextlib.asynccontextmanager
async def swarm(
    port: int, count: int, on_end: Callable[[Client, str], None] = lambda client, identity: None
) -> AsyncIterator[list[Client]]:
    """So many clients of the server on `port`."""
    async with contextlib.AsyncExitStack() as stack:
        clients = []
        for _ in range(count):
            client = await connect(port, on_end)
            stack.callback(client.close)
            clients.append(client)
        yield clients


async def connect(
    port: int, on_end: Callable[[Client, str], None] = lambda client, identity: None
) -> Client:
    """One client."""
    _, client = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Client(on_end), remote_addr=("127.0.0.1", port)
    )
    return client
