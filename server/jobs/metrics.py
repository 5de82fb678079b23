"""What a server counts while it works, for Prometheus.

Names, labels and units: docs/observability.md. What can be looked up when somebody asks is in
`server.http.gauges`. Rule: no label holds what a client chose (a name, an id, a text), so that
nobody can make the table grow. Belongs to the event loop's thread.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram

from osc_protocol import ADDRESSES, ERROR_CODES, ROOT, STAGES
from server.jobs.job import Job

MILLISECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2)
SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600)
OTHER = "other"  # the label of what is not in our tables
JOB_VERBS = frozenset(("edit", "say", "again", "capture"))  # those that are answered with an /ack


@dataclass
class _Stage:
    name: str
    since: float  # monotonic


class Metrics:
    """The registry of one server, and the methods that move its counters."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._stages: dict[Job, _Stage] = {}
        self._requests = Counter(
            "retimbre_requests",
            "Messages of clients that were answered.",
            ["verb", "code"],
            registry=registry,
        )
        self._ack = Histogram(
            "retimbre_ack_seconds",
            "From the arrival of a request for a job to its answer.",
            buckets=MILLISECONDS,
            registry=registry,
        )
        self._ended = Counter(
            "retimbre_jobs_ended",
            "Jobs that have ended: done, cancelled, or an error's code.",
            ["code"],
            registry=registry,
        )
        self._wait = Histogram(
            "retimbre_queue_wait_seconds",
            "From a job's acceptance to its turn.",
            buckets=SECONDS,
            registry=registry,
        )
        self._turnaround = Histogram(
            "retimbre_turnaround_seconds",
            "From a job's acceptance to its end, when done.",
            buckets=SECONDS,
            registry=registry,
        )
        self._stage = Histogram(
            "retimbre_stage_seconds",
            "How long a job was in a stage of the engine.",
            ["stage"],
            buckets=SECONDS,
            registry=registry,
        )
        self._starts = Counter(
            "retimbre_worker_starts", "How often an engine worker has come up.", registry=registry
        )

    def observe_answer(self, address: str, code: str, seconds: float) -> None:
        """A message was answered. `code`: of its error, else empty."""
        verb = address.removeprefix(f"{ROOT}/") if address in ADDRESSES else OTHER
        self._requests.labels(verb, _label_of(code) if code else "ok").inc()
        if verb in JOB_VERBS and not code:
            self._ack.observe(seconds)

    def observe_start(self, job: Job) -> None:
        """A job has begun to run."""
        self._wait.observe(max(0.0, time.monotonic() - job.accepted_at))

    def enter_stage(self, job: Job, stage: str) -> None:
        """A job has entered a stage; empty: it has left its last one."""
        now, before = time.monotonic(), self._stages.pop(job, None)
        if before:
            self._stage.labels(before.name).observe(now - before.since)
        if stage:
            self._stages[job] = _Stage(stage if stage in STAGES else OTHER, now)

    def observe_end(self, job: Job, code: str, seconds: float) -> None:
        """A job has ended. `code`: of its error, else empty."""
        self.enter_stage(job, "")
        self._ended.labels(_label_of(code) if code else "done").inc()
        if not code:
            self._turnaround.observe(seconds)

    def observe_worker_start(self) -> None:
        """A worker has come up."""
        self._starts.inc()


def _label_of(code: str) -> str:
    return code if code in ERROR_CODES else OTHER
