"""Live audio, and captured bars as jobs."""

from __future__ import annotations

import os
import secrets
from typing import Any

from osc_protocol import ROOT, Request
from server.errors import RequestError
from server.jobs.job import Job, region_name
from server.services import Services
from server.verbs import jobs as verbs_jobs
from server.wire.sessions import Peer, Region

OPTIONS = ("rate", "channels", "first", "blocksize", "seconds")
LATENCIES = ("input_latency", "output_latency")
OPENED = ("rate", "channels", *LATENCIES)
STATUS = (
    "input",
    "output",
    "rate",
    "channels",
    *LATENCIES,
    "round_trip",
    "xruns",
    "seconds",
    "filled",
    "peak",
    "tempo",
    "meter_num",
    "meter_den",
    "beat",
    "bars",
)
NO_STATUS = {"input": "", "output": ""}


async def start(services: Services, peer: Peer, request: Request) -> None:
    """Listen to an input."""
    options = {name: request.values[name] for name in ("input", "output")}
    options |= {name: request.keys[name] for name in OPTIONS if name in request.keys}
    opened = await services.live.start(options)
    _send_done(services, peer, request, *(opened[name] for name in OPENED))


async def stop(services: Services, peer: Peer, request: Request) -> None:
    """Stop listening."""
    await services.live.stop()
    _send_done(services, peer, request)


async def devices(services: Services, peer: Peer, request: Request) -> None:
    """Which inputs and outputs are there now?"""
    found = await services.live.devices()
    for each in found:
        services.delivery.send(peer, "live/device", *each.values())
    services.delivery.send(peer, "live/devices.end", len(found))


async def status(services: Services, peer: Peer, request: Request) -> None:
    """How is live audio?"""
    live = services.live
    values = await live.ask("status") if live.is_running else NO_STATUS
    services.delivery.send(
        peer, "live/status.reply", live.state, *(values.get(name, 0) for name in STATUS)
    )


def transport(services: Services, peer: Peer, request: Request) -> None:
    """Where is the DAW?"""
    values, keys = request.values, request.keys
    services.live.transport(
        {
            "tempo_bpm": values["tempo"],
            "beat": values["beat"],
            "meter_num": keys.get("meter_num", 4),
            "meter_den": keys.get("meter_den", 4),
            "bar_line": keys.get("bar_line", 0.0),
            "is_playing": bool(keys.get("playing", 1)),
            "offset": keys.get("offset", 0.0),
        }
    )


async def measure(services: Services, peer: Peer, request: Request) -> None:
    """How long is the way from output to input?"""
    found = await services.live.ask("measure")
    _send_done(services, peer, request, found["round_trip"], found["reported"])


async def play(services: Services, peer: Peer, request: Request) -> None:
    """Play a stem of a take."""
    job = await verbs_jobs.find(services, peer, request.job_id)
    index = request.values["index"]
    if job is None or index >= len(job.results):
        raise RequestError(
            "unknown_take",
            f"no take of yours is called {request.id!r} and has a stem {index}; "
            f"{ROOT}/take/list shows them",
        )
    await _play(services, peer, job, index, request.values["times"])


async def silence(services: Services, peer: Peer, request: Request) -> None:
    """Stop what is played."""
    if services.live.is_running:
        await services.live.ask("silence")
    _send_done(services, peer, request)


async def capture(services: Services, peer: Peer, request: Request) -> None:
    """Edit the last whole bars."""
    async with peer.session.turn:
        # Only the registry is asked, not the journal: when an old id comes again, the bars are
        # others.
        if services.registry.find(
            peer.session.client, request.job_id
        ) and await verbs_jobs.answer_repeat(services, peer, request):
            return
        services.dispatcher.check_room()
        keys = {**peer.session.defaults, **request.keys}
        times = keys.pop("play", 1)
        services.specs.check_preset(keys.get("preset", ""))
        path, bars = await _capture_bars(services, peer, request.values["bars"])
        known = {"tempo": bars["tempo"], "beats_start": bars["beat"], "start": 0.0, "length": 0.0}
        job = await verbs_jobs.begin(
            services,
            peer,
            request,
            services.specs.edit,
            path,
            request.values["text"],
            {**keys, **known},
        )
        await _make_current(services, peer, request, path, bars)
    if times:
        services.spawn(_play_when_send_done(services, peer, job, times), f"play {job.name}")


async def _capture_bars(services: Services, peer: Peer, bars: int) -> tuple[str, dict[str, Any]]:
    """The last bars as a file among the uploads, and what is known of them. Raises RequestError.

    It is a region like any other, and is forgotten like one.
    """
    path = os.path.join(
        os.path.realpath(services.uploads.folder), f"live-{bars}-bars-{secrets.token_hex(8)}.wav"
    )
    captured = await services.live.ask("capture", bars=bars, path=path)
    if captured["is_silent"]:
        _warn(services, peer, "the captured bars are silent; does the DAW play into this input?")
    if captured["xruns"]:
        _warn(
            services,
            peer,
            f"sound was lost {captured['xruns']} times within the captured bars, so they may be "
            "out of time; a larger blocksize helps",
        )
    return path, captured


async def _make_current(
    services: Services, peer: Peer, request: Request, path: str, bars: dict[str, Any]
) -> None:
    keys = {"tempo": bars["tempo"], "beats_start": bars["beat"]}
    name = region_name(path, 0.0, 0.0)
    peer.session.region = Region(path, 0.0, 0.0, keys, name)
    await services.remember(peer)
    services.delivery.send(
        peer,
        "region.reply",
        request.id,
        bars["rate"],
        bars["channels"],
        bars["frames"],
        bars["frames"] / bars["rate"],
        name,
    )


async def _play_when_send_done(services: Services, peer: Peer, job: Job, times: int) -> None:
    await job.ended.wait()
    if job.end is None or job.end.code:
        return
    try:
        await _play(services, peer, job, 0, times)
    except RequestError as refusal:
        _warn(
            services,
            peer,
            f"job {job.client_id} is done, but its stem is not played: {refusal.message}",
        )


async def _play(services: Services, peer: Peer, job: Job, index: int, times: int) -> None:
    played = await services.live.ask("play", path=job.results[index].path, times=times)
    services.delivery.send(
        peer, "live/playing", job.client_id, played["beat"], played["seconds"], times
    )


def _warn(services: Services, peer: Peer, text: str) -> None:
    services.delivery.send(peer, "log", 2, text)


def _send_done(services: Services, peer: Peer, request: Request, *values: Any) -> None:
    services.delivery.send(peer, "done", request.address, 0, *values)


VERBS = {
    "live/start": start,
    "live/stop": stop,
    "live/devices": devices,
    "live/status": status,
    "live/transport": transport,
    "live/measure": measure,
    "live/play": play,
    "live/silence": silence,
    "capture": capture,
}
