"""The tree, its attributes and its websocket."""

import asyncio
import json

import pytest

from osc_protocol import ADDRESSES, REPLIES, decode_reply, encode
from osc_protocol.wire import READERS
from server.http import oscquery

STYLE = (
    "name: mine\ntitle: Mine\ndescription: a test\nmodel: nano\ntask: timbre\n"
    "prompts: [{text: a lute}]\nlicence: CC0-1.0\n"
)


@pytest.fixture
def get(http):
    """await get("/path?QUERY") -> (status, body)."""

    async def get(path):
        async with http.get(path) as response:
            return response.status, await response.json() if response.status != 204 else None

    return get


def nodes(node):
    yield node
    for inner in node.get("CONTENTS", {}).values():
        yield from nodes(inner)


async def test_every_address_is_in_the_tree_and_says_what_it_takes(get):
    _, root = await get("/")
    found = {node["FULL_PATH"]: node for node in nodes(root)}
    assert ADDRESSES.keys() | REPLIES.keys() <= found.keys()
    for path, node in found.items():
        is_method = path in ADDRESSES or path in REPLIES
        assert ("TYPE" in node) is is_method
        assert node["ACCESS"] == (path in REPLIES) + 2 * (path in ADDRESSES)
        for each in (node, *node.get("OVERLOADS", ())):
            kinds = each.get("TYPE", "N")
            assert kinds == "N" or len(each["RANGE"]) == len(each["EXTENDED_TYPE"]) == len(kinds)
            assert set(kinds) <= {*READERS, "N"}


async def test_a_node_has_types_ranges_and_overloads(get):
    _, node = await get("/retimbre/edit")
    assert (node["TYPE"], node["EXTENDED_TYPE"], node["CRITICAL"]) == (
        "sss",
        ["id", "audio", "text"],
        True,
    )
    keyed = {each["EXTENDED_TYPE"][-1]: each for each in node["OVERLOADS"]}
    assert keyed["strength"]["TYPE"] == "ssssf"
    assert keyed["strength"]["RANGE"][-2:] == [{"VALS": ["strength"]}, {"MIN": 0, "MAX": 2}]
    assert "harp" in keyed["preset"]["RANGE"][-1]["VALS"]
    _, node = await get("/retimbre/region")
    assert [node["TYPE"], *(each["TYPE"] for each in node["OVERLOADS"][:2])] == [
        "ss",
        "ssf",
        "ssff",
    ]
    assert (await get("/retimbre/status"))[1]["TYPE"] == "N"


async def test_names_of_models_and_styles_are_choices(get, server):
    await server.ready.wait()
    assert (await get("/retimbre/model/load"))[1]["RANGE"][0] == {"VALS": ["nano"]}
    assert "banjo" in (await get("/retimbre/preset/get"))[1]["RANGE"][0]["VALS"]


async def test_host_info_says_where_osc_and_the_websocket_are(get, server):
    for path in ("/?HOST_INFO", "/nonsense?HOST_INFO"):
        _, info = await get(path)
        assert (info["OSC_IP"], info["OSC_PORT"], info["OSC_TRANSPORT"]) == (
            "127.0.0.1",
            server.port,
            "UDP",
        )
        assert (info["WS_IP"], info["WS_PORT"]) == ("127.0.0.1", server.http_port)
        assert info["EXTENSIONS"] == dict.fromkeys(
            (
                "ACCESS",
                "VALUE",
                "RANGE",
                "DESCRIPTION",
                "EXTENDED_TYPE",
                "CRITICAL",
                "OVERLOADS",
                "LISTEN",
                "PATH_CHANGED",
            ),
            True,
        )


async def test_attributes_can_be_asked_for(get):
    for path, answer in {
        "/retimbre/edit?TYPE": (200, {"TYPE": "sss"}),
        "/retimbre/edit?FULL_PATH": (200, {"FULL_PATH": "/retimbre/edit"}),
        "/retimbre/cancel/all?CRITICAL": (200, {"CRITICAL": True}),
        "/retimbre?TYPE": (200, {}),
        "/retimbre/done?VALUE": (200, {}),
        "/retimbre/edit?VALUE": (204, None),
        "/retimbre/edit?UNIT": (204, None),
    }.items():
        assert await get(path) == answer, path


async def test_the_state_is_a_value(get, server):
    await server.ready.wait()
    assert (await get("/retimbre/state?VALUE"))[1] == {"VALUE": ["ready"]}


async def test_what_is_not_there(get):
    for path, status in {
        "/retimbre/edit?NONSENSE": 400,
        "/nonsense": 404,
        "/retimbre/edit/x": 404,
        "/retimbre/nonsense?TYPE": 404,
    }.items():
        answered, body = await get(path)
        assert (answered, body["replies"][0]["address"]) == (status, "/retimbre/fail"), path


# The websocket


class Socket:
    def __init__(self, socket):
        self.socket = socket

    async def command(self, name, path):
        await self.socket.send_str(json.dumps({"COMMAND": name, "DATA": path}))

    async def hear(self, address):
        """The next OSC message of that address; others are passed over."""
        while True:
            message = decode_reply(await asyncio.wait_for(self.socket.receive_bytes(), 10))
            if message.address == address:
                return message.values


@pytest.fixture
async def socket(http):
    async with http.ws_connect("/") as socket:
        yield Socket(socket)


async def test_what_is_listened_to_comes_whoever_caused_it(socket, call, audio):
    await socket.command("LISTEN", "/retimbre/state")
    await socket.hear("/retimbre/state")
    await socket.command("LISTEN", "/retimbre/done")
    await socket.socket.send_bytes(encode("/retimbre/ping", 1))
    await socket.hear("/retimbre/pong")
    await call("edit", "other", id=7, audio=str(audio), text="copy")
    assert (await socket.hear("/retimbre/done"))["id"] == 7


async def test_what_is_ignored_comes_no_more(socket, server):
    await socket.command("LISTEN", "/retimbre/state")
    await socket.hear("/retimbre/state")
    await socket.command("IGNORE", "/retimbre/state")
    await socket.socket.send_bytes(encode("/retimbre/ping", 1))
    await socket.hear("/retimbre/pong")
    server.services.delivery.push("state", "busy")
    await socket.socket.send_bytes(encode("/retimbre/ping", 2))
    assert decode_reply(await socket.socket.receive_bytes()).address == "/retimbre/pong"


async def test_osc_over_the_websocket_is_a_client_like_any_other(socket, audio):
    await socket.command("LISTEN", "/retimbre/done")  # its own comes once all the same
    await socket.socket.send_bytes(encode("/retimbre/edit", 7, str(audio), "copy"))
    assert (await socket.hear("/retimbre/ack"))["id"] == 7
    assert (await socket.hear("/retimbre/result"))["frames"] == 4800
    assert (await socket.hear("/retimbre/done"))["id"] == 7
    await socket.socket.send_bytes(encode("/retimbre/ping", 2))
    assert decode_reply(await socket.socket.receive_bytes()).address == "/retimbre/pong"


async def test_a_change_of_the_styles_changes_the_tree(socket, server, call):
    (server.paths.presets / "mine.yaml").write_text(STYLE)
    status, replies = await call("preset/reload")
    assert status == 200, replies
    changed = json.loads(await asyncio.wait_for(socket.socket.receive_str(), 10))
    assert changed == {"COMMAND": "PATH_CHANGED", "DATA": "/retimbre"}
    assert (
        "mine"
        in oscquery.find(oscquery.tree(server.services), "/retimbre/preset/get")["RANGE"][0]["VALS"]
    )


async def test_a_style_that_nobody_was_told_of_is_in_the_tree_all_the_same(
    get, server, monkeypatch
):
    monkeypatch.setattr("server.services.STYLES_FRESH_SECONDS", 0)
    (server.paths.presets / "mine.yaml").write_text(STYLE)
    assert "mine" in (await get("/retimbre/preset/get"))[1]["RANGE"][0]["VALS"]


async def test_nonsense_is_passed_over(socket):
    for text in (
        "",
        "{",
        "[]",
        "null",
        '{"COMMAND": "LISTEN"}',
        '{"COMMAND": "LISTEN", "DATA": [1]}',
        "[" * 10**4,
        '{"COMMAND": "NONSENSE", "DATA": ""}',
        '{"COMMAND": "LISTEN", "DATA": "/nonsense"}',
    ):
        await socket.socket.send_str(text)
    await socket.socket.send_bytes(b"nonsense")
    await socket.socket.send_bytes(encode("/retimbre/ping", 1))
    assert decode_reply(await socket.socket.receive_bytes()).values["code"] == "bad_packet"
    await socket.hear("/retimbre/pong")


async def test_other_sites_get_no_websocket(http):
    with pytest.raises(Exception, match="403"):
        await http.ws_connect("/", headers={"Origin": "https://evil.example"})


async def test_a_websocket_that_is_not_read_is_cut_off(socket, server):
    await socket.command("LISTEN", "/retimbre/log")
    await socket.command("LISTEN", "/retimbre/state")
    await socket.hear("/retimbre/state")
    while server.http._sockets:
        server.services.delivery.push("log", 0, "x" * 900)
        if not server.services.sessions._peers:
            break
        await asyncio.sleep(0)
    assert not any(key.startswith("ws:") for key in server.services.sessions._peers)


async def test_a_closed_websocket_leaves_nothing(http, server):
    async with http.ws_connect("/") as opened:
        await opened.send_bytes(encode("/retimbre/ping", 1))
        await opened.receive_bytes()
        assert [key for key in server.services.sessions._peers if key.startswith("ws:")]
    while server.http._sockets:
        await asyncio.sleep(0.01)
    assert not any(key.startswith("ws:") for key in server.services.sessions._peers)
    assert not list(server.services.sessions.listeners())
