"""From OSC to stem, once, through a real server and its worker with tiny weights."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from server.paths import Paths, read_port_file
from tests.server.clients import UdpClient

ROOT = Path(__file__).parents[4]
SLOW_SECONDS = 240.0  # torch, transformers and peft are imported, perhaps beside other work


@pytest.fixture
def port(tmp_path, musicgen_folder):
    """The port of a server that may read `tmp_path` and has the tiny checkpoints."""
    data = tmp_path / "data"
    command = [
        sys.executable,
        "-m",
        "server",
        "serve",
        "--port=0",
        "--http-port=0",
        f"--data-dir={data}",
        f"--models-dir={musicgen_folder}",
        f"--root={tmp_path}",
        "--threads=1",
    ]
    process = subprocess.Popen(command, cwd=ROOT)
    ends_at = time.monotonic() + SLOW_SECONDS
    while (address := read_port_file(Paths.under(data).port_file)) is None:
        assert process.poll() is None and time.monotonic() < ends_at, "the server did not start"
        time.sleep(0.05)
    yield address.port
    process.terminate()
    process.wait(timeout=30)


async def test_silence_becomes_music_and_music_goes_on_through_the_real_server(port, tmp_path):
    file = np.zeros((66_150, 2))
    file[:33_075] = 0.1 * np.random.default_rng(0).standard_normal((33_075, 2))
    soundfile.write(tmp_path / "song.wav", file, 44_100, subtype="PCM_16")
    client = await UdpClient.open(port)
    for job, style in ((1, "musicgen_generate"), (2, "musicgen_continue")):
        client.say(
            "edit",
            job,
            str(tmp_path / "song.wav"),
            "a violin",
            preset=style,
            start=0.9,
            length=0.25,
            seed=7,
        )
        done = await client.expect("done", id=job, patience=SLOW_SECONDS)
        result = await client.expect("result", id=job)
        assert (result["rate"], result["channels"], result["frames"]) == (44_100, 2, 11_025)
        assert np.abs(soundfile.read(result["path"])[0]).max() > 0
        manifest = json.loads(Path(done["manifest"]).read_text(encoding="utf-8"))
        assert (
            manifest["model"]["name"] == "musicgen"
            and "non-commercial" in manifest["model"]["licence"]
        )
        assert manifest["stems"][0]["name"] == style.removeprefix("musicgen_")
    stages = {message.values["stage"] for message in client.all("progress", id=1)}
    assert {"loading", "generating"} <= stages
    client.say("model/list")
    item = await client.expect("model/item", name="musicgen")
    assert item["loaded"] == 1 and "non-commercial" in item["licence"]
    client.close()
