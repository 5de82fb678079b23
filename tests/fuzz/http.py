"""HTTP: the JSON of a POST, a request line with its headers."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from unittest.mock import Mock


def body(data: bytes) -> None:
    """The JSON of a POST: the message that OSC would have brought, or a BadBody."""
    from osc_protocol import ADDRESSES, BadRequest, decode_message
    from server.http import calls, json_form

    addresses = [*ADDRESSES, "/retimbre/no such"]
    address = addresses[(data[0] if data else 0) % len(addresses)]
    try:
        message = json_form.message(address, json_form.parse(data[1:]))
    except json_form.BadBody as error:
        str(error).encode("utf-8", "replace")
        return
    request = decode_message(message)
    if isinstance(request, BadRequest):
        calls.fail_response(request.address, request.code, request.message)


def query(data: bytes) -> None:
    """A request line and headers as they come, read by OSCQuery, uploads and the guard."""
    from aiohttp import web
    from aiohttp.test_utils import make_mocked_request

    from server.errors import RequestError
    from server.http import clients, files, oscquery, security, websocket

    line, _, header = data.partition(b"\n")
    text = header.decode("utf-8", "surrogateescape")
    try:
        request = make_mocked_request(
            "GET", "/" + line.decode("latin-1").lstrip("/"), **_connection()
        )
    except ValueError:  # aiohttp's own parser has refused it before it would come to us
        return
    names = request.query
    for read, refusals in (
        (lambda: oscquery.answer(_nobody(), request), web.HTTPException),
        (
            lambda: files._request(
                "open",
                "x",
                names.get("rate", 0),
                names.get("channels", 0),
                names.get("frames", 0),
                names.get("format", "wav"),
            ),
            RequestError,
        ),
        (lambda: security.split_host(text), ValueError),
        (lambda: security._password(text), ()),
        (lambda: websocket._parse(text), ()),
        (lambda: clients.NAME.fullmatch(names.get("client", "")), ()),
    ):
        try:
            read()
        except refusals:
            pass


@functools.cache
def _connection() -> dict[str, Mock]:
    """One for all requests: a new one for each would take longer than the target itself."""
    transport = Mock()
    transport.get_extra_info.return_value = ("127.0.0.1", 11022)
    return {"app": Mock(), "transport": transport, "protocol": Mock(), "writer": Mock()}


@functools.cache
def _nobody() -> SimpleNamespace:
    """As much of a server as OSCQuery looks at: no styles, no models."""
    executor = SimpleNamespace(info=SimpleNamespace(models=[]))
    return SimpleNamespace(
        library=SimpleNamespace(presets=lambda: ()),
        state="ready",
        port=1,
        http_port=2,
        config=SimpleNamespace(host="::1"),
        executor=executor,
    )
