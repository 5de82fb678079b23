"""The replicas on Ray Serve: which there shall be, how they are deployed and taken away.

Everything here blocks: call it from a thread of its own.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.compute.executor import REPRODUCIBLE_SUMS, Event, Timeouts
from server.config import ConfigError, ServeConfig

log = logging.getLogger(__name__)

OWN_STORE_BYTES = 512 * 2**20  # shared memory for audio, where the server starts Ray itself
# a cold replica loads its model: do not let it go too soon
UPSCALE_SECONDS, DOWNSCALE_SECONDS = 2.0, 300.0
RAY_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to its makers
    "RAY_ENABLE_AUTO_CONNECT": "0",  # a late call after our end must not start another Ray
}
OWN_RAY_SETTINGS = {  # where the server starts Ray itself, for this machine alone
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # stay on the loopback, as it does on those systems
    # 15 by default: beside a busy DAW replicas would get no time at all
    "RAY_worker_niceness": "0",
}


@dataclass(frozen=True)
class Cluster:
    """Which replicas there shall be, and where."""

    name: str  # of the application in Ray Serve; each server has its own
    address: str  # of a running Ray; empty: Ray is started on this machine
    min_replicas: int
    max_replicas: int
    threads: int  # processor cores that each replica claims and uses
    gpus: float  # cards, or parts of one, that each replica claims
    model: str
    models_folder: Path
    runtime: str  # what computes the graphs, as each replica finds it on its machine

    @classmethod
    def of(cls, config: ServeConfig) -> Cluster:
        """From the options.

        ConfigError: Ray is not installed, or the bounds contradict each other.
        """
        if importlib.util.find_spec("ray") is None:
            raise ConfigError(
                "executor: ray needs Ray Serve, which is not installed; "
                "run pip install 'retimbre[cluster]', on every machine of the cluster"
            )
        if config.min_replicas > config.max_replicas:
            raise ConfigError(
                "min_replicas: expected no more than max_replicas, which is "
                f"{config.max_replicas}, got {config.min_replicas}"
            )
        owner = f"{platform.node()}:{config.paths().data}"
        name = f"retimbre-{hashlib.sha256(owner.encode()).hexdigest()[:8]}"
        return cls(
            name,
            config.ray_address,
            config.min_replicas,
            config.max_replicas,
            config.threads or 1,
            config.replica_gpus,
            config.model,
            config.paths().models(config.models_dir),
            config.runtime,
        )


class Deployment:
    """The replicas of one server. `handle`: what Ray Serve takes their requests by."""

    def __init__(self, cluster: Cluster, timeouts: Timeouts) -> None:
        self._cluster, self._timeouts = cluster, timeouts
        self.handle: Any = None
        self._owns_ray = False

    def deploy(self) -> list[Event]:
        """Returns when `min_replicas` have loaded their model: what one of them said at its start.

        Raises what Ray raises.
        """
        prepare_environment(self._cluster.address)
        import ray
        from ray import serve

        from server.compute.ray_replica import Replica

        if not ray.is_initialized():
            ray.init(**connection(self._cluster.address))
            self._owns_ray = True
        self._check_resources(ray.cluster_resources())
        serve.start(proxy_location="Disabled")  # nobody but us speaks to the replicas
        self.handle = serve.run(
            self._application(serve, Replica), name=self._cluster.name, route_prefix=None
        )
        return self.handle.introduction.remote().result(timeout_s=self._timeouts.start_seconds)

    def _check_resources(self, there: dict[str, float]) -> None:
        for name, each in (("CPU", self._cluster.threads), ("GPU", self._cluster.gpus)):
            wanted = each * self._cluster.min_replicas
            if wanted > there.get(name, 0):
                log.warning(
                    "%d replicas want %g %s, the cluster has %g now; "
                    "the rest waits for more machines",
                    self._cluster.min_replicas,
                    wanted,
                    name,
                    there.get(name, 0),
                )

    def _application(self, serve: Any, replica: type) -> Any:
        cluster = self._cluster
        return serve.deployment(
            replica,
            name="replica",
            max_ongoing_requests=1,
            autoscaling_config={
                "min_replicas": cluster.min_replicas,
                "max_replicas": cluster.max_replicas,
                "target_ongoing_requests": 1,
                "upscale_delay_s": UPSCALE_SECONDS,
                "downscale_delay_s": DOWNSCALE_SECONDS,
            },
            ray_actor_options={
                "num_cpus": cluster.threads,
                "num_gpus": cluster.gpus,
                "runtime_env": {"env_vars": REPRODUCIBLE_SUMS},
            },
            graceful_shutdown_timeout_s=self._timeouts.stop_seconds,
        ).bind(cluster.model, cluster.threads, str(cluster.models_folder), cluster.runtime)

    def leave(self) -> None:
        """Take the replicas away; a Ray that we started ends, too."""
        import ray
        from ray import serve

        if not ray.is_initialized():
            return
        if self.handle:
            serve.delete(self._cluster.name)
            self.handle.shutdown()
        if self._owns_ray:
            serve.shutdown()
            ray.shutdown()


def prepare_environment(
    address: str, set_variable: Callable[[str, str], None] = os.environ.__setitem__
) -> None:
    """Set what Ray reads when it is imported, but for what the user has set."""
    for name, value in {**RAY_SETTINGS, **({} if address else OWN_RAY_SETTINGS)}.items():
        if name not in os.environ:
            set_variable(name, value)


def connection(address: str) -> dict[str, Any]:
    """Arguments of ray.init: join the cluster of that address, or start a Ray of our own."""
    quiet = {"configure_logging": False, "log_to_driver": False}
    if address:
        return {"address": address, **quiet}
    return {
        "address": "local",
        "include_dashboard": False,
        "object_store_memory": OWN_STORE_BYTES,
        **quiet,
    }
