"""GET /metrics: figures about the server that are looked up when Prometheus asks.

Events are counted as they happen, in `server.jobs.metrics`.
"""

from __future__ import annotations

import platform
import shutil
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from osc_protocol import STATES
from osc_protocol.addresses.constants import LIVE_STATES
from server import status
from server.jobs.job import ACCEPTING, QUEUED, RUNNING, SETTLING
from server.services import Services


class Gauges(Collector):
    """Looked up at each scrape. `tcp` and `http` count open connections."""

    def __init__(self, services: Services, tcp: Callable[[], int], http: Callable[[], int]) -> None:
        self._services, self._tcp, self._http = services, tcp, http
        self._journal: dict[str, int] = {}
        self._free_bytes = 0
        self._registry = registry = services.metrics.registry
        registry.register(self)
        ProcessCollector("retimbre_server", registry=registry)
        ProcessCollector("retimbre_worker", pid=self._worker_pid, registry=registry)

    def _worker_pid(self) -> int:
        return getattr(self._services.executor, "pid", None) or -1

    async def text(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics in the format that the Accept header asks for, and its content type."""
        await self._look_at_disk()
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    async def _look_at_disk(self) -> None:
        """Look up the figures that would block `collect`."""
        services = self._services
        self._journal = await services.journal_thread(services.journal.counts)
        self._free_bytes = (
            await services.file_threads(shutil.disk_usage, services.paths.data)
        ).free

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
        services = self._services
        yield _one_of(
            "retimbre_state",
            "1 for the state that the server is in.",
            "state",
            STATES,
            services.state,
        )
        states = Tally(job.state for job in services.registry.living())
        yield _label_each(
            "retimbre_jobs",
            "Jobs that have no end yet.",
            "state",
            {state: states[state] for state in (ACCEPTING, SETTLING, QUEUED, RUNNING)},
        )
        yield GaugeMetricFamily(
            "retimbre_queue_limit", "Jobs that may wait.", services.config.queue_limit
        )
        waiting = Tally(job.record.client for job in services.registry.living())
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
            sum(bool(model.get("loaded")) for model in services.executor.info.models),
        )

    def _clients(self) -> Iterator[Metric]:
        services = self._services
        counts = services.sessions.counts
        yield GaugeMetricFamily("retimbre_peers", "Addresses that are remembered.", counts["peers"])
        yield GaugeMetricFamily(
            "retimbre_sessions", "Clients with a state of their own.", counts["sessions"]
        )
        yield GaugeMetricFamily(
            "retimbre_listeners",
            "Peers that asked for pushes.",
            sum(1 for _ in services.sessions.listeners()),
        )
        yield _label_each(
            "retimbre_connections",
            "Open connections.",
            "transport",
            {"tcp": self._tcp(), "http": self._http()},
        )
        yield GaugeMetricFamily(
            "retimbre_uploads_open",
            "Transfers from clients that are not finished.",
            services.uploads.open_count,
        )
        yield CounterMetricFamily(
            "retimbre_upload_bytes",
            "Audio that clients have sent.",
            services.uploads.received_bytes,
        )
        yield _one_of(
            "retimbre_live_state",
            "1 for the state that live audio is in.",
            "state",
            LIVE_STATES,
            services.live.state,
        )
        yield CounterMetricFamily(
            "retimbre_live_xruns",
            "How often live sound was lost since /live/start.",
            services.live.xruns,
        )

    def _disk(self) -> Iterator[Metric]:
        retention = self._services.retention
        yield _label_each("retimbre_journal_jobs", "Jobs in the journal.", "state", self._journal)
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
        services = self._services
        major, minor, patch, commit = status.version()
        about = {
            "version": f"{major}.{minor}.{patch}",
            "commit": commit,
            "python": platform.python_version(),
            "model": services.config.model,
            "device": services.executor.info.device,
        }
        info = GaugeMetricFamily("retimbre_build_info", "Always 1.", labels=list(about))
        info.add_metric(list(about.values()), 1)
        yield info
        yield GaugeMetricFamily(
            "retimbre_uptime_seconds", "Since the server started.", services.uptime_seconds
        )
        used_gb, total_gb = status.memory_gb()
        yield GaugeMetricFamily(
            "retimbre_memory_used_bytes", "Of the machine, by all programs.", used_gb * 1e9
        )
        yield GaugeMetricFamily("retimbre_memory_total_bytes", "Of the machine.", total_gb * 1e9)


def _label_each(name: str, help_text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _one_of(name: str, help_text: str, label: str, choices: tuple[str, ...], now: str) -> Metric:
    return _label_each(name, help_text, label, {choice: float(choice == now) for choice in choices})
