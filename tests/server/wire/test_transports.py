"""Ports, framings, sizes."""

import asyncio
import dataclasses
import socket

import pytest

from osc_protocol import encode, encode_frame
from server.app import Server
from server.paths import read_port_file
from tests.server.clients import UdpClient, executor


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
