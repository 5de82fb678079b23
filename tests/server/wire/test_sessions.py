"""Two clients do not see each other's state, and each gets its answers where it listens."""

import asyncio
import gc

from server.wire.sessions import Peer, Session, Sessions
from server.wire.transports import UdpLink
from tests.server.clients import TcpClient, UdpClient


async def test_the_same_id_of_two_clients_is_two_jobs(connect, audio):
    clients = [await connect("udp"), await connect("udp"), await connect("tcp")]
    for number, client in enumerate(clients):
        client.say("edit", 1, str(audio), "copy", seed=number)
    for number, client in enumerate(clients):
        assert (await client.expect("done", id=1))["seed"] == number
    assert len({client.all("ack")[0].values["job"] for client in clients}) == 3


async def test_defaults_regions_takes_and_jobs_stay_with_their_client(connect, audio):
    one, other = await connect("udp"), await connect("udp")
    one.say("set", preset="harp", seed=5)
    one.say("region", 1, str(audio))
    one.say("say", 2, "copy")
    await one.expect("done", id=2)
    other.say("get", "seed")
    other.say("say", 2, "copy")
    other.say("job/query", 2)
    other.say("take/list")
    other.say("take/use", 2)
    assert (await other.expect("get.reply"))["value"] == -1
    assert (await other.expect("fail", command="/retimbre/say"))["code"] == "no_region"
    assert (await other.expect("fail", command="/retimbre/job/query"))["code"] == "unknown_job"
    assert (await other.expect("take/list.end"))["count"] == 0
    assert (await other.expect("fail", command="/retimbre/take/use"))["code"] == "unknown_take"


async def test_the_servers_name_of_a_job_works_for_whoever_was_told_it(connect, audio):
    one, other = await connect("udp"), await connect("tcp")
    one.say("edit", 1, str(audio), "copy")
    done = await one.expect("done", id=1)
    other.say("job/query", one.all("ack")[0].values["job"])
    assert await other.expect("done") == done


async def test_a_client_that_registers_a_port_hears_everything_there(connect, server, audio):
    mouth, ear = await connect("udp"), await UdpClient.open(server.port)
    mouth.say("notify", 1, ear.port, "pd")
    done = await ear.expect("done", command="/retimbre/notify")
    assert done["port"] == ear.port and done["client"] > 0
    await ear.expect("state")
    mouth.say("edit", 1, str(audio), "copy")
    await ear.expect("done", id=1, command="/retimbre/edit")
    assert not mouth.messages
    mouth.say("notify", 0)
    mouth.say("ping")
    await mouth.expect("pong")
    ear.close()


async def test_a_patch_that_moved_to_another_port_goes_on_as_itself(connect, audio):
    before, after = await connect("udp"), await connect("udp")
    before.say("notify", 1, 0, "max")
    before.say("set", seed=4)
    before.say("edit", 1, str(audio), "slow 12")
    await before.expect("ack", id=1)
    after.say("notify", 1, 0, "max")
    after.say("get", "seed")
    assert (await after.expect("get.reply"))["value"] == 4
    await after.expect("done", id=1, command="/retimbre/edit")


async def test_what_was_said_before_the_name_counts_after_it(connect, audio):
    client = await connect("udp")
    client.say("set", seed=9)
    client.say("edit", 1, str(audio), "copy")
    await client.expect("ack", id=1)
    client.say("notify", 1, 0, "late")
    client.say("get", "seed")
    assert (await client.expect("get.reply"))["value"] == 9
    client.say("job/query", 1)
    await client.expect("done", id=1, command="/retimbre/edit")


async def test_a_connection_that_breaks_loses_no_job(connect, server, audio):
    first = await connect("tcp")
    first.say("notify", 1, 0, "script")
    first.say("edit", 1, str(audio), "slow 10")
    await first.expect("progress", id=1)
    first.close()
    second = await TcpClient.open(server.port)
    second.say("notify", 1, 0, "script")
    await second.expect("done", id=1, command="/retimbre/edit")
    second.close()


async def test_others_jobs_are_heard_on_request_only(connect, audio):
    worker, curious, deaf = await connect("udp"), await connect("udp"), await connect("udp")
    curious.say("notify", 2, 0, "curious")
    deaf.say("notify", 1, 0, "deaf")
    await curious.expect("done", command="/retimbre/notify")
    await deaf.expect("done", command="/retimbre/notify")
    worker.say("edit", "theirs", str(audio), "copy")
    await curious.expect("done", id="theirs")
    assert not deaf.all("progress") and not deaf.all("result")


async def test_a_socket_that_withdraws_silences_itself_only(connect, server):
    one, other = await connect("udp"), await connect("udp")
    for client in (one, other):
        client.say("notify", 1, 0, "max")
        await client.expect("done", command="/retimbre/notify")
    one.say("notify", 0, 0, "max")
    await one.expect("done", command="/retimbre/notify", skip=1)
    server.services.delivery.push("ready", "nano", 0.5)
    await other.expect("ready", seconds=0.5)
    assert not one.all("ready", seconds=0.5)


async def test_a_named_client_that_hung_up_leaves_no_session_behind_but_finds_its_defaults(
    connect, server
):
    for number in range(20):
        client = await connect("tcp")
        client.say("notify", 1, 0, f"script {number}")
        client.say("set", seed=number)
        client.say("sync", 1)
        await client.expect("synced")
        client.close()
    again = await connect("udp")
    again.say("notify", 1, 0, "script 7")
    again.say("get", "seed")
    assert (await again.expect("get.reply"))["value"] == 7
    while server.services.sessions.counts["peers"] > 1:
        await asyncio.sleep(0.01)
    gc.collect()
    assert server.services.sessions.counts == {"peers": 1, "sessions": 1, "kept": 20}


def test_addresses_are_forgotten_when_there_are_too_many_registered_ones_last(monkeypatch):
    monkeypatch.setattr("server.wire.sessions.MAX_PEERS", 10)
    sessions = Sessions()
    sessions.register(sessions.peer(UdpLink(None, ("127.0.0.1", 1))), 1, 0, "patch")
    for port in range(2, 100):
        sessions.peer(UdpLink(None, ("127.0.0.1", port)))
    assert sessions.counts["peers"] == 10 and sessions.link("udp:127.0.0.1:1")
    for port in range(100, 200):
        sessions.register(sessions.peer(UdpLink(None, ("127.0.0.1", port))), 1, 0, "")
    gc.collect()
    assert sessions.counts["peers"] == sessions.counts["sessions"] == 10 and not sessions.link(
        "udp:127.0.0.1:1"
    )


async def test_ids_come_back_in_the_type_they_came_in(connect, audio):
    client = await connect("udp")
    client.say("edit", "seven", str(audio), "copy")
    await client.expect("done", id="seven")
    client.say("edit", 7, str(audio), "copy")
    assert type((await client.expect("ack", id=7))["id"]) is int


def test_misunderstandings_are_answered_at_a_limited_rate():
    peer = Peer(link=None, session=Session("a", 1))
    answered = sum(peer.may_complain(now=100.0) for _ in range(1000))
    assert answered == 20
    assert sum(peer.may_complain(now=100.5) for _ in range(1000)) == 10
