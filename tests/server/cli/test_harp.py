"""A real Gradio app in front of a real server, and the very requests that HARP 3 makes (its
GradioClient.cpp).
"""

import asyncio
import json

import aiohttp
import pytest
from retimbre_client import AsyncClient

from server.cli.harp import CARD, NO_STRENGTH, NO_STYLE, _keys, build

pytest.importorskip(
    "gradio", reason="gradio is half a gigabyte, so it is not among what the tests install"
)


@pytest.fixture
async def harp(server, tmp_path):
    """HARP's side of a running app."""

    def connect():
        return AsyncClient("127.0.0.1", server.port, shares_disk=False, name="HARP")

    app = build(connect, ["harp", "banjo"], tmp_path)
    await asyncio.to_thread(
        app.launch,
        server_name="127.0.0.1",
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        allowed_paths=[str(tmp_path)],
    )
    async with aiohttp.ClientSession(app.local_url) as session:
        yield Harp(session)
    await asyncio.to_thread(app.close)


class Harp:
    """`await harp(endpoint, *data)`: what the endpoint returns."""

    def __init__(self, session):
        self.session = session

    async def __call__(self, endpoint, *data):
        return await self.events(endpoint, await self.begin(endpoint, *data))

    async def begin(self, endpoint, *data):
        path = f"/gradio_api/call/{endpoint}"
        async with self.session.post(path, json={"data": list(data)}) as response:
            return (await response.json())["event_id"]

    async def events(self, endpoint, event_id):
        async with self.session.get(f"/gradio_api/call/{endpoint}/{event_id}") as response:
            name = ""
            async for line in response.content:
                if line.startswith(b"event: "):
                    name = line[7:].strip().decode()
                elif line.startswith(b"data: ") and name in ("complete", "error"):
                    return name, json.loads(line[6:])
        raise AssertionError(f"{endpoint} ended without an outcome")

    async def upload(self, path):
        form = aiohttp.FormData()
        form.add_field("files", path.read_bytes(), filename=path.name, content_type="audio/midi")
        async with self.session.post("/gradio_api/upload", data=form) as response:
            return {"path": (await response.json())[0], "meta": {"_type": "gradio.FileData"}}


async def test_the_controls_are_what_harp_draws(harp):
    name, (controls,) = await harp("controls")
    assert (name, controls["card"]) == ("complete", CARD)
    drawn = [each["type"] for each in controls["inputs"]]
    assert drawn == ["audio_track", "text_box", "dropdown", "dropdown", "text_box"]
    assert [each["type"] for each in controls["outputs"]] == ["audio_track", "json"]
    assert [choice[0] for choice in controls["inputs"][2]["choices"]] == [NO_STYLE, "harp", "banjo"]
    assert controls["inputs"][0]["required"] is True


async def test_a_region_goes_through_and_comes_back_the_same_to_the_sample(harp, audio):
    region = await harp.upload(audio)
    name, (stem, labels) = await harp("process", region, "copy", "harp", "0.5", "7")
    assert name == "complete"
    assert stem["meta"]["_type"] == "gradio.FileData"
    async with harp.session.get(stem["url"]) as response:
        assert await response.read() == audio.read_bytes()
    assert labels["meta"]["_type"] == "pyharp.LabelList"
    assert labels["labels"][0]["label"] == "violin, seed 7"


async def test_cancelling_stops_the_job_itself(harp, server, audio):
    region = await harp.upload(audio)
    event_id = await harp.begin("process", region, "slow 100", NO_STYLE, NO_STRENGTH, "-1")
    stream = asyncio.create_task(harp.events("process", event_id))
    while not server.services.dispatcher.running:
        await asyncio.sleep(0.01)
    await harp("cancel")
    while server.services.dispatcher.running:
        await asyncio.sleep(0.01)
    stream.cancel()
    assert not server.services.registry.living()


async def test_what_goes_wrong_is_told(harp, audio):
    name, data = await harp(
        "process", await harp.upload(audio), "copy", NO_STYLE, NO_STRENGTH, "seven"
    )
    assert name == "error"


@pytest.mark.parametrize(
    ("chosen", "keys"),
    [
        ((NO_STYLE, NO_STRENGTH, ""), {"seed": -1}),
        (("harp", "0.25", "3"), {"seed": 3, "preset": "harp", "strength": 0.25}),
    ],
)
def test_controls_become_keys(chosen, keys):
    assert _keys(*chosen) == keys
