"""Every fault that is tried: how it is brought about, what must hold, and what the user reads.

A scenario is a coroutine function of a Stage. It asserts what must hold and returns the text that
the user sees, as (code, text); the code must be its row's, and the row's cure must stand in the
text. docs/faults.md is made from here.
"""

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from presets import SHIPPED_FOLDER
from server.compute.executor import Timeouts
from server.paths import Paths
from tests.faults.kills import check_journal
from tests.faults.stage import REAL_SECONDS, Stage, until
from tests.server.clients import executor, write_wav
from tests.server.live.conftest import DEVICE, jack_server

YEAR_SECONDS = 365 * 24 * 3600.0
NOTHING = ("", "")  # the user sees nothing: the job is done


@dataclass(frozen=True)
class Scenario:
    """One row. `code`: empty where the fault must not be noticed; `cure`: words of the text."""

    name: str
    injury: str
    holds: str
    code: str
    cure: str
    play: Callable[[Stage], Awaitable[tuple[str, str]]]
    is_real: bool = False  # with the real engine, which takes its time


SCENARIOS: list[Scenario] = []


def scenario(injury, holds, code="", cure="", is_real=False):
    """A row of the table; its name is the function's."""

    def add(play):
        SCENARIOS.append(
            Scenario(play.__name__.replace("_", " "), injury, holds, code, cure, play, is_real)
        )
        return play

    return add


def failure(values):
    return values["code"], values["message"]


async def ended(client, identity, patience=30.0):
    """(code, text) of a job's end, which must be one."""
    await until(lambda: client.ends(identity), patience)
    assert len({end.values["serial"] for end in client.ends(identity)}) == 1
    values = client.ends(identity)[0].values
    return failure(values) if "code" in values else NOTHING


# Processes


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
    assert await ended(client, 2) == NOTHING
    end = await ended(client, 1)
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
    assert await ended(client, 2) == NOTHING
    return await ended(client, 1)


@scenario(
    "kill -9 of the worker between its last file and its last word",
    "the take is kept: the job is done",
)
async def worker_killed_when_it_had_finished(stage):
    server, client = await stage.server()
    client.say("edit", 1, str(stage.audio), "unwritten")
    await until(lambda: list(server.paths.takes.glob("*/manifest.json")))
    os.kill(server.executor.pid, signal.SIGKILL)
    end = await ended(client, 1)
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
    code, text = await ended(client, 1)
    assert "said nothing" in text
    client.say("edit", 2, str(stage.audio), "copy")
    assert await ended(client, 2) == NOTHING
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
    end = await ended(client, 1, REAL_SECONDS)
    with contextlib.suppress(ProcessLookupError):  # some libraries end the process
        resource.prlimit(worker, resource.RLIMIT_AS, limits)
    client.say("edit", 2, str(stage.audio), "a violin", steps=1)
    again = await ended(client, 2, REAL_SECONDS)
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
    return await ended(client, 1, REAL_SECONDS)


# Disks


@scenario(
    "the disk of the data folder is full when a job comes",
    "it is not acknowledged and not run; with room again the next one is",
    "disk_full",
    "make room",
)
async def disk_full_when_a_job_comes(stage):
    server, client = await stage.server(data_dir=str(stage.small_disk(stage.folder / "data")))
    ballast = stage.fill(server.paths.data)
    client.say("edit", 1, str(stage.audio), "copy")
    fail = await client.expect("fail", id=1, patience=30)
    assert not client.all("ack")
    ballast.unlink()
    client.say("edit", 2, str(stage.audio), "copy")
    assert await ended(client, 2) == NOTHING
    return failure(fail)


@scenario(
    "the disk fills up while a job runs, its stems lie elsewhere",
    "the reserve of the journal has room for its result and its end",
)
async def disk_full_while_a_job_runs(stage):
    server, client = await stage.server(data_dir=str(stage.small_disk(stage.folder / "data")))
    server.paths.takes.rmdir()
    (stage.folder / "takes").mkdir()
    server.paths.takes.symlink_to(stage.folder / "takes")
    await server.services.journal_thread(server.services.journal.refill)
    client.say("edit", 1, str(stage.audio), "slow 10")
    await client.expect("progress", id=1, stage="generating", patience=30)
    stage.fill(server.paths.data)
    return await ended(client, 1)


@scenario(
    "the disk fills up while a job runs, and there is no reserve",
    "its end is not told before it is written: "
    "the client hears why it waits, and with room again the job is done",
    "disk_full",
    "make room",
)
async def journal_cannot_be_written(stage):
    server, client = await stage.server(data_dir=str(stage.small_disk(stage.folder / "data")))
    server.paths.takes.rmdir()
    (stage.folder / "takes").mkdir()
    server.paths.takes.symlink_to(stage.folder / "takes")
    client.say("edit", 1, str(stage.audio), "slow 10")
    await client.expect("progress", id=1, stage="generating", patience=30)
    (server.paths.data / "journal.reserve").unlink(missing_ok=True)
    ballast = stage.fill(server.paths.data)
    code, _, text = (await client.expect("log", level=2, patience=30))["text"].partition(": ")
    assert not client.ends(1)
    ballast.unlink()
    assert await ended(client, 1) == NOTHING
    return code, text


@scenario(
    "no room for the stem",
    "no half stem stays behind; the job fails",
    "disk_full",
    "make room",
    is_real=True,
)
async def disk_full_when_a_stem_is_written(stage):
    server, client = await stage.real_server()
    stage.small_disk(server.paths.takes, 64)
    client.say("edit", 1, str(stage.audio), "a violin", steps=1, length=0.1, bits="f32")
    stage.fill(server.paths.takes, 8192)
    end = await ended(client, 1, REAL_SECONDS)
    assert not list(server.paths.takes.rglob("*.wav")) and not list(
        server.paths.takes.rglob("*.part")
    )
    return end


@scenario(
    "less than 256 MB are free when an upload begins",
    "it is refused before a byte is sent",
    "disk_full",
    "Make room",
)
async def disk_full_for_an_upload(stage):
    _, client = await stage.server(data_dir=str(stage.small_disk(stage.folder / "data")))
    client.say("audio/open", "up")
    return failure(await client.expect("fail", id="up", patience=30))


@scenario(
    "the data folder is read-only at the start",
    "the server says so and ends",
    "write_failed",
    "--data-dir",
)
async def read_only_data_folder(stage):
    stage.read_only(stage.folder / "data")
    said = await asyncio.to_thread(
        stage.command, "serve", "--data-dir", stage.folder / "data", "--port", "0"
    )
    return _code_and_text(said)


@scenario(
    "the takes folder is read-only",
    "the job fails, the server goes on",
    "write_failed",
    "read-only",
)
async def read_only_takes_folder(stage):
    server, client = await stage.server()
    stage.read_only(server.paths.takes)
    client.say("edit", 1, str(stage.audio), "copy")
    return await ended(client, 1)


@scenario(
    "the journal is overwritten with something else",
    "the server does not touch it, and says what to do",
    "not_ready",
    "move it away and start again",
)
async def journal_damaged(stage):
    paths = Paths(stage.folder / "data").create()
    paths.journal.write_bytes(b"this is no database" * 1000)
    said = await asyncio.to_thread(stage.command, "serve", "--data-dir", paths.data, "--port", "0")
    assert paths.journal.read_bytes() == b"this is no database" * 1000
    return _code_and_text(said)


@scenario(
    "a second server on the same data folder",
    "the first goes on, the second ends",
    "busy",
    "stop it",
)
async def data_folder_in_use(stage):
    server, client = await stage.server()
    said = await asyncio.to_thread(
        stage.command, "serve", "--data-dir", server.paths.data, "--port", "0"
    )
    client.say("edit", 1, str(stage.audio), "copy")
    assert await ended(client, 1) == NOTHING
    return _code_and_text(said)


# The system


@scenario(
    "the server may open no file more (RLIMIT_NOFILE)",
    "the job is refused, the server goes on; with handles again the next job is done",
    "no_handles",
    "ulimit -n",
)
async def file_handles_exhausted(stage):
    machine, client = await stage.machine()
    client.say("edit", 1, str(stage.audio), "copy")
    assert await ended(client, 1) == NOTHING
    server = machine.process.pid
    in_use = {int(name) for name in os.listdir(f"/proc/{server}/fd")}
    # new files get the lowest free number, which must be below
    free = min(set(range(len(in_use) + 1)) - in_use)
    before = resource.prlimit(server, resource.RLIMIT_NOFILE)
    resource.prlimit(server, resource.RLIMIT_NOFILE, (free, before[1]))
    client.say("edit", 2, str(stage.audio), "copy")
    end = await ended(client, 2)
    resource.prlimit(server, resource.RLIMIT_NOFILE, before)
    client.say("edit", 3, str(stage.audio), "copy")
    assert await ended(client, 3) == NOTHING
    return end


@scenario(
    "another program has the port",
    "the server takes one of the next ten, and writes it to the port file",
)
async def port_taken(stage):
    with _occupied(1) as port:
        server, client = await stage.server(port=port)
        assert port < server.port <= port + 10
        client.say("edit", 1, str(stage.audio), "copy")
        return await ended(client, 1)


@scenario(
    "other programs have all eleven ports", "the server says so and ends", "not_ready", "--port"
)
async def all_ports_taken(stage):
    with _occupied(11) as port:
        said = await asyncio.to_thread(
            stage.command, "serve", "--data-dir", stage.folder / "data", "--port", port
        )
    return _code_and_text(said)


@scenario(
    "the clock jumps a year ahead, then two years back, while a job with a deadline of a minute runs",
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
        assert await ended(client, number) == NOTHING
        assert 0 < client.ends(number)[0].values["seconds"] < 60
    assert server.services.uploads.open == 1 and server.services.sessions.counts["kept"] == 1
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
    return await ended(client, 1)


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
        assert await ended(client, 1) == NOTHING
        client.say("live/start", DEVICE, DEVICE)
        return failure(await client.expect("fail", command="/retimbre/live/start", patience=60))


# Files that the server reads


@scenario(
    "a graph of the model is cut off",
    "it is not used; with the file again the next job is done, without a restart",
    "model_damaged",
    "install retimbre again",
    is_real=True,
)
async def model_file_truncated(stage):
    return await _with_weights(stage, lambda graph: os.truncate(graph, graph.stat().st_size // 2))


@scenario(
    "a graph of the model is another one of the same kind (one byte differs)",
    "it is not used, though it could be loaded; with the file again the next job is done",
    "model_damaged",
    "install retimbre again",
    is_real=True,
)
async def model_file_swapped(stage):
    def change(graph):
        data = bytearray(graph.read_bytes())
        data[len(data) // 2] ^= 1
        graph.write_bytes(data)

    return await _with_weights(stage, change)


@scenario(
    "a style is saved half-way through an edit",
    "the styles as they were go on serving, and the mended file is taken up",
    "bad_preset",
    "mine.yaml",
)
async def preset_edited_half_way(stage):
    server, client = await stage.server()
    style = server.paths.presets / "mine.yaml"
    whole = (SHIPPED_FOLDER / "harp.yaml").read_text().replace("name: harp", "name: mine")
    style.write_text(whole)
    client.say("preset/reload")
    await client.expect("done", command="/retimbre/preset/reload", patience=30)
    style.write_text(whole[: whole.index("pooling")] + "poo")
    client.say("preset/reload")
    fail = await client.expect("fail", command="/retimbre/preset/reload", patience=30)
    client.say("edit", 1, str(stage.audio), "copy", preset="mine")
    assert await ended(client, 1) == NOTHING
    style.write_text(whole)
    client.say("preset/reload")
    await client.expect("done", command="/retimbre/preset/reload", skip=1, patience=30)
    return failure(fail)


async def _with_weights(stage, damage):
    from engine.families.nano.family import WEIGHTS

    folder = stage.folder / "weights"
    shutil.copytree(WEIGHTS, folder)
    damage(folder / "denoiser.onnx")
    server, client = await stage.real_server(folder, Timeouts())
    client.say("edit", 1, str(stage.audio), "a violin", steps=1)
    end = await ended(client, 1, REAL_SECONDS)
    shutil.copy(WEIGHTS / "denoiser.onnx", folder)
    client.say("edit", 2, str(stage.audio), "a violin", steps=1)
    again = await ended(client, 2, REAL_SECONDS)
    assert again == NOTHING, again
    assert not server.executor.info.unavailable_reason
    return end


def _code_and_text(said):
    """Of the line `retimbre serve: code: text`."""
    line = said.strip().splitlines()[-1]
    return tuple(line.split(": ", 2)[1:])


@contextlib.contextmanager
def _occupied(count):
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
