"""How a server stops, and serves when it cannot compute."""

import asyncio
import dataclasses

import pytest

from server.app import Server
from server.compute.local import LocalExecutor
from tests.server.clients import UdpClient, executor


@pytest.fixture
async def client(connect):
    return await connect("udp")


async def test_quit_lets_the_running_job_finish(config, audio):
    server = Server(config, executor())
    await server.start()
    client = await UdpClient.open(server.port)
    client.say("edit", 1, str(audio), "slow 10")
    # or job 2, settled sooner, would run first
    await client.expect("progress", id=1, stage="generating")
    client.say("edit", 2, str(audio), "copy")
    await client.expect("ack", id=2)
    client.say("quit")
    await client.expect("done", command="/retimbre/quit")
    client.say("edit", 3, str(audio), "copy")
    assert (await client.expect("fail", id=3))["code"] == "not_ready"
    await server.serve_until_stopped()
    assert client.ends(1) and not client.ends(2)
    client.close()
    assert not server.paths.port_file.exists()


async def test_a_second_request_to_stop_does_not_wait(config, audio):
    server = Server(config, executor())
    await server.start()
    client = await UdpClient.open(server.port)
    client.say("edit", 1, str(audio), "slow 1000")
    await client.expect("progress", id=1, stage="generating")
    stopping = asyncio.create_task(server.serve_until_stopped())
    server.services.request_stop()
    server.services.request_stop()
    await stopping
    assert (await client.expect("fail", id=1))["code"] == "interrupted"
    client.close()


async def test_jobs_are_refused_with_the_reason_when_the_engine_does_not_start(
    config, audio, monkeypatch
):
    monkeypatch.setattr("server.compute.local.BACKOFF_SECONDS", (0.01,))
    async with Server(config, LocalExecutor(["no-such-program"])) as server:
        client = await UdpClient.open(server.port)
        client.say("edit", 1, str(audio), "copy")
        fail = await client.expect("fail", id=1)
        assert fail["code"] in ("engine_died", "not_ready") and "no-such-program" in fail["message"]
        client.say("edit", 2, str(audio), "copy")
        assert (await client.expect("fail", id=2))["code"] == "not_ready"
        client.close()


async def test_a_full_queue_is_answered(config, audio):
    async with Server(dataclasses.replace(config, queue_limit=1), executor()) as server:
        client = await UdpClient.open(server.port)
        client.say("edit", 1, str(audio), "slow 100")
        await client.expect("progress", id=1, stage="generating")
        client.say("edit", 2, str(audio), "copy")
        client.say("edit", 3, str(audio), "copy")
        assert (await client.expect("fail", id=3))["code"] == "queue_full"
        client.close()
