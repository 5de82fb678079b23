"""Styles and models over the wire."""

import hashlib

import pytest

HARP = """\
name: my_harp
title: My harp
description: a harp of my own
prompts: [{text: "harp"}]
licence: CC0-1.0
"""


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


@pytest.mark.parametrize("kind", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("model", "brings", "takers"),
    [
        ("ace_step", "soft_prompt", "nano, audioldm2, musicgen"),
        ("stable_audio_3", "task", "stable_audio_3 does timbre, genre, repaint, continue"),
    ],
)
async def test_a_style_that_its_model_cannot_take_is_refused_before_it_is_acknowledged(
    connect, server, audio, kind, model, brings, takers
):
    (server.paths.presets / "learned.safetensors").write_bytes(b"learned")
    sha256 = hashlib.sha256(b"learned").hexdigest()
    line = {
        "soft_prompt": f"task: cover\nsoft_prompt: {{path: learned.safetensors, sha256: {sha256}}}",
        "task": "task: lego",
    }[brings]
    style = HARP.replace("my_harp", "misfit") + f"model: {model}\n{line}\n"
    (server.paths.presets / "misfit.yaml").write_text(style)
    client = await connect(kind)
    client.say("preset/reload")
    await client.expect("done", command="/retimbre/preset/reload")
    client.say("edit", 7, str(audio), "copy", preset="misfit")
    fail = await client.expect("fail", id=7)
    assert (fail["code"], fail["serial"]) == ("bad_preset", 0), "of the request, not of a job's end"
    assert takers in fail["message"]
    client.say("job/query", 7)
    await client.expect("fail", id=7, code="unknown_job")
    assert not client.all("ack"), "it never became a job"
