"""Audio that the server cannot see goes over the wire, both ways and over both transports."""

import pytest
from retimbre_client import AsyncClient, Client, ClientError, NoServer, Refused

from benchmarks.tools.relay import LossyRelay


@pytest.mark.parametrize("audio_transport", ["udp", "tcp"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_server_elsewhere_gets_the_audio_and_gives_the_stem(
    port, hidden, tmp_path, transport, audio_transport
):
    stages = []
    with Client(
        port=port, transport=transport, audio_transport=audio_transport, shares_disk=False
    ) as client:
        outcome = client.edit(
            hidden, "copy", on_progress=lambda progress: stages.append(progress.stage)
        )
        fetched = client.fetch(outcome.stems[0], tmp_path / "stem.wav")
        assert client.manifest(outcome)["stems"][0]["frames"] == 700_000
    assert fetched.read_bytes() == hidden.read_bytes()
    assert stages[0] == "sending" and stages[-1] == "generating"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hidden.wav", "stem.wav"]


def test_a_file_that_the_server_may_not_read_is_sent_by_itself(port, hidden):
    said = []
    with Client(port=port, on_log=lambda level, text: said.append(text)) as client:
        assert client.edit(hidden, "copy", job_id=1).stems[0].frames == 700_000
        assert client.region(hidden)["frames"] == 700_000
    assert "over TCP" in said[0] and "--root" in said[0]


async def test_the_same_without_blocking(port, hidden):
    heard = []
    async with AsyncClient(port=port) as client:
        handle = await client.upload(hidden, heard.append)
        outcome = await client.edit(handle, "copy")
        assert await client.read(outcome.stems[0].path) == hidden.read_bytes()
    assert heard == sorted(heard) and heard[-1] == 1.0


def test_where_tcp_cannot_be_had_audio_goes_in_datagrams(port, hidden):
    with LossyRelay(port, loss=0.0) as relay, Client(port=relay.port, shares_disk=False) as client:
        outcome = client.edit(hidden, "copy")
        assert client.read(outcome.stems[0].path) == hidden.read_bytes()


def test_a_job_can_be_cancelled_while_its_audio_is_sent(port, hidden):
    with (
        LossyRelay(port, loss=0.5) as relay,
        Client(port=relay.port, audio_transport="udp", shares_disk=False) as client,
    ):
        job = client.submit(hidden, "copy")
        while job.progress is None:
            with pytest.raises(TimeoutError):
                job.wait(0.05)
        assert job.progress.stage == "sending"
        job.cancel()
        with pytest.raises(Refused, match="cancelled"):
            job.wait()


def test_what_is_no_audio_is_not_sent(client, tmp_path):
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(Refused, match="bad_audio: .*\\.flac"):
        client.upload(tmp_path / "notes.txt")
    with pytest.raises(Refused, match="no_file"):
        client.upload(tmp_path / "gone.wav")


def test_the_server_gives_only_audio_of_its_own(port):
    with (
        Client(port=port, shares_disk=False) as client,
        pytest.raises(Refused, match="path_denied"),
    ):
        client.read("/etc/passwd")


def test_a_stem_that_cannot_be_put_there_says_where_it_is(client, audio, tmp_path):
    stem = client.edit(audio, "copy").stems[0]
    with pytest.raises(ClientError, match=f"write_failed: .*{stem.path.name}"):
        client.fetch(stem, tmp_path / "no" / "such" / "folder.wav")


def test_a_transfer_ends_with_the_server(machine, hidden):
    with Client(port=machine.port, shares_disk=False, silence_seconds=1.0) as client:
        machine.kill()
        with pytest.raises(NoServer):
            client.upload(hidden)
        with pytest.raises(NoServer):
            client.read("/takes/stem.wav")
