"""Lost datagrams, a server that loses its power, a server that says nothing any more."""

import asyncio
import os

import pytest
from retimbre_client import AsyncClient, Client, NoServer, Refused

from benchmarks.tools.relay import LossyRelay

TRANSPORTS = pytest.mark.parametrize("transport", ["udp", "tcp"])


async def until(is_so):
    while not is_so():
        await asyncio.sleep(0.02)


def test_where_every_fifth_datagram_is_lost_nothing_else_is(port, audio, hidden):
    with (
        LossyRelay(port, loss=0.2, seed=3) as relay,
        Client(port=relay.port, audio_transport="udp", connect_seconds=20) as client,
    ):
        jobs = [client.submit(audio, "copy", seed=seed, takes=2) for seed in range(4)]
        assert [len(job.wait().stems) for job in jobs] == [2, 2, 2, 2]
        assert len(client.presets()) > 20
        client.set(seed=9)
        assert client.get("seed") == 9
        assert client.region(client.upload(hidden))["frames"] == 700_000
    assert relay.lost > 50


@TRANSPORTS
async def test_what_waited_goes_on_after_a_power_cut_and_what_ran_says_so(
    machine, audio, transport
):
    async with AsyncClient(port=machine.port, transport=transport) as client:
        ran, waited = client.submit(audio, "slow 100"), client.submit(audio, "copy", seed=4)
        await until(lambda: ran.progress)
        await waited.accepted()
        machine.kill()
        machine.start()
        with pytest.raises(Refused, match="interrupted"):
            await ran
        assert (await waited).seed == 4
        assert (await client.edit(audio, "copy", seed=5)).seed == 5
    assert len(machine.runs()) == 3


@TRANSPORTS
async def test_connections_and_takes_outlive_a_power_cut(machine, audio, hidden, transport):
    async with AsyncClient(port=machine.port, transport=transport, name="studio") as client:
        outcome = await client.edit(audio, "copy", job_id=1)
        await client.upload(hidden)
        machine.kill()
        machine.start()
        assert await client.edit(audio, "copy", job_id=1) == outcome
        assert [take["id"] for take in await client.takes()] == [1]
        assert (await client.edit(await client.upload(hidden), "copy")).stems[0].frames == 700_000
    assert len(machine.runs()) == 2


def test_a_script_that_starts_again_finds_what_its_job_made(machine, audio):
    with Client(port=machine.port, name="script") as client:
        client.submit(audio, "copy", job_id="chorus").wait()
    machine.kill()
    machine.start()
    with Client(port=machine.port, name="script", transport="tcp") as client:
        assert len(client.submit(audio, "copy", job_id="chorus").wait().stems) == 1
    assert len(machine.runs()) == 1


@TRANSPORTS
def test_a_server_that_stays_away_ends_the_wait(machine, audio, transport):
    with Client(port=machine.port, transport=transport, silence_seconds=1.0) as client:
        job = client.submit(audio, "slow 1000")
        while job.progress is None:
            with pytest.raises(TimeoutError):
                job.wait(0.05)
        machine.kill()
        with pytest.raises(NoServer, match="has said nothing about job"):
            job.wait()
        assert not client.ping(0.3)


@pytest.mark.skipif(os.name == "nt", reason="a process is stopped by a signal")
def test_silence_ends_the_wait_even_where_the_socket_is_open(machine, audio):
    with Client(port=machine.port, transport="tcp", silence_seconds=1.0) as client:
        machine.freeze()
        with pytest.raises(NoServer, match="timed_out"):
            client.edit(audio, "copy")


def test_heartbeats_keep_a_job_whose_worker_says_nothing(machine, audio):
    with Client(port=machine.port, silence_seconds=2.5) as client:
        job = client.submit(audio, "hang")
        with pytest.raises(TimeoutError):
            job.wait(4.0)  # longer than a silence would be allowed to last
        assert not job.is_over


def test_closing_waits_until_the_server_has_what_was_submitted(port, audio):
    with (
        LossyRelay(port, loss=0.6, seed=1) as relay,
        Client(port=relay.port, name="lost", connect_seconds=30) as client,
    ):
        client.submit(audio, "copy", job_id="kept")
    with Client(port=port, name="lost") as client:
        assert client.attach("kept").wait().stems


def test_an_error_of_the_callers_does_not_wait_for_anything(machine, audio):
    with pytest.raises(ZeroDivisionError), Client(port=machine.port) as client:
        machine.freeze()
        client.submit(audio, "copy")
        raise ZeroDivisionError
