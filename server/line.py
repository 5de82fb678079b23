"""Who is next? Higher priority first. Among equals clients take turns, whoever was served longest ago first; the jobs
of one client keep their order.

    waiting      a1 a2 a3 b1 c1     (a, b, c: clients; b was served last, a before that, c never)
    they run as  c1 a1 b1 a2 a3
So who sends a thousand jobs delays others by one job at a time. Belongs to the event loop's thread.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from itertools import groupby

from server.jobs import RUNNING, Book, Job

MAX_CLIENTS = 4096  # whose last turn is remembered; the others count as never served


class Line:
    """The jobs of a book that wait, in the order in which they will run unless others come."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._turns = 0
        self._served: OrderedDict[str, int] = OrderedDict()  # client -> number of its last turn
        self._order: list[Job] = []
        self._places: dict[Job, int] = {}
        self._known = (-1, -1)  # the state of the book and the turn that _order is of

    def begin(self, job: Job) -> None:
        """It runs now: its client has had a turn."""
        self._turns += 1
        self._served[job.record.client] = self._turns
        self._served.move_to_end(job.record.client)
        if len(self._served) > MAX_CLIENTS:
            self._served.popitem(last=False)

    def first(self) -> Job | None:
        """Whose turn it is."""
        self._look()
        return next((job for job in self._order if not job.is_ending), None)

    def place(self, job: Job) -> int:
        """How many of those that wait come before it."""
        self._look()
        return self._places.get(job, 0)

    def _look(self) -> None:
        now = (self._book.version, self._turns)
        if now != self._known:
            waiting = [job for job in self._book.living() if job.state != RUNNING and not job.is_ending]
            self._order = in_turns(waiting, self._served)
            self._places = {job: place for place, job in enumerate(self._order)}
            self._known = now


def in_turns(jobs: Iterable[Job], served: Mapping[str, int]) -> list[Job]:
    """The jobs in the order of the module's rule. `served`: client -> number of its last turn."""
    turns, order = dict(served), []
    latest = max(turns.values(), default=0) + 1
    for _, equals in groupby(sorted(jobs, key=_rank), key=_priority):
        for job in _round_robin(list(equals), turns):
            turns[job.record.client] = latest + len(order)
            order.append(job)
    return order


def _round_robin(jobs: list[Job], turns: Mapping[str, int]) -> list[Job]:
    rounds: Counter[str] = Counter()
    first: dict[str, int] = {}
    keys = {}
    for job in jobs:
        client = job.record.client
        keys[job] = rounds[client], turns.get(client, 0), first.setdefault(client, job.order)
        rounds[client] += 1
    return sorted(jobs, key=keys.__getitem__)


def _rank(job: Job) -> tuple[int, int]:
    return -_priority(job), job.order


def _priority(job: Job) -> int:
    return job.spec.get("priority", 0)
