"""A job in memory, and the registry of them all. What must survive is in the journal."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Any

from server.jobs.records import EditRecord, End, ModelRecord, Result
from server.jobs.spec import JobSpec, ModelSpec
from server.wire.sessions import Peer

KEEP_SECONDS = 600.0  # ended jobs are answered from memory for so long, after that from the journal
KEEP_AT_MOST = 256

ACCEPTING, SETTLING, QUEUED, RUNNING, ENDED = "accepting", "settling", "queued", "running", "ended"


@dataclass(eq=False)
class Job:
    """One request that takes a while. `peer` hears about it; None: nobody does at the moment."""

    record: EditRecord | ModelRecord
    peer: Peer | None
    state: str = ACCEPTING
    fraction: float = 0.0
    stage: str = "queued"
    eta_seconds: float = -1.0
    results: list[Result] = field(default_factory=list)
    end: End | None = None
    stop_reason: tuple[str, str] | None = None  # (code, message) of the end that was asked for
    is_ending: bool = False
    order: int = 0
    reported_at: float = 0.0  # monotonic: when its client last heard of it
    accepted_at: float = field(default_factory=time.monotonic)  # no change of the clock moves it
    ended_at: float = 0.0  # monotonic
    load_seconds: float = 0.0
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        """The server's name of it."""
        return self.record.job

    @property
    def client_id(self) -> int | str:
        """What the client calls it."""
        return self.record.client_id

    @property
    def spec(self) -> JobSpec | ModelSpec:
        """What it is asked to do."""
        return self.record.spec

    @property
    def op(self) -> str:
        """What it does: edit, load or unload. Only edits stand in the journal."""
        return self.record.spec.op

    @property
    def is_alive(self) -> bool:
        """Whether its end is still to come."""
        return self.state != ENDED

    @property
    def public_state(self) -> str:
        """One of osc_protocol.JOB_STATES."""
        if self.end is None:
            return "running" if self.state == RUNNING else "queued"
        return {"": "done", "cancelled": "cancelled"}.get(self.end.code, "failed")

    def advance(self, fraction: float, stage: str, eta_seconds: float) -> None:
        """Take a report. Progress never falls, and is 1 only when the job has ended."""
        if fraction >= 0:
            self.fraction = max(self.fraction, min(fraction, 0.999))
        elif self.fraction == 0:
            self.fraction = -1.0
        self.stage, self.eta_seconds = stage, eta_seconds


class JobRegistry:
    """Living jobs, and those that ended a short while ago. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._by_name: OrderedDict[str, Job] = OrderedDict()
        self._by_id: dict[tuple[str, str], Job] = {}
        self._ended: OrderedDict[str, Job] = OrderedDict()
        self.version = 0  # grows with every change of which jobs there are and whose

    def add(self, job: Job) -> None:
        """Add a new job; it takes the place of a forgotten one with the same id."""
        self._by_name[job.name] = job
        self._by_id[_key(job)] = job
        self.version += 1

    def find(self, client: str, client_id: int | str) -> Job | None:
        """The client's job of this id, or the job with this name."""
        self.forget_old()
        job = self._by_id.get((client, json.dumps(client_id)))
        return job or (self._by_name.get(client_id) if isinstance(client_id, str) else None)

    def close(self, job: Job) -> None:
        """A job has ended; keep it for a while, because its client may ask again."""
        job.state, job.ended_at = ENDED, time.monotonic()
        job.ended.set()
        self.version += 1
        self._ended[job.name] = job
        self.forget_old()

    def drop(self, job: Job) -> None:
        """Forget a job."""
        self._by_name.pop(job.name, None)
        self.version += 1
        if self._by_id.get(_key(job)) is job:
            del self._by_id[_key(job)]

    def forget_old(self) -> None:
        """Forget jobs that ended long ago. The journal keeps them."""
        now = time.monotonic()
        while self._ended:
            oldest = next(iter(self._ended.values()))
            if len(self._ended) <= KEEP_AT_MOST and now - oldest.ended_at <= KEEP_SECONDS:
                return
            self._ended.popitem(last=False)
            self.drop(oldest)

    def living(self, client: str = "") -> list[Job]:
        """Jobs whose end is still to come, of one client or of all."""
        return [
            job
            for job in self._by_name.values()
            if job.is_alive and client in ("", job.record.client)
        ]

    def all(self) -> list[Job]:
        """Living jobs and those that ended a short while ago."""
        return list(self._by_name.values())

    def rename(self, before: str, after: str) -> list[str]:
        """Jobs follow a client that has told its name. Returns our names of them."""
        moved = [job for job in self._by_name.values() if job.record.client == before]
        for job in moved:
            self._by_id.pop(_key(job), None)
            job.record = replace(job.record, client=after)
            self._by_id.setdefault(_key(job), job)
        self.version += 1
        return [job.name for job in moved]


def log_fields(job: Job) -> dict[str, Any]:
    """The fields of a log line about a job."""
    return {
        "job": job.name,
        "id": job.client_id,
        "client": job.record.client,
        "verb": job.record.command,
    }


def _key(job: Job) -> tuple[str, str]:
    # as JSON: 7 and "7" differ, 7 and 7.0 came in equal
    return job.record.client, json.dumps(job.client_id)


def new_name() -> str:
    """A job's name on the server. It cannot be guessed: whoever knows it may ask about the job."""
    return "job-" + secrets.token_hex(8)


def fingerprint(command: str, parts: dict[str, Any]) -> str:
    """Equal for a request that is sent again, different for another request under the same id."""
    return hashlib.sha256(json.dumps([command, parts], sort_keys=True).encode()).hexdigest()


def region_name(path: str, start_seconds: float, length_seconds: float) -> str:
    """What /take/list calls a region: the same file and the same limits give the same name."""
    limits = f"{path}|{start_seconds:.6f}|{length_seconds:.6f}"
    return "region-" + hashlib.sha256(limits.encode()).hexdigest()[:16]
