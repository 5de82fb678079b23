"""What a server counts while it works, and what it can say about itself when asked: Prometheus'
metrics.

Names, labels and units: docs/observability.md. Counters and histograms are moved where things
happen (`Metrics`); what can be looked up (how many jobs wait, how much memory is used) is looked up
when somebody asks (`_Now`). Rule: no label holds what a client chose (a name, an id, a text), so
that nobody can make the table grow. Belongs to the event loop's thread.
"""

from __future__ import annotations

import platform
import shutil
import time
from collections import Counter as Tally
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from osc_protocol import ADDRESSES, ERROR_CODES, ROOT, STAGES, STATES
from osc_protocol.addresses import LIVE_STATES
from server import status
from server.jobs.job import ACCEPTING, QUEUED, RUNNING, SETTLING, Job

if TYPE_CHECKING:
    from server.app import Server

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

    def watch(self, server: Server) -> None:
        """From now on the registry also says what can be looked up in `server`."""
        self._now = _Now(server)
        self.registry.register(self._now)
        ProcessCollector("retimbre_server", registry=self.registry)
        ProcessCollector(
            "retimbre_worker",
            pid=lambda: getattr(server.executor, "pid", None) or -1,
            registry=self.registry,
        )

    async def text(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics in the format that the Accept header asks for, and its content type."""
        await self._now.look_at_disk()
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def answered(self, address: str, code: str, seconds: float) -> None:
        """A message was run. `code`: why it was refused, empty when it was not."""
        verb = address.removeprefix(f"{ROOT}/") if address in ADDRESSES else OTHER
        self._requests.labels(verb, _known(code) if code else "ok").inc()
        if verb in JOB_VERBS and not code:
            self._ack.observe(seconds)

    def began(self, job: Job) -> None:
        """Its turn has come."""
        self._wait.observe(max(0.0, time.monotonic() - job.born_at))

    def entered(self, job: Job, stage: str) -> None:
        """The engine says what it does now; empty: nothing more."""
        now, before = time.monotonic(), self._stages.pop(job, None)
        if before:
            self._stage.labels(before.name).observe(now - before.since)
        if stage:
            self._stages[job] = _Stage(stage if stage in STAGES else OTHER, now)

    def ended(self, job: Job, code: str, seconds: float) -> None:
        """It has its end."""
        self.entered(job, "")
        self._ended.labels(_known(code) if code else "done").inc()
        if not code:
            self._turnaround.observe(seconds)

    def worker_started(self) -> None:
        """A worker has said its first word."""
        self._starts.inc()


def _known(code: str) -> str:
    return code if code in ERROR_CODES else OTHER


class _Now:
    """Asked at each scrape."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._journal: dict[str, int] = {}
        self._free_bytes = 0

    async def look_at_disk(self) -> None:
        """What would block, asked before the rest."""
        server = self._server
        self._journal = await server.journal_thread(server.journal.counts)
        self._free_bytes = (await server.file_threads(shutil.disk_usage, server.paths.data)).free

    def describe(self) -> list[Metric]:
        """Nothing is looked up when the registry only wants names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One family after the other."""
        yield from self._work()
        yield from self._clients()
        yield from self._disk()
        yield from self._machine()

    def _work(self) -> Iterator[Metric]:
        server = self._server
        yield _one_of(
            "retimbre_state",
            "1 for the state that the server is in.",
            "state",
            STATES,
            server.state,
        )
        states = Tally(job.state for job in server.registry.living())
        yield _labelled(
            "retimbre_jobs",
            "Jobs that have no end yet.",
            "state",
            {state: states[state] for state in (ACCEPTING, SETTLING, QUEUED, RUNNING)},
        )
        yield GaugeMetricFamily(
            "retimbre_queue_limit", "Jobs that may wait.", server.config.queue_limit
        )
        waiting = Tally(job.record.client for job in server.registry.living())
        yield GaugeMetricFamily(
            "retimbre_queue_clients", "Clients that have jobs without an end.", len(waiting)
        )
        yield GaugeMetricFamily(
            "retimbre_queue_longest",
            "Jobs of the client that has most.",
            max(waiting.values(), default=0),
        )
        yield GaugeMetricFamily(
            "retimbre_models_loaded",
            "Models in memory.",
            sum(bool(model.get("loaded")) for model in server.executor.info.models),
        )

    def _clients(self) -> Iterator[Metric]:
        server = self._server
        counts = server.sessions.counts
        yield GaugeMetricFamily("retimbre_peers", "Addresses that are remembered.", counts["peers"])
        yield GaugeMetricFamily(
            "retimbre_sessions", "Clients with a state of their own.", counts["sessions"]
        )
        yield GaugeMetricFamily(
            "retimbre_listeners",
            "Peers that asked for pushes.",
            sum(1 for _ in server.sessions.listeners()),
        )
        yield _labelled(
            "retimbre_connections",
            "Open connections.",
            "transport",
            {
                "tcp": server.transports.connections,
                "http": server.http.connections if server.http else 0,
            },
        )
        yield GaugeMetricFamily(
            "retimbre_uploads_open",
            "Transfers from clients that are not finished.",
            server.uploads.open,
        )
        yield CounterMetricFamily(
            "retimbre_upload_bytes", "Audio that clients have sent.", server.uploads.received_bytes
        )
        yield _one_of(
            "retimbre_live_state",
            "1 for the state that live audio is in.",
            "state",
            LIVE_STATES,
            server.live.state,
        )
        yield CounterMetricFamily(
            "retimbre_live_xruns",
            "How often live sound was lost since /live/start.",
            server.live.xruns,
        )

    def _disk(self) -> Iterator[Metric]:
        retention = self._server.retention
        yield _labelled("retimbre_journal_jobs", "Jobs in the journal.", "state", self._journal)
        yield GaugeMetricFamily(
            "retimbre_takes",
            "Jobs whose takes were kept when old ones were last looked for.",
            retention.kept_jobs,
        )
        yield GaugeMetricFamily("retimbre_takes_bytes", "Their files.", retention.kept_bytes)
        yield GaugeMetricFamily(
            "retimbre_disk_free_bytes", "On the disk of the data folder.", self._free_bytes
        )

    def _machine(self) -> Iterator[Metric]:
        server = self._server
        major, minor, patch, commit = status.version()
        about = {
            "version": f"{major}.{minor}.{patch}",
            "commit": commit,
            "python": platform.python_version(),
            "model": server.config.model,
            "device": server.executor.info.device,
        }
        info = GaugeMetricFamily("retimbre_build_info", "Always 1.", labels=list(about))
        info.add_metric(list(about.values()), 1)
        yield info
        yield GaugeMetricFamily(
            "retimbre_uptime_seconds", "Since the server started.", server.uptime_seconds
        )
        used_gb, total_gb = status.memory_gb()
        yield GaugeMetricFamily(
            "retimbre_memory_used_bytes", "Of the machine, by all programs.", used_gb * 1e9
        )
        yield GaugeMetricFamily("retimbre_memory_total_bytes", "Of the machine.", total_gb * 1e9)


def _labelled(name: str, help_text: str, label: str, values: dict[str, float]) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _one_of(name: str, help_text: str, label: str, choices: tuple[str, ...], now: str) -> Metric:
    return _labelled(name, help_text, label, {choice: float(choice == now) for choice in choices})
