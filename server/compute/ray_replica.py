"""A worker on a machine of the cluster; Ray Serve stands in the place of the pipe.

Runs in Ray's process on that machine; the server only hands the class to Ray. Audio comes and goes
as bytes: no disk is shared. Threads: Serve's loop runs `edit`, which only waits; the compute thread
runs `engine.worker.Worker`, one job after the other; the ticker repeats the progress of a silent
job, as in `engine.worker`.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import ray
from ray import serve

from engine.families.registry import Family, ModelCache, show_licence
from engine.runtimes.runner import threads_for
from engine.worker_job import MIN_GAP_SECONDS
from engine.worker_queue import Worker
from presets.style import ResolvedStyle
from server.compute.executor import CLOSING_EVENTS, Event
from server.compute.ray_styles import StyleFolder

STYLES_HELD = 16  # per replica; the least used makes room
LAST_EVENTS = ("ready", *CLOSING_EVENTS)


class Replica:
    """A place for one job at a time. Ray Serve makes it, and sends jobs when it is made."""

    def __init__(self, model: str, threads: int, models_folder: str, runtime: str) -> None:
        self._first_model = model
        self._introduction: list[Event] = []  # at the start: hello, then ready or not_ready
        self._jobs: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Queue[Event]]] = {}
        self._styles: set[str] = set()  # model ids that are held here
        self._worker = Worker(
            self, ModelCache(threads_for(threads), Path(models_folder), self._on_loaded), runtime
        )
        self._worker.hello()
        self._worker.load_first(model)
        threading.Thread(target=self._worker.run, daemon=True, name="compute").start()
        threading.Thread(target=self._tick_for_ever, daemon=True, name="ticker").start()

    def send(self, event: str, **values: Any) -> None:
        """Take an event of the worker. Any thread."""
        message = {"event": event, **values}
        if event == "loading":
            return  # Ray itself watches a replica that starts
        if (job := values.get("job")) is None:
            self._introduction.append(message)
        elif listener := self._jobs.get(job):
            loop, events = listener
            loop.call_soon_threadsafe(events.put_nowait, message)

    async def introduction(self) -> list[Event]:
        """The events of its start: device, models, versions; whether the first model is ready."""
        return self._introduction

    async def edit(
        self, request: dict[str, Any], audio: bytes, tensors: Mapping[str, Any]
    ) -> AsyncIterator[Event]:
        """Run one edit and pass the worker's events on.

        `tensors`: sha256 -> reference, of the files that the style needs. `done` brings the
        manifest and the bytes of each stem. A job whose events nobody reads any more is stopped:
        Serve cancels this coroutine, and the worker looks between two steps.
        """
        model_id = serve.get_multiplexed_model_id()
        yield {
            "event": "begun",
            "job": request["job"],
            "pid": os.getpid(),
            "had_style": model_id in self._styles,
            "replica": ray.get_runtime_context().get_actor_name(),
        }
        style = await self.style(model_id)
        self._styles.add(model_id)
        preset = request["request"]["preset"]
        if preset:
            here = await style.localize(ResolvedStyle.from_json(preset), tensors)
            preset = here.to_json()
        with tempfile.TemporaryDirectory(prefix="retimbre-") as folder:
            audio_path = Path(folder) / Path(request["request"]["audio"]).name
            output = Path(folder) / "output"
            await asyncio.to_thread(_unpack, audio_path, output, audio)
            local_request = {
                **request["request"],
                "audio": str(audio_path),
                "audio_identity": None,
                "output_dir": str(output),
                "preset": preset,
            }
            async for event in self._ask({**request, "request": local_request}):
                if event["event"] == "done":
                    event.update(await asyncio.to_thread(_read_take, output))
                if event["event"] == "fail":
                    event["message"] = event["message"].replace(
                        str(audio_path), request["request"]["audio"]
                    )
                # the server reports results when the stems lie in its own folder
                if event["event"] != "result":
                    yield event

    async def on_model(self, request: dict[str, Any]) -> Event:
        """Load or unload a model. Returns the closing event."""
        return [event async for event in self._ask(request)][-1]

    @serve.multiplexed(max_num_models_per_replica=STYLES_HELD)
    async def style(self, model_id: str) -> StyleFolder:
        """Called by Serve for a style that is new here; the least used one is forgotten for it."""
        return StyleFolder(lambda: self.forget(model_id))

    def forget(self, model_id: str) -> None:
        """A style has made room. Any thread.

        With its last style a model leaves the memory, but for the first model.
        """
        self._styles.discard(model_id)
        model = model_of(model_id)
        if model != self._first_model and model not in {
            model_of(held) for held in self._styles.copy()
        }:
            self._worker.submit({"op": "unload", "job": f"unload {model}", "model": model})

    async def _ask(self, request: dict[str, Any]) -> AsyncIterator[Event]:
        """Submit a request; its events to the closing one.

        Left early, it is cancelled, and its end is awaited.
        """
        job = request["job"]
        events: asyncio.Queue[Event] = asyncio.Queue()
        self._jobs[job] = asyncio.get_running_loop(), events
        event: Event = {"event": ""}
        self._worker.submit(request)
        try:
            while event["event"] not in LAST_EVENTS:
                event = await events.get()
                yield event
        finally:
            self._worker.submit({"op": "cancel", "job": job})
            while event["event"] not in LAST_EVENTS:
                event = await events.get()
            del self._jobs[job]

    def _on_loaded(self, family: Family) -> None:
        show_licence(family)

    def _tick_for_ever(self) -> None:
        while True:
            time.sleep(MIN_GAP_SECONDS)
            self._worker.tick()


def model_id_of(request: dict[str, Any]) -> str:
    """What a replica should hold already for this edit: its model and its style."""
    return f"{request['model']}/{(request.get('preset') or {}).get('name', '')}"


def model_of(model_id: str) -> str:
    """The model of a model id."""
    return model_id.partition("/")[0]


def _unpack(audio_path: Path, output: Path, audio: bytes) -> None:
    output.mkdir()
    audio_path.write_bytes(audio)


def _read_take(output: Path) -> dict[str, Any]:
    """The manifest, and the bytes of each stem in its order."""
    manifest = json.loads((output / "manifest.json").read_text(encoding="utf-8"))
    return {
        "manifest": manifest,
        "stems": [Path(stem["path"]).read_bytes() for stem in manifest["stems"]],
    }
