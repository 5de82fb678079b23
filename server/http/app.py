"""Routes, start and stop of the HTTP twin."""

from __future__ import annotations

import asyncio
import errno
import logging

from aiohttp import WSCloseCode, hdrs, web

from osc_protocol import ROOT
from server.errors import RequestError
from server.http import calls, events, files, openapi, oscquery, security, websocket
from server.http.clients import Client, Clients
from server.http.gauges import Gauges
from server.services import Services
from server.verbs.inbox import Inbox
from server.wire.transports import PORTS_TO_TRY

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 256
KEEPALIVE_SECONDS = 30.0  # an idle connection is closed after this
STOP_SECONDS = 2.0  # for answers that are on their way
EXPIRY_SECONDS = 60.0


class HttpTwin:
    """The HTTP side of one server. Belongs to the loop's thread."""

    def __init__(self, services: Services, inbox: Inbox) -> None:
        self._services, self._inbox = services, inbox
        self.clients = Clients(services)
        self._gauges = Gauges(
            services, lambda: inbox.transports.connections, lambda: self.connections
        )
        app = web.Application(
            middlewares=[security.guard(services)], client_max_size=calls.MAX_BODY_BYTES
        )
        app.on_response_prepare.append(security.add_headers)
        app.add_routes(
            [
                web.post(f"{ROOT}/audio/upload", self._upload),
                web.get(f"{ROOT}/audio/file", self._file),
                web.get(f"{ROOT}/events", self._events, allow_head=False),
                web.post("/{address:.*}", self._call),
                web.get("/openapi.json", self._openapi),
                web.get("/metrics", self._metrics),
                web.get("/page/{name:.*}", self._page),
                web.get("/{path:.*}", self._node),
            ]
        )
        self._runner = web.AppRunner(
            app, access_log=None, keepalive_timeout=KEEPALIVE_SECONDS, shutdown_timeout=STOP_SECONDS
        )
        self._sockets: set[web.WebSocketResponse] = set()
        self._listener: asyncio.AbstractServer | None = None

    async def open(self, host: str, port: int) -> int:
        """Listen on `port` or one of the next ten. Returns the real one. Raises OSError."""
        await self._runner.setup()
        host = "127.0.0.1" if host == "localhost" else host
        for candidate in range(port, min(port + PORTS_TO_TRY, 65536)):
            try:
                self._listener = await asyncio.get_running_loop().create_server(
                    self._protocol, host, candidate
                )
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
                log.info("HTTP port %d is taken (%s)", candidate, error.strerror)
            else:
                self._services.spawn(self._watch(), "HTTP clients watch")
                return candidate
        raise OSError(errno.EADDRINUSE, f"ports {port} to {port + PORTS_TO_TRY - 1} are all taken")

    async def close(self) -> None:
        """Take no more connections, end streams, let answers go out."""
        if self._listener:
            self._listener.close()
        self.clients.close()
        await asyncio.gather(
            *(socket.close(code=WSCloseCode.GOING_AWAY) for socket in self._sockets)
        )
        await self._runner.cleanup()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._runner.server.connections) if self._runner.server else 0

    def _protocol(self) -> asyncio.BaseProtocol:
        if self.connections >= MAX_CONNECTIONS:
            log.warning("an HTTP connection is refused: %d are open", MAX_CONNECTIONS)
            return _Refused()
        if self._runner.server is None:
            raise RuntimeError("the HTTP server is not set up")
        return self._runner.server()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(EXPIRY_SECONDS)
            self.clients.expire()

    def _client(self, request: web.Request) -> Client:
        return self.clients.client(request.remote or "", request.query.get("client", ""))

    async def _call(self, request: web.Request) -> web.Response:
        client = self._client(request)
        return calls.to_response(
            await calls.run(self._services, client, request.path, await request.read())
        )

    async def _events(self, request: web.Request) -> web.StreamResponse:
        client = self._client(request)
        since = (
            request.headers.get("Last-Event-ID")
            or request.query.get("since")
            or str(client.link.events.number)
        )
        if not (since.isascii() and since.isdigit() and len(since) < 20):
            raise RequestError(
                "bad_args", f"Last-Event-ID: expected the number of an event, came {since[:40]!r}"
            )
        self.clients.listen(client)
        try:
            return await events.serve(client.link.events, request, int(since))
        finally:
            self.clients.leave(client)

    async def _upload(self, request: web.Request) -> web.Response:
        return await files.upload(self._services, self._client(request), request)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        return await files.audio(self._services, request)

    async def _openapi(self, request: web.Request) -> web.Response:
        return web.json_response(openapi.document())

    async def _metrics(self, request: web.Request) -> web.Response:
        """For Prometheus."""
        text, content_type = await self._gauges.text(request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(body=text, headers={hdrs.CONTENT_TYPE: content_type})

    async def _page(self, request: web.Request) -> web.StreamResponse:
        return await files.page(self._services, request.match_info["name"])

    async def _node(self, request: web.Request) -> web.StreamResponse:
        """OSCQuery; a browser that opens / is sent to the page."""
        if web.WebSocketResponse().can_prepare(request):
            return await websocket.serve(self._services, self._inbox, request, self._sockets)
        if (
            request.path == "/"
            and not request.query_string
            and "text/html" in request.headers.get(hdrs.ACCEPT, "")
        ):
            raise web.HTTPFound("/page/")
        await self._services.refresh_styles()  # the tree has their names
        return oscquery.answer(self._services, request)


class _Refused(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.abort()
