"""The job contract, seen from outside."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from osc_protocol.wire import write_message
from server.files.settle import wait_until_settled
from server.jobs.delivery import REPEATS
from tests.server.clients import write_wav


@pytest.fixture(params=["udp", "tcp"])
async def either(request, connect):
    """A client of each transport in turn."""
    return await connect(request.param)


async def test_an_edit_is_acknowledged_reported_and_ends_with_a_stem(either, audio):
    either.say("edit", 7, str(audio), "copy this", preset="chamber_violin")
    ack = await either.expect("ack", id=7)
    result = await either.expect("result", id=7)
    done = await either.expect("done", id=7, command="/retimbre/edit")
    assert ack["queue_position"] == 0
    assert (result["rate"], result["channels"], result["frames"]) == (48000, 1, 4800)
    assert done["results"] == 1 and done["serial"] > 0
    addresses = [message.address.rpartition("/")[2] for message in either.messages]
    assert (
        addresses.index("ack")
        < addresses.index("progress")
        < addresses.index("result")
        < addresses.index("done")
    )


async def test_a_job_ends_exactly_once_and_udp_repeats_carry_the_same_serial(connect, audio):
    client = await connect("udp")
    client.say("edit", 1, str(audio), "copy")
    await client.expect("done", id=1, skip=REPEATS)
    await asyncio.sleep(0.7)
    assert len(client.ends(1)) == 1 + REPEATS
    assert len({end.args for end in client.ends(1)}) == 1


async def test_got_stops_the_repeats(connect, audio):
    client = await connect("udp")
    client.say("edit", 1, str(audio), "copy")
    done = await client.expect("done", id=1)
    client.say("got", 1, done["serial"])
    await asyncio.sleep(1.2)
    assert len(client.ends(1)) == 1


async def test_tcp_hears_the_end_once(connect, audio):
    client = await connect("tcp")
    client.say("edit", 1, str(audio), "copy")
    await client.expect("done", id=1)
    await asyncio.sleep(0.7)
    assert len(client.ends(1)) == 1


async def test_the_same_id_sent_again_never_starts_a_second_job(either, audio, server):
    for _ in range(3):
        either.say("edit", "a", str(audio), "slow 6")
    await either.expect("ack", id="a", skip=2)
    await either.expect("done", id="a")
    either.say("edit", "a", str(audio), "slow 6")
    await either.expect("result", id="a", skip=1)
    await either.expect("done", id="a", skip=1)
    assert {message.values["job"] for message in either.all("ack")} == {
        either.all("ack")[0].values["job"]
    }
    assert len({end.args for end in either.ends("a")}) == 1
    assert len((server.paths.takes / "runs.txt").read_text().splitlines()) == 1


async def test_an_id_that_comes_with_other_words_stands_for_the_first_job_and_says_so(
    client, audio
):
    client.say("edit", 1, str(audio), "copy")
    await client.expect("done", id=1)
    client.say("edit", 1, str(audio), "slow 9")
    log = await client.expect("log", level=2)
    assert "taken by an earlier request" in log["text"]
    assert len({end.args for end in client.ends(1)}) == 1


async def test_id_0_lets_the_server_choose(client, audio):
    client.say("edit", 0, str(audio), "copy")
    ack = await client.expect("ack")
    assert ack["id"] == ack["job"]
    await client.expect("done", id=ack["job"])


async def test_a_string_and_a_number_are_different_ids(client, audio):
    client.say("edit", 7, str(audio), "copy")
    client.say("edit", "7", str(audio), "copy")
    await client.expect("done", id=7)
    await client.expect("done", id="7")


async def test_cancel_ends_a_running_job_with_cancelled(either, audio):
    either.say("edit", 1, str(audio), "slow 200")
    await either.expect("progress", id=1, stage="generating")
    either.say("cancel", 1)
    assert (await either.expect("done", command="/retimbre/cancel"))["was_running"] == 1
    assert (await either.expect("fail", id=1))["code"] == "cancelled"
    assert not either.all("result")


async def test_cancel_ends_a_waiting_job_and_the_running_one_goes_on(client, audio):
    client.say("edit", 1, str(audio), "slow 12")
    client.say("edit", 2, str(audio), "copy")
    await client.expect("ack", id=2)
    client.say("cancel", 2)
    assert (await client.expect("fail", id=2))["code"] == "cancelled"
    await client.expect("done", id=1, command="/retimbre/edit")


async def test_cancel_of_what_is_not_there_is_answered(client):
    client.say("cancel", 99)
    assert (await client.expect("done", id=99))["was_running"] == 0


async def test_cancel_all_stops_this_clients_jobs_only(connect, audio):
    one, other = await connect("udp"), await connect("tcp")
    one.say("edit", 1, str(audio), "slow 20")
    one.say("edit", 2, str(audio), "copy")
    other.say("edit", 1, str(audio), "copy")
    await other.expect("ack", id=1)
    one.say("cancel/all")
    assert (await one.expect("done", command="/retimbre/cancel/all"))["cancelled"] == 2
    await one.expect("fail", id=1, code="cancelled")
    await one.expect("fail", id=2, code="cancelled")
    await other.expect("done", id=1)


async def test_progress_never_falls_and_heartbeats_come_while_a_job_waits(client, audio):
    client.say("edit", 1, str(audio), "slow 50")
    client.say("edit", 2, str(audio), "copy")
    await client.expect("progress", id=2, stage="queued")
    waiting = client.all("progress", id=2)[0].values
    assert waiting["queue_position"] == 1
    await client.expect("done", id=1)
    fractions = [message.values["fraction"] for message in client.all("progress", id=1)]
    assert fractions == sorted(fractions) and fractions[-1] < 1


async def test_nobody_is_passed_while_his_file_settles(client, audio, monkeypatch):
    async def slowly(path, *rest):
        await asyncio.sleep(0.3 if path.endswith("first.wav") else 0)
        return await wait_until_settled(path, *rest)

    monkeypatch.setattr("server.jobs.dispatcher.wait_until_settled", slowly)
    client.say("edit", 1, str(write_wav(audio.parent / "first.wav")), "copy")
    client.say("edit", 2, str(audio), "copy")
    await client.expect("done", id=2)
    assert client.ends(1)


async def test_higher_priority_is_served_first(client, audio):
    client.say("edit", 1, str(audio), "slow 10")
    await client.expect("progress", id=1, stage="generating")
    client.say("edit", 2, str(audio), "copy")
    client.say("edit", 3, str(audio), "copy", priority=5)
    await client.expect("done", id=2)
    order = [
        message.values["id"] for message in client.messages if message.address == "/retimbre/done"
    ]
    assert order.index(3) < order.index(2)


async def test_takes_make_versions_with_seeds_of_their_own(client, audio, server):
    client.say("edit", 1, str(audio), "copy", takes=3, seed=11)
    done = await client.expect("done", id=1)
    paths = {message.values["path"] for message in client.all("result", id=1)}
    assert done["results"] == len(paths) == 3 and done["seed"] == 11
    manifests = sorted(server.paths.takes.glob("*/take-*/manifest.json"))
    assert [json.loads(path.read_text())["seed"] for path in manifests] == [11, 12, 13]


async def test_a_deadline_that_passes_fails_with_timed_out(client, audio):
    client.say("edit", 1, str(audio), "slow 200", deadline=0.3)
    assert (await client.expect("fail", id=1))["code"] == "timed_out"


async def test_an_engine_failure_keeps_its_code(client, audio):
    client.say("edit", 1, str(audio), "fail out_of_memory")
    assert (await client.expect("fail", id=1))["code"] == "out_of_memory"


async def test_again_repeats_with_the_same_seed_and_takes_changes(client, audio, server):
    client.say("edit", 1, str(audio), "copy", steps=4)
    first = await client.expect("done", id=1)
    client.say("again", 2, 1)
    assert (await client.expect("done", id=2))["seed"] == first["seed"]
    client.say("again", 3, 1, seed=5, strength=0.5)
    third = await client.expect("done", id=3)
    edit = json.loads(Path(third["manifest"]).read_text())["edit"]
    assert edit["knobs"] == {"seed": 5, "strength": 0.5, "steps": 4}


async def test_again_of_an_unknown_job_is_refused(client):
    client.say("again", 2, "never")
    assert (await client.expect("fail", id=2))["code"] == "unknown_job"


async def test_query_tells_the_state_and_after_the_end_everything(either, audio):
    either.say("job/query", 1)
    assert (await either.expect("fail", id=1))["code"] == "unknown_job"
    either.say("edit", 1, str(audio), "slow 12")
    await either.expect("progress", id=1, stage="generating")
    either.say("job/query", 1)
    assert (await either.expect("job/info", id=1))["state"] == "running"
    done = await either.expect("done", id=1)
    either.say("job/query", 1)
    await either.expect("result", id=1, skip=1)
    assert await either.expect("done", id=1, skip=1) == done


async def test_say_edits_the_current_region(client, audio, server):
    client.say("say", 1, "copy this")
    assert (await client.expect("fail", id=1))["code"] == "no_region"
    client.say("region", 2, "region.wav", 0.02, 0.05, preset="harp")
    region = await client.expect("region.reply", id=2)
    assert (region["rate"], region["channels"], region["frames"]) == (48000, 1, 2400)
    client.say("say", 3, "copy this")
    done = await client.expect("done", id=3)
    edit = json.loads(Path(done["manifest"]).read_text())["edit"]
    assert (round(edit["start_seconds"], 4), round(edit["length_seconds"], 4)) == (0.02, 0.05)
    assert edit["preset"]["name"] == "harp" and edit["text"] == "copy this"


async def test_takes_are_listed_newest_first_and_can_be_used_again(client, audio):
    for identity in (1, 2):
        client.say("edit", identity, str(audio), "copy", preset="harp")
        await client.expect("done", id=identity)
    client.say("take/use", 1)
    used = await client.expect("done", command="/retimbre/take/use")
    client.say("take/list")
    assert (await client.expect("take/list.end"))["count"] == 2
    takes = [message.values for message in client.all("take/item")]
    assert [take["id"] for take in takes] == [2, 1]
    assert [take["in_use"] for take in takes] == [0, 1]
    assert used["seed"] == takes[1]["seed"] and takes[1]["preset"] == "harp"


async def test_stems_are_copied_to_the_folder_that_was_asked_for_and_overwrite_nothing(
    client, audio
):
    for identity in (1, 2):
        client.say("edit", identity, str(audio), "copy", out=str(audio.parent))
        await client.expect("done", id=identity)
    paths = {Path(message.values["path"]) for message in client.all("result")}
    assert len(paths) == 2 and all(path.parent == audio.parent and path.exists() for path in paths)
    assert audio.stat().st_size == min(path.stat().st_size for path in paths)


async def test_a_file_that_changes_while_its_job_waits_fails_instead_of_giving_the_wrong_sound(
    client, audio
):
    client.say("edit", 1, str(audio), "slow 20")
    await client.expect("progress", id=1, stage="generating")
    other = write_wav(audio.parent / "other.wav")
    os.utime(other, (1, 1))
    client.say("edit", 2, str(other), "copy")
    await client.expect("ack", id=2)
    await asyncio.sleep(0.2)
    write_wav(other, frames=9600)
    assert (await client.expect("fail", id=2))["code"] == "bad_audio"


async def test_a_file_that_is_still_being_written_is_waited_for(client, audio):
    whole = audio.read_bytes()
    growing = audio.parent / "growing.wav"
    growing.write_bytes(whole[:2000])
    client.say("edit", 1, str(growing), "copy")
    await client.expect("ack", id=1)
    await asyncio.sleep(0.3)
    growing.write_bytes(whole)
    assert (await client.expect("result", id=1))["frames"] == 4800


async def test_a_file_that_never_becomes_whole_fails(client, audio):
    (audio.parent / "half.wav").write_bytes(audio.read_bytes()[:2000])
    client.say("edit", 1, "half.wav", "copy")
    fail = await client.expect("fail", id=1)
    assert fail["code"] == "bad_audio" and fail["serial"] > 0


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (("missing.wav", "copy"), "no_file"),
        (("/etc/passwd", "copy"), "path_denied"),
        (("region.wav", "copy", "preset", "chamber_violine"), "unknown_preset"),
        (("region.wav", "copy", "model", "nanu"), "unknown_model"),
        (("region.wav", ""), "bad_args"),
        (("region.wav", "copy", "out", "/etc"), "path_denied"),
        (("region.wav", "copy", "steps", 0), "bad_args"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_cannot_be_done_is_refused_with_a_code(client, server, values, code):
    await server.ready.wait()
    client.send(write_message("/retimbre/edit", (1, *values)))
    fail = await client.expect("fail", id=1)
    assert fail["code"] == code and fail["message"]


async def test_unknown_keys_are_answered(client, audio):
    client.send(write_message("/retimbre/edit", (1, str(audio), "copy this", "strenght", 1.0)))
    await client.expect("done", id=1)
    assert "strength" in " ".join(message.values["text"] for message in client.all("log", level=2))
