"""What must survive a power cut: jobs, their results, their ends, and who the clients are.

Rule 1: a job stands here before it is acknowledged; a result and an end stand here before they are
    told.
Rule 2: at most once. A job is marked `running` before the worker hears of it. After a crash,
    `queued` means that no worker ever saw it, so it is resumed; `running` means that one may have
    begun, so it is never begun again: it has ended (its manifest, which the engine writes last, is
    in its folder) or it failed as interrupted.
Rule 3: `ends` has one row per job at most, and its row number is the serial that clients see.
Rule 4: a job that is forgotten (see `server.jobs.retention`) is first marked `pruned`, then its
    files go, then its rows. So a folder without rows is never ours to delete: a journal that was
    lost takes no takes with it.

Thread: one, always the same (see `server.threads`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from server.jobs.database import Database, JournalError
from server.jobs.records import EditRecord, End, JobRecord, ModelRecord, Result
from server.jobs.spec import JobSpec
from server.wire.known import KnownClient, KnownSession

__all__ = ["EndedJob", "Journal", "JournalError"]

MAX_CLIENTS = 4096  # registrations and named clients that are kept; the longest unheard go first


class EndedJob(NamedTuple):
    """A job that could be forgotten."""

    job: str
    created: float  # seconds since 1970
    in_use: bool  # the chosen take of its region


class Journal:
    """The records in the file at `path`. Raises JournalError."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path)

    def close(self) -> None:
        """Write everything into the file and let go of it."""
        self._database.close()

    def check(self) -> str:
        """SQLite's own judgement of the whole file: "ok", or what is wrong."""
        return self._database.check()

    def refill(self) -> None:
        """Put the reserve for a full disk back. Raises OSError where there is no room for it."""
        self._database.refill()

    # Jobs

    def add_job(self, record: EditRecord) -> None:
        """Accept a job. When this returns, it survives a power cut."""
        with self._database.transaction():
            self._database.run(
                "add_job",
                record.job,
                record.client,
                json.dumps(record.client_id),
                record.command,
                record.region,
                record.fingerprint,
                json.dumps(record.spec.to_json()),
                record.created,
            )

    def start_job(self, job: str, spec: JobSpec) -> None:
        """The worker hears of it next: from here on it is never begun again.

        `spec` names the file as it is since it has settled.
        """
        with self._database.transaction():
            self._database.run("start_job", time.time(), json.dumps(spec.to_json()), job)

    def add_result(self, job: str, result: Result) -> None:
        """Keep one finished file."""

        def write() -> None:
            with self._database.transaction():
                self._insert_result(job, result)

        self._database.write_even_when_full(write)

    def end_job(self, job: str, end: End, results: Iterable[Result] = ()) -> End:
        """Close a job and return its end with the serial. A job that has ended keeps its first."""
        results = tuple(results)
        ended = self._database.write_even_when_full(lambda: self._end_job(job, end, results))
        self._database.checkpoint()
        return ended

    def _end_job(self, job: str, end: End, results: tuple[Result, ...]) -> End:
        with self._database.transaction():
            if earlier := self.end_of(job):
                return earlier
            for result in results:
                self._insert_result(job, result)
            self._database.run(
                "add_end",
                job,
                end.code,
                end.message,
                end.seed,
                end.manifest,
                end.seconds,
                end.results,
            )
            self._database.run("close_job", "failed" if end.code else "done", job)
            written = self.end_of(job)
            assert written, "its row was just added"
            return written

    def _insert_result(self, job: str, result: Result) -> None:
        self._database.run(
            "add_result",
            job,
            result.index,
            result.stem,
            result.path,
            result.rate_hz,
            result.channels,
            result.frames,
            result.start_seconds,
            result.beats_start,
        )

    def counts(self) -> dict[str, int]:
        """How many jobs stand in each state."""
        return {
            **dict.fromkeys(("queued", "running", "done", "failed"), 0),
            **dict(self._database.run("count_jobs")),
        }

    def list_unfinished(self) -> list[EditRecord]:
        """Queued and running jobs in the order of their arrival."""
        return self._list_jobs("list_unfinished")

    def find(self, client: str, client_id: int | str) -> EditRecord | None:
        """The client's latest job of this id."""
        records = self._list_jobs("find_job_by_id", client, json.dumps(client_id))
        return records[0] if records else None

    def job(self, job: str) -> EditRecord | None:
        """A job by our own name."""
        records = self._list_jobs("find_job", job)
        return records[0] if records else None

    def results(self, job: str) -> list[Result]:
        """What a job has made so far, in order."""
        return [Result(*row) for row in self._database.run("list_results", job)]

    def end_of(self, job: str) -> End | None:
        """How a job ended, None while it lives."""
        row = self._database.run("find_end", job).fetchone()
        return End(*row) if row else None

    def rename_client(self, jobs: Iterable[str], client: str) -> None:
        """A client that was known by its address has told its name: its jobs follow."""
        with self._database.transaction():
            self._database.run_for_each("rename_client", [(client, job) for job in jobs])

    def _list_jobs(self, query: str, *values: Any) -> list[EditRecord]:
        return [_to_record(row) for row in self._database.run(query, *values)]

    # Takes: jobs that have made something

    def takes(self, client: str, region: str, at_most: int) -> list[tuple[EditRecord, End]]:
        """The client's takes, newest first; of all regions when `region` is empty."""
        records = self._list_jobs("list_takes", client, region, region, at_most)
        ends = ((record, self.end_of(record.job)) for record in records)
        return [(record, end) for record, end in ends if end]

    def use_take(self, record: EditRecord | ModelRecord) -> None:
        """Mark one take of its region as the chosen one."""
        with self._database.transaction():
            self._database.run("use_take", record.job, record.client, record.region)

    # Forgetting

    def list_ended(self) -> list[EndedJob]:
        """Jobs that could be forgotten, oldest first."""
        rows = self._database.run("list_ended")
        return [EndedJob(job, created, bool(in_use)) for job, created, in_use in rows]

    def mark_pruned(self, jobs: Iterable[str]) -> None:
        """From here on these are forgotten, though their files may be there. No take in use is."""
        with self._database.transaction():
            self._database.run_for_each("mark_pruned", [(job,) for job in jobs])

    def list_pruned(self) -> list[str]:
        """Jobs whose files are to be deleted, maybe since an earlier run of the server."""
        return [job for (job,) in self._database.run("list_pruned")]

    def drop_pruned(self, jobs: Iterable[str]) -> None:
        """Their files are gone: so are they."""
        rows = [(job,) for job in jobs]
        with self._database.transaction():
            for query in ("drop_results", "drop_end", "drop_job"):
                self._database.run_for_each(query, rows)

    # Clients

    def remember_client(self, known: KnownClient) -> None:
        """Keep a registration, so that a patch need not notice that the server was restarted."""
        values = (known.address, known.client, known.reply_port, known.level, time.time())
        with self._database.transaction():
            self._database.run("remember_client", *values)
            self._database.run("drop_old_clients", MAX_CLIENTS)

    def remember_session(self, known: KnownSession) -> None:
        """Keep what a client has set."""
        values = (known.client, known.number, json.dumps(known.state), time.time())
        with self._database.transaction():
            self._database.run("remember_session", *values)
            self._database.run("drop_old_sessions", MAX_CLIENTS)

    def forget_client(self, address: str) -> None:
        """Drop a registration."""
        with self._database.transaction():
            self._database.run("forget_client", address)

    def clients(self, within_seconds: float) -> list[KnownClient]:
        """Registrations, the latest last, without those made so long before the latest.

        They are not compared with the present: a clock that is wrong at the start would forget all.
        """
        return [KnownClient(*row) for row in self._database.run("list_clients", within_seconds)]

    def sessions(self) -> list[KnownSession]:
        """What clients have set, the latest last."""
        rows = self._database.run("list_sessions")
        return [KnownSession(client, number, json.loads(state)) for client, number, state in rows]


def _to_record(row: tuple[Any, ...]) -> EditRecord:
    job, client, client_id, command, region, fingerprint, spec, created, state, started, in_use = (
        row
    )
    return JobRecord(
        job,
        client,
        json.loads(client_id),
        command,
        region,
        fingerprint,
        JobSpec.from_json(json.loads(spec)),
        created,
        state,
        started or 0.0,
        bool(in_use),
    )
