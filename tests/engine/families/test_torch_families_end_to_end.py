"""From OSC to stem for the families of diffusers, through a real server with tiny weights."""

import json
from pathlib import Path

import pytest

for module in ("torch", "transformers", "diffusers", "peft"):
    pytest.importorskip(module)

from tests.server.clients import UdpClient, write_wav

SLOW_SECONDS = 240.0  # torch, diffusers and transformers are imported, perhaps beside other work


@pytest.fixture(scope="module")
def port(start, tmp_path_factory):
    from tests.engine.families.ace_step import tiny as ace
    from tests.engine.families.stable_audio_3 import tiny as stable

    models = tmp_path_factory.mktemp("models")
    ace.write_repository(models / "ace_step", "turbo")
    stable.write_repository(models / "stable_audio_3", distilled=True)
    return start(models)


@pytest.mark.parametrize(
    ("number", "model", "style", "channels", "text"),
    [
        (1, "ace_step", "ace_step_repaint", 1, "a calm piano"),
        (2, "stable_audio_3", "stable_audio_inpaint", 2, "a warm pad"),
    ],
)
async def test_a_region_becomes_a_stem_through_the_real_server(
    start, port, number, model, style, channels, text
):
    audio = write_wav(
        start.folder / f"{style}.wav", frames=66_150, channels=channels, rate_hz=44_100
    )
    client = await UdpClient.open(port)
    client.say(
        "edit", number, str(audio), text, preset=style, start=0.4, length=0.5, steps=2, seed=7
    )
    done = await client.expect("done", id=number, patience=SLOW_SECONDS)
    result = await client.expect("result", id=number)
    assert (result["rate"], result["channels"], result["frames"]) == (44_100, channels, 22_050)
    manifest = json.loads(Path(done["manifest"]).read_text(encoding="utf-8"))
    assert manifest["model"]["name"] == model and manifest["stems"][0]["name"] == "repaint"
    stages = {message.values["stage"] for message in client.all("progress", id=number)}
    assert {"loading", "generating"} <= stages
    client.say("again", number + 10, number)
    await client.expect("done", id=number + 10, patience=SLOW_SECONDS)
    again = await client.expect("result", id=number + 10)
    assert Path(again["path"]).read_bytes() == Path(result["path"]).read_bytes()
    client.close()


async def test_a_true_stem_from_turbo_fails_with_the_command_that_mends_it(start, port):
    audio = write_wav(start.folder / "whole.wav", frames=44_100, channels=2, rate_hz=44_100)
    client = await UdpClient.open(port)
    client.say("edit", 3, str(audio), "tight drums", preset="ace_step_lego")
    failed = await client.expect("fail", id=3, patience=SLOW_SECONDS)
    assert (
        failed["code"] == "missing_weights" and "acestep-v15-xl-base-diffusers" in failed["message"]
    )
    client.say("model/list")
    item = await client.expect("model/item", name="stable_audio_3")
    assert "only below" in item["licence"]
    client.close()
