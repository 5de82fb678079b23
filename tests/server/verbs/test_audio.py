"""Audio over the wire, into the spool and back."""

import asyncio
import os
import time
import wave
from pathlib import Path

import pytest

from osc_protocol import DownloadReceiver, UploadSender, encode
from osc_protocol.wire import write_message
from server.files.settle import QUIET_SECONDS
from tests.server.clients import write_wav

ADDRESS = "/retimbre/audio/"


@pytest.fixture(params=["udp", "tcp"])
async def client(request, connect):
    return await connect(request.param)


async def upload(client, sender):
    """Drive a sender until it is over."""
    client.taken = getattr(client, "taken", 0)
    for packet in sender.start(time.monotonic()):
        client.send(packet)
    while not sender.is_over:
        await asyncio.sleep(0.001)
        news, client.taken = client.messages[client.taken :], len(client.messages)
        for packet in [
            packet for message in news for packet in sender.on_reply(message, time.monotonic())
        ]:
            client.send(packet)
        for packet in sender.on_tick(time.monotonic()):
            client.send(packet)


async def test_an_uploaded_file_can_be_edited_by_its_handle(client, audio, server):
    sender = UploadSender(1, audio.read_bytes())
    await upload(client, sender)
    assert (server.paths.spool / sender.handle).read_bytes() == audio.read_bytes()
    client.say("edit", 2, sender.handle, "copy")
    assert (await client.expect("result", id=2))["frames"] == 4800


async def test_raw_samples_get_a_header(client, server):
    sender = UploadSender(
        1, b"\1\0" * 2 * 50_000, rate_hz=96000, channels=2, frames=50_000, format="s16le"
    )
    await upload(client, sender)
    with wave.open(str(server.paths.spool / sender.handle)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (96000, 2, 50_000)


async def test_raw_samples_need_rate_and_channels(client):
    client.say("audio/open", 1, 0, 0, 0, "f32le")
    assert (await client.expect("fail", id=1))["code"] == "bad_args"


async def test_uploads_are_not_waited_for(server, audio):
    assert (
        server.services.uploads.quiet_seconds(
            os.path.realpath(server.services.uploads.folder / "a.wav")
        )
        == 0
    )
    assert server.services.uploads.quiet_seconds(str(audio)) == QUIET_SECONDS


async def test_a_damaged_upload_is_dropped(client, server):
    client.say("audio/open", 1)
    await client.expect("audio/ready", id=1)
    client.say("audio/data", 1, 0, b"abcd")
    await client.expect("audio/ack", id=1)
    client.say("audio/close", 1, 1, "00000000")
    assert (await client.expect("fail", id=1))["code"] == "bad_audio"
    assert not list(server.services.uploads.folder.iterdir())
    client.say("audio/data", 1, 1, b"abcd")
    await client.expect("fail", id=1, code="unknown_upload")


async def test_the_upload_of_another_client_is_unknown(connect):
    one, other = await connect("udp"), await connect("udp")
    one.say("audio/open", 1)
    await one.expect("audio/ready", id=1)
    other.say("audio/data", 1, 0, b"abcd")
    assert (await other.expect("fail", id=1))["code"] == "unknown_upload"


async def test_silent_uploads_expire_and_leave_nothing(client, server):
    client.say("audio/open", 1)
    await client.expect("audio/ready", id=1)
    upload = next(iter(server.services.uploads._uploads.values()))
    upload.receiver._heard_at -= 61
    await server.services.uploads.expire([])
    assert not list(server.services.uploads.folder.iterdir())


@pytest.mark.parametrize("kind", ["folder", "regions"])
async def test_old_files_go_but_not_those_that_jobs_need(server, kind, monkeypatch):
    folder = getattr(server.services.uploads, kind)
    for name in ("old.wav", "needed.wav", "new.wav"):
        (folder / name).write_bytes(b"x")
    for name in ("old.wav", "needed.wav"):
        os.utime(folder / name, (1, 1))
    needed = [os.path.realpath(folder / "needed.wav")]
    await server.services.uploads.expire(needed)
    # the clock may have been set forward: an hour of our own time must pass, too
    assert (folder / "old.wav").exists()
    monkeypatch.setattr("server.files.uploads.SEEN_SECONDS", 0.0)
    await server.services.uploads.expire(needed)
    assert sorted(path.name for path in folder.iterdir()) == ["needed.wav", "new.wav"]


async def test_an_upload_that_is_finished_while_old_ones_are_looked_for_disturbs_nobody(
    server, monkeypatch
):
    (server.services.uploads.folder / "one.wav").write_bytes(b"x")
    real = Path.is_file

    def is_file(path):
        there = real(path)
        path.unlink(missing_ok=True)
        return there

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Path, "is_file", is_file)
        await server.services.uploads.expire([])
    assert not list(server.services.uploads.folder.iterdir())


async def test_a_region_in_the_folder_that_the_server_names_can_be_edited(client):
    client.say("folder")
    path = write_wav(Path((await client.expect("folder.reply"))["path"]) / "mine.wav")
    client.say("edit", 2, str(path), "copy")
    assert (await client.expect("result", id=2))["frames"] == 4800


async def test_too_many_bytes_are_refused(connect, server):
    server.services.uploads._limit_bytes = 10
    client = await connect("tcp")
    client.say("audio/open", 1)
    await client.expect("audio/ready", id=1)
    client.say("audio/data", 1, 0, b"x" * 11)
    assert (await client.expect("fail", id=1))["code"] == "too_large"


async def test_too_many_open_uploads_are_refused(connect):
    client = await connect("tcp")
    for number in range(1, 18):
        client.say("audio/open", number)
    assert (await client.expect("fail", id=17))["code"] == "queue_full"


async def test_a_stem_comes_back_over_the_wire(client, audio):
    client.say("edit", 1, str(audio), "copy")
    path = (await client.expect("result", id=1))["path"]
    await client.expect("done", id=1)
    client.say("audio/get", 5, path)
    opened = await client.expect("audio/open", id=5)
    assert (opened["rate"], opened["channels"], opened["frames"]) == (48000, 1, 4800)
    assert await download(client, 5) == audio.read_bytes()


async def download(client, identity):
    """Take messages as they come until the transfer is done."""
    receiver = DownloadReceiver(identity, "mine", now=0, limit_bytes=10**9)
    taken, data = 0, b""
    while receiver.state == "open":
        await asyncio.sleep(0.001)
        news, taken = client.messages[taken:], len(client.messages)
        for message in news:
            if message.address.startswith(ADDRESS):
                for packet in receiver.on_message(message, 0):
                    client.send(packet)
                data += receiver.take()
    return data


@pytest.mark.parametrize(
    ("audio_path", "code"), [("/etc/passwd", "path_denied"), ("nothing.wav", "no_file")]
)
async def test_only_files_under_the_roots_can_be_fetched(client, audio_path, code):
    client.say("audio/get", 5, audio_path)
    assert (await client.expect("fail", id=5))["code"] == code


async def test_an_answer_to_no_download_is_answered(client):
    client.send(write_message("/retimbre/audio/ready", (5, 100, 8, "h")))
    assert (await client.expect("fail", id=5))["code"] == "unknown_upload"
    client.send(encode("/retimbre/ping", 1))
    await client.expect("pong")
