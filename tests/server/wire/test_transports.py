"""Ports, framings, sizes."""

import asyncio
import contextlib
import dataclasses
import socket

import pytest

from osc_protocol import encode, encode_frame
from server.app import Server
from server.paths import read_port_file
from server.wire import transports
from tests.faults.stage import until
from tests.server.clients import TcpClient, UdpClient, executor


@pytest.mark.parametrize("framing", ["int32", "slip"])
async def test_both_framings_are_understood_and_answered_in_kind(connect, framing):
    client = await connect("tcp", framing=framing)
    client.say("ping", "a")
    await client.expect("pong", echo=("a",))


async def test_a_stream_in_single_bytes_is_a_stream(connect):
    client = await connect("tcp")
    for byte in encode_frame(encode("/retimbre/ping", 1), "int32"):
        client.writer.write(bytes([byte]))
        await asyncio.sleep(0)
    await client.expect("pong")


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\n\r\n", b"\x03\xff\xff\xff"])
async def test_a_stream_that_is_none_is_told_so_and_closed(connect, start):
    client = await connect("tcp")
    client.writer.write(start)
    await asyncio.wait_for(client.is_closed.wait(), 10)


async def test_a_taken_port_gives_way_to_the_next(config):
    # UDP alone is enough to be taken
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        async with Server(dataclasses.replace(config, port=port), executor()) as server:
            assert port < server.port <= port + 10
            assert read_port_file(server.paths.port_file).port == server.port
            client = await UdpClient.open(server.port)
            client.say("ping", 1)
            await client.expect("pong")
            client.close()


async def test_bundles_are_run_at_once_whatever_their_time(connect):
    client = await connect("udp")
    ping = encode("/retimbre/ping", 1)
    client.send(b"#bundle\0" + b"\x7f" * 8 + 2 * (len(ping).to_bytes(4, "big") + ping))
    await client.expect("pong", skip=1)


async def test_the_largest_datagram_arrives(connect):
    client = await connect("udp")
    client.send(b"/" + b"x" * 65_000)
    assert (await client.expect("fail"))["code"] == "bad_packet"


async def test_what_the_server_sends_fits_one_frame_of_ethernet(connect, audio):
    client = await connect("udp")
    sizes = []
    hear = client.hear
    client.hear = lambda packet: (sizes.append(len(packet)), hear(packet))
    client.say("preset/list")
    client.say("edit", 1, str(audio), "copy " + "words " * 150)
    await client.expect("done", id=1)
    client.say("take/list")
    await client.expect("take/list.end")
    assert max(sizes) <= 1400


async def test_a_burst_of_many_messages_is_answered_in_order(connect):
    client = await connect("tcp")
    for number in range(600):
        client.say("sync", number)
    await client.expect("synced", n=599)
    assert [message.values["n"] for message in client.all("synced")] == list(range(600))


async def test_connections_are_counted_and_the_next_one_is_closed_while_the_others_go_on(
    server, connect, monkeypatch
):
    monkeypatch.setattr(transports, "MAX_CONNECTIONS", 3)
    clients = [await connect("tcp") for _ in range(3)]
    for client in clients:
        client.say("ping", 1)
        await client.expect("pong")
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    await asyncio.wait_for(send_until_refused(writer), 10)
    clients[0].close()
    await until(lambda: server.inbox.transports.connections == 2)
    again = await connect("tcp")
    again.say("ping", 3)
    await again.expect("pong")


async def send_until_refused(writer):
    """Until the other side closes the connection."""
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(encode_frame(encode("/retimbre/ping", 2), "int32"))
            await writer.drain()
            await asyncio.sleep(0.01)


async def test_a_machine_that_is_switched_off_is_noticed(server, connect):
    await connect("tcp")
    await until(lambda: server.inbox.transports.connections == 1)
    [link] = server.inbox.transports._links
    sock = link._transport.get_extra_info("socket")
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    name = getattr(socket, "TCP_KEEPIDLE", None) or socket.TCP_KEEPALIVE
    assert sock.getsockopt(socket.IPPROTO_TCP, name) == 60


async def test_who_does_not_send_the_password_keeps_no_connection(config, tmp_path, monkeypatch):
    (tmp_path / "password").write_text("open sesame\n")
    # as if 127.0.0.1 were elsewhere
    monkeypatch.setattr(transports, "is_loopback", lambda host: False)
    async with Server(
        dataclasses.replace(config, password_file=str(tmp_path / "password")), executor()
    ) as server:
        friend = await TcpClient.open(server.port)
        await until(lambda: server.inbox.transports.connections == 1)
        [link] = server.inbox.transports._links
        stays = link._until_sent_away
        friend.say("auth", "open sesame")
        await friend.expect("done", command="/retimbre/auth")
        monkeypatch.setattr(transports, "STRANGER_SECONDS", 0.0)
        stranger = await TcpClient.open(server.port)
        await asyncio.wait_for(stranger.task, 10)
        assert stays.cancelled() and server.inbox.transports.connections == 1
        friend.close()


async def test_who_does_not_read_is_closed(server, connect, monkeypatch):
    monkeypatch.setattr(transports, "MAX_UNREAD_BYTES", 2**16)
    monkeypatch.setattr(transports, "MAX_ALL_UNREAD_BYTES", 2**16)
    own = socket.socket()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**12)
    own.connect(("127.0.0.1", server.port))
    _, writer = await asyncio.open_connection(sock=own, limit=2**10)
    await until(lambda: server.inbox.transports.connections == 1)
    [link] = server.inbox.transports._links
    link._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**12)
    question = encode_frame(encode("/retimbre/preset/list"), "int32")  # a few kilobytes of answer
    with pytest.raises(ConnectionError):
        while True:  # answers fill the system's buffers, then ours
            writer.write(20 * question)
            await writer.drain()
    await until(lambda: server.inbox.transports.connections == 0)
    writer.close()
    other = await connect("tcp")
    other.say("ping", 1)
    await other.expect("pong")
