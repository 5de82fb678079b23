"""A server that nobody speaks to sleeps, and misses nothing by it."""

import asyncio

from tests.server.verbs.test_presets import HARP


async def test_nothing_wakes_a_server_without_work(server, monkeypatch):
    await server.ready.wait()
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0.5)  # what the start has left
    turns, once = [], loop._run_once
    monkeypatch.setattr(loop, "_run_once", lambda: (turns.append(1), once()))
    await asyncio.sleep(1.5)
    assert len(turns) <= 2  # the end of our own sleep


async def test_a_job_that_has_ended_leaves_no_timer(server, connect, audio):
    client = await connect("tcp")
    client.say("edit", 1, str(audio), "slow 4")
    await client.expect("done", id=1)
    await asyncio.sleep(1.6)
    loop = asyncio.get_running_loop()
    assert not [each for each in loop._scheduled if not each.cancelled() and "_beat" in repr(each)]


async def test_a_new_style_is_there_for_who_never_asked_to_be_told(server, connect):
    (server.paths.presets / "my_harp.yaml").write_text(HARP)
    client = await connect("udp")
    client.say("preset/get", "my_harp")
    await client.expect("preset/get.end", name="my_harp")


async def test_who_listens_after_a_long_silence_hears_of_a_new_style(server, connect):
    client = await connect("udp")
    client.say("notify", 1, 0, "max")
    await client.expect("state")
    (server.paths.presets / "my_harp.yaml").write_text(HARP)
    await client.expect("preset/changed")
