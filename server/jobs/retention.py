"""Which takes are kept? All, until they are too many, too large or too old; then the oldest go.

The limits are `keep_gb`, `keep_days` and MAX_JOBS. These never go: the take in use, what runs or
waits, what ended a moment ago, and a take whose stem is somebody's region. Copies that a client
asked for with `out` are the client's. The journal agrees first (`pruned`, see its rule 4); after a
crash between that and the files, the next pass goes on.

Days are believed only after the clock has gone steadily for an hour: one that starts in the wrong
year must not delete anything.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from server.jobs.journal import EndedJob, Journal
from server.threads import SerialExecutor

log = logging.getLogger(__name__)

WATCH_SECONDS = 600.0
MAX_JOBS = 100_000  # rows of the journal, about 2 kB each; failed jobs have no files but cost one
DAY_SECONDS = 24 * 3600.0
STEADY_SECONDS = 3600.0
JUMP_SECONDS = 60.0  # more between the two clocks is no drift


class SteadyClock:
    """Finds out whether the calendar can be believed. `now` and `monotonic`: clocks in seconds."""

    def __init__(
        self, now: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.now, self._monotonic = now, monotonic
        self._steady_since = self._seen = monotonic()
        self._apart = now() - monotonic()

    @property
    def is_steady(self) -> bool:
        """Whether both clocks have gone together for an hour, as far as the calls could see."""
        seen = self._monotonic()
        apart = self.now() - seen
        if abs(apart - self._apart) > JUMP_SECONDS:
            log.warning(
                "the clock jumped by %.0f s; takes are not judged by their age for a while",
                apart - self._apart,
            )
            self._steady_since = seen
        self._apart = apart
        return seen - self._steady_since >= STEADY_SECONDS


class Retention:
    """Forgets old takes. Belongs to the event loop's thread.

    0 days or GB: no limit. `spared` names jobs that must stay.
    """

    def __init__(
        self,
        journal: Journal,
        journal_thread: SerialExecutor,
        file_threads: SerialExecutor,
        takes: Path,
        keep_days: int,
        keep_gb: int,
        spared: Callable[[], set[str]],
        clock: SteadyClock | None = None,
    ) -> None:
        self._journal, self._journal_thread = journal, journal_thread
        self._file_threads, self._takes = file_threads, takes
        self._keep_seconds, self._keep_bytes = keep_days * DAY_SECONDS, keep_gb * 10**9
        self._spared, self._clock = spared, clock or SteadyClock()
        self.kept_jobs = self.kept_bytes = 0  # after the last pass

    async def prune(self) -> int:
        """Make one pass. Returns how many jobs were forgotten. Raises sqlite3.Error."""
        is_steady = self._clock.is_steady
        jobs = await self._journal_thread(self._journal.list_ended)
        sizes = await self._file_threads(_measure, self._takes, [each.job for each in jobs])
        oldest = (
            self._clock.now() - self._keep_seconds
            if self._keep_seconds and is_steady
            else float("-inf")
        )
        pruned = choose(jobs, sizes, oldest, self._keep_bytes or float("inf"), self._spared())
        await self._journal_thread(self._journal.mark_pruned, pruned)
        marked = await self._journal_thread(self._journal.list_pruned)
        gone = await self._file_threads(_delete, self._takes, marked)
        await self._journal_thread(self._journal.drop_pruned, gone)
        kept = [sizes[job] for job in sizes.keys() - set(gone)]
        self.kept_jobs, self.kept_bytes = len(kept), sum(kept)
        if gone:
            log.info("%d old jobs and their takes are forgotten", len(gone))
        return len(gone)


def choose(
    jobs: list[EndedJob],
    sizes: dict[str, int],
    oldest: float,
    keep_bytes: float,
    spared: set[str],
    max_jobs: int = MAX_JOBS,
) -> list[str]:
    """The jobs that go.

    `jobs`: oldest first. `sizes`: bytes of their files. `oldest`: arrival of the first that may
    stay, in seconds since 1970. `spared`: jobs that must stay.
    """
    chosen: list[str] = []
    left_bytes, left_jobs = sum(sizes.values()), len(jobs)
    for job, created, is_in_use in jobs:
        is_too_much = left_bytes > keep_bytes or left_jobs > max_jobs
        if (is_too_much or created < oldest) and not is_in_use and job not in spared:
            chosen.append(job)
            left_bytes -= sizes.get(job, 0)
            left_jobs -= 1
    return chosen


def owner(path: str, takes: Path) -> str:
    """The job in whose folder a file lies; empty where it lies elsewhere."""
    try:
        return Path(path).relative_to(takes).parts[0]
    except (ValueError, IndexError):
        return ""


def _measure(takes: Path, jobs: Iterable[str]) -> dict[str, int]:
    """Bytes of each job's files."""
    return {
        job: sum(
            _size(Path(folder) / name)
            for folder, _, names in os.walk(takes / job)
            for name in names
        )
        for job in jobs
    }


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # gone meanwhile
        return 0


def _delete(takes: Path, jobs: Iterable[str]) -> list[str]:
    """Delete the folders.

    Returns the jobs that have none any more; the others are tried again next time.
    """
    gone = []
    for job in jobs:
        try:
            shutil.rmtree(takes / job)
        except FileNotFoundError:
            pass
        except OSError as error:  # a read-only disk, or Windows while somebody plays the stem
            log.warning("a take is not deleted yet", extra={"job": job, "reason": error})
            continue
        gone.append(job)
    return gone
