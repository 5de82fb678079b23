"""An executor with two places: two of the real one, each with its double worker."""

import pytest

from server.app import Server
from server.compute.executor import EngineInfo
from tests.server.clients import executor


class Pair:
    """Both must be ready; a request goes to whichever is idle."""

    places = 2

    def __init__(self):
        self._both = executor(), executor()
        self._who = {}
        self.info = EngineInfo()

    async def start(self, listener):
        def hear(event):
            states = {each.info.state for each in self._both}
            self.info = self._both["ready" not in states].info if len(states) == 1 else EngineInfo()
            listener(event)

        for each in self._both:
            await each.start(hear)

    @property
    def is_idle(self):
        return any(each.is_idle for each in self._both)

    def submit(self, request):
        self._who[request["job"]] = next(each for each in self._both if each.is_idle)
        self._who[request["job"]].submit(request)

    def cancel(self, job):
        if job in self._who:
            self._who[job].cancel(job)

    async def stop(self, force=False):
        for each in self._both:
            await each.stop(force)


@pytest.fixture
async def server(config):
    async with Server(config, Pair()) as server:
        yield server


async def test_two_jobs_run_at_once_and_the_third_waits_for_a_place(connect, server, audio):
    client = await connect("udp")
    for identity in (1, 2, 3):
        client.say("edit", identity, str(audio), "slow 20" if identity != 2 else "slow 200")
    for identity in (1, 2):
        await client.expect("progress", id=identity, stage="generating")
    assert (server.services.dispatcher.running, server.services.dispatcher.waiting) == (2, 1)
    assert (await client.expect("ack", id=3))["queue_position"] <= 1
    await client.expect("done", id=1)
    await client.expect("done", id=3)
    assert not client.ends(2)
    client.say("cancel", 2)
    assert (await client.expect("fail", id=2))["code"] == "cancelled"


async def test_events_of_two_jobs_do_not_mix(connect, audio):
    client = await connect("tcp")
    for identity in range(6):
        client.say(
            "edit", f"job {identity}", str(audio), "copy" if identity % 3 else "fail bad_audio"
        )
    for identity in range(6):
        name = f"job {identity}"
        await client.expect("done" if identity % 3 else "fail", id=name)
        assert len(client.ends(name)) == 1 and len(client.all("result", id=name)) == (
            1 if identity % 3 else 0
        )
