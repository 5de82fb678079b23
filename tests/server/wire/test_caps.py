"""Memory is bounded for every peer: caps of docs/security.md are reached by real clients, and
others go on.
"""

import asyncio
import contextlib
import dataclasses
import importlib
import re
import socket

import pytest

from osc_protocol import Request, UploadSender, decode_packet, encode, encode_frame
from server.app import Server
from server.files.uploads import Uploads
from server.threads import SerialExecutor
from server.wire import sessions, transports
from server.wire.auth import Authenticator
from tests.faults.stage import until
from tests.server.clients import TcpClient, executor, write_wav
from tests.server.machine import ROOT


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


async def test_downloads_are_counted(server, connect, audio, monkeypatch):
    monkeypatch.setattr("server.files.downloads.MAX_DOWNLOADS", 2)
    write_wav(audio, frames=100_000)
    client = await connect("udp")
    for number in (1, 2, 3):
        client.say("audio/get", number, str(audio))
    assert (await client.expect("fail", id=3))["code"] == "queue_full"


async def test_finished_uploads_are_remembered_up_to_a_number_and_their_files_stay(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("server.files.uploads.MAX_REMEMBERED", 5)
    executor = SerialExecutor("files")
    uploads = Uploads(tmp_path, 1000, executor)
    await uploads.prepare([])
    for number in range(12):
        for packet in UploadSender(number, b"").start(0.0):
            await uploads.on_open("me", decode_packet(packet)[0], is_stream=True)
        await uploads.on_close(
            "me",
            Request(
                "/retimbre/audio/close", {"id": number, "chunks": 0, "crc32": "00000000"}, id=number
            ),
        )
    assert len(uploads._uploads) == 5 and len(list(uploads.folder.glob("*.wav"))) == 12
    executor.close()


async def test_machines_that_guess_passwords_are_remembered_up_to_a_number(monkeypatch):
    monkeypatch.setattr("server.wire.auth.MAX_HOSTS", 5)
    authenticator = Authenticator("open sesame")
    for number in range(20):
        await authenticator.check(f"10.0.0.{number}", "open sesame")
    assert len(authenticator._attempts) == 5


def test_every_cap_of_the_page_is_the_codes_own():
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| .*? \| ([\d,]+)(?: (KiB|MiB))? \| .*? \| `([\w.]+)\.(\w+)` \|$", page, re.MULTILINE
    )
    assert len(rows) >= 20
    for number, unit, module, name in rows:
        stated = int(number.replace(",", "")) * {"KiB": 2**10, "MiB": 2**20}.get(unit, 1)
        assert getattr(importlib.import_module(module), name) == stated, name
