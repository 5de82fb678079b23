"""kill -9, of server and worker, at any moment of any job; then the books are audited.

Clients behave as real ones do: each says its /edit until it is acknowledged, and asks after a job
until it has heard the end. What must hold is in `audit`.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass, field

from server.jobs.journal import Journal
from tests.server.clients import write_wav
from tests.server.machine import Machine

CLIENTS = 3
SAY_AGAIN_SECONDS = 0.3
SETTLE_SECONDS = 200.0  # beside other work
TEXTS = ("copy", "copy", "slow 2", "slow 8", "unwritten", "die", "fail bad_audio")
ENDED = ("done", "failed")


@dataclass
class Figures:
    """What happened. `ends`: how the jobs ended, by code; empty: done."""

    server_kills: int = 0
    worker_kills: int = 0
    jobs: int = 0
    runs: int = 0
    ends: Counter = field(default_factory=Counter)
    seconds: float = 0.0

    def __iadd__(self, other):
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


class Storm:
    """One server's hard life. The same seed makes the same jobs and draws the same moments."""

    def __init__(self, folder, seed, jobs, kills):
        self.dice, self.kills = random.Random(seed), kills
        self.audio = write_wav(folder / "region.wav")
        self.machine = Machine(folder / "data", folder)
        self.todo = [
            (number, self.dice.choice(TEXTS), self.dice.choice((1, 1, 2)))
            for number in range(1, jobs + 1)
        ]
        self.figures = Figures(jobs=jobs)
        self.is_over = False

    async def run(self):
        """Returns the figures. AssertionError where a rule was broken."""
        began = time.monotonic()
        try:
            port = await self.machine.start()
            self.clients = [await self.machine.client(port) for _ in range(CLIENTS)]
            waiting = [asyncio.create_task(self.see_through(*job)) for job in self.todo]
            await self.kill_again_and_again()
            self.is_over = True  # now clients cancel what would wait for ever
            await asyncio.wait_for(asyncio.gather(*waiting), SETTLE_SECONDS)
            self.audit()
        finally:
            self.machine.close()
        self.figures.seconds = time.monotonic() - began
        return self.figures

    # Clients

    def of(self, number):
        return self.clients[number % CLIENTS]

    async def see_through(self, number, text, takes):
        """Say one job until it has ended; now and then somebody changes his mind."""
        await asyncio.sleep(self.dice.random() * self.kills * 0.5)
        client, cancels = self.of(number), self.dice.random() < 0.1
        while not client.ends(number):
            if client.all("ack", id=number):
                client.say(
                    "cancel" if cancels or (self.is_over and text == "unwritten") else "job/query",
                    number,
                )
            else:
                client.say("edit", number, str(self.audio), text, takes=takes)
            await asyncio.sleep(SAY_AGAIN_SECONDS)
        client.say("got", number, client.ends(number)[0].values["serial"])

    # The killer

    async def kill_again_and_again(self):
        for _ in range(self.kills):
            await asyncio.sleep(self.dice.random())
            if self.dice.random() < 0.5:
                await self.kill_server()
            else:
                self.kill_worker()

    async def kill_server(self):
        self.machine.kill()
        self.figures.server_kills += 1
        check_journal(self.machine.paths.journal)
        port = await self.machine.start(self.clients[0].server[1])
        for client in self.clients:
            client.server = ("127.0.0.1", port)

    def kill_worker(self):
        with contextlib.suppress(ProcessLookupError):
            if worker := self.machine.worker():
                os.kill(worker, signal.SIGKILL)
                self.figures.worker_kills += 1

    # The books

    def audit(self):
        """No finished take lost, no job run twice, exactly one end each, the journal whole."""
        self.machine.kill()
        check_journal(self.machine.paths.journal)
        runs = self.machine.runs()
        self.figures.runs = len(runs)
        twice = [run for run, times in Counter(runs).items() if times > 1]
        assert not twice, f"run twice: {twice}"
        for number, _, _ in self.todo:
            ends = {(end.address, end.values["serial"]) for end in self.of(number).ends(number)}
            assert len(ends) == 1, f"job {number} has {len(ends)} ends: {ends}"
            self.figures.ends[self.of(number).ends(number)[0].values.get("code", "")] += 1
        journal = Journal(self.machine.paths.journal)
        try:
            self.audit_takes(journal)
        finally:
            journal.close()

    def audit_takes(self, journal):
        names = {ack.values["job"] for client in self.clients for ack in client.all("ack")}
        for name in names:
            record, results = journal.job(name), journal.results(name)
            assert record.state in ENDED, f"{name} is {record.state}"
            assert all(
                os.path.getsize(result.path) == self.audio.stat().st_size for result in results
            )
            folder = self.machine.paths.takes / name
            finished = list(folder.rglob("manifest.json"))
            assert len(results) == len(finished), (
                f"{name}: {len(finished)} takes are finished, {len(results)} kept"
            )
            made = {
                stem["path"] for path in finished for stem in json.loads(path.read_text())["stems"]
            }
            assert made == {result.path for result in results}
            assert (journal.end_of(name).code == "") <= (len(results) == record.spec.takes)


def check_journal(path):
    """SQLite's own check, on a journal whose server is dead."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        verdict = db.execute("pragma integrity_check").fetchall()
    assert verdict == [("ok",)], verdict
