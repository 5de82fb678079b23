"""A thousand jobs of 64 clients in the queue: acks, turns, silence, memory, a stop in the middle of
it, and idleness.

One greedy client sends half of all jobs before the others send theirs. Acks: `one at a time` is a
person or a patch beside all that, `burst` is 64 clients that send as fast as they are answered. The
stop is a ctrl-C: the running job ends, the others wait in the journal for the next start, on which
everyone cancels what is left. Needs /proc: Linux.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import time
from pathlib import Path

from benchmarks.figures import Figure, median, percentile
from benchmarks.setting import (
    BenchmarkError,
    Running,
    Setting,
    fresh_folder,
    running,
    serving,
    write_region,
)
from benchmarks.tools.processes import sample, worker_of
from benchmarks.tools.swarm import Client, Sent, swarm

GOAL_ACK_P99_MS = 10.0
GOAL_SILENCE_SECONDS = 2.0  # the protocol's promise
GOAL_TURNS = 2  # of the greedy client, until everyone has had one
GOAL_IDLE_PERCENT = 0.5
REGION_SECONDS = 0.5
PROBES_APART_SECONDS = 0.02
STOP_SECONDS = 60.0
SETTLE_SECONDS = 3.0  # after the start, before idleness is measured
WORDS = "a violin"


def measure(setting: Setting) -> list[Figure]:
    """Idle first, then everything under one load."""
    idle = _idle(setting)
    with fresh_folder() as folder:
        return idle + asyncio.run(_Load(setting, folder).run())


class _Load:
    """One run. The clients live through the stop and the start of the server."""

    def __init__(self, setting: Setting, folder: Path) -> None:
        self.setting, self.folder = setting, folder
        self.order: list[Client] = []  # whose job ended, in this order
        self.flags = [f"--queue-limit={2 * setting.sizes.queued}"]
        self.figures: list[Figure] = []

    async def run(self) -> list[Figure]:
        """All figures, in the order in which they are measured."""
        region = str(write_region(self.folder / "audio" / "region.wav", REGION_SECONDS))
        await asyncio.sleep(0.3)  # a file that was just written is watched until it is settled
        with serving(self.setting, self.folder, *self.flags) as server:
            self.flags.append(f"--port={server.address.port}")
            async with swarm(
                server.address.port, self.setting.sizes.clients + 1, self._on_end
            ) as clients:
                *clients, probe = clients
                before = self._sample(server)
                await self._fill(clients, region)
                await self._probe(probe, region)
                await self._turns(clients)
                self._add_growth(before, self._sample(server))
                await self._stop(server)
                await self._resume(clients)
        return self.figures

    def _on_end(self, client: Client, identity: str) -> None:
        self.order.append(client)

    async def _fill(self, clients: list[Client], region: str) -> None:
        """The greedy one sends half; then all others at once, each as fast as it is answered."""
        greedy, *others = clients
        count = self.setting.sizes.queued // 2
        began = time.perf_counter()
        for number in range(count):
            await greedy.edit(f"job-{number}", region, WORDS, steps=1)
        alone = time.perf_counter() - began
        each = -(-count // len(others))
        jobs = await asyncio.gather(*(_send(client, each, region) for client in others))
        acks = [job.ack_ms for sent in jobs for job in sent]
        self._add(
            "ack of the greedy client, one after the other, p99",
            percentile([job.ack_ms for job in greedy.jobs.values()], 99),
            "ms",
            GOAL_ACK_P99_MS,
            f"{count} jobs, {count / alone:.0f} a second",
        )
        self._add(
            f"ack in a burst of {len(others)} clients, p50",
            median(acks),
            "ms",
            notes=f"{len(acks)} jobs; each stands on the disk before its ack",
        )
        self._add(f"ack in a burst of {len(others)} clients, p99", percentile(acks, 99), "ms")

    async def _probe(self, probe: Client, region: str) -> None:
        acks = []
        for number in range(self.setting.sizes.probes):
            job = await probe.edit(f"probe-{number}", region, WORDS, steps=1)
            probe.say("cancel", f"probe-{number}")
            acks.append(job.ack_ms)
            await asyncio.sleep(PROBES_APART_SECONDS)
        waiting = sum(not job.ends for client in [probe] for job in client.jobs.values())
        queued = self.setting.sizes.queued
        notes = f"{len(acks)} requests beside {queued} queued jobs, worst {max(acks):.3g} ms"
        self._add("ack, one at a time, p50", median(acks), "ms", notes=notes)
        self._add("ack, one at a time, p99", percentile(acks, 99), "ms", GOAL_ACK_P99_MS)
        if waiting == len(acks):
            raise BenchmarkError("no probe was cancelled")
        for identity in probe.jobs:
            await probe.wait_for_end(identity)

    async def _turns(self, clients: list[Client]) -> None:
        """Until everyone has had a turn since the last one came."""
        greedy = clients[0]
        first = len(self.order)
        while missing := set(clients[1:]) - set(self.order):
            client = missing.pop()
            await client.wait_for_end(next(iter(client.jobs)))
        turns = sum(client is greedy for client in self.order[first:])
        self._add(
            "turns of the greedy client until each had one",
            turns,
            "jobs",
            GOAL_TURNS,
            f"{len(clients)} clients; first come, first served would give it "
            f"{self.setting.sizes.queued // 2}",
        )
        silences = [job.longest_silence for client in clients for job in client.jobs.values()]
        self._add(
            "longest silence about a job that waits",
            max(silences),
            "s",
            GOAL_SILENCE_SECONDS,
            f"{len(silences)} jobs, p50 {median(silences):.2g} s",
        )

    def _sample(self, server: Running) -> list:
        return [sample(server.process.pid), sample(worker_of(server.process.pid))]

    def _add_growth(self, before: list, after: list) -> None:
        for who, old, new in zip(("server", "worker"), before, after, strict=True):
            self._add(
                f"memory of the {who} under load",
                new.megabytes,
                "MB",
                notes=f"{old.megabytes:.0f} MB before; "
                f"handles {old.handles} before, {new.handles} now; "
                f"{100 * (new.cpu_seconds - old.cpu_seconds) / (new.at - old.at):.0f} % of a core",
            )

    async def _stop(self, server: Running) -> None:
        """ctrl-C. The clients must go on reading meanwhile."""
        began = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        await asyncio.to_thread(server.process.wait, STOP_SECONDS)
        self._add(
            "ctrl-C to the end of the process",
            time.monotonic() - began,
            "s",
            notes="the running job ends first",
        )

    async def _resume(self, clients: list[Client]) -> None:
        """The same folder, the same port; then everyone cancels."""
        living = [
            (client, identity)
            for client in clients
            for identity, job in client.jobs.items()
            if not job.ends
        ]
        kept = _count_queued(self.folder / "data" / "journal.sqlite3")
        self._add(
            "jobs lost by the stop",
            abs(len(living) - kept),
            "jobs",
            0,
            f"{kept} wait in the journal",
        )
        with serving(self.setting, self.folder, *self.flags):
            wait_for_end = len(self.order)
            began = time.monotonic()
            while len(self.order) == wait_for_end:
                await asyncio.sleep(0.05)
                if time.monotonic() - began > STOP_SECONDS:
                    raise BenchmarkError("nothing was resumed")
            for client in clients:
                client.say("cancel/all")
            for client, identity in living:
                await client.wait_for_end(identity)
            await asyncio.sleep(2.0)  # for repeats that were on their way
        sent = [job for client in clients for job in client.jobs.values()]
        self._add(
            "jobs without exactly one end",
            sum(len(job.ends) != 1 for job in sent),
            "jobs",
            0,
            f"of {len(sent)}; {sum('' in job.ends.values() for job in sent)} done, "
            "the others cancelled at last",
        )

    def _add(
        self, name: str, value: float, unit: str, goal: float | None = None, notes: str = ""
    ) -> None:
        self.figures.append(Figure(name, value, unit, goal, notes))


async def _send(client: Client, count: int, region: str) -> list[Sent]:
    return [await client.edit(f"job-{number}", region, WORDS, steps=1) for number in range(count)]


def _count_queued(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as journal:
        return journal.execute("select count(*) from jobs where state = 'queued'").fetchone()[0]


def _idle(setting: Setting) -> list[Figure]:
    """Nobody speaks; HTTP is on."""
    with running(setting, "--http-port=21022") as server:
        time.sleep(min(SETTLE_SECONDS, setting.sizes.idle_seconds))
        processes = {"server": server.process.pid, "worker": worker_of(server.process.pid)}
        before = {who: sample(pid) for who, pid in processes.items()}
        time.sleep(setting.sizes.idle_seconds)
        after = {who: sample(pid) for who, pid in processes.items()}
    figures = []
    for who in processes:
        seconds = after[who].at - before[who].at
        percent = 100 * (after[who].cpu_seconds - before[who].cpu_seconds) / seconds
        wake_ups = (after[who].wake_ups - before[who].wake_ups) / seconds
        figures.append(
            Figure(
                f"idle {who}",
                percent,
                "% of a core",
                GOAL_IDLE_PERCENT,
                f"over {seconds:.0f} s; {wake_ups:.2g} wake-ups a second",
            )
        )
    return figures
