"""The job contract, seen from outside."""

import asyncio

import pytest

from server.delivery import REPEATS


@pytest.fixture(params=["udp", "tcp"])
async def client(request, connect):
    return await connect(request.param)


async def test_an_edit_is_acknowledged_reported_and_ends_with_a_stem(client, audio):
    client.say("edit", 7, str(audio), "copy this", preset="chamber_violin")
    ack = await client.expect("ack", id=7)
    result = await client.expect("result", id=7)
    done = await client.expect("done", id=7, command="/retimbre/edit")
    assert ack["queue_position"] == 0
    assert (result["rate"], result["channels"], result["frames"]) == (48000, 1, 4800)
    assert done["results"] == 1 and done["serial"] > 0
    addresses = [message.address.rpartition("/")[2] for message in client.messages]
    assert addresses.index("ack") < addresses.index("progress") < addresses.index("result") < addresses.index("done")
