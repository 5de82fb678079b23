"""One request to the replicas, in a thread of its own: from its file to its closing event.

A request is tried once more when its replica is lost, but not after a cancel, nor when the replica
hung. Only the server writes takes: what a replica made comes with its `done`, whole or not at all.
So what a lost replica was about to finish leaves no trace, and a job has one outcome.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.compute.executor import Event, Timeouts
from server.compute.ray_cluster import Deployment

log = logging.getLogger(__name__)

TRIES = 2
TENSORS_HELD = 32  # files of styles that stay in the object store for the next replica


@dataclass(eq=False)
class RequestRun:
    """The run of one request of the worker's pipe.

    `responses` and `is_cancelled` are shared with its thread, under `lock`.
    """

    request: dict[str, Any]
    responses: Sequence[Any] = ()  # of Ray Serve
    is_cancelled: bool = False
    kill_reason: str = ""  # why we ended its replica
    replica: Event = field(default_factory=dict)  # what its replica said at the beginning
    lock: threading.Lock = field(default_factory=threading.Lock)
    watchdog: asyncio.TimerHandle | None = None

    @property
    def job(self) -> str:
        """The name of the request."""
        return self.request["job"]

    def follow(self, responses: Sequence[Any]) -> None:
        """From now on a cancel ends these."""
        with self.lock:
            self.responses = responses
        if self.is_cancelled:
            self.cancel()

    def cancel(self) -> None:
        """End what runs of it. Any thread; may block."""
        with self.lock:
            self.is_cancelled = True
            responses = self.responses
        for response in responses:
            response.cancel()


class RequestRunner:
    """Runs requests, each in the thread that calls `run`.

    `post` takes the events but the closing one, in any thread.
    """

    def __init__(
        self, deployment: Deployment, timeouts: Timeouts, post: Callable[[RequestRun, Event], None]
    ) -> None:
        self._deployment, self._timeouts, self._post = deployment, timeouts, post
        self._put_tensors = functools.lru_cache(TENSORS_HELD)(_put_tensors)
        self.should_stop = False

    def run(self, run: RequestRun) -> Event:
        """The closing event."""
        from ray.exceptions import RayError, RayTaskError, TaskCancelledError
        from ray.serve.exceptions import RayServeException, RequestCancelledError

        from engine.errors import EngineError

        try:
            return self._edit(run) if run.request["op"] == "edit" else self._run_everywhere(run)
        except (RequestCancelledError, TaskCancelledError):
            if run.is_cancelled:
                return failure(run.job, "cancelled", "the job was cancelled; nothing was written")
            return death(run.job, "its request was cancelled by Ray")
        except EngineError as error:
            return failure(run.job, error.code, error.message)
        except Exception as error:  # the boundary, as in the worker
            log.exception("job %s", run.job)
            is_lost = isinstance(error, (RayError, RayServeException))
            if is_lost and not isinstance(error, RayTaskError):
                return death(run.job, _first_line(error))
            return failure(
                run.job, "internal", f"{type(error).__name__}: {error}; the log has more"
            )

    def _edit(self, run: RequestRun) -> Event:
        import ray
        from ray.exceptions import RayError, RayTaskError, TaskCancelledError
        from ray.serve.exceptions import RequestCancelledError

        from engine.audio.files import open_audio
        from engine.audio.identity import FileIdentity
        from presets.style import ResolvedStyle

        request = run.request["request"]
        identity = request.get("audio_identity")
        with open_audio(request["audio"], FileIdentity(**identity) if identity else None) as file:
            audio = ray.put(file.read())
        tensors = {
            file.sha256: self._put_tensors(file.path, file.sha256)
            for file in ResolvedStyle.from_json(request["preset"] or {}).tensors
        }
        for tries_left in reversed(range(TRIES)):
            try:
                return self._try_edit(run, audio, tensors)
            except (RequestCancelledError, TaskCancelledError):
                if run.is_cancelled:
                    raise
                reason = "its request was cancelled by Ray"
            except RayTaskError:
                raise
            except RayError as error:
                reason = run.kill_reason or _first_line(error)
            if run.is_cancelled or run.kill_reason or self.should_stop or not tries_left:
                return death(run.job, reason)
            log.warning("%s lost its replica (%s); it is tried once more", run.job, reason)
        raise AssertionError("the last try returns")

    def _try_edit(self, run: RequestRun, audio: Any, tensors: dict[str, Any]) -> Event:
        """One try: posts events until the closing one, which it returns. Raises what Ray raises."""
        from server.compute.ray_replica import model_id_of
        from server.compute.ray_takes import write_take

        request = run.request["request"]
        replicas = self._deployment.handle.options(
            stream=True, multiplexed_model_id=model_id_of(request)
        )
        response = replicas.edit.remote(run.request, audio, tensors)
        run.follow([response])
        for event in response:
            if event["event"] == "fail":
                return event
            if event["event"] == "done":
                results, closing = write_take(event, request)
                for result in results:
                    self._post(run, result)
                return closing
            self._post(run, event)
        return death(run.job, "its replica ended without a word")

    def _run_everywhere(self, run: RequestRun) -> Event:
        """Load or unload a model on each replica that there is now."""
        seconds = self._timeouts.load_seconds
        everywhere = self._deployment.handle.broadcast("on_model", run.request)
        run.follow(everywhere._fetch_replica_results_sync(seconds))
        answers = everywhere.results(timeout_s=seconds)
        return next(
            (answer for answer in answers if answer["event"] == "fail"),
            max(answers, key=lambda answer: answer.get("seconds", 0.0)),
        )


def failure(job: str, code: str, message: str) -> Event:
    """The closing event of a request that failed."""
    return {"event": "fail", "job": job, "code": code, "message": message}


def death(job: str, reason: str) -> Event:
    """The closing event of a request whose replica is gone."""
    return failure(job, "engine_died", f"{reason}; send the request again")


def kill_replica(name: str) -> None:
    """End the process of a replica; Ray Serve starts another. Blocks."""
    import ray
    from ray.serve._private.constants import SERVE_NAMESPACE

    try:
        ray.kill(ray.get_actor(name, namespace=SERVE_NAMESPACE))
    except ValueError:
        pass  # it is gone already


def _put_tensors(path: str, sha256: str) -> Any:
    """Reference of a style's file in the object store. EngineError bad_preset."""
    import ray

    from server.compute.ray_styles import tensor_bytes

    return ray.put(tensor_bytes(path, sha256))


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
