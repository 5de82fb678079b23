"""Presets and models."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from osc_protocol import Request
from presets import PresetError, parameters
from server.errors import RequestError
from server.jobs import spec as requests
from server.jobs.job import Job, new_name
from server.jobs.journal import JobRecord
from server.wire.sessions import Peer

if TYPE_CHECKING:
    from server.app import Server

WITHOUT_AUDIO = ("generate",)  # tasks that need no source


def preset_list(server: Server, peer: Peer, request: Request) -> None:
    """All styles."""
    longest = {
        model["name"]: float(model.get("max_seconds") or 0) for model in server.executor.info.models
    }
    presets = server.library.presets()
    for preset in presets:
        server.delivery.send(
            peer,
            "preset/item",
            preset.name,
            preset.title,
            preset.model,
            preset.task,
            int(preset.task not in WITHOUT_AUDIO),
            longest.get(preset.model, 0.0),
            preset.description,
        )
    server.delivery.send(peer, "preset/list.end", len(presets))


def preset_get(server: Server, peer: Peer, request: Request) -> None:
    """One style's settings."""
    try:
        preset = server.library.get(request.values["name"])
    except PresetError as error:
        raise RequestError(error.code, error.message) from error
    knobs = parameters(preset)
    for knob in knobs:
        value = "" if knob.value is None else str(knob.value)
        server.delivery.send(
            peer,
            "preset/param",
            preset.name,
            knob.name,
            knob.type,
            float(knob.low or 0),
            float(knob.high or 0),
            value,
            knob.help,
        )
    server.delivery.send(peer, "preset/get.end", preset.name, len(knobs))


async def preset_blend(server: Server, peer: Peer, request: Request) -> None:
    """A mixture of styles becomes the client's default."""
    mixture = request.values["mixture"]
    server.recipes.check_preset(mixture)
    peer.session.defaults["preset"] = mixture
    await server.remember(peer)
    server.delivery.send(peer, "done", request.address, 0, max(1, len(mixture.split()) // 2))


async def preset_reload(server: Server, peer: Peer, request: Request) -> None:
    """Read the files again."""
    report = await server.reload_presets()
    if report.errors:
        raise RequestError("bad_preset", "; ".join(map(str, report.errors)))
    server.delivery.send(peer, "done", request.address, 0, len(report.loaded))


def model_list(server: Server, peer: Peer, request: Request) -> None:
    """All models."""
    models = server.executor.info.models
    for model in models:
        server.delivery.send(
            peer,
            "model/item",
            model["name"],
            model.get("title") or model["name"],
            int(bool(model.get("loaded"))),
            model.get("licence") or "",
            float(model.get("max_seconds") or 0),
        )
    server.delivery.send(peer, "model/list.end", len(models))


async def model_load(server: Server, peer: Peer, request: Request) -> None:
    """Load a model before it is needed."""
    await _run_on_model(server, peer, request, "load")


async def model_unload(server: Server, peer: Peer, request: Request) -> None:
    """Give a model's memory back."""
    await _run_on_model(server, peer, request, "unload")


async def _run_on_model(server: Server, peer: Peer, request: Request, op: str) -> None:
    """Loads and unloads wait in the queue like edits, but they are not journalled: a restart undoes
    them anyway.
    """
    name, client = request.values["name"], peer.session.client
    requests.check_model(name, server.executor.info.models)
    earlier = server.registry.find(client, request.id)
    if earlier and earlier.is_alive:
        if (earlier.op, earlier.spec.get("model")) != (op, name):
            raise RequestError(
                "busy", f"id {request.id!r} stands for something that still runs; choose another"
            )
        earlier.peer = peer
        return
    server.dispatcher.check_room()
    record = JobRecord(
        new_name(), client, request.id, request.address, "", "", {"model": name}, time.time()
    )
    await server.dispatcher.accept(Job(record, peer, op=op))


VERBS = {
    "preset/list": preset_list,
    "preset/get": preset_get,
    "preset/blend": preset_blend,
    "preset/reload": preset_reload,
    "model/list": model_list,
    "model/load": model_load,
    "model/unload": model_unload,
}
