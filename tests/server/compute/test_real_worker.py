"""The real engine behind the real server: a region over OSC, a stem with its manifest."""

import json
import os
import signal
import sys
import warnings
from pathlib import Path

import pytest

from engine.families.nano.family import missing
from server.app import Server
from server.compute.local import LocalExecutor
from tests.server.clients import UdpClient, write_wav

SLOW_SECONDS = 120.0  # the graphs are loaded, perhaps beside other work
WORKER = (
    "import sys, pathlib, engine.families.nano.family as family; "
    "family.WEIGHTS = pathlib.Path(sys.argv.pop(1)); from engine.worker import main; main()"
)


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """The real worker; with random weights where the trained ones are not there."""
    if not missing():
        return [sys.executable, "-m", "engine.worker", "--threads", "1"]
    for package in ("torch", "onnx", "onnxruntime"):
        pytest.importorskip(package)
    from tests.engine.tiny_nano import write_weights

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        folder = write_weights(tmp_path_factory.mktemp("weights"))
    return [sys.executable, "-c", WORKER, str(folder), "--threads", "1"]


@pytest.fixture
async def client(config, command):
    async with Server(config, LocalExecutor(command)) as server:
        client = await UdpClient.open(server.port)
        client.server_object = server
        yield client
        client.close()


async def test_a_region_goes_out_and_a_stem_of_its_size_comes_back(client, audio):
    write_wav(audio, frames=30_000, channels=2, rate_hz=44_100)
    client.say(
        "edit", 1, str(audio), "turn this into a violin", start=0.1, length=0.5, steps=2, seed=7
    )
    done = await client.expect("done", id=1, patience=SLOW_SECONDS)
    result = await client.expect("result", id=1)
    assert (result["rate"], result["channels"], result["frames"]) == (44_100, 2, 22_050)
    assert result["start"] == pytest.approx(0.1, abs=1e-3)
    manifest = json.loads(Path(done["manifest"]).read_text())
    assert (
        (manifest["seed"], manifest["text"])
        == (done["seed"], "turn this into a violin")
        == (7, manifest["text"])
    )
    client.say("again", 2, 1)
    await client.expect("done", id=2, patience=SLOW_SECONDS)
    again = await client.expect("result", id=2)
    assert Path(again["path"]).read_bytes() == Path(result["path"]).read_bytes()
    client.say("edit", 3, str(audio), "softly", preset="harp", steps=2)
    assert (await client.expect("done", id=3, patience=SLOW_SECONDS))["results"] == 1


@pytest.mark.skipif(os.name == "nt", reason="signals")
async def test_a_worker_killed_in_the_middle_costs_one_job(client, audio):
    write_wav(audio, frames=48_000 * 60)
    client.say("edit", 1, str(audio), "a flute", steps=100)
    client.say("edit", 2, "region.wav", "a flute", length=0.5, steps=1)
    await client.expect("progress", id=1, stage="generating", patience=SLOW_SECONDS)
    os.kill(client.server_object.executor.pid, signal.SIGKILL)
    assert (await client.expect("fail", id=1))["code"] == "engine_died"
    await client.expect("done", id=2, patience=SLOW_SECONDS)
