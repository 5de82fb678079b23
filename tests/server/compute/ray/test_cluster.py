"""Real jobs on a real Ray: replicas multiply, are killed, cancelled, chosen by their styles."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from server.app import Server
from server.config import ServeConfig
from tests.server.clients import UdpClient, write_wav
from tests.server.compute.ray.conftest import MOST_STEPS, SLOW_SECONDS

pytestmark = pytest.mark.asyncio(loop_scope="module")

OF_THIS_JOB = ("job", "serial", "path", "manifest", "seconds", "eta")
OF_THIS_RUN = ("created", "timings_seconds", "context")


async def test_waiting_jobs_call_for_another_replica_up_to_the_bound(pair):
    assert len({begun["pid"] for begun in pair.begun}) == pair.server.executor.places == 2


async def run_job(client, audio):
    """What a client hears of a job, its manifest and its stem, without what always differs."""
    client.say(
        "edit", 1, audio, "a violin", start=0.5, length=2.0, steps=2, seed=7, preset="taught"
    )
    done = await client.expect("done", id=1, patience=SLOW_SECONDS)
    manifest = json.loads(Path(done["manifest"]).read_text())
    path = manifest["stems"][0].pop("path")
    messages = {
        name: {
            key: value
            for key, value in client.all(name, id=1)[0].values.items()
            if key not in OF_THIS_JOB
        }
        for name in ("ack", "result", "done")
    }
    return (
        messages,
        {key: manifest[key] for key in manifest if key not in OF_THIS_RUN},
        Path(path).read_bytes(),
    )


async def test_a_job_with_a_learned_style_is_reported_and_made_as_on_one_machine(studio, options):
    async with Server(
        ServeConfig(**options | {"data_dir": options["data_dir"] + "-local"})
    ) as server:
        client = await UdpClient.open(server.port)
        local = await run_job(client, str(studio.audio))
        client.close()
    there = await run_job(studio.client, str(studio.audio))
    for here, on_ray in zip(local, there, strict=True):
        assert here == on_ray


async def test_two_jobs_run_at_once_tell_their_progress_and_obey_cancel(pair):
    client, before = pair.client, len(pair.begun)
    for identity in (10, 11, 12):
        client.say("edit", identity, pair.audio, "a flute", steps=MOST_STEPS)
    for identity in (10, 11):
        await client.expect("progress", id=identity, stage="generating", patience=SLOW_SECONDS)
    assert pair.server.services.dispatcher.running == 2 == len(pair.processes(before))
    assert not client.all("progress", id=12, stage="generating")
    for identity in (12, 10, 11):
        client.say("cancel", identity)
        assert (await client.expect("fail", id=identity, patience=SLOW_SECONDS))[
            "code"
        ] == "cancelled"
    assert not client.all("result", id=10) and not client.all("result", id=11)


async def test_a_job_goes_to_the_replica_that_holds_its_style(pair):
    took = {}
    for identity, style in enumerate(
        ("jazz_trumpet", "solo_cello", "jazz_trumpet", "solo_cello"), 20
    ):
        before = len(pair.begun)
        pair.client.say("edit", identity, pair.audio, "softly", length=0.5, steps=1, preset=style)
        await pair.client.expect("done", id=identity, patience=SLOW_SECONDS)
        took.setdefault(style, []).append(pair.begun[before])
        await asyncio.sleep(0.5)  # replicas tell the router ten times a second what they hold
    for first, second in took.values():
        assert not first["had_style"] and second["had_style"] and first["pid"] == second["pid"]


async def test_a_failure_names_the_file_as_the_client_did(studio):
    path = write_wav(Path(studio.audio).with_name("short.wav"), frames=10)
    studio.client.say("edit", 30, str(path), "a violin")
    assert (await studio.client.expect("fail", id=30, patience=SLOW_SECONDS))["code"] == "too_short"


async def test_a_model_is_loaded_by_every_replica(studio):
    studio.client.say("model/load", "nano", 40)
    await studio.client.expect("done", id=40, patience=SLOW_SECONDS)
    assert next(model for model in studio.server.executor.info.models if model["name"] == "nano")[
        "loaded"
    ]


async def test_a_load_that_waits_for_a_busy_replica_can_be_cancelled(pair):
    client = pair.client
    client.say("edit", 45, pair.audio, "a flute", steps=MOST_STEPS)
    await client.expect("progress", id=45, stage="generating", patience=SLOW_SECONDS)
    client.say("model/load", "nano", 46)
    await pair.until(lambda: pair.server.services.dispatcher.running == 2)
    client.say("cancel", 46)
    assert (await client.expect("fail", id=46, patience=SLOW_SECONDS))["code"] == "cancelled"
    client.say("cancel", 45)
    await client.expect("fail", id=45, patience=SLOW_SECONDS)


@pytest.mark.skipif(os.name == "nt", reason="signals")
async def test_a_lost_replica_costs_one_more_try_and_the_job_ends_once(pair):
    client, before = pair.client, len(pair.begun)
    client.say("edit", 50, pair.audio, "an oboe", steps=30)
    await client.expect("progress", id=50, stage="generating", patience=SLOW_SECONDS)
    os.kill(pair.begun[before]["pid"], signal.SIGKILL)
    done = await client.expect("done", id=50, patience=SLOW_SECONDS)
    first, second = pair.begun[before:]
    assert first["pid"] != second["pid"]
    assert done["results"] == 1 == len({result.args for result in client.all("result", id=50)})
    assert len(list(Path(done["manifest"]).parent.iterdir())) == 2


@pytest.mark.skipif(os.name == "nt", reason="signals")
async def test_a_job_that_loses_two_replicas_fails_and_says_why(pair):
    client, before = pair.client, len(pair.begun)
    client.say("edit", 60, pair.audio, "an organ", steps=MOST_STEPS)
    for tries in (1, 2):
        await pair.until(lambda tries=tries: len(pair.begun) >= before + tries)
        os.kill(pair.begun[-1]["pid"], signal.SIGKILL)
    assert (await client.expect("fail", id=60, patience=SLOW_SECONDS))["code"] == "engine_died"
    assert len({end.args for end in client.ends(60)}) == 1
