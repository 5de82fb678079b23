"""Every message costs at most one answer, whatever is wrong with it."""

import asyncio
import dataclasses

import pytest

from osc_protocol import ADDRESSES
from osc_protocol.wire import write_message
from server.app import Server
from server.verbs.table import VERBS
from tests.server.clients import UdpClient, executor


def test_each_address_has_a_function_and_each_function_an_address():
    assert VERBS.keys() == ADDRESSES.keys()


@pytest.mark.parametrize(
    ("address", "atoms", "code"),
    [
        ("/retimbre/edti", (4, "a", "b"), "unknown_address"),
        ("/live/song/get/tempo", (), "unknown_address"),
        ("/retimbre/edit", (4,), "bad_args"),
        ("/retimbre/cancel", (), "bad_args"),
    ],
)
async def test_what_is_not_understood_is_answered(client, address, atoms, code):
    client.send(write_message(address, atoms))
    assert (await client.expect("fail", command=address))["code"] == code


@pytest.mark.parametrize(
    "packet", [b"", b"garbage", b"\xff" * 64, b"/retimbre/ping", b"#bundle\0" + b"\0" * 7]
)
async def test_garbage_costs_nothing_but_an_answer(client, packet):
    client.send(packet)
    client.say("ping", 1)
    await client.expect("pong")


async def test_a_storm_is_not_answered_in_full(client):
    for _ in range(300):
        client.send(b"garbage!")
    client.say("ping", 1)
    await client.expect("pong")
    await asyncio.sleep(0.1)
    assert len(client.all("fail")) < 60


async def test_a_client_of_another_machine_must_send_the_password(config, tmp_path, monkeypatch):
    (tmp_path / "password").write_text("open sesame\n")
    # as if 127.0.0.1 were elsewhere
    monkeypatch.setattr("server.wire.transports.is_loopback", lambda host: False)
    guarded = dataclasses.replace(config, password_file=str(tmp_path / "password"))
    async with Server(guarded, executor()) as server:
        client = await UdpClient.open(server.port)
        client.say("status")
        assert (await client.expect("fail"))["code"] == "auth"
        client.say("auth", "open sesame")
        await client.expect("done", command="/retimbre/auth")
        client.say("status")
        await client.expect("status.reply")
        client.say("quit")
        assert (await client.expect("fail", command="/retimbre/quit"))["code"] == "auth"
        client.close()
