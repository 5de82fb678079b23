"""Through real PortAudio: a DAW plays, bars are captured, a stem comes back on the beat."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from retimbre_client import AsyncClient, Refused

from tests.server.live.conftest import DEVICE, RATE

TEMPO_BPM = 400.0
BAR = RATE * 3 // 5  # frames of a bar of four: fast music makes fast tests
CLICKS = [0.9, 0.5, 0.6, 0.7]


def say_position(studio, **keys):
    studio.client.say("live/transport", TEMPO_BPM, 0.0, **keys)


async def play_bars(studio, bars):
    """The DAW is at its beginning now; wait until it has played so many bars, and a bit."""
    say_position(studio)
    await studio.status(lambda status: status["beat"] >= 4 * bars + 0.5)


def clicks(path):
    """Frames and heights of the clicks in a file."""
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    assert rate_hz == RATE
    frames = np.flatnonzero(samples[:, 0] > 0.1)
    return frames, samples[frames, 0]


async def capture(studio, identity, bars, **keys):
    """Capture, wait for the end, and give the region's file and the stem's result."""
    studio.client.say("capture", identity, bars, "copy", **keys)
    await studio.client.expect("region.reply", id=identity)
    result = await studio.client.expect("result", id=identity)
    return (await worker_request(studio, "capture", identity))["audio"], result


async def worker_request(studio, verb, identity):
    """What the worker was asked for, after the end of the job."""
    done = await studio.client.expect("done", command=f"/retimbre/{verb}", id=identity)
    return json.loads(Path(done["manifest"]).read_text())["edit"]


async def test_devices_are_listed(studio):
    studio.client.say("live/devices")
    count = await studio.client.expect("live/devices.end")
    devices = [message.values for message in studio.client.all("live/device")]
    assert count["count"] == len(devices)
    jack = next(device for device in devices if "JACK" in device["system"])
    assert (jack["name"], jack["inputs"], jack["outputs"], jack["rate"]) == ("system", 2, 2, RATE)


async def test_starting_tells_everyone_and_twice_is_once(studio):
    first = await studio.start()
    await studio.client.expect("live/state", state="starting")
    await studio.client.expect("live/state", state="running")
    studio.client.say("live/start", DEVICE, DEVICE)
    assert await studio.client.expect("done", skip=1, command="/retimbre/live/start") == first
    assert (first["rate"], first["channels"]) == (RATE, 2)
    studio.client.say("live/start", DEVICE, "none")
    assert "live/stop" in (await studio.client.expect("fail", code="busy"))["message"]
    studio.client.say("live/stop")
    await studio.client.expect("live/state", state="off")


async def test_captured_bars_are_exactly_what_was_played(studio, metronome):
    await studio.start(channels=1)
    studio.jack.connect(metronome, studio.inputs[0])
    await play_bars(studio, 3)
    region, stem = await capture(studio, 1, 2, play=0)
    frames, heights = clicks(region)
    assert soundfile.info(region).frames == stem["frames"] == 2 * BAR
    assert (np.diff(frames) == BAR // 4).all() and len(frames) == 8
    assert np.allclose(heights, np.roll(CLICKS * 2, np.argmax(heights)), atol=1e-6)
    assert stem["beats_start"] % 4 == 0


async def test_a_stem_lands_on_the_beat(studio, metronome):
    await studio.start(channels=1, blocksize=500)  # JACK's are 256: PortAudio cuts and joins
    studio.loop()
    measured = await studio.measure()
    studio.jack.connect(metronome, studio.inputs[0])
    await play_bars(studio, 2)
    original, _ = await capture(studio, 1, 1, play=0)
    studio.jack.disconnect(metronome, studio.inputs[0])  # from here on only the stem is heard
    studio.client.say("live/play", 1, 0, 2)
    playing = await studio.client.expect("live/playing", id=1)
    assert playing["beat"] % 4 == 0
    await studio.status(lambda status: status["beat"] >= playing["beat"] + 8.1)
    again, _ = await capture(studio, 2, 2, play=0)
    frames, heights = clicks(original)
    heard_frames, heard_heights = clicks(again)
    assert np.array_equal(heard_frames, np.concatenate([frames, frames + BAR]))
    assert np.allclose(heard_heights, np.tile(heights, 2), atol=1e-6)
    assert 0 < measured["round_trip"] < 4096


async def test_a_captured_stem_is_played_at_the_next_bar_line_when_it_is_done(studio, metronome):
    await studio.start(channels=1)
    studio.loop()
    await studio.measure()
    studio.jack.connect(metronome, studio.inputs[0])
    await play_bars(studio, 2)
    original, _ = await capture(studio, "a", 1)
    playing = await studio.client.expect("live/playing", id="a")
    await studio.status(lambda status: status["beat"] >= playing["beat"] + 4.1)
    both, _ = await capture(studio, "b", 1, play=0)
    frames, heights = clicks(original)
    assert np.allclose(clicks(both)[1], 2 * heights, atol=1e-5), (
        "stem and source do not fall on the same samples"
    )
    assert np.array_equal(clicks(both)[0], frames)


async def test_captured_bars_become_the_current_region_and_a_take(studio):
    await studio.start()
    await play_bars(studio, 1)
    await capture(studio, 1, 1, play=0)
    studio.client.say("say", 2, "copy")
    assert (await studio.client.expect("result", id=2))["frames"] == BAR
    await studio.client.expect("done", id=2)
    studio.client.say("take/list")
    assert (await studio.client.expect("take/list.end"))["count"] == 2
    assert "silent" in (await studio.client.expect("log"))["text"]


async def test_the_worker_is_asked_for_the_same_live_and_offline(studio):
    await studio.start()
    await play_bars(studio, 1)
    region, result = await capture(studio, 1, 1, play=0, seed=3, strength=0.5)
    known = {"beats_start": result["beats_start"], "tempo": TEMPO_BPM}
    studio.client.say("edit", 2, region, "copy", seed=3, strength=0.5, **known)
    await studio.client.expect("result", id=2)
    live, offline = (
        await worker_request(studio, "capture", 1),
        await worker_request(studio, "edit", 2),
    )
    assert live["context"]["tempo_bpm"] == TEMPO_BPM
    for each in live, offline:
        del each["output_dir"], each["stem_prefix"]
        for name in ("client_id", "command", "job"):
            del each["context"][name]
    assert live == offline


async def test_a_capture_that_is_sent_twice_is_one_job(studio):
    await studio.start()
    await play_bars(studio, 1)
    for _ in range(2):
        studio.client.say("capture", 5, 1, "copy", play=0)
    first = await studio.client.expect("ack", id=5)
    assert (await studio.client.expect("ack", skip=1, id=5))["job"] == first["job"]


async def test_too_many_bars_are_refused_with_how_many_there_are(studio):
    await studio.start(seconds=1.75)
    say_position(studio)
    await studio.status(lambda status: status["filled"] == 1.75)
    there = (await studio.status())["bars"]
    studio.client.say("capture", 1, 16, "copy")
    told = (await studio.client.expect("fail", id=1, code="too_short"))["message"]
    assert there in (2, 3) and f"{there} whole bars are remembered" in told and "seconds 11" in told


async def test_a_position_that_came_before_the_start_counts(studio):
    say_position(studio, meter_num=3)
    await studio.start()
    assert (await studio.status())["meter_num"] == 3


async def test_without_a_position_there_are_no_bars(studio):
    await studio.start()
    studio.client.say("capture", 1, 1, "copy")
    assert (
        "live/transport"
        in (await studio.client.expect("fail", id=1, code="no_transport"))["message"]
    )


async def test_what_does_not_come_back_is_not_measured(studio):
    await studio.start()
    studio.client.say("live/measure")
    await studio.client.expect("fail", code="not_heard")
    assert (await studio.status())["round_trip"] == -1


async def test_an_input_alone_will_do_but_plays_nothing(studio):
    await studio.start(DEVICE, "none")
    assert (await studio.status())["output"] == "none"
    studio.client.say("live/measure")
    await studio.client.expect("fail", code="no_device")
    studio.client.say("live/silence")
    await studio.client.expect("done", command="/retimbre/live/silence")


@pytest.mark.parametrize(
    "devices, keys, words",
    [
        (("no such thing", ""), {}, "no such thing"),
        ((DEVICE, "999"), {}, "output"),
        ((DEVICE, DEVICE), {"rate": 12345}, "Invalid sample rate"),
        ((DEVICE, DEVICE), {"first": 3}, "no channel 3"),
    ],
)
async def test_a_device_that_cannot_be_had_is_refused_with_the_reason(studio, devices, keys, words):
    studio.client.say("live/start", *devices, **keys)
    assert words in (await studio.client.expect("fail", code="no_device", patience=20))["message"]
    await studio.client.expect("live/state", state="off")


async def test_a_driver_that_crashes_costs_live_audio_and_not_the_server(own_jack, studio):
    await studio.start()
    os.kill(studio.server.services.live._process.pid, 9)
    assert "SIGKILL" in (await studio.client.expect("live/state", state="lost"))["reason"]
    studio.client.say("capture", 1, 1, "copy")
    assert "live/start" in (await studio.client.expect("fail", id=1, code="not_live"))["message"]
    await studio.start()


async def test_lost_sound_is_counted_and_captures_say_so(own_jack, studio):
    await studio.start()
    await play_bars(studio, 1)
    child = studio.server.services.live._process.pid
    os.kill(child, signal.SIGSTOP)  # a machine that is too busy
    await asyncio.sleep(0.3)
    os.kill(child, signal.SIGCONT)
    state = await studio.client.expect("live/state", skip=2)
    assert state["state"] == "running" and state["xruns"] > 0
    all_bars = (await studio.status(lambda status: status["bars"] >= 3))["bars"]
    studio.client.say("capture", 1, all_bars, "copy", play=0)
    assert "sound was lost" in (await studio.client.expect("log", skip=1))["text"]


async def test_a_device_that_is_unplugged_is_reported(own_jack, studio):
    await studio.start()
    own_jack.stop()
    assert "live/start" in (await studio.client.expect("live/state", state="lost"))["reason"]
    studio.client.say("live/status")
    assert (await studio.client.expect("live/status.reply"))["state"] == "lost"


async def command(server, *words):
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "server",
        "live",
        f"--port={server.port}",
        *words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


async def test_the_command_lists_devices(jack, server):
    process = await command(server, "--devices")
    out, err = await process.communicate()
    assert process.returncode == 0 and b"JACK" in out, err


async def test_the_command_shows_meters_until_it_is_interrupted(studio):
    process = await command(studio.server, f"--input={DEVICE}", "--output=none", "--seconds=5")
    assert b"dBFS" in await process.stdout.readline()
    await studio.client.expect("live/state", state="running")
    process.send_signal(signal.SIGINT)
    await process.communicate()
    await studio.client.expect("live/state", state="off")
    assert process.returncode == 0


async def test_without_the_portaudio_library_the_cure_is_named(
    server, connect, monkeypatch, tmp_path
):
    (tmp_path / "sounddevice.py").write_text(
        "raise OSError('PortAudio library not found')  # as the real one does\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    client = await connect("tcp")
    client.say("live/start")
    assert (
        "PortAudio library not found"
        in (await client.expect("fail", code="no_portaudio"))["message"]
    )


async def test_the_python_client_captures_bars_and_says_when_their_stem_plays(
    server, jack, metronome
):
    playing = asyncio.get_running_loop().create_future()

    def news(name, values):
        if name == "live/playing" and not playing.done():
            playing.set_result(values)

    before = set(jack.ports())
    async with AsyncClient(port=server.port, transport="tcp", on_news=news) as client:
        opened = await client.live_start(DEVICE, DEVICE, channels=1)
        assert DEVICE.partition(",")[0] in {
            device["name"] for device in await client.live_devices()
        }
        [hears] = [port for port in set(jack.ports()) - before if ":in_" in port]
        jack.connect(metronome, hears)
        await client.live_transport(TEMPO_BPM, playing=1)
        while (await client.live_status())["bars"] < 1:
            await asyncio.sleep(0.05)
        outcome = await client.capture(1, "copy", job_id="verse")
        assert (outcome.stems[0].frames, outcome.stems[0].rate_hz) == (BAR, opened["rate"])
        assert (await client.attach("verse")).stems == outcome.stems
        assert (await playing)["id"] == "verse"
        assert (await client.live_play("verse", times=2))["times"] == 2
        await client.live_silence()
        with pytest.raises(Refused, match="tempo"):
            await client.live_transport(0.0)
        await client.live_stop()
