"""Bad networks: jobs end once, uploads arrive whole, lost clients are forgotten."""

import asyncio
import contextlib
import gc
import hashlib
import time
from collections import Counter
from dataclasses import dataclass, field

from retimbre_client import AsyncClient

from benchmarks.tools.relay import LossyRelay, Weather
from server.app import Server
from tests.faults.stage import until
from tests.server.clients import UdpClient, write_wav

WEATHERS = {
    "clear": Weather(),
    "5 % lost": Weather(loss=0.05),
    "20 % lost": Weather(loss=0.20),
    "10 % twice": Weather(duplicate=0.10),
    "20 % overtaken": Weather(reorder=0.20),
    "20 ms and up to 40 ms more": Weather(delay_seconds=0.02, jitter_seconds=0.04),
    "all of it, 20 % lost": Weather(
        loss=0.20, duplicate=0.10, reorder=0.10, delay_seconds=0.01, jitter_seconds=0.02
    ),
}
SAY_AGAIN_SECONDS = 0.25
PATIENCE_SECONDS = 120.0
UPLOAD_FRAMES = 60_000  # 120 kB, about a hundred datagrams


@dataclass
class Figures:
    """`ends`: how many different ends each job had; `repeats`: how often they were heard."""

    datagrams: int = 0
    lost: int = 0
    uploads: int = 0
    jobs: int = 0
    repeats: int = 0
    ends: Counter = field(default_factory=Counter)
    seconds: float = 0.0


async def exchange(
    server: Server, folder, weather: Weather, seed: int, jobs: int = 6, uploads: int = 1
) -> Figures:
    """Jobs and uploads through that weather. AssertionError where one is lost or comes twice."""
    began, figures = time.monotonic(), Figures(jobs=jobs, uploads=uploads)
    with LossyRelay(server.port, seed=seed, weather=weather) as relay:
        await asyncio.wait_for(_jobs(relay.port, folder, jobs, figures), PATIENCE_SECONDS)
        for number in range(uploads):
            await asyncio.wait_for(
                _upload(server, relay.port, folder, f"{seed}-{number}"), PATIENCE_SECONDS
            )
        figures.datagrams, figures.lost = relay.passed + relay.lost, relay.lost
    figures.seconds = time.monotonic() - began
    return figures


async def _jobs(port, folder, jobs, figures):
    """A patch that says each /edit until it hears something, and every end counts by its serial."""
    client = await UdpClient.open(port)
    try:
        while not all(client.ends(number) for number in range(1, jobs + 1)):
            for number in range(1, jobs + 1):
                if not client.ends(number):
                    client.say("edit", number, str(folder / "region.wav"), "copy")
            await asyncio.sleep(SAY_AGAIN_SECONDS)
        # what is still on its way must not be another end
        await asyncio.sleep(4 * SAY_AGAIN_SECONDS)
        for number in range(1, jobs + 1):
            ends = client.ends(number)
            assert {end.address for end in ends} == {"/retimbre/done"}, ends
            figures.ends[len({end.values["serial"] for end in ends})] += 1
            figures.repeats += len(ends)
            client.say("got", number, ends[0].values["serial"])
        assert set(figures.ends) == {1}, figures.ends
    finally:
        client.close()


async def _upload(server, port, folder, name):
    """The library's client: what it sent must come back byte for byte."""
    source = write_wav(folder / "long.wav", frames=UPLOAD_FRAMES)
    async with AsyncClient(
        port=port,
        name=name,
        audio_transport="udp",
        shares_disk=False,
        connect_seconds=PATIENCE_SECONDS,
    ) as client:
        handle = await client.upload(source)
        assert _sum(server.paths.spool / handle) == _sum(source)


def _sum(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def in_memory(server: Server) -> dict[str, int]:
    """What the server remembers of its clients."""
    gc.collect()
    return {
        **server.services.sessions.counts,
        "uploads": server.services.uploads.open_count,
        "repeats": len(server.services.delivery._repeats),
        "jobs": len(server.services.registry.living()),
        "tasks": len(asyncio.all_tasks()),
    }


async def vanish(
    server: Server, folder, clients: int
) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Clients that register, upload, edit, and are never heard again.

    What is remembered before, then, and at last.
    """
    before = in_memory(server)
    for number in range(clients):
        with contextlib.closing(await UdpClient.open(server.port)) as client:
            client.say("notify", 1, 0, f"guest {number}")
            client.say("set", seed=number)
            client.say("audio/open", "up")
            client.say("edit", 1, str(folder / "region.wav"), "copy")
            await client.expect("ack", id=1, patience=30)
    amid = in_memory(server)
    await until(
        lambda: not server.services.registry.living() and not server.services.delivery._repeats,
        PATIENCE_SECONDS,
    )
    await server.services.uploads.expire([], time.monotonic() + 61.0)
    return before, amid, in_memory(server)


async def come_back(server: Server, folder) -> None:
    """A client vanishes while its job runs; another socket of its name finds all of it."""
    with contextlib.closing(await UdpClient.open(server.port)) as client:
        client.say("notify", 1, 0, "traveller")
        client.say("set", seed=77)
        client.say("edit", "song", str(folder / "region.wav"), "slow 4")
        await client.expect("progress", id="song", patience=30)
    with contextlib.closing(await UdpClient.open(server.port)) as client:
        client.say("notify", 1, 0, "traveller")
        client.say("job/query", "song")
        done = await client.expect("done", id="song", patience=30)
        client.say("job/query", "song")
        result = await client.expect("result", id="song", patience=30)
        client.say("get", "seed")
        assert (await client.expect("get.reply"))["value"] == done["seed"] == 77 and result[
            "frames"
        ] == 4800
