"""Faults of the machine: handles, ports, clocks, the sound card."""

import asyncio
import contextlib
import os
import resource
import shutil
import socket

import pytest

from tests.faults.scenario import NOTHING, Scenario, adds_to, error_line, failure, wait_for_end
from tests.server.live.conftest import DEVICE, jack_server

YEAR_SECONDS = 365 * 24 * 3600.0
SCENARIOS: list[Scenario] = []
scenario = adds_to(SCENARIOS)


@scenario(
    "the server may open no file more (RLIMIT_NOFILE)",
    "the job is refused, the server goes on; with handles again the next job is done",
    "no_handles",
    "ulimit -n",
)
async def file_handles_exhausted(stage):
    machine, client = await stage.machine()
    client.say("edit", 1, str(stage.audio), "copy")
    assert await wait_for_end(client, 1) == NOTHING
    server = machine.process.pid
    in_use = {int(name) for name in os.listdir(f"/proc/{server}/fd")}
    # new files get the lowest free number, which must be below
    free = min(set(range(len(in_use) + 1)) - in_use)
    before = resource.prlimit(server, resource.RLIMIT_NOFILE)
    resource.prlimit(server, resource.RLIMIT_NOFILE, (free, before[1]))
    client.say("edit", 2, str(stage.audio), "copy")
    end = await wait_for_end(client, 2)
    resource.prlimit(server, resource.RLIMIT_NOFILE, before)
    client.say("edit", 3, str(stage.audio), "copy")
    assert await wait_for_end(client, 3) == NOTHING
    return end


@scenario(
    "another program has the port",
    "the server takes one of the next ten, and writes it to the port file",
)
async def port_taken(stage):
    with _occupy(1) as port:
        server, client = await stage.server(port=port)
        assert port < server.port <= port + 10
        client.say("edit", 1, str(stage.audio), "copy")
        return await wait_for_end(client, 1)


@scenario(
    "other programs have all eleven ports", "the server says so and ends", "not_ready", "--port"
)
async def all_ports_taken(stage):
    with _occupy(11) as port:
        said = await asyncio.to_thread(
            stage.command, "serve", "--data-dir", stage.folder / "data", "--port", port
        )
    return error_line(said)


@scenario(
    "the clock jumps a year ahead, then two years back, "
    "while a job with a deadline of a minute runs",
    "it is done, in seconds that make sense; uploads, takes and clients stay",
)
async def clock_jumps(stage):
    jump = stage.clock()
    server, client = await stage.server(keep_days=30)
    client.say("notify", 1, 0, "patch")
    client.say("audio/open", "up")
    for number, text in enumerate(("slow 10", "slow 10"), 1):
        client.say("edit", number, str(stage.audio), text, deadline=60.0)
        await client.expect("progress", id=number, stage="generating", patience=30)
        jump(YEAR_SECONDS if number == 1 else -2 * YEAR_SECONDS)
        await server.services.uploads.expire([])
        await server.services.retention.prune()
        assert await wait_for_end(client, number) == NOTHING
        assert 0 < client.ends(number)[0].values["seconds"] < 60
    assert server.services.uploads.open_count == 1 and server.services.sessions.counts["kept"] == 1
    client.say("take/list")
    assert (await client.expect("take/list.end"))["count"] == 2
    return NOTHING


@scenario(
    "a job is not done within its deadline, after a jump of the clock",
    "the deadline is kept by our own time",
    "timed_out",
    "deadline",
)
async def deadline_after_a_jump(stage):
    jump = stage.clock()
    _, client = await stage.server()
    client.say("edit", 1, str(stage.audio), "slow 200", deadline=1.0)
    await client.expect("progress", id=1, stage="generating", patience=30)
    jump(-YEAR_SECONDS)
    return await wait_for_end(client, 1)


@scenario(
    "the sound card is unplugged (its JACK server ends) during live audio",
    "live audio is lost and says so; jobs go on; /live/start names what is missing",
    "no_device",
    "/retimbre/live/devices lists what",
)
async def audio_device_unplugged(stage):
    if missing := [program for program in ("jackd", "jack_lsp") if shutil.which(program) is None]:
        pytest.skip(f"{', '.join(missing)} are not installed")
    with jack_server(f"retimbre-fault-{os.getpid()}") as jack, _environment(jack.environment):
        _, client = await stage.server()
        client.say("notify", 1)
        client.say("live/start", DEVICE, DEVICE)
        await client.expect("done", command="/retimbre/live/start", patience=30)
        jack.stop()
        lost = await client.expect("live/state", state="lost", patience=30)
        assert "/retimbre/live/start" in lost["reason"]
        client.say("edit", 1, str(stage.audio), "copy")
        assert await wait_for_end(client, 1) == NOTHING
        client.say("live/start", DEVICE, DEVICE)
        return failure(await client.expect("fail", command="/retimbre/live/start", patience=60))


@contextlib.contextmanager
def _occupy(count):
    """So many ports in a row, each in other hands. Gives the first."""
    with contextlib.ExitStack() as stack:
        for first in range(21000, 60000, 50):
            try:
                for port in range(first, first + count):
                    taken = stack.enter_context(socket.socket())
                    taken.bind(("127.0.0.1", port))
                    taken.listen()
            except OSError:
                stack.close()
                continue
            yield first
            return


@contextlib.contextmanager
def _environment(variables):
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
