"""Hours in minutes: clients that edit, cancel, ask for what is not there, upload, vanish; what
grows meanwhile?

Start and end are medians over the first and the last tenth of the samples, after a warm-up of a
tenth. Old takes are deleted as they would be after years (--keep-gb 1). Needs /proc: Linux.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
import urllib.request
from dataclasses import dataclass, field

from retimbre_client import AsyncClient, ClientError

from benchmarks.figures import Figure, median, percentile
from benchmarks.setting import BenchmarkError, Running, Setting, Sizes, running, write_region
from benchmarks.tools.processes import Sample, sample, worker_of
from benchmarks.tools.swarm import Client, connect, swarm
from server import logs

CLIENTS = 8
REGION_SECONDS = 0.5
SAMPLES = 120  # over the whole run
VISIT_SECONDS = 2.0  # between two clients that upload over TCP
SCRAPE_SECONDS = 15.0  # what Prometheus does by default
VANISH_SECONDS = 20.0  # between two clients that leave without a word
LINES_OF_TROUBLE = 40
GOAL_GROWTH_PERCENT = 5.0
HTTP_PORT = 21022
PORTS_FLAGS = (f"--http-port={HTTP_PORT}", "--keep-gb=1")


@dataclass
class _Seen:
    """What happened, and the samples of server and worker."""

    ends: dict[str, int] = field(default_factory=dict)  # code (empty: done) -> jobs
    acks: list[tuple[float, float]] = field(default_factory=list)  # (monotonic, ms)
    server: list[Sample] = field(default_factory=list)
    worker: list[Sample] = field(default_factory=list)
    uploads: int = 0
    vanished: int = 0
    troubles: int = 0  # of uploads and their edits
    wrong: int = 0  # jobs without exactly one end


def measure(setting: Setting) -> list[Figure]:
    """Memory, handles, threads and acks at the start and at the end."""
    with running(setting, *PORTS_FLAGS) as server:
        region = str(write_region(server.folder / "region.wav", REGION_SECONDS))
        time.sleep(0.3)  # a file that was just written is watched until it is settled
        try:
            seen = asyncio.run(_live(server, region, setting.sizes))
        except BenchmarkError as error:
            lines = logs.tail(
                server.folder.parent / "data" / "log" / "server.jsonl", LINES_OF_TROUBLE
            )
            raise BenchmarkError(
                "\n".join([f"{error}; the log's end:", *map(str, lines)])
            ) from error
    return _figures(seen, setting.sizes.soak_seconds)


async def _live(server: Running, region: str, sizes: Sizes) -> _Seen:
    seen, seconds = _Seen(), sizes.soak_seconds
    async with swarm(server.address.port, CLIENTS) as clients:
        tasks = [
            asyncio.create_task(work)
            for work in (
                *(
                    _edit(client, number, region, sizes.soak_pause_seconds, seen)
                    for number, client in enumerate(clients)
                ),
                _visit(server, region, seen),
                _vanish(server, region, seen),
                _scrape(server),
                _watch(server, seconds, seen),
            )
        ]
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        failed = [task.exception() for task in tasks if task.done() and task.exception()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if failed:
            raise failed[0]
    return seen


async def _edit(
    client: Client, number: int, region: str, pause_seconds: float, seen: _Seen
) -> None:
    """Mostly good jobs, some cancelled, some about a file that is not there."""
    dice = random.Random(number)
    for count in itertools.count():
        identity = f"{number}-{count}"
        path = region if dice.random() < 0.95 else "/nowhere/at/all.wav"
        job = await client.edit(
            identity, path, "a violin", steps=1, priority=dice.choice((0, 0, 0, 1))
        )
        if job.acked_at:
            seen.acks.append((time.monotonic(), job.ack_ms))
        if dice.random() < 0.1:
            client.say("cancel", identity)
        await client.wait_for_end(identity)
        await asyncio.sleep(2 * pause_seconds * dice.random())
        seen.wrong += len(job.ends) != 1
        code = next(iter(job.ends.values()))
        seen.ends[code] = seen.ends.get(code, 0) + 1
        del client.jobs[identity]  # or we would be what grows


async def _visit(server: Running, region: str, seen: _Seen) -> None:
    """One client after the other: connect, upload, edit what was uploaded, leave."""
    while True:
        try:
            async with AsyncClient(port=server.address.port, transport="tcp") as client:
                handle = await client.upload(region)
                await client.edit(handle, "a flute", steps=1)
            seen.uploads += 1
        except ClientError:
            seen.troubles += 1
        await asyncio.sleep(VISIT_SECONDS)


async def _vanish(server: Running, region: str, seen: _Seen) -> None:
    while True:
        client = await connect(server.address.port)
        await client.edit(f"gone-{seen.vanished}", region, "a cello", steps=1)
        client.close()
        seen.vanished += 1
        await asyncio.sleep(VANISH_SECONDS)


async def _scrape(server: Running) -> None:
    url = f"http://127.0.0.1:{server.address.http_port}/metrics"
    while True:
        await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=10).read())
        await asyncio.sleep(SCRAPE_SECONDS)


async def _watch(server: Running, seconds: float, seen: _Seen) -> None:
    while True:
        seen.server.append(sample(server.process.pid))
        seen.worker.append(sample(worker_of(server.process.pid)))
        await asyncio.sleep(seconds / SAMPLES)


def _figures(seen: _Seen, seconds: float) -> list[Figure]:
    done = seen.ends.get("", 0)
    others = ", ".join(f"{count} {code}" for code, count in sorted(seen.ends.items()) if code)
    rows = [
        Figure(
            "jobs done",
            done,
            "jobs",
            notes=f"in {seconds / 60:.3g} min; {others}; {seen.uploads} uploads by "
            f"clients that came and went, {seen.vanished} clients vanished",
        ),
        Figure("jobs without exactly one end", seen.wrong, "jobs", 0),
        Figure("uploads that failed", seen.troubles, "uploads", 0),
    ]
    for who, samples in (("server", seen.server), ("worker", seen.worker)):
        rows += [
            _growth(f"memory of the {who}", [each.megabytes for each in samples], "MB"),
            _growth(f"handles of the {who}", [each.handles for each in samples], ""),
            _growth(f"threads of the {who}", [each.threads for each in samples], ""),
        ]
    cpu = seen.server[-1].cpu_seconds - seen.server[0].cpu_seconds
    rows.append(
        Figure(
            "server's share of a core", 100 * cpu / (seen.server[-1].at - seen.server[0].at), "%"
        )
    )
    acks = [ms for _, ms in seen.acks]
    tenth = max(1, len(acks) // 10)
    return [
        *rows,
        Figure("ack, first tenth, p99", percentile(acks[:tenth], 99), "ms", notes=f"{tenth} acks"),
        Figure("ack, last tenth, p50", median(acks[-tenth:]), "ms"),
        Figure("ack, last tenth, p99", percentile(acks[-tenth:], 99), "ms"),
    ]


def _growth(name: str, values: list[float], unit: str) -> Figure:
    tenth = max(1, len(values) // 10)
    start, end = median(values[tenth : 2 * tenth] or values), median(values[-tenth:])
    growth = 100 * (end / start - 1)
    return Figure(
        f"growth of {name}",
        max(0.0, growth),
        "%",
        GOAL_GROWTH_PERCENT,
        f"{start:.4g} {unit} after a tenth, {end:.4g} {unit} at the end, "
        f"at most {max(values):.4g} {unit}",
    )
