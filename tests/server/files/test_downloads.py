"""Downloads are bounded, and a file that changes meanwhile costs a download only."""

import os

from tests.server.clients import write_wav


async def test_downloads_are_counted(server, connect, audio, monkeypatch):
    monkeypatch.setattr("server.files.downloads.MAX_DOWNLOADS", 2)
    write_wav(audio, frames=100_000)
    client = await connect("udp")
    for number in (1, 2, 3):
        client.say("audio/get", number, str(audio))
    assert (await client.expect("fail", id=3))["code"] == "queue_full"


async def test_a_file_that_becomes_shorter_fails_its_download_and_nothing_else(connect, audio):
    client = await connect("tcp")
    write_wav(audio, frames=500_000)
    client.say("audio/get", 5, str(audio))
    await client.expect("audio/open", id=5)
    os.truncate(audio, 4096)
    client.say("audio/ready", 5, 4096, 16, "mine")
    failed = await client.expect("fail", id=5)
    assert failed["code"] == "bad_audio" and "shorter" in failed["message"]
    client.say("ping", 6)
    await client.expect("pong")
