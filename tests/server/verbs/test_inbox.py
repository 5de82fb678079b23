"""Messages in line: weighed, bounded, and others go on."""

import pytest

from server.wire import sessions, transports
from tests.faults.stage import until


@pytest.mark.parametrize("cap", ["MAX_WAITING_BYTES", "MAX_ALL_WAITING_BYTES"])
async def test_what_waits_is_weighed_and_a_stream_is_read_no_further(
    server, connect, monkeypatch, cap
):
    place = "server.verbs.inbox" if "ALL" in cap else "server.wire.sessions"
    monkeypatch.setattr(f"{place}.{cap}", 10_000)
    server.inbox.has_resumed.clear()  # nothing is answered meanwhile
    client = await connect("tcp")
    for _ in range(300):
        client.say("job/query", "x" * 60)
    await until(lambda: any(peer.is_held for peer in server.services.sessions._peers.values()))
    assert server.services.sessions.waiting_bytes < 10_000 + 2 * transports.MAX_FRAME_BYTES
    server.inbox.has_resumed.set()
    await until(lambda: len(client.all("fail")) == 300)
    assert server.services.sessions.waiting_bytes == 0


async def test_datagrams_that_would_wait_too_many_are_refused(server, connect, monkeypatch):
    monkeypatch.setattr(sessions, "MAX_WAITING", 8)
    server.inbox.has_resumed.clear()
    client = await connect("udp")
    for number in range(12):
        client.say("edit", number + 1, "nowhere.wav", "copy")
    assert (await client.expect("fail"))["code"] == "busy"
    server.inbox.has_resumed.set()
    await until(lambda: len(client.all("fail")) == 12)
