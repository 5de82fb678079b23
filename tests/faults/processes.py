"""Faults of processes: killed, hung, out of memory, cancelled half-way."""

import asyncio
import contextlib
import os
import resource
import signal

from tests.faults.kills import check_journal
from tests.faults.scenario import NOTHING, Scenario, adds_to, failure, wait_for_end
from tests.faults.stage import REAL_SECONDS, until
from tests.server.clients import executor, write_wav

SCENARIOS: list[Scenario] = []
scenario = adds_to(SCENARIOS)


@scenario(
    "kill -9 of the server while a job runs; it is started again",
    "the job is not run again, what waited is, the client hears of both from the new server",
    "interrupted",
    "send it again",
)
async def server_killed(stage):
    machine, client = await stage.machine()
    client.say("edit", 1, str(stage.audio), "slow 100")
    client.say("edit", 2, str(stage.audio), "copy")
    await client.expect("progress", id=1, stage="generating", patience=30)
    await client.expect("ack", id=2)
    await machine.restart(client)
    assert await wait_for_end(client, 2) == NOTHING
    end = await wait_for_end(client, 1)
    machine.kill()
    check_journal(machine.paths.journal)
    assert len(machine.runs()) == len(set(machine.runs())) == 2
    return end


@scenario(
    "kill -9 of the worker while a job runs",
    "it is started again, and the next job is done",
    "engine_died",
    "send the request again",
)
async def worker_killed(stage):
    server, client = await stage.server()
    client.say("edit", 1, str(stage.audio), "slow 100")
    await client.expect("progress", id=1, stage="generating", patience=30)
    os.kill(server.executor.pid, signal.SIGKILL)
    client.say("edit", 2, str(stage.audio), "copy")
    assert await wait_for_end(client, 2) == NOTHING
    return await wait_for_end(client, 1)


@scenario(
    "kill -9 of the worker between its last file and its last word",
    "the take is kept: the job is done",
)
async def worker_killed_when_it_had_finished(stage):
    server, client = await stage.server()
    client.say("edit", 1, str(stage.audio), "unwritten")
    await until(lambda: list(server.paths.takes.glob("*/manifest.json")))
    os.kill(server.executor.pid, signal.SIGKILL)
    end = await wait_for_end(client, 1)
    assert len(client.all("result", id=1)) == 1
    return end


@scenario(
    "the worker is stopped (SIGSTOP): it neither ends nor speaks",
    "the watchdog ends it; the next job is done",
    "engine_died",
    "send the request again",
)
async def worker_hung(stage):
    server, client = await stage.server(executor(silence_seconds=0.5))
    client.say("edit", 1, str(stage.audio), "slow 100")
    await client.expect("progress", id=1, stage="generating", patience=30)
    os.kill(server.executor.pid, signal.SIGSTOP)
    code, text = await wait_for_end(client, 1)
    assert "said nothing" in text
    client.say("edit", 2, str(stage.audio), "copy")
    assert await wait_for_end(client, 2) == NOTHING
    return code, text


@scenario(
    "the worker may have 64 MB more than it has (RLIMIT_AS), and the region needs more",
    "the job fails, at worst with its worker; with memory again, the next job is done",
    "out_of_memory",
    "select less",
    is_real=True,
)
async def worker_out_of_memory(stage):
    long = write_wav(stage.audio_folder / "long.wav", frames=48000 * 240)
    server, client = await stage.real_server()
    await asyncio.wait_for(server.ready.wait(), REAL_SECONDS)
    worker = server.executor.pid
    with open(f"/proc/{worker}/statm") as statm:
        used_bytes = int(statm.read().split()[0]) * resource.getpagesize()
    limits = resource.prlimit(worker, resource.RLIMIT_AS)
    resource.prlimit(worker, resource.RLIMIT_AS, (used_bytes + 64 * 2**20, limits[1]))
    client.say("edit", 1, str(long), "a violin")
    end = await wait_for_end(client, 1, REAL_SECONDS)
    with contextlib.suppress(ProcessLookupError):  # some libraries end the process
        resource.prlimit(worker, resource.RLIMIT_AS, limits)
    client.say("edit", 2, str(stage.audio), "a violin", steps=1)
    again = await wait_for_end(client, 2, REAL_SECONDS)
    assert again == NOTHING, (end, again)
    return end


@scenario(
    "/cancel while a model is loaded",
    "nothing is half loaded: the next load is done",
    "cancelled",
    "on request",
)
async def load_cancelled_half_way(stage):
    _, client = await stage.server()
    client.say("model/load", "nano", 1)
    client.say("cancel", 1)
    fail = await client.expect("fail", command="/retimbre/model/load", patience=30)
    client.say("model/load", "nano", 1)
    await client.expect("done", command="/retimbre/model/load", patience=30)
    return failure(fail)


@scenario(
    "kill -9 of the worker while it builds its graphs, twice",
    "it begins anew, and is ready in the end",
)
async def engine_build_killed(stage):
    server, client = await stage.real_server()
    for _ in range(2):
        await until(
            lambda: server.executor.info.state == "loading" and server.executor.pid, REAL_SECONDS
        )
        killed = server.executor.pid
        os.kill(killed, signal.SIGKILL)
        await until(lambda killed=killed: server.executor.pid not in (None, killed), REAL_SECONDS)
    client.say("edit", 1, str(stage.audio), "a violin", steps=1)
    return await wait_for_end(client, 1, REAL_SECONDS)
