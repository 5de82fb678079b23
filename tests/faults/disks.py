"""Faults of disks and of the data folder: full, read-only, damaged, in use."""

import asyncio

from server.paths import Paths
from tests.faults.scenario import NOTHING, Scenario, adds_to, error_line, failure, wait_for_end
from tests.faults.stage import REAL_SECONDS

SCENARIOS: list[Scenario] = []
scenario = adds_to(SCENARIOS)


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
    assert await wait_for_end(client, 2) == NOTHING
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
    return await wait_for_end(client, 1)


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
    assert await wait_for_end(client, 1) == NOTHING
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
    end = await wait_for_end(client, 1, REAL_SECONDS)
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
    return error_line(said)


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
    return await wait_for_end(client, 1)


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
    return error_line(said)


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
    assert await wait_for_end(client, 1) == NOTHING
    return error_line(said)
