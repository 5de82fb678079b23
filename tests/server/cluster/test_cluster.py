"""Real jobs on a real Ray: two replicas, killed, cancelled, chosen by their styles."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from engine.editing import EditRequest, edit
from engine.families import Shelf
from tests.server.clients import write_wav

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

SLOW_SECONDS = 120.0
NOT_THE_SAME = ("created", "timings_seconds", "context")
A_WHILE = 100  # steps: the test is done with the job before the job is


async def test_the_same_seed_gives_the_same_stem_and_manifest_as_at_home(studio, tmp_path):
    studio.client.say("edit", 1, studio.audio, "a violin", start=0.5, length=2.0, steps=2, seed=7, preset="harp")
    done = await studio.client.expect("done", id=1, patience=SLOW_SECONDS)
    result = await studio.client.expect("result", id=1)
    there = json.loads(Path(done["manifest"]).read_text())
    request = EditRequest(studio.audio, "a violin", str(tmp_path), 0.5, 2.0, preset=there["preset"], format="wav",
                          bits="same", knobs={"steps": 2, "seed": 7}, stem_prefix=Path(result["path"]).stem)
    here = dict(edit(request, shelf=Shelf(1)).values)
    assert Path(here["stems"][0]["path"]).read_bytes() == Path(result["path"]).read_bytes()
    assert result["path"] == there["stems"][0]["path"] and result["start"] == pytest.approx(0.5)
    here["stems"][0]["path"] = result["path"]
    assert set(here) == set(there)
    assert {name: here[name] for name in here if name not in NOT_THE_SAME} == \
        {name: there[name] for name in there if name not in NOT_THE_SAME}


async def test_two_jobs_run_at_once_tell_their_progress_and_obey_cancel(studio):
    client, before = studio.client, len(studio.begun)
    for identity in (10, 11, 12):
        client.say("edit", identity, studio.audio, "a flute", steps=A_WHILE)
    for identity in (10, 11):
        await client.expect("progress", id=identity, stage="generating", patience=SLOW_SECONDS)
    assert studio.server.dispatcher.running == 2
    assert len({begun["pid"] for begun in studio.begun[before:]}) == 2
    assert not client.all("progress", id=12, stage="generating")
    for identity in (12, 10, 11):
        client.say("cancel", identity)
        assert (await client.expect("fail", id=identity, patience=SLOW_SECONDS))["code"] == "cancelled"
    assert not client.all("result", id=10) and not client.all("result", id=11)


async def test_a_job_goes_to_the_replica_that_holds_its_style(studio):
    took = {}
    for identity, style in enumerate(("jazz_trumpet", "solo_cello", "jazz_trumpet", "solo_cello"), 20):
        before = len(studio.begun)
        studio.client.say("edit", identity, studio.audio, "softly", length=0.5, steps=1, preset=style)
        await studio.client.expect("done", id=identity, patience=SLOW_SECONDS)
        took.setdefault(style, []).append(studio.begun[before])
        await asyncio.sleep(0.5)  # replicas tell the router ten times a second what they hold
    for first, second in took.values():
        assert not first["had_style"] and second["had_style"] and first["pid"] == second["pid"]


async def test_a_failure_names_the_file_as_the_client_did(studio):
    path = Path(studio.audio).with_name("short.wav")
    write_wav(path, frames=10)
    studio.client.say("edit", 30, str(path), "a violin")
    assert (await studio.client.expect("fail", id=30, patience=SLOW_SECONDS))["code"] == "too_short"


async def test_a_model_is_loaded_by_every_replica(studio):
    studio.client.say("model/load", 40, "nano")
    await studio.client.expect("done", id=40, patience=SLOW_SECONDS)
    assert next(model for model in studio.server.executor.info.models if model["name"] == "nano")["loaded"]


@pytest.mark.skipif(os.name == "nt", reason="signals")
async def test_a_lost_replica_costs_one_more_try_and_the_job_ends_once(studio):
    client, before = studio.client, len(studio.begun)
    client.say("edit", 50, studio.audio, "an oboe", steps=30)
    await client.expect("progress", id=50, stage="generating", patience=SLOW_SECONDS)
    os.kill(studio.begun[before]["pid"], signal.SIGKILL)
    done = await client.expect("done", id=50, patience=SLOW_SECONDS)
    first, second = studio.begun[before:]
    assert first["pid"] != second["pid"]
    assert done["results"] == 1 == len({result.args for result in client.all("result", id=50)})
    assert len(list(Path(done["manifest"]).parent.iterdir())) == 2


@pytest.mark.skipif(os.name == "nt", reason="signals")
async def test_a_job_that_loses_two_replicas_fails_and_says_why(studio):
    client, before = studio.client, len(studio.begun)
    client.say("edit", 60, studio.audio, "an organ", steps=A_WHILE)
    for tries in (1, 2):
        while len(studio.begun) < before + tries:
            await asyncio.sleep(0.05)
        os.kill(studio.begun[-1]["pid"], signal.SIGKILL)
    assert (await client.expect("fail", id=60, patience=SLOW_SECONDS))["code"] == "engine_died"
    assert len(client.ends(60)) >= 1 and len({end.args for end in client.ends(60)}) == 1
