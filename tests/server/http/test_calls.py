"""POST /retimbre/<verb>: the same table, the same answers."""

import asyncio
import re

import pytest

from osc_protocol import ADDRESSES, ERROR_CODES, REPLIES, ROOT, encode
from server.http import calls, json_form
from server.http.calls import STATUS
from tests.server.clients import UdpClient

# What differs from one request to the next, or from one client to another.
VOLATILE = {
    "job",
    "uptime",
    "memory_used",
    "seconds",
    "eta",
    "serial",
    "seed",
    "client",
    "port",
    "created",
    "message",
}
NOT_COMPARED = {
    "quit": "it stops the server",
    "live/start": "it opens a sound device",
    "dump": "it adds a log of all that follows",
}
BARRIER = 1000
MADE_UP = re.compile(r"\b[0-9a-f]{16}\b|copy-[0-9a-f]+")  # jobs, handles


def sample(arg, audio):
    """A value that the table takes for an argument."""
    named = {"audio": str(audio), "text": "copy", "name": "harp", "mixture": "harp 0.5 banjo 0.5"}
    by_type = {"i": 1, "f": 0.5, "s": "x", "b": b"abc", "id": 7, "any": "x"}
    value = named.get(arg.name, arg.choices[0] if arg.choices else by_type[arg.type])
    return max(value, type(value)(arg.low)) if arg.type in "if" and arg.low else value


def comparable(address, values):
    """A message without what is never the same twice."""
    return address, {
        name: MADE_UP.sub("NAME", value) if isinstance(value, str) else value
        for name, value in values.items()
        if name not in VOLATILE
    }


def test_every_error_code_has_a_status():
    assert STATUS.keys() == ERROR_CODES.keys()
    assert all(400 <= status < 600 for status in STATUS.values())


def test_verbs_that_answer_later_are_in_the_table():
    for name, replies in calls.ANSWERED_LATER.items():
        assert f"{ROOT}/{name}" in ADDRESSES
        assert all(f"{ROOT}/{reply}" in REPLIES for reply in replies)


async def test_every_verb_answers_as_it_does_over_osc(server, call, connect, audio):
    await server.ready.wait()
    osc = await connect("tcp")
    for number, row in enumerate(row for row in ADDRESSES.values() if row.name not in NOT_COMPARED):
        values = [sample(arg, audio) for arg in row.args]
        keys = {"strength": 0.5} if "strength" in row.keys and not row.args else {}
        before = len(osc.messages)
        osc.send(encode(row.path, *values, **keys))
        osc.say("sync", BARRIER + number)
        await osc.expect("synced", n=BARRIER + number)
        await settle(server)
        told = [
            comparable(message.address, json_form.values(message))
            for message in osc.messages[before:]
            if message.address in calls._answers(row.path) and message.values.get("n", 0) < BARRIER
        ]
        body = {
            arg.name: json_form._plain(value) for arg, value in zip(row.args, values, strict=True)
        }
        _, replies = await call(row.name, **body, **keys)
        await settle(server)
        answers = [comparable(reply.pop("address"), reply) for reply in replies]
        has_events = "ack" in row.replies or row.name == "audio/get"
        assert answers == (told[: len(answers)] if has_events else told), row.name


async def settle(server):
    """Until no job lives, so that the next request meets the same state."""
    while any(True for _ in server.services.registry.living()):
        await asyncio.sleep(0.01)


async def test_a_job_is_acknowledged_in_the_answer_and_ends_in_the_events(call, listen, audio):
    events = await listen()
    status, replies = await call("edit", id="7", audio=str(audio), text="copy", seed=3)
    assert status == 200
    assert [(reply["address"], reply["id"]) for reply in replies] == [(f"{ROOT}/ack", "7")]
    result = await events.expect("result", id="7")
    done = await events.expect("done", id="7")
    assert (result["frames"], done["command"], done["seed"], done["results"]) == (
        4800,
        f"{ROOT}/edit",
        3,
        1,
    )


async def test_the_same_id_again_runs_nothing_twice_and_tells_the_outcome(call, listen, audio):
    events = await listen()
    request = {"id": 7, "audio": str(audio), "text": "copy"}
    _, first = await call("edit", **request)
    await events.expect("done", id=7)
    _, again = await call("edit", **request)
    assert [reply["address"] for reply in again] == [f"{ROOT}/result", f"{ROOT}/done"]
    assert first[0]["job"] in again[0]["path"]


async def test_two_clients_do_not_see_each_others_jobs(call, listen, audio):
    mine, yours = await listen("me"), await listen("you")
    await call("edit", "me", id=1, audio=str(audio), text="copy")
    await mine.expect("done", id=1)
    status, replies = await call("job/query", "you", id=1)
    assert (status, replies[0]["code"]) == (404, "unknown_job")
    await call("edit", "you", id=2, audio=str(audio), text="copy")
    await yours.expect("done", id=2)
    assert {values["id"] for _, values in yours.seen if "id" in values} == {2}


async def test_a_name_is_the_same_client_over_osc_and_http(connect, call, audio):
    osc = await connect("udp")
    osc.say("notify", 1, 0, "studio")
    await osc.expect("done")
    osc.say("set", strength=1.5)
    osc.say("sync", 1)
    await osc.expect("synced")
    _, replies = await call("get", "studio", key="strength")
    assert replies[0]["value"] == 1.5


async def test_lists_come_whole(call):
    status, replies = await call("preset/list")
    assert status == 200
    assert replies[-1] == {"address": f"{ROOT}/preset/list.end", "count": len(replies) - 1}


async def test_a_load_is_answered_when_it_is_done(call):
    status, replies = await call("model/load", name="nano", id=5)
    assert (status, replies[-1]["command"], replies[-1]["id"]) == (200, f"{ROOT}/model/load", 5)


async def test_dump_traces_into_answers_and_events(call, listen):
    events = await listen()
    await call("dump", level=1)
    _, replies = await call("get", key="seed")
    assert [reply["address"] for reply in replies] == [
        f"{ROOT}/log",
        f"{ROOT}/log",
        f"{ROOT}/get.reply",
    ]
    assert (
        "in /retimbre/get 'seed'" in replies[0]["text"]
        and "out /retimbre/get.reply" in replies[1]["text"]
    )
    assert "log" not in [name for name, _ in events.seen]


async def test_a_load_that_is_sent_again_is_answered_twice(call):
    answers = await asyncio.gather(*(call("model/load", name="nano", id=5) for _ in range(3)))
    assert [status for status, _ in answers] == [200] * 3
    assert all(replies[-1]["id"] == 5 for _, replies in answers)


async def test_calls_run_while_another_waits_for_its_load(call):
    load = asyncio.create_task(call("model/load", name="nano", id=5))
    assert (await call("ping", echo=1))[1] == [{"address": f"{ROOT}/pong", "echo": [1]}]
    assert (await load)[0] == 200


async def test_a_call_that_waits_is_answered_when_the_server_stops(server, http):
    slow = asyncio.create_task(http.post("/retimbre/sync", json={"n": 1}))
    load = asyncio.create_task(http.post("/retimbre/model/load", json={"name": "nano", "id": 5}))
    await asyncio.wait([slow], timeout=0.1)
    server.services.request_stop()
    server.services.request_stop()
    await server.stop()
    assert (await slow).status in (200, 503)
    assert (await load).status in (409, 503)


async def test_quit_answers_and_stops(server, call):
    assert (await call("quit"))[0] == 200
    await asyncio.wait_for(server.serve_until_stopped(), 10)


@pytest.mark.parametrize(
    ("verb", "body", "status", "code"),
    [
        ("edit", {"audio": "a.wav"}, 400, "bad_args"),
        ("edit", {"id": 1, "audio": "a.wav", "text": "x y", "strength": 7}, 400, "bad_args"),
        ("edit", {"id": 1, "audio": "nothing.wav", "text": "x"}, 404, "no_file"),
        ("edit", {"id": 1, "audio": "/etc/passwd", "text": "x"}, 403, "path_denied"),
        ("edit", {"id": 1, "audio": "a.wav", "text": {"words": 1}}, 400, "bad_args"),
        ("edit", {"id": 10**400, "audio": "a.wav", "text": "x"}, 400, "bad_args"),
        ("edit", {"id": "\ud800", "audio": "a.wav", "text": "x"}, 400, "bad_args"),
        ("audio/data", {"id": 1, "index": 0, "bytes": "no Base64!"}, 400, "bad_args"),
        ("preset/get", {"name": "hrp"}, 404, "unknown_preset"),
        ("say", {"id": 1, "text": "a violin"}, 409, "no_region"),
        ("nonsense", {}, 404, "unknown_address"),
        ("events", {}, 404, "unknown_address"),
    ],
)
async def test_what_is_wrong_is_told_with_code_and_status(call, verb, body, status, code):
    answered, replies = await call(verb, **body)
    assert (answered, replies[-1]["code"]) == (status, code)
    assert replies[-1]["message"]


@pytest.mark.parametrize(
    "body", [b"{", b"[1]", b"nonsense", b'{"n": NaN}', b"[" * 10**5, b"\xff\xfe"]
)
async def test_what_is_no_json_object_is_refused(http, body):
    async with http.post(
        "/retimbre/sync", data=body, headers={"Content-Type": "application/json"}
    ) as response:
        assert (response.status, (await response.json())["replies"][0]["code"]) == (400, "bad_args")


async def test_a_key_that_is_not_known_changes_nothing_and_is_told(call, audio):
    _, replies = await call("edit", id=1, audio=str(audio), text="copy", strength=0.5, strenght=0.5)
    assert [reply["address"] for reply in replies] == [f"{ROOT}/log", f"{ROOT}/ack"]
    assert "did you mean strength" in replies[0]["text"]


async def test_numbers_are_as_short_as_they_were_sent(call):
    await call("set", strength=0.4)
    _, replies = await call("get", key="strength")
    assert replies[0]["value"] == 0.4


async def test_seconds_keep_their_precision(call, server, audio):
    await call("region", id=1, audio=str(audio), start=0.0123456789, length=0.05)
    session = next(client.peer.session for client in server.http.clients._clients.values())
    # a float of four bytes would be a frame off after minutes
    assert session.region.start_seconds == 0.0123456789


async def test_many_calls_are_all_answered_though_an_osc_client_would_be_held_to_twenty_complaints(
    call,
):
    answers = await asyncio.gather(*(call("nonsense", id=number) for number in range(60)))
    assert all(status == 404 for status, _ in answers)


async def test_clients_that_nobody_uses_make_room(call, server, monkeypatch):
    monkeypatch.setattr("server.http.clients.MAX_CLIENTS", 3)
    for number in range(6):
        assert (await call("ping", f"client {number}", echo=1))[0] == 200
    names = [client.link.name for client in server.http.clients._clients.values()]
    assert names == ["client 3", "client 4", "client 5"]
    assert not any("client 0" in name for name in server.services.sessions._sessions)


async def test_clients_at_work_are_not_forgotten(call, server, audio, monkeypatch):
    monkeypatch.setattr("server.http.clients.MAX_CLIENTS", 1)
    monkeypatch.setattr("server.http.clients.KEEP_SECONDS", 0)
    await call("edit", "busy", id=1, audio=str(audio), text="slow 40")
    status, replies = await call("ping", "other", echo=1)
    assert (status, replies[0]["code"]) == (503, "queue_full")
    server.http.clients.expire()
    assert server.http.clients._clients
    await call("cancel", "busy", id=1)
    await settle(server)
    server.http.clients.expire()
    assert not server.http.clients._clients


@pytest.mark.parametrize("name", ["a/b", "x" * 65, "line\nbreak"])
async def test_names_of_clients_are_checked(call, name):
    status, replies = await call("ping", name, echo=1)
    assert (status, replies[0]["code"]) == (400, "bad_args")


async def test_udp_clients_are_not_disturbed(server, call):
    client = await UdpClient.open(server.port)
    client.say("ping", 1)
    await client.expect("pong")
    await call("ping", echo=1)
    assert len(client.messages) == 1
    client.close()
