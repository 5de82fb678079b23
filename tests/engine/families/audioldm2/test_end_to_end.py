"""From OSC to stem, once, through a real server and its worker with tiny weights."""

import json
from pathlib import Path

from tests.server.clients import UdpClient, write_wav

SLOW_SECONDS = 120.0  # torch, diffusers and transformers are imported, perhaps beside other work


async def test_a_region_becomes_a_stem_through_the_real_server(start, models_folder):
    audio = write_wav(start.folder / "region.wav", frames=66_150, channels=2, rate_hz=44_100)
    client = await UdpClient.open(start(models_folder))
    client.say(
        "edit",
        1,
        str(audio),
        "a recording of a violin solo",
        preset="audioldm2_timbre",
        negative="a recording of a piano solo",
        start=0.2,
        length=0.5,
        steps=2,
        seed=7,
    )
    done = await client.expect("done", id=1, patience=SLOW_SECONDS)
    result = await client.expect("result", id=1)
    assert (result["rate"], result["channels"], result["frames"]) == (44_100, 2, 22_050)
    manifest = json.loads(Path(done["manifest"]).read_text(encoding="utf-8"))
    assert (
        manifest["model"]["name"] == "audioldm2"
        and "non-commercial" in manifest["model"]["licence"]
    )
    assert manifest["knobs"]["negative"] == "a recording of a piano solo"
    stages = {message.values["stage"] for message in client.all("progress", id=1)}
    assert {"loading", "generating"} <= stages
    client.say("model/list")
    item = await client.expect("model/item", name="audioldm2")
    assert item["loaded"] == 1 and "non-commercial" in item["licence"]
    client.say("again", 2, 1)
    await client.expect("done", id=2, patience=SLOW_SECONDS)
    again = await client.expect("result", id=2)
    assert Path(again["path"]).read_bytes() == Path(result["path"]).read_bytes()
    client.close()


async def test_missing_weights_are_a_failure_with_the_command_and_the_server_goes_on(
    start, tmp_path
):
    audio = write_wav(start.folder / "other.wav", frames=24_000)
    client = await UdpClient.open(start(tmp_path))
    client.say("edit", 1, str(audio), "jazz style music", preset="audioldm2_genre")
    failed = await client.expect("fail", id=1, patience=SLOW_SECONDS)
    assert failed["code"] == "missing_weights"
    assert "hf download cvssp/audioldm2-large" in failed["message"]
    client.say("edit", 2, str(audio), "a flute", steps=1)
    await client.expect("done", id=2, patience=SLOW_SECONDS)
    client.close()
