"""The server itself, and what it knows about a client."""

from __future__ import annotations

import asyncio

from osc_protocol import EDIT_KEYS, PROTOCOL_VERSION, REQUIRED, Request
from server import status as measured
from server.errors import RequestError
from server.files.headers import AudioHeader
from server.files.settle import wait_until_settled
from server.jobs.job import region_name
from server.jobs.spec import check_model
from server.services import Services
from server.wire.sessions import Peer, Region


def ping(services: Services, peer: Peer, request: Request) -> None:
    """Is it there?"""
    services.delivery.send(peer, "pong", *request.values["echo"])


def status(services: Services, peer: Peer, request: Request) -> None:
    """How is the server?"""
    info = services.executor.info
    used_gb, total_gb = measured.memory_gb()
    services.delivery.send(
        peer,
        "status.reply",
        services.state,
        services.dispatcher.waiting,
        services.dispatcher.running,
        used_gb,
        total_gb,
        services.config.model,
        info.device[:60],
        services.uptime_seconds,
    )


def version(services: Services, peer: Peer, request: Request) -> None:
    """Which server is it?"""
    major, minor, patch, commit = measured.version()
    services.delivery.send(
        peer, "version.reply", "retimbre", major, minor, patch, PROTOCOL_VERSION, commit
    )


def folder(services: Services, peer: Peer, request: Request) -> None:
    """Where a client that sees this machine's files may write a region."""
    services.delivery.send(peer, "folder.reply", services.uploads.regions.as_posix())


def sync(services: Services, peer: Peer, request: Request) -> None:
    """Answer when everything before it was acknowledged or has ended.

    Messages of one peer run in order, so only loads are still to be answered: they have no ack.
    """
    loads = [job for job in services.registry.living(peer.session.client) if job.op != "edit"]

    async def answer() -> None:
        while any(job.is_alive for job in loads):
            await asyncio.sleep(0.02)
        services.delivery.send(peer, "synced", request.values["n"])

    services.spawn(answer(), "sync")


async def notify(services: Services, peer: Peer, request: Request) -> None:
    """Register or withdraw a return address."""
    values = request.values
    session = await services.register(peer, values["on"], values["port"], values["name"])
    port = getattr(peer.link, "reply_port", 0) or int(peer.key.rpartition(":")[2])
    services.delivery.send(peer, "done", request.address, 0, session.number, port)
    if values["on"]:
        services.delivery.send(peer, "state", services.state)


def dump(services: Services, peer: Peer, request: Request) -> None:
    """Trace this client's messages."""
    peer.session.dump_level = request.values["level"]
    services.delivery.send(peer, "done", request.address, 0)


async def auth(services: Services, peer: Peer, request: Request) -> None:
    """Let a client of another machine in."""
    if not peer.is_trusted:
        await services.authenticator.check(peer.link.host, request.values["password"])
        peer.is_trusted = True
        peer.link.welcome()
    services.delivery.send(peer, "done", request.address, 0)


def quit_server(services: Services, peer: Peer, request: Request) -> None:
    """Finish the running job, then stop."""
    services.delivery.send(peer, "done", request.address, 0)
    services.request_stop()


async def set_keys(services: Services, peer: Peer, request: Request) -> None:
    """Keys for all later jobs of this client."""
    services.specs.check_preset(request.keys.get("preset", ""))
    check_model(request.keys.get("model", ""), services.executor.info.models)
    peer.session.defaults.update(request.keys)
    await services.remember(peer)


def get_key(services: Services, peer: Peer, request: Request) -> None:
    """One of them."""
    key = request.values["key"]
    default = EDIT_KEYS[key].default
    value = peer.session.defaults.get(
        key, "" if default is REQUIRED or default is None else default
    )
    services.delivery.send(peer, "get.reply", key, value)


async def region(services: Services, peer: Peer, request: Request) -> None:
    """Choose this client's current region."""
    values = request.values
    file = await services.file_threads(services.sandbox.audio_file, values["audio"])
    file, header = await wait_until_settled(
        file.path, services.file_threads, services.uploads.quiet_seconds(file.path)
    )
    start, length = values["start"], values["length"]
    name = region_name(file.path, start, length)
    rate, channels, frames = _extent(header, start, length)
    peer.session.region = Region(file.path, start, length, request.keys, name)
    await services.remember(peer)
    services.delivery.send(
        peer, "region.reply", request.id, rate, channels, frames, frames / rate, name
    )


def _extent(header: AudioHeader | None, start: float, length: float) -> tuple[int, int, int]:
    """Rate, channels and frames of the region. Raises RequestError."""
    if header is None:
        raise RequestError("bad_audio", "expected a WAV, AIFF or FLAC file; convert it first")
    if start and start >= header.seconds:
        raise RequestError(
            "bad_args", f"start: the file has {header.seconds:.3f} s, came {start:g}"
        )
    frames = header.frames - round(start * header.rate_hz)
    return (
        header.rate_hz,
        header.channels,
        min(frames, round(length * header.rate_hz)) if length else frames,
    )


VERBS = {
    "ping": ping,
    "status": status,
    "version": version,
    "folder": folder,
    "sync": sync,
    "notify": notify,
    "dump": dump,
    "auth": auth,
    "quit": quit_server,
    "set": set_keys,
    "get": get_key,
    "region": region,
}
