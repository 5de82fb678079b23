"""GET /openapi.json: valid, complete, and true."""

import jsonschema
from openapi_spec_validator import validate

from osc_protocol import ADDRESSES, REPLIES
from server.http import openapi


def schema(reference):
    """A schema with everything that it refers to at hand."""
    return {**reference, "components": openapi.document()["components"]}


def test_it_is_openapi():
    validate(openapi.document())


def test_it_has_every_address_and_every_reply():
    document = openapi.document()
    assert document["paths"].keys() - ADDRESSES.keys() == {
        "/retimbre/events",
        "/retimbre/audio/upload",
        "/retimbre/audio/file",
    }
    assert not ADDRESSES.keys() - document["paths"].keys()
    named = {
        each["properties"]["address"]["const"]
        for name, each in document["components"]["schemas"].items()
        if "address" in each["properties"]
    }
    assert named == set(REPLIES)


async def test_it_is_served(http):
    async with http.get("/openapi.json") as response:
        assert response.headers["Content-Type"].startswith("application/json")
        assert await response.json() == openapi.document()


TAKEN = [
    ("edit", {"id": "7", "audio": "a.wav", "text": "a violin", "strength": 0.5, "takes": 2}),
    ("set", {"seed": -1}),
    ("ping", {}),
    ("ping", {"echo": 1}),
    ("ping", {"echo": [1, "a", 0.5]}),
    ("say", {"id": 1, "text": ["a", "violin"]}),
]
REFUSED = [
    ("edit", {"id": 7, "audio": "a.wav"}),
    ("edit", {"id": 7, "audio": "a.wav", "text": "x", "strength": 7}),
    ("edit", {"id": 7, "audio": "a.wav", "text": "x", "format": "mp3"}),
    ("edit", {"id": 7, "audio": "a.wav", "text": "x", "nonsense": 1}),
    ("set", {}),
    ("set", {"seed": 1.5}),
    ("say", {"id": 1}),
]


async def test_it_says_what_is_taken_as_the_server_does(call):
    for verb, body in TAKEN + REFUSED:
        operation = openapi.document()["paths"][f"/retimbre/{verb}"]["post"]
        described = schema(operation["requestBody"]["content"]["application/json"]["schema"])
        is_right = (verb, body) in TAKEN
        assert jsonschema.Draft202012Validator(described).is_valid(body) is is_right, body
        _, replies = await call(verb, **body)
        assert any(reply.get("code") == "bad_args" for reply in replies) is not is_right, body


async def test_answers_are_as_it_promises(call, audio):
    paths = openapi.document()["paths"]
    for verb, body in (
        ("edit", {"id": 1, "audio": str(audio), "text": "copy"}),
        ("preset/list", {}),
        ("status", {}),
        ("nonsense", {}),
        ("edit", {}),
        ("model/load", {"name": "nano"}),
        ("notify", {"on": 1}),
        ("region", {"id": 1, "audio": str(audio)}),
        ("ping", {"echo": ["a", 1]}),
        ("model/list", {}),
        ("take/list", {}),
        ("audio/open", {"id": 4}),
        ("get", {"key": "seed"}),
    ):
        status, replies = await call(verb, **body)
        responses = paths.get(f"/retimbre/{verb}", paths["/retimbre/ping"])["post"]["responses"]
        promised = (
            responses["200"]["content"]
            if status == 200
            else openapi.document()["components"]["responses"]["Failed"]["content"]
        )
        jsonschema.validate({"replies": replies}, schema(promised["application/json"]["schema"]))
