"""Audio over the wire, in both directions."""

from __future__ import annotations

from osc_protocol import Request
from server.errors import RequestError
from server.files.served import find_served_file
from server.services import Services
from server.wire.sessions import Peer


async def open_upload(services: Services, peer: Peer, request: Request) -> None:
    """Begin an upload."""
    if not request.id:
        raise RequestError(
            "bad_args", "id: an upload needs an id of yours, 0 and an empty string are none"
        )
    _send(peer, await services.uploads.on_open(peer.session.client, request, peer.link.is_stream))


async def data(services: Services, peer: Peer, request: Request) -> None:
    """One chunk of an upload."""
    _send(peer, await services.uploads.on_data(peer.session.client, request))


async def close_upload(services: Services, peer: Peer, request: Request) -> None:
    """All of an upload was sent."""
    _send(peer, await services.uploads.on_close(peer.session.client, request))


async def get(services: Services, peer: Peer, request: Request) -> None:
    """Begin a download."""
    name = request.values["audio"]
    file = await services.file_threads(find_served_file, services.sandbox, services.paths, name)
    await services.downloads.begin(peer, request.job_id, file)


async def about_download(services: Services, peer: Peer, request: Request) -> None:
    """What the client answers to a download."""
    if not await services.downloads.on_reply(peer, request):
        raise RequestError(
            "unknown_upload",
            f"no download of yours is called {request.id!r}; begin with /retimbre/audio/get",
        )


def _send(peer: Peer, packets: list[bytes]) -> None:
    for packet in packets:
        peer.link.send(packet)


VERBS = {
    "audio/open": open_upload,
    "audio/data": data,
    "audio/close": close_upload,
    "audio/get": get,
    "audio/ready": about_download,
    "audio/ack": about_download,
    "audio/missing": about_download,
}
