"""Which job is next? Higher priority first. Among equals, clients take turns.

The client that has waited longest for a turn is first; the jobs of one client keep their order.

    waiting      a1 a2 a3 b1 c1     (a, b, c: clients; a had a turn just now, b has waited since
    they run as  b1 a1 c1 a2 a3      before, c came last; c1 before a1, if it came while a's ran)

So a client that sends a thousand jobs delays others by one job at a time, and a client that comes
later delays nobody who waits: not even when a new one comes every second. Belongs to the event
loop's thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby

from server.jobs.job import RUNNING, Job, JobRegistry

# the turn in which a client's wait began; True: it was its own turn, so clients that came then
# are before it
Since = tuple[int, bool]


class FairQueue:
    """The jobs of a registry that wait, in the order in which they will run unless others come."""

    def __init__(self, registry: JobRegistry) -> None:
        self._registry = registry
        self._turns = 0
        self._since: dict[str, Since] = {}  # of clients with jobs
        self._order: list[Job] = []
        self._positions: dict[Job, int] = {}
        self._known = (-1, -1)  # the state of the registry and the turn that _order is of

    def begin(self, job: Job) -> None:
        """A job runs now: its client has had a turn."""
        self._turns += 1
        self._since[job.record.client] = (self._turns, True)

    def first(self) -> Job | None:
        """The job whose turn it is."""
        self._update()
        return next((job for job in self._order if not job.is_ending), None)

    def position(self, job: Job) -> int:
        """How many of those that wait come before it."""
        self._update()
        return self._positions.get(job, 0)

    def _update(self) -> None:
        now = (self._registry.version, self._turns)
        if now != self._known:
            living = self._registry.living()
            self._since = {
                client: self._since.get(client, (self._turns, False))
                for client in {job.record.client for job in living}
            }
            waiting = [job for job in living if job.state != RUNNING and not job.is_ending]
            self._order = order_by_turns(waiting, self._since)
            self._positions = {job: position for position, job in enumerate(self._order)}
            self._known = now


def order_by_turns(jobs: Iterable[Job], since: Mapping[str, Since]) -> list[Job]:
    """The jobs in the order of the module's rule."""
    since = dict(since)
    order: list[Job] = []
    latest = max((turn for turn, _ in since.values()), default=0) + 1
    for _, equals in groupby(sorted(jobs, key=_rank), key=_priority):
        for job in _round_robin(list(equals), since):
            since[job.record.client] = (latest + len(order), True)
            order.append(job)
    return order


def _round_robin(jobs: list[Job], since: Mapping[str, Since]) -> list[Job]:
    rounds: Counter[str] = Counter()
    first: dict[str, int] = {}
    keys = {}
    for job in jobs:
        client = job.record.client
        keys[job] = (
            rounds[client],
            since.get(client, (0, False)),
            first.setdefault(client, job.order),
        )
        rounds[client] += 1
    return sorted(jobs, key=keys.__getitem__)


def _rank(job: Job) -> tuple[int, int]:
    return -_priority(job), job.order


def _priority(job: Job) -> int:
    return job.spec.priority
