"""Audio up, audio down, and the page's own files."""

from __future__ import annotations

import os
import secrets
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import StreamReader, web

from osc_protocol import (
    ROOT,
    TCP_CHUNK_BYTES,
    Message,
    ReplyMessage,
    Request,
    decode_message,
    decode_reply,
)
from server.errors import RequestError
from server.files.served import find_served_file
from server.http import calls
from server.http.clients import Client
from server.paths import PAGE
from server.services import Services

OCTETS = "application/octet-stream"
AUDIO_TYPES = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".aif": "audio/aiff",
    ".aiff": "audio/aiff",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".json": "application/json",
}
# Not from mimetypes: Windows lets any program change its answer for .js, and browsers then refuse
# the file.
PAGE_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".txt": "text/plain",
    ".webmanifest": "application/manifest+json",
    **AUDIO_TYPES,
}


async def upload(services: Services, client: Client, request: web.Request) -> web.Response:
    """Write the body to the spool, with the limits and the expiry of an upload over OSC."""
    identity = f"http-{secrets.token_hex(8)}"
    query = request.query
    owner = client.peer.session.client
    opening = _request(
        "open",
        identity,
        query.get("rate", 0),
        query.get("channels", 0),
        query.get("frames", 0),
        query.get("format", "wav"),
    )
    _check_length(request, services)
    _check(await services.uploads.on_open(owner, opening, True))
    chunks = crc32 = size_bytes = 0
    try:
        async for data in _chunks(request):
            _check(await services.uploads.on_data(owner, _request("data", identity, chunks, data)))
            chunks, crc32, size_bytes = chunks + 1, zlib.crc32(data, crc32), size_bytes + len(data)
        done = _check(
            await services.uploads.on_close(
                owner, _request("close", identity, chunks, f"{crc32:08x}")
            )
        )
    finally:
        await services.uploads.drop(owner, identity)
    return web.json_response({"handle": done.values["handle"], "bytes": size_bytes})


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    """The body in pieces of at most TCP_CHUNK_BYTES; large ones, because each has its cost."""
    while data := await _read(request.content):
        yield data


async def _read(content: StreamReader) -> bytes:
    pieces, size_bytes = [], 0
    while size_bytes < TCP_CHUNK_BYTES and (
        piece := await content.read(TCP_CHUNK_BYTES - size_bytes)
    ):
        pieces.append(piece)
        size_bytes += len(piece)
    return b"".join(pieces)


def _request(name: str, *atoms: str | int | bytes) -> Request:
    request = decode_message(Message(f"{ROOT}/audio/{name}", atoms))
    if not isinstance(request, Request):
        raise RequestError(request.code, request.message)
    return request


def _check_length(request: web.Request, services: Services) -> None:
    """Refuse an upload that is announced as too large before it is sent."""
    size_bytes = request.content_length or 0
    if size_bytes > services.uploads.limit_bytes:
        raise RequestError(
            "too_large",
            f"{size_bytes / 1e6:.0f} MB are announced; at most "
            f"{services.uploads.limit_bytes / 1e6:.0f} MB are accepted (--max-file-mb)",
        )


def _check(packets: list[bytes]) -> ReplyMessage:
    """The last answer of the upload's state machine. Raises RequestError when it is a /fail."""
    message = decode_reply(packets[-1])
    if message.address == calls.FAIL:
        raise RequestError(message.values["code"], message.values["message"])
    return message


async def audio(services: Services, request: web.Request) -> web.StreamResponse:
    """A stem, a manifest, an upload or other audio that a client may name."""
    path = request.query.get("path", "")
    audio_file = await services.file_threads(
        find_served_file, services.sandbox, services.paths, path
    )
    headers = {"Content-Type": AUDIO_TYPES.get(Path(audio_file.path).suffix.lower(), OCTETS)}
    with await services.file_threads(audio_file.open) as file:
        # By its descriptor: the name may stand for another file by now. Windows lets nobody swap an
        # open file.
        name = audio_file.path if os.name == "nt" else f"/dev/fd/{file.fileno()}"
        response = web.FileResponse(Path(name), headers=headers)
        await response.prepare(request)  # sends it all, before the file is closed
    return response


async def page(services: Services, name: str) -> web.StreamResponse:
    """One of the page's files. Raises HTTPNotFound for what is not one."""
    path = await services.file_threads(_page_file, name or "index.html")
    if path is None:
        raise web.HTTPNotFound(reason="no such file of the page")
    return web.FileResponse(path, headers={"Content-Type": PAGE_TYPES[path.suffix]})


def _page_file(name: str) -> Path | None:
    """The file of that name under the page's folder, links followed, of a known kind; or None."""
    if "\0" in name:
        return None
    path = (PAGE / name).resolve()
    return (
        path if path.is_relative_to(PAGE) and path.suffix in PAGE_TYPES and path.is_file() else None
    )
