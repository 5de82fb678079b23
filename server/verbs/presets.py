"""Presets and models."""

from __future__ import annotations

import time

from osc_protocol import Request
from presets import PresetError, parameters
from server.errors import RequestError
from server.jobs.job import Job, new_name
from server.jobs.records import JobRecord
from server.jobs.spec import ModelSpec, check_model
from server.services import Services
from server.wire.sessions import Peer

WITHOUT_AUDIO = ("generate",)  # tasks that need no source


def preset_list(services: Services, peer: Peer, request: Request) -> None:
    """All styles."""
    longest = {
        model["name"]: float(model.get("max_seconds") or 0)
        for model in services.executor.info.models
    }
    presets = services.library.presets()
    for preset in presets:
        services.delivery.send(
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
    services.delivery.send(peer, "preset/list.end", len(presets))


def preset_get(services: Services, peer: Peer, request: Request) -> None:
    """One style's settings."""
    try:
        preset = services.library.get(request.values["name"])
    except PresetError as error:
        raise RequestError(error.code, error.message) from error
    found = parameters(preset)
    for each in found:
        knob, has_range = each.knob, each.knob.type != "s"
        services.delivery.send(
            peer,
            "preset/param",
            preset.name,
            knob.name,
            knob.type,
            float(knob.low) if has_range else 0.0,
            float(knob.high) if has_range else 0.0,
            "" if each.value is None else str(each.value),
            knob.help,
        )
    services.delivery.send(peer, "preset/get.end", preset.name, len(found))


async def preset_blend(services: Services, peer: Peer, request: Request) -> None:
    """A mixture of styles becomes the client's default."""
    mixture = request.values["mixture"]
    services.specs.check_preset(mixture)
    peer.session.defaults["preset"] = mixture
    await services.remember(peer)
    services.delivery.send(peer, "done", request.address, 0, max(1, len(mixture.split()) // 2))


async def preset_reload(services: Services, peer: Peer, request: Request) -> None:
    """Read the files again."""
    report = await services.reload_presets()
    if report.errors:
        raise RequestError("bad_preset", "; ".join(map(str, report.errors)))
    services.delivery.send(peer, "done", request.address, 0, len(report.loaded))


def model_list(services: Services, peer: Peer, request: Request) -> None:
    """All models."""
    models = services.executor.info.models
    for model in models:
        services.delivery.send(
            peer,
            "model/item",
            model["name"],
            model.get("title") or model["name"],
            int(bool(model.get("loaded"))),
            model.get("licence") or "",
            float(model.get("max_seconds") or 0),
        )
    services.delivery.send(peer, "model/list.end", len(models))


async def model_load(services: Services, peer: Peer, request: Request) -> None:
    """Load a model before it is needed."""
    await _run_on_model(services, peer, request, "load")


async def model_unload(services: Services, peer: Peer, request: Request) -> None:
    """Give a model's memory back."""
    await _run_on_model(services, peer, request, "unload")


async def _run_on_model(services: Services, peer: Peer, request: Request, op: str) -> None:
    """Queue a load or an unload. Neither is journalled: a restart undoes it anyway."""
    spec, client = ModelSpec(op, request.values["name"]), peer.session.client
    check_model(spec.model, services.executor.info.models)
    earlier = services.registry.find(client, request.job_id)
    if earlier and earlier.is_alive:
        if earlier.spec != spec:
            raise RequestError(
                "busy",
                f"id {request.job_id!r} stands for something that still runs; choose another",
            )
        earlier.peer = peer
        return
    services.dispatcher.check_room()
    record = JobRecord(
        new_name(), client, request.job_id, request.address, "", "", spec, time.time()
    )
    await services.dispatcher.accept(Job(record, peer))


VERBS = {
    "preset/list": preset_list,
    "preset/get": preset_get,
    "preset/blend": preset_blend,
    "preset/reload": preset_reload,
    "model/list": model_list,
    "model/load": model_load,
    "model/unload": model_unload,
}
