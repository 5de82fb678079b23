"""The server's own verbs, and what it answers to messages that it does not understand."""

import asyncio
import dataclasses

import pytest

from osc_protocol.wire import write_message
from server.app import Server
from server.compute.local import LocalExecutor
from server.errors import RequestError
from server.wire.auth import TRIES, Authenticator
from tests.server.clients import UdpClient, executor

HARP = """\
name: my_harp
title: My harp
description: a harp of my own
prompts: [{text: "harp"}]
licence: CC0-1.0
"""


@pytest.fixture
async def client(connect):
    return await connect("udp")


async def test_ping_brings_back_what_it_took(client):
    client.say("ping", 1, "two", 3.0)
    await client.expect("pong", echo=(1, "two", 3.0))


async def test_status_and_version_say_who_is_there(client, server):
    await server.ready.wait()
    client.say("status")
    client.say("version")
    status, version = await client.expect("status.reply"), await client.expect("version.reply")
    assert (status["state"], status["queued"], status["running"]) == ("ready", 0, 0)
    assert (status["model"], status["device"]) == ("nano", "double")
    assert (version["name"], version["protocol"]) == ("retimbre", 1)


async def test_state_is_pushed_when_it_changes(client, audio, server):
    await server.ready.wait()
    client.say("notify", 1, 0, "max")
    await client.expect("state", state="ready")
    client.say("edit", 1, str(audio), "slow 5")
    await client.expect("state", state="busy")
    await client.expect("state", state="ready", skip=1)


async def test_sync_waits_for_loads_and_comes_after_answers(client, server):
    await server.ready.wait()
    client.say("model/load", "nano", 5)
    client.say("sync", 3)
    await client.expect("synced", n=3)
    names = [message.address.rpartition("/")[2] for message in client.messages]
    assert names.index("done") < names.index("synced")


async def test_models_are_listed_loaded_and_unloaded(client, server):
    await server.ready.wait()
    client.say("model/unload", "nano")
    await client.expect("done", command="/retimbre/model/unload")
    client.say("model/list")
    assert (await client.expect("model/item"))["loaded"] == 0
    client.say("model/load", "nano", 9)
    assert (await client.expect("done", command="/retimbre/model/load", id=9))["seconds"] > 0
    client.say("model/load", "mano", 10)
    assert "nano" in (await client.expect("fail", id=10, code="unknown_model"))["message"]


async def test_a_load_can_be_cancelled(client, server):
    await server.ready.wait()
    client.say("model/load", "nano", 9)
    await client.expect("progress", id=9)
    client.say("cancel", 9)
    assert (await client.expect("fail", id=9))["code"] == "cancelled"


async def test_presets_are_listed_and_described(client):
    client.say("preset/list")
    count = (await client.expect("preset/list.end"))["count"]
    assert count == len(client.all("preset/item")) >= 10
    client.say("preset/get", "harp")
    assert (await client.expect("preset/get.end"))["count"] == len(client.all("preset/param"))
    client.say("preset/get", "hrap")
    assert "harp" in (await client.expect("fail", code="unknown_preset"))["message"]


async def test_styles_are_blended_for_later_jobs(client):
    client.say("preset/blend", "harp", 0.75, "pan_flute", 0.25)
    assert (await client.expect("done"))["styles"] == 2
    client.say("get", "preset")
    assert (await client.expect("get.reply"))["value"] == "harp 0.75 pan_flute 0.25"
    client.say("preset/blend", "harp", 0.75, "pan_flut", 0.25)
    assert "pan_flute" in (await client.expect("fail", code="unknown_preset"))["message"]


async def test_a_new_preset_file_is_noticed_and_a_broken_one_names_its_line(client, server):
    client.say("notify", 1, 0, "max")
    await client.expect("state")
    (server.paths.presets / "my_harp.yaml").write_text(HARP)
    await client.expect("preset/changed")
    (server.paths.presets / "broken.yaml").write_text("name: broken\ntitle: [\n")
    client.say("preset/reload")
    fail = await client.expect("fail", command="/retimbre/preset/reload")
    assert fail["code"] == "bad_preset" and "broken.yaml" in fail["message"]
    client.say("preset/get", "my_harp")
    await client.expect("preset/get.end", name="my_harp")


async def test_keys_are_set_and_asked_for(client):
    client.say("set", strength=0.5, preset="harp")
    client.say("get", "strength")
    client.say("get", "negative")
    assert (await client.expect("get.reply", key="strength"))["value"] == 0.5
    assert (await client.expect("get.reply", key="negative"))["value"] == ""
    client.say("set", preset="hrap")
    assert (await client.expect("fail"))["code"] == "unknown_preset"


@pytest.mark.parametrize(
    ("address", "atoms", "code"),
    [
        ("/retimbre/edti", (4, "a", "b"), "unknown_address"),
        ("/live/song/get/tempo", (), "unknown_address"),
        ("/retimbre/edit", (4,), "bad_args"),
        ("/retimbre/cancel", (), "bad_args"),
    ],
)
async def test_what_is_not_understood_is_answered(client, address, atoms, code):
    client.send(write_message(address, atoms))
    assert (await client.expect("fail", command=address))["code"] == code


@pytest.mark.parametrize(
    "packet", [b"", b"garbage", b"\xff" * 64, b"/retimbre/ping", b"#bundle\0" + b"\0" * 7]
)
async def test_garbage_costs_nothing_but_an_answer(client, packet):
    client.send(packet)
    client.say("ping", 1)
    await client.expect("pong")


async def test_a_storm_is_not_answered_in_full(client):
    for _ in range(300):
        client.send(b"garbage!")
    client.say("ping", 1)
    await client.expect("pong")
    await asyncio.sleep(0.1)
    assert len(client.all("fail")) < 60


async def test_dump_shows_this_clients_messages(connect):
    one, other = await connect("udp"), await connect("udp")
    one.say("dump", 2)
    await one.expect("done")
    other.say("ping", "secret")
    await other.expect("pong")
    one.say("ping", "mine")
    await one.expect("pong")
    texts = " ".join(message.values["text"] for message in one.all("log"))
    assert "mine" in texts and "bytes" in texts and "secret" not in texts


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


async def test_a_password_is_asked_for_slowly_and_four_times():
    authenticator = Authenticator("open sesame", delay_seconds=0.001)
    await authenticator.check("10.0.0.1", "open sesame")
    for left in range(TRIES - 1, 0, -1):
        with pytest.raises(RequestError, match=f"{left} of {TRIES}"):
            await authenticator.check("10.0.0.2", "guess")
    for _ in range(2):
        with pytest.raises(RequestError, match="try again in"):
            await authenticator.check("10.0.0.2", "guess")
    with pytest.raises(RequestError, match="try again in"):
        await authenticator.check("10.0.0.2", "open sesame")
    await authenticator.check("10.0.0.1", "open sesame")


async def test_a_client_of_another_machine_must_send_the_password(config, tmp_path, monkeypatch):
    (tmp_path / "password").write_text("open sesame\n")
    # as if 127.0.0.1 were elsewhere
    monkeypatch.setattr("server.wire.transports.is_loopback", lambda host: False)
    guarded = dataclasses.replace(config, password_file=str(tmp_path / "password"))
    async with Server(guarded, executor()) as server:
        client = await UdpClient.open(server.port)
        client.say("status")
        assert (await client.expect("fail"))["code"] == "auth"
        client.say("auth", "open sesame")
        await client.expect("done", command="/retimbre/auth")
        client.say("status")
        await client.expect("status.reply")
        client.say("quit")
        assert (await client.expect("fail", command="/retimbre/quit"))["code"] == "auth"
        client.close()
