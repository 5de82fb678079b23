"""Downloads are bounded."""

from tests.server.clients import write_wav


async def test_downloads_are_counted(server, connect, audio, monkeypatch):
    monkeypatch.setattr("server.files.downloads.MAX_DOWNLOADS", 2)
    write_wav(audio, frames=100_000)
    client = await connect("udp")
    for number in (1, 2, 3):
        client.say("audio/get", number, str(audio))
    assert (await client.expect("fail", id=3))["code"] == "queue_full"
