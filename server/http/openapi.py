"""`GET /openapi.json`: the OpenAPI 3.1 description of HTTP, made from the address table."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from osc_protocol import ERROR_CODES, PROTOCOL_VERSION, REPLIES, REQUIRED, ROOT, Address, Arg, Reply
from osc_protocol.addresses import REQUESTS_BY_SECTION
from osc_protocol.addresses.constants import AUDIO_FORMATS
from osc_protocol.arguments import FLOAT_MAX
from server.http.calls import ALWAYS_EVENTS, STATUS
from server.http.clients import NAME

Schema = dict[str, Any]

INT32: Schema = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
TEXT = {"type": "string", "pattern": "^[^\\x00]*$"}
TEXT_OR_NUMBER = {"type": ["integer", "number", "string"]}
NATURAL: Schema = {"type": "integer", "minimum": 0}
TYPES: dict[str, Schema] = {
    "i": INT32,
    "f": {"type": "number", "minimum": -FLOAT_MAX, "maximum": FLOAT_MAX},
    "s": TEXT,
    "b": {"type": "string", "contentEncoding": "base64", "minLength": 4},
    "any": TEXT_OR_NUMBER,
    "id": {"anyOf": [INT32, {**TEXT, "maxLength": 64}]},
}
CLIENT = {"$ref": "#/components/parameters/client"}
DESCRIPTION = (
    f"The verbs of the OSC protocol (docs/osc.md), version {PROTOCOL_VERSION}, as JSON. An answer "
    "lists the immediate replies of the verb; later ones come as server-sent events."
)


@functools.lru_cache(maxsize=1)
def document() -> Schema:
    """The whole description."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "retimbre", "version": str(PROTOCOL_VERSION), "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": section} for section in REQUESTS_BY_SECTION],
        "paths": {
            **_files(),
            **{
                row.path: {"post": _operation(section, row)}
                for section, rows in REQUESTS_BY_SECTION.items()
                for row in rows
            },
        },
        "components": {
            "schemas": {**_reply_schemas(), "Failed": _replies(["fail"])},
            "parameters": {
                "client": _query(
                    "client",
                    "Your name: 1 to 64 characters without a slash. It is your "
                    "session, as the name of /notify is. Without it: one session a machine.",
                    {"type": "string", "pattern": f"^({NAME.pattern})?$"},
                )
            },
            "responses": {
                "Failed": _json(
                    "It was refused; the code of the /fail says why.",
                    {"$ref": "#/components/schemas/Failed"},
                )
            },
            "securitySchemes": {
                "password": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "From other machines only.",
                }
            },
        },
        "security": [{}, {"password": []}],
    }


def _operation(section: str, row: Address) -> Schema:
    answers = [name for name in row.replies if name not in ALWAYS_EVENTS]
    return {
        "operationId": row.name.replace("/", "_"),
        "tags": [section],
        "summary": row.help,
        "parameters": [CLIENT],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _body(row)}}},
        "responses": {
            "200": _json("What the verb says at once.", _replies(answers, row)),
            **_failures(),
        },
    }


def _body(row: Address) -> Schema:
    args = (*row.args, *row.keys.values())
    needed = [
        arg.name
        for arg in row.args
        if arg.default is REQUIRED and not (arg.rest and arg.type != "s")
    ]
    body: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {arg.name: _argument(arg) for arg in args},
    }
    if row.keys and not row.args:
        body["minProperties"] = 1
    return {**body, "required": needed} if needed else body


def _argument(arg: Arg) -> Schema:
    """Of a request: what takes the rest may be one value or a list."""
    schema = _value(arg)
    if arg.rest:
        schema = {
            "anyOf": [
                schema,
                {
                    "type": "array",
                    "items": schema,
                    "maxItems": arg.rest,
                    "minItems": 1 if arg.type == "s" else 0,
                },
            ]
        }
    if arg.default is not REQUIRED and arg.default is not None:
        schema = {**schema, "default": arg.default}
    return schema | _words(arg)


def _value(arg: Arg) -> Schema:
    schema = dict(TYPES[arg.type])
    if arg.choices:
        schema["enum"] = list(arg.choices)
    elif arg.type == "s":
        schema["maxLength"] = arg.limit_bytes
    elif arg.type in "if":
        schema |= {
            name: value
            for name, value in (("minimum", arg.low), ("maximum", arg.high))
            if value is not None
        }
    return schema


def _words(arg: Arg) -> Schema:
    text = " ".join(part for part in (arg.help, f"[{arg.unit}]" if arg.unit else "") if part)
    return {"description": text} if text else {}


def _reply_schemas() -> dict[str, Schema]:
    """Each reply, and the /done of each verb that has one of its own."""
    plain = {_component(reply.name): _reply(reply, reply.args) for reply in REPLIES.values()}
    ended = {
        _component(f"done/{row.name}"): _reply(
            REPLIES[f"{ROOT}/done"], (*REPLIES[f"{ROOT}/done"].args, *row.done)
        )
        for rows in REQUESTS_BY_SECTION.values()
        for row in rows
        if row.done
    }
    plain["fail"]["properties"]["code"]["enum"] = list(ERROR_CODES)
    return plain | ended


def _reply(reply: Reply, args: Iterable[Arg]) -> Schema:
    properties: Schema = {"address": {"const": reply.path}}
    for arg in args:
        value = _value(arg)
        properties[arg.name] = ({"type": "array", "items": value} if arg.rest else value) | _words(
            arg
        )
    return {
        "type": "object",
        "description": reply.help,
        "properties": properties,
        "required": list(properties),
    }


def _replies(names: list[str], row: Address | None = None) -> Schema:
    schemas = [
        _component(f"done/{row.name}" if name == "done" and row and row.done else name)
        for name in (*names, "log")
    ]
    items = {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in dict.fromkeys(schemas)]}
    return {
        "type": "object",
        "required": ["replies"],
        "properties": {"replies": {"type": "array", "items": items}},
    }


def _component(name: str) -> str:
    return name.replace("/", ".")


def _json(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _failures() -> dict[str, Schema]:
    statuses = sorted({*STATUS.values(), 415})
    return {str(status): {"$ref": "#/components/responses/Failed"} for status in statuses}


def _query(name: str, description: str, schema: Schema, required: bool = False) -> Schema:
    return {
        "name": name,
        "in": "query",
        "description": description,
        "schema": schema,
        "required": required,
    }


def _files() -> dict[str, Schema]:
    """The addresses that the table does not have: OSC does the same by other means."""
    return {
        f"{ROOT}/events": {"get": _events()},
        f"{ROOT}/audio/upload": {"post": _upload()},
        f"{ROOT}/audio/file": {"get": _download()},
    }


def _upload() -> Schema:
    return {
        "operationId": "upload",
        "tags": ["Audio"],
        "summary": "Send audio in one piece; it is streamed to the disk.",
        "parameters": [
            CLIENT,
            _query(
                "format",
                "A whole file, or raw interleaved samples.",
                {"enum": list(AUDIO_FORMATS), "default": "wav"},
            ),
            *(
                _query(name, f"{text}; for raw samples.", NATURAL)
                for name, text in (("rate", "Hz"), ("channels", "How many"), ("frames", "How many"))
            ),
        ],
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {}, "audio/*": {}},
        },
        "responses": {
            "200": _json(
                "Where a path is wanted, say the handle.",
                {
                    "type": "object",
                    "required": ["handle", "bytes"],
                    "properties": {"handle": {"type": "string"}, "bytes": NATURAL},
                },
            ),
            **_failures(),
        },
    }


def _download() -> Schema:
    return {
        "operationId": "file",
        "tags": ["Audio"],
        "summary": "A stem, a manifest, an upload or a file under a root.",
        "parameters": [
            _query("path", "From /result, /done or an upload.", {"type": "string"}, required=True),
            {"name": "Range", "in": "header", "schema": {"type": "string"}, "required": False},
        ],
        "responses": {
            **{
                status: {"description": text, "content": {"*/*": {}}}
                for status, text in (
                    ("200", "The whole file."),
                    ("206", "The requested part of it."),
                )
            },
            "304": {"description": "It has not changed."},
            "416": {"description": "It is not that long."},
            **_failures(),
        },
    }


def _events() -> Schema:
    return {
        "operationId": "events",
        "tags": ["Jobs"],
        "summary": "Later messages, one event each.",
        "description": "`event:` is the address without /retimbre/, `data:` its values, `id:` a "
        "running number. After a gap that cannot be filled comes an event `lost`.",
        "parameters": [
            CLIENT,
            _query("since", "Begin after this number; 0: with all that is kept.", NATURAL),
            {
                "name": "Last-Event-ID",
                "in": "header",
                "schema": NATURAL,
                "required": False,
                "description": "The same; browsers send it when they come back.",
            },
        ],
        "responses": {
            "200": {
                "description": "Events, until one side ends it.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            **_failures(),
        },
    }
