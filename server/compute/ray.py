"""The executor on Ray Serve: the dispatcher's requests go to replicas on any machine, one job to
each at a time.

Rule 1: a request is tried once more when its replica is lost, but not after a cancel, nor when it
hung.
Rule 2: only the server writes takes. What a replica made comes with its `done`, whole or not at all; so whatever a lost
        replica was about to finish leaves no trace, and a job has one outcome.
Rule 3: the loop never calls Ray. Each request has a thread of its own for that, which posts its
events to the loop. Everything else is as in `server.compute.local`, whose promises hold here.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import importlib.util
import logging
import os
import platform
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server.compute.local import (
    BACKOFF_SECONDS,
    DEFAULT_PATIENCE,
    SAME_SUMS,
    STARTS_BEFORE_ERROR,
    EngineInfo,
    Event,
    Listener,
    Timeouts,
)
from server.config import ConfigError, ServeConfig

log = logging.getLogger(__name__)

OWN_STORE_BYTES = 512 * 2**20  # shared memory for audio, where the server starts Ray itself
# a cold replica loads its model: do not let it go too soon
UPSCALE_SECONDS, DOWNSCALE_SECONDS = 2.0, 300.0
TRIES = 2
TENSORS_HELD = 32  # files of styles that stay in the object store for the next replica
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
    """Which replicas there shall be.

    `address` of a running Ray, or empty: Ray is started on this machine.
    """

    name: str  # of the application in Ray Serve; each server has its own
    address: str
    min_replicas: int
    max_replicas: int
    threads: int  # processor cores that each replica claims and uses
    gpus: float  # cards, or parts of one, that each replica claims
    model: str
    models_folder: Path
    runtime: str  # what computes the graphs, as each replica finds it on its machine

    @classmethod
    def of(cls, config: ServeConfig) -> Cluster:
        """What the options say.

        ConfigError: Ray is not installed, or the bounds contradict each other.
        """
        if importlib.util.find_spec("ray") is None:
            raise ConfigError(
                "executor: ray needs Ray Serve, which is not installed; "
                "run pip install 'retimbre[cluster]', on every machine of the cluster"
            )
        if config.min_replicas > config.max_replicas:
            raise ConfigError(
                f"min_replicas: expected no more than max_replicas, which is {config.max_replicas}, "
                f"got {config.min_replicas}"
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


@dataclass(eq=False)
class Run:
    """A request on its way.

    `responses` and `is_cancelled` are shared with its thread, under `lock`.
    """

    request: dict[str, Any]
    responses: Sequence[Any] = ()  # of Ray Serve
    is_cancelled: bool = False
    cause: str = ""  # why we ended its replica
    replica: Event = field(default_factory=dict)  # what its replica said at the beginning
    lock: threading.Lock = field(default_factory=threading.Lock)
    watchdog: asyncio.TimerHandle | None = None

    @property
    def job(self) -> str:
        return self.request["job"]


class RayExecutor:
    """Deploys the replicas and speaks with them.

    Methods belong to the loop's thread, as the protocol says.
    """

    def __init__(self, cluster: Cluster, patience: Timeouts = DEFAULT_PATIENCE) -> None:
        self.cluster, self.patience = cluster, patience
        self.info = EngineInfo()
        self.places = cluster.max_replicas  # more jobs than replicas make Serve start another
        self.runs: dict[str, Run] = {}
        self._listener: Listener = lambda event: None
        self._handle: Any = None
        self._stored = functools.lru_cache(TENSORS_HELD)(_stored)
        self._keeper: asyncio.Task | None = None
        self._owns_ray = self._should_stop = False
        self._nothing_runs = asyncio.Event()
        self._nothing_runs.set()

    async def start(self, listener: Listener) -> None:
        self._listener, self._loop = listener, asyncio.get_running_loop()
        self._keeper = asyncio.create_task(self._open(), name="cluster")

    @property
    def is_idle(self) -> bool:
        return self.info.state == "ready" and len(self.runs) < self.places and not self._should_stop

    def submit(self, request: dict[str, Any]) -> None:
        assert self.is_idle, "the dispatcher submits no more requests than there are places"
        run = self.runs[request["job"]] = Run(request)
        self._nothing_runs.clear()
        _thread(self._answer, run)

    def cancel(self, job: str) -> None:
        if run := self.runs.get(job):
            _thread(_cancel, run)
            self._loop.call_later(
                self.patience.cancel_seconds,
                self._end_replica,
                run,
                "the replica did not obey a cancel and was ended",
            )

    async def stop(self, force: bool = False) -> None:
        self._should_stop = True
        for job in list(self.runs):
            self.cancel(job)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._nothing_runs.wait(), self.patience.stop_seconds)
        for run in list(self.runs.values()):
            self._close(run, _died(run.job, "the server stopped"))
        if self._keeper:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._in_thread(self._leave), self.patience.load_seconds)

    # Ray: deploy, leave

    async def _open(self) -> None:
        vain = 0
        while True:
            try:
                for event in await self._in_thread(self._deploy):
                    self._introduce(event)
                return
            except Exception as error:
                # of Ray's many kinds; whichever it is, there is no engine now
                log.exception("no cluster")
                vain += 1
                if vain >= STARTS_BEFORE_ERROR:
                    self._change("error", f"Ray Serve: {error}")
            await asyncio.sleep(BACKOFF_SECONDS[min(vain, len(BACKOFF_SECONDS) - 1)])

    def _deploy(self) -> list[Event]:
        """Blocks until the smallest number of replicas has loaded its model.

        What one of them said at its start.
        """
        prepare_environment(self.cluster.address)
        import ray
        from ray import serve

        from server.compute.ray_replica import Replica

        if not ray.is_initialized():
            ray.init(**connection(self.cluster.address))
            self._owns_ray = True
        self._check_resources(ray.cluster_resources())
        serve.start(proxy_location="Disabled")  # nobody but us speaks to the replicas
        self._handle = serve.run(
            self._application(serve, Replica), name=self.cluster.name, route_prefix=None
        )
        return self._handle.introduction.remote().result(timeout_s=self.patience.start_seconds)

    def _check_resources(self, there: dict[str, float]) -> None:
        for name, each in (("CPU", self.cluster.threads), ("GPU", self.cluster.gpus)):
            wanted = each * self.cluster.min_replicas
            if wanted > there.get(name, 0):
                log.warning(
                    "%d replicas want %g %s, the cluster has %g now; the rest waits for more machines",
                    self.cluster.min_replicas,
                    wanted,
                    name,
                    there.get(name, 0),
                )

    def _application(self, serve: Any, replica: type) -> Any:
        cluster = self.cluster
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
                "runtime_env": {"env_vars": SAME_SUMS},
            },
            graceful_shutdown_timeout_s=self.patience.stop_seconds,
        ).bind(cluster.model, cluster.threads, str(cluster.models_folder), cluster.runtime)

    def _leave(self) -> None:
        import ray
        from ray import serve

        if not ray.is_initialized():
            return
        if self._handle:
            serve.delete(self.cluster.name)
            self._handle.shutdown()
        if self._owns_ray:
            serve.shutdown()
            ray.shutdown()

    # One request: thread -> events -> closing event

    def _answer(self, run: Run) -> None:
        """The thread of a request."""
        from ray.exceptions import RayError, RayTaskError, TaskCancelledError
        from ray.serve.exceptions import RayServeException, RequestCancelledError

        from engine.errors import EngineError

        try:
            closing = (
                self._edit(run) if run.request["op"] == "edit" else self._on_every_replica(run)
            )
        except (RequestCancelledError, TaskCancelledError):
            closing = (
                _cancelled(run.job)
                if run.is_cancelled
                else _died(run.job, "its request was cancelled by Ray")
            )
        except EngineError as error:
            closing = _failed(run.job, error.code, error.message)
        except Exception as error:  # the boundary, as in the worker
            log.exception("job %s", run.job)
            closing = _died(run.job, _first_line(error))
            if isinstance(error, RayTaskError) or not isinstance(
                error, (RayError, RayServeException)
            ):
                closing = _failed(
                    run.job, "internal", f"{type(error).__name__}: {error}; the log has more"
                )
        self._loop.call_soon_threadsafe(self._close, run, closing)

    def _edit(self, run: Run) -> Event:
        import ray
        from ray.exceptions import RayError, RayTaskError, TaskCancelledError
        from ray.serve.exceptions import RequestCancelledError

        from engine.audio.files import opened
        from engine.audio.identity import FileIdentity
        from server.compute.ray_styles import tensor_files

        asked = run.request["request"]
        identity = asked.get("audio_identity")
        with opened(asked["audio"], FileIdentity(**identity) if identity else None) as file:
            audio = ray.put(file.read())
        tensors = {
            row["sha256"]: self._stored(row["path"], row["sha256"])
            for row in tensor_files(asked["preset"])
        }
        for tries_left in reversed(range(TRIES)):
            try:
                return self._listen(run, audio, tensors)
            except (RequestCancelledError, TaskCancelledError):
                if run.is_cancelled:
                    raise
                lost = "its request was cancelled by Ray"
            except RayTaskError:
                raise
            except RayError as error:
                lost = run.cause or _first_line(error)
            if run.is_cancelled or run.cause or self._should_stop or not tries_left:
                return _died(run.job, lost)
            log.warning("%s lost its replica (%s); it is tried once more", run.job, lost)
        raise AssertionError("the last try returns")

    def _listen(self, run: Run, audio: Any, tensors: dict[str, Any]) -> Event:
        """One try.

        Passes events on until the closing one, which it returns. Raises what Ray raises.
        """
        from server.compute.ray_replica import model_id_of
        from server.compute.ray_takes import landed

        request = run.request["request"]
        replicas = self._handle.options(stream=True, multiplexed_model_id=model_id_of(request))
        response = replicas.edit.remote(run.request, audio, tensors)
        _follow(run, [response])
        for event in response:
            if event["event"] == "fail":
                return event
            if event["event"] == "done":
                results, closing = landed(event, request)
                for result in results:
                    self._post(run, result)
                return closing
            self._post(run, event)
        return _died(run.job, "its replica ended without a word")

    def _on_every_replica(self, run: Run) -> Event:
        """Load or unload a model wherever there is a replica now."""
        everywhere = self._handle.broadcast("on_model", run.request)
        _follow(run, everywhere._fetch_replica_results_sync(self.patience.load_seconds))
        answers = everywhere.results(timeout_s=self.patience.load_seconds)
        return next(
            (answer for answer in answers if answer["event"] == "fail"),
            max(answers, key=lambda answer: answer.get("seconds", 0.0)),
        )

    def _post(self, run: Run, event: Event) -> None:
        self._loop.call_soon_threadsafe(self._hear, run, event)

    # In the loop again

    def _hear(self, run: Run, event: Event) -> None:
        if self.runs.get(run.job) is not run:
            return
        self._rest(run)
        cause = f"the replica said nothing for {self.patience.silence_seconds:g} s and was ended"
        run.watchdog = self._loop.call_later(
            self.patience.silence_seconds, self._end_replica, run, cause
        )
        if event["event"] == "begun":
            run.replica = event
            log.info(
                "%s runs on %s, process %d, which %s its style",
                run.job,
                event["replica"],
                event["pid"],
                "holds" if event["had_style"] else "has yet to fetch",
            )
        self._listener(event)

    def _close(self, run: Run, closing: Event) -> None:
        if self.runs.pop(run.job, None) is not run:
            return
        self._rest(run)
        if not self.runs:
            self._nothing_runs.set()
        if closing["event"] in ("done", "ready", "unloaded"):
            self._mark_loaded(
                closing.get("model") or run.request["request"]["model"],
                closing["event"] != "unloaded",
            )
        self._listener(closing)

    def _end_replica(self, run: Run, cause: str) -> None:
        if self.runs.get(run.job) is run and run.replica:
            run.cause = cause
            _thread(_kill, run.replica["replica"])

    def _rest(self, run: Run) -> None:
        if run.watchdog:
            run.watchdog.cancel()

    def _introduce(self, event: Event) -> None:
        kind = event["event"]
        if kind == "hello":
            self.info.models, self.info.versions = event["models"], event["versions"]
            self._is_on(event["device"])
            return
        if "device" in event:  # hello came before the runtime was chosen
            self._is_on(event["device"])
        self._mark_loaded(event["model"], kind == "ready")
        self._change("ready", "" if kind == "ready" else f"{event['code']}: {event['message']}")
        self._listener(event)

    def _is_on(self, device: str) -> None:
        self.info.device = (
            f"{device}; {self.cluster.min_replicas} to {self.cluster.max_replicas} replicas"
        )

    def _mark_loaded(self, model: str, is_loaded: bool) -> None:
        for each in self.info.models:
            if each["name"] == model:
                each["loaded"] = is_loaded

    def _change(self, state: str, trouble: str = "") -> None:
        self.info.state, self.info.trouble = state, trouble
        self._listener({"event": "state"})

    def _in_thread(self, function: Callable[[], Any]) -> asyncio.Future:
        """The function's outcome.

        Its thread does not keep the process alive: Ray may block for long.
        """
        outcome = self._loop.create_future()

        def settle(method: Callable, value: Any) -> None:
            if not outcome.done():
                method(value)

        def work() -> None:
            try:
                told = outcome.set_result, function()
            except BaseException as error:  # handed over, whatever it is
                told = outcome.set_exception, error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(settle, *told)

        _thread(work)
        return outcome


def prepare_environment(
    address: str, put: Callable[[str, str], None] = os.environ.__setitem__
) -> None:
    """Say what Ray reads when it is imported; whoever has set one of these before knows why."""
    for name, value in {**RAY_SETTINGS, **({} if address else OWN_RAY_SETTINGS)}.items():
        if name not in os.environ:
            put(name, value)


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


def _thread(function: Callable, *arguments: Any) -> None:
    threading.Thread(
        target=function, args=arguments, daemon=True, name=function.__name__.strip("_")
    ).start()


def _stored(path: str, sha256: str) -> Any:
    """Reference of a style's file in the object store. EngineError bad_preset."""
    import ray

    from server.compute.ray_styles import tensor_bytes

    return ray.put(tensor_bytes(path, sha256))


def _follow(run: Run, responses: Sequence[Any]) -> None:
    """From now on a cancel ends these."""
    with run.lock:
        run.responses = responses
    if run.is_cancelled:
        _cancel(run)


def _cancel(run: Run) -> None:
    with run.lock:
        run.is_cancelled = True
        responses = run.responses
    for response in responses:
        response.cancel()


def _kill(replica: str) -> None:
    import ray
    from ray.serve._private.constants import SERVE_NAMESPACE

    with contextlib.suppress(ValueError):  # it is gone already
        ray.kill(ray.get_actor(replica, namespace=SERVE_NAMESPACE))


def _failed(job: str, code: str, message: str) -> Event:
    return {"event": "fail", "job": job, "code": code, "message": message}


def _cancelled(job: str) -> Event:
    return _failed(job, "cancelled", "the job was cancelled; nothing was written")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _died(job: str, cause: str) -> Event:
    return _failed(job, "engine_died", f"{cause}; send the request again")
