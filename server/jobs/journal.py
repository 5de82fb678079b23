"""What must survive a power cut: jobs, their results, their ends, and who the clients are. One
SQLite file.

Rule 1: a job stands here before it is acknowledged; a result and an end stand here before they are
told.
Rule 2: at most once. A job is marked `running` before the worker hears of it. After a crash, `queued` means that
    no worker ever saw it, so it is resumed; `running` means that one may have begun, so it is never begun again:
    it has ended (its manifest, which the engine writes last, lies in its folder) or it failed as interrupted.
Rule 3: `ends` has one row per job at most, and its row number is the serial that clients see.

Rule 4: a job that is forgotten (see `server.jobs.retention`) is first marked `pruned`, then its files go, then its rows.
    So a folder without rows is never ours to delete: a journal that was lost takes no takes with it.

Every commit is on the disk when it returns (WAL, synchronous FULL). A small reserve file beside it
is given up when the disk is full, so that jobs that end then can still say so. The file is locked
exclusively while open: a second server on the same data folder is refused, and the lock goes with
the process, however that ends. Thread: one, always the same (see `server.threads`).
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from server.errors import to_error
from server.wire.known import KnownClient, KnownSession

T = TypeVar("T")

SCHEMA_VERSION = 2
RESERVE_BYTES = 2**20  # a few hundred ends
ENDS_BETWEEN_FOLDS = 50  # a job leaves about 30 pages of 4 KB in the log: 6 MB
MOST_LOG_PAGES = 16_384  # 64 MB, whoever wrote them
MAX_CLIENTS = 4096  # registrations and named clients that are kept; the longest unheard go first
SCHEMA = """
create table jobs (
    number integer primary key,         -- order of arrival
    job text not null unique,           -- our name
    client text not null,               -- who, see server.wire.sessions
    client_id text not null,            -- theirs, as JSON: 7 and "7" differ
    command text not null,
    region text not null,
    fingerprint text not null,          -- of the request, to tell a repeat from a re-used id
    spec text not null,                 -- JSON: all it takes to run it
    state text not null,                -- queued, running, done, failed
    created real not null,              -- seconds since 1970
    started real,
    in_use integer not null default 0,  -- chosen with /take/use
    pruned integer not null default 0   -- its files are being deleted, then this row
);
create index jobs_by_id on jobs (client, client_id);
create index jobs_by_region on jobs (client, region);
create index jobs_by_state on jobs (state);
create table results (
    job text not null references jobs (job),
    position integer not null,
    stem text not null,
    path text not null,
    rate_hz integer not null,
    channels integer not null,
    frames integer not null,
    start_seconds real not null,
    beats_start real not null,
    primary key (job, position)
);
create table ends (
    serial integer primary key autoincrement,
    job text not null unique references jobs (job),
    code text not null,                 -- empty: done
    message text not null,
    seed integer not null,
    manifest text not null,
    seconds real not null,
    results integer not null
);
create table clients (
    address text primary key,           -- where its messages come from
    client text not null,
    reply_port integer not null,
    level integer not null,
    seen real not null
);
create table sessions (
    client text primary key,
    number integer not null,
    state text not null,                -- JSON: what /set and /region have set
    seen real not null
);
"""
UPGRADES = {
    1: """
alter table jobs add column pruned integer not null default 0;
create table sessions (client text primary key, number integer not null, state text not null, seen real not null);
insert or replace into sessions select client, number, state, seen from clients order by seen;
create table clients2 (address text primary key, client text not null, reply_port integer not null,
    level integer not null, seen real not null);
insert into clients2 select address, client, reply_port, level, seen from clients;
drop table clients;
alter table clients2 rename to clients;
"""
}


class JournalError(RuntimeError):
    """The journal cannot be opened; the text says what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class JobRecord:
    """A job as it was accepted. `created`: seconds since 1970."""

    job: str
    client: str
    client_id: int | str
    command: str
    region: str
    fingerprint: str
    spec: dict[str, Any]
    created: float
    state: str = "queued"
    started: float = 0.0
    in_use: bool = False


@dataclass(frozen=True)
class Result:
    """One file that a job made."""

    index: int
    stem: str
    path: str
    rate_hz: int
    channels: int
    frames: int
    start_seconds: float
    beats_start: float = 0.0


@dataclass(frozen=True)
class End:
    """How a job ended; an empty code means done. `serial` is given by the journal."""

    code: str = ""
    message: str = ""
    seed: int = 0
    manifest: str = ""
    seconds: float = 0.0
    results: int = 0
    serial: int = 0


_OLDEST_OUT = (
    "delete from {0} where {1} in (select {1} from {0} order by seen desc limit -1 offset ?)"
)
_JOB_COLUMNS = (
    "job, client, client_id, command, region, fingerprint, spec, created, state, started, in_use"
)
_END_COLUMNS = "code, message, seed, manifest, seconds, results, serial"


class Journal:
    """The open file. All methods belong to the journal's thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._unfolded = 0  # ends since the log was last written into the file
        self._db = sqlite3.connect(path, isolation_level=None, timeout=0.5)
        try:
            self._open()
        except sqlite3.Error as error:
            self._db.close()
            raise _complaint(path, error) from error
        except JournalError:
            self._db.close()
            raise

    def _open(self) -> None:
        self._db.execute("pragma locking_mode = exclusive")
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = full")
        # before that, see `_fold`
        self._db.execute(f"pragma wal_autocheckpoint = {MOST_LOG_PAGES}")
        version = self._db.execute("pragma user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise JournalError(
                "not_ready",
                f"{self.path} was written by a newer retimbre (journal version {version}, "
                f"this one reads {SCHEMA_VERSION}); update, or choose another --data-dir",
            )
        with self._transaction():  # takes the exclusive lock, even where there is nothing to create
            for older in [0] if version == 0 else range(version, SCHEMA_VERSION):
                for statement in ({0: SCHEMA} | UPGRADES)[older].split(";\n"):
                    self._db.execute(statement)
            if version < SCHEMA_VERSION:
                self._db.execute(f"pragma user_version = {SCHEMA_VERSION}")

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of the lock."""
        self._db.close()

    def check(self) -> str:
        """SQLite's own judgement of the whole file: "ok", or what is wrong."""
        return self._db.execute("pragma integrity_check").fetchone()[0]

    # The reserve

    @property
    def _reserve(self) -> Path:
        return self.path.with_name("journal.reserve")

    def refill(self) -> None:
        """Put the reserve back. Raises OSError where there is no room for it."""
        if not self._reserve.exists():
            try:
                with open(self._reserve, "wb") as file:
                    file.write(b"\0" * RESERVE_BYTES)
                    os.fsync(file.fileno())
            except OSError:
                self._give_up_reserve()
                raise

    def _give_up_reserve(self) -> None:
        with contextlib.suppress(OSError):
            self._reserve.unlink(missing_ok=True)

    def _even_when_full(self, write: Callable[[], T]) -> T:
        """What must be written though the disk is full: the second try has the reserve's room."""
        try:
            return write()
        except sqlite3.Error as error:
            if to_error(error, "").code != "disk_full":
                raise
        self._give_up_reserve()
        return write()

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)

    # Jobs

    def add_job(self, record: JobRecord) -> None:
        """Accept a job. When this returns, it survives a power cut."""
        with self._transaction():
            self._db.execute(
                f"insert into jobs ({_JOB_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    record.job,
                    record.client,
                    json.dumps(record.client_id),
                    record.command,
                    record.region,
                    record.fingerprint,
                    json.dumps(record.spec),
                    record.created,
                    "queued",
                    None,
                    0,
                ),
            )

    def start_job(self, job: str, spec: dict[str, Any]) -> None:
        """The worker will hear of it next: from here on it is never begun again. `spec`: with the
        settled file.
        """
        with self._transaction():
            self._db.execute(
                "update jobs set state = 'running', started = ?, spec = ? where job = ?",
                (time.time(), json.dumps(spec), job),
            )

    def add_result(self, job: str, result: Result) -> None:
        """Keep one finished file."""
        self._even_when_full(lambda: self._add_result(job, result))

    def _add_result(self, job: str, result: Result) -> None:
        with self._transaction():
            self._insert_result(job, result)

    def end_job(self, job: str, end: End, results: Iterable[Result] = ()) -> End:
        """Close a job and return its end with the serial. A job that has ended keeps its first end."""
        ended = self._even_when_full(lambda: self._end_job(job, end, tuple(results)))
        self._fold()
        return ended

    def _fold(self) -> None:
        """Now and then the log is written into the file: here, for SQLite would do so at any
        commit, an ack's too.
        """
        self._unfolded += 1
        if self._unfolded >= ENDS_BETWEEN_FOLDS:
            with contextlib.suppress(sqlite3.Error):  # a full disk: the log still has everything
                self._db.execute("pragma wal_checkpoint(passive)")
            self._unfolded = 0

    def _end_job(self, job: str, end: End, results: tuple[Result, ...]) -> End:
        with self._transaction():
            earlier = self.end_of(job)
            if earlier:
                return earlier
            for result in results:
                self._insert_result(job, result)
            self._db.execute(
                "insert into ends (job, code, message, seed, manifest, seconds, results) values (?, ?, ?, ?, ?, ?, ?)",
                (job, end.code, end.message, end.seed, end.manifest, end.seconds, end.results),
            )
            self._db.execute(
                "update jobs set state = ? where job = ?", ("failed" if end.code else "done", job)
            )
            return self.end_of(job)

    def _insert_result(self, job: str, result: Result) -> None:
        self._db.execute(
            "insert or ignore into results values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                job,
                result.index,
                result.stem,
                result.path,
                result.rate_hz,
                result.channels,
                result.frames,
                result.start_seconds,
                result.beats_start,
            ),
        )

    def counts(self) -> dict[str, int]:
        """How many jobs stand in each state."""
        rows = self._db.execute("select state, count(*) from jobs where not pruned group by state")
        return {"queued": 0, "running": 0, "done": 0, "failed": 0, **dict(rows)}

    def unfinished(self) -> list[JobRecord]:
        """Queued and running jobs in the order of their arrival."""
        return self._jobs("where state in ('queued', 'running') order by number")

    def find(self, client: str, client_id: int | str) -> JobRecord | None:
        """The client's latest job of this id."""
        rows = self._jobs(
            "where client = ? and client_id = ? and not pruned order by number desc limit 1",
            client,
            json.dumps(client_id),
        )
        return rows[0] if rows else None

    def job(self, job: str) -> JobRecord | None:
        """A job by our own name."""
        rows = self._jobs("where job = ? and not pruned", job)
        return rows[0] if rows else None

    def results(self, job: str) -> list[Result]:
        """What a job has made so far, in order."""
        rows = self._db.execute(
            "select position, stem, path, rate_hz, channels, frames, start_seconds, beats_start "
            "from results where job = ? order by position",
            (job,),
        )
        return [Result(*row) for row in rows]

    def end_of(self, job: str) -> End | None:
        """How a job ended, None while it lives."""
        row = self._db.execute(f"select {_END_COLUMNS} from ends where job = ?", (job,)).fetchone()
        return End(*row) if row else None

    def _jobs(self, where: str, *values: Any) -> list[JobRecord]:
        return [
            _record(row)
            for row in self._db.execute(f"select {_JOB_COLUMNS} from jobs {where}", values)
        ]

    # Takes: jobs that have made something

    def takes(self, client: str, region: str, at_most: int) -> list[tuple[JobRecord, End]]:
        """The client's takes, newest first; of all regions when `region` is empty."""
        rows = self._jobs(
            "where client = ? and not pruned and (? = '' or region = ?) and exists (select 1 from ends "
            "where ends.job = jobs.job and ends.results > 0) order by number desc limit ?",
            client,
            region,
            region,
            at_most,
        )
        return [(record, self.end_of(record.job)) for record in rows]

    def use_take(self, record: JobRecord) -> None:
        """Mark one take of its region as the chosen one."""
        with self._transaction():
            self._db.execute(
                "update jobs set in_use = (job = ?) where client = ? and region = ?",
                (record.job, record.client, record.region),
            )

    # Forgetting

    def ended_jobs(self) -> list[tuple[str, float, bool]]:
        """(job, seconds since 1970 of its arrival, whether it is the chosen take), oldest first."""
        rows = self._db.execute(
            "select job, created, in_use from jobs where state in ('done', 'failed') "
            "and not pruned order by number"
        )
        return [(job, created, bool(in_use)) for job, created, in_use in rows]

    def mark_pruned(self, jobs: Iterable[str]) -> None:
        """From here on they are forgotten, though their files may still be there.

        Never a take in use.
        """
        with self._transaction():
            self._db.executemany(
                "update jobs set pruned = 1 where job = ? and not in_use "
                "and state in ('done', 'failed')",
                [(job,) for job in jobs],
            )

    def marked(self) -> list[str]:
        """Jobs whose files are to be deleted, maybe by an earlier life of this server."""
        return [
            job for (job,) in self._db.execute("select job from jobs where pruned order by number")
        ]

    def drop_pruned(self, jobs: Iterable[str]) -> None:
        """Their files are gone: so are they."""
        with self._transaction():
            for table in ("results", "ends", "jobs"):
                self._db.executemany(f"delete from {table} where job = ?", [(job,) for job in jobs])

    # Clients

    def remember_client(self, known: KnownClient) -> None:
        """Keep a registration, so that a patch need not notice that the server was restarted."""
        with self._transaction():
            self._db.execute(
                "insert or replace into clients values (?, ?, ?, ?, ?)",
                (known.address, known.client, known.reply_port, known.level, time.time()),
            )
            self._db.execute(_OLDEST_OUT.format("clients", "address"), (MAX_CLIENTS,))

    def remember_session(self, known: KnownSession) -> None:
        """Keep what a client has set."""
        with self._transaction():
            self._db.execute(
                "insert or replace into sessions values (?, ?, ?, ?)",
                (known.client, known.number, json.dumps(known.state), time.time()),
            )
            self._db.execute(_OLDEST_OUT.format("sessions", "client"), (MAX_CLIENTS,))

    def forget_client(self, address: str) -> None:
        """Drop a registration."""
        with self._transaction():
            self._db.execute("delete from clients where address = ?", (address,))

    def clients(self, within_seconds: float) -> list[KnownClient]:
        """Registrations, the latest last; those made long before the latest are not believed any
        more.

        Not long before now: a clock that is set wrong at the start would forget everyone.
        """
        rows = self._db.execute(
            "select address, client, reply_port, level from clients "
            "where seen > (select max(seen) from clients) - ? order by seen",
            (within_seconds,),
        )
        return [KnownClient(*row) for row in rows]

    def sessions(self) -> list[KnownSession]:
        """What clients have set, the latest last."""
        rows = self._db.execute("select client, number, state from sessions order by seen")
        return [KnownSession(client, number, json.loads(state)) for client, number, state in rows]

    def rename_client(self, jobs: Iterable[str], client: str) -> None:
        """A client that was known by its address has said its name: its jobs follow."""
        with self._transaction():
            self._db.executemany(
                "update jobs set client = ? where job = ?", [(client, job) for job in jobs]
            )


class _Transaction:
    """begin immediate ... commit, or rollback when the block raises."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("begin immediate")

    def __exit__(self, kind, error, trace) -> None:
        try:
            if not kind:
                self._db.execute("commit")
        finally:
            # a commit that fails on a full disk leaves the transaction open, or has rolled it back
            # already
            if self._db.in_transaction:
                self._db.execute("rollback")


def _record(row: tuple) -> JobRecord:
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
        json.loads(spec),
        created,
        state,
        started or 0.0,
        bool(in_use),
    )


def _complaint(path: Path, error: sqlite3.Error) -> JournalError:
    if "locked" in str(error):
        return JournalError(
            "busy",
            f"another retimbre server uses {path.parent}; stop it (retimbre status shows "
            "it), or give this one a --data-dir of its own",
        )
    if isinstance(error, sqlite3.OperationalError):
        refusal = to_error(error, f"{path} cannot be opened")
        return JournalError(refusal.code, refusal.message)
    return JournalError(
        "not_ready",
        f"{path} cannot be used as a journal ({error}); move it away and start again: "
        "the takes stay where they are",
    )
