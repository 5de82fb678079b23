"""Who may come in over HTTP?

A browser lets any web page send requests to this machine. These rules stop them.

1. The Host header must name this server by an address, or by a name that needs no foreign name
   server. A page whose name is made to point here ("DNS rebinding") sends its own name.
2. An Origin, when there is one, must be ours. A request that the browser marks as coming from
   another site is refused, except for a link to the page itself, which tells that site nothing.
3. A request that changes something is a POST with a content type that no form can send. A browser
   asks before it sends one from another site (a preflight), and gets no permission.
4. From other machines everything needs the password, as Bearer or (for the browser's own dialogue)
   Basic.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import logging
from typing import Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from osc_protocol import is_loopback
from server.errors import RequestError
from server.http import calls
from server.services import Services

log = logging.getLogger(__name__)

HEADERS = {
    # The page may load and reach only this server. blob: is audio that was recorded or decoded in
    # the page itself; inline styles are what waveform libraries set on the elements that they draw.
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' blob: data:; "
    "media-src 'self' blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Server": "retimbre",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
PAGES = ("/", "/page/")  # a link on another site may lead here
UPLOAD_TYPES = ("application/octet-stream", "audio/")
JSON_TYPES = ("application/json",)
CHALLENGE = 'Bearer realm="retimbre", Basic realm="retimbre"'


async def add_headers(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """The signal on_response_prepare: every answer carries HEADERS."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-cache")


def guard(services: Services) -> Middleware:
    """The middleware that refuses what may not come in, and turns errors into a /fail."""

    @web.middleware
    async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            _check_host(request, services)
            _check_origin(request)
            _check_content_type(request)
            await _check_password(request, services)
            return await handler(request)
        except Forbidden as error:
            return calls.fail_response(request.path, "auth", str(error), 403)
        except RequestError as refusal:
            response = calls.fail_response(request.path, refusal.code, refusal.message)
            if response.status == 401:
                response.headers[hdrs.WWW_AUTHENTICATE] = CHALLENGE
            return response
        except web.HTTPException as error:
            if error.status < 400:
                raise
            response = calls.fail_response(
                request.path, _CODES.get(error.status, "bad_packet"), error.reason, error.status
            )
            if hdrs.ALLOW in error.headers:
                response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
            return response
        except ConnectionError:
            raise  # the client has gone
        except Exception as error:  # a mistake of ours: the client must hear of it all the same
            log.exception("a request failed", extra={"verb": request.method, "said": request.path})
            return calls.fail_response(
                request.path, "internal", f"{type(error).__name__}: {error}; the log has more"
            )

    return let_in


_CODES = {404: "unknown_address", 405: "unknown_address", 413: "too_large", 500: "internal"}


class Forbidden(Exception):
    """A request that a web page of somebody else may have sent."""


def split_host(text: str) -> tuple[str, int]:
    """`[::1]:11022` -> ("::1", 11022); the port is 80 where none stands. Raises ValueError."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(text)
        return host, int(rest[1:] or 80)
    host, _, port = text.partition(":")
    return host.rstrip(".").lower(), int(port or 80)


def _check_host(request: web.Request, services: Services) -> None:
    try:
        host, port = split_host(request.headers.get(hdrs.HOST, ""))
    except ValueError:
        host, port = "", 0
    own = request.transport.get_extra_info("sockname") if request.transport else None
    is_ours = (
        host in ("localhost", services.config.host.lower())
        or is_loopback(host)
        or _is_same(host, own)
        or _is_announced(host, request, services)
    )
    if not is_ours or port != services.http_port:
        raise Forbidden(
            f"Host {request.headers.get(hdrs.HOST, '')!r} is not this server; ask for "
            f"http://127.0.0.1:{services.http_port}/, or start it with --host"
        )


def _is_announced(host: str, request: web.Request, services: Services) -> bool:
    """Whether another machine asks for our zeroconf name.

    On this machine a browser needs no password, and anybody on the network may answer for that
    name, so here it does not count.
    """
    announced = services.announcement
    return (
        announced is not None
        and host == announced.host.lower()
        and not is_loopback(request.remote or "")
    )


def _is_same(host: str, sockname: tuple[Any, ...] | None) -> bool:
    """Whether the client asked for the very address that its connection has reached."""
    try:
        return sockname is not None and ipaddress.ip_address(host) == ipaddress.ip_address(
            sockname[0].partition("%")[0]
        )
    except ValueError:
        return False


def _check_origin(request: web.Request) -> None:
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and origin.lower() != f"http://{request.headers[hdrs.HOST].lower()}":
        raise Forbidden(
            f"Origin {origin!r} is another site; this server answers its own page and programs only"
        )
    site = request.headers.get("Sec-Fetch-Site", "none")
    follows_link = (
        request.method == "GET"
        and request.path in PAGES
        and request.headers.get("Sec-Fetch-Mode") == "navigate"
        and request.headers.get("Sec-Fetch-Dest") == "document"
    )
    if site not in ("same-origin", "none") and not follows_link:
        raise Forbidden(f"a {site} request; this server answers its own page and programs only")


def _check_content_type(request: web.Request) -> None:
    if request.method != "POST":
        return
    wanted = UPLOAD_TYPES if request.path.endswith("/audio/upload") else JSON_TYPES
    if not request.content_type.startswith(wanted) or hdrs.CONTENT_TYPE not in request.headers:
        raise web.HTTPUnsupportedMediaType(reason=f"Content-Type must be {' or '.join(wanted)}")


async def _check_password(request: web.Request, services: Services) -> None:
    host = request.remote or ""
    if is_loopback(host) or not services.authenticator.has_password:
        return
    password = _password(request.headers.get(hdrs.AUTHORIZATION, ""))
    if password is None:
        raise RequestError("auth", "send the password as `Authorization: Bearer ...`")
    await services.authenticator.check(host, password)


def _password(header: str) -> str | None:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
    except (ValueError, binascii.Error):
        return None
