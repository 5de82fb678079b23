"""kill -9 at any moment: no take is lost, no job runs twice, each is resumed or failed."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server.app import Server
from server.jobs.journal import Journal
from server.jobs.records import JobRecord
from tests.server.clients import PATIENCE_SECONDS, TcpClient, UdpClient, executor, job_spec
from tests.server.machine import ROOT, SCRIPT, Machine

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals")


@pytest.fixture
async def machine(tmp_path, audio):
    machine = Machine(tmp_path / "data", audio.parent)
    yield machine
    machine.close()


async def test_a_finished_take_can_be_fetched_after_a_crash(machine, audio):
    client = await machine.client(await machine.start())
    client.say("edit", 1, str(audio), "copy")
    done = await client.expect("done", id=1)
    result = await client.expect("result", id=1)
    await machine.restart(client)
    client.say("edit", 1, str(audio), "copy")
    assert await client.expect("result", id=1) == result
    assert await client.expect("done", id=1) == done
    client.say("job/query", 1)
    assert await client.expect("done", id=1, skip=1) == done
    client.say("take/list")
    assert (await client.expect("take/list.end"))["count"] == 1
    assert len(machine.runs()) == 1


async def test_a_job_that_ran_is_failed_and_not_run_again_while_one_that_waited_is_resumed(
    machine, audio
):
    client = await machine.client(await machine.start())
    client.say("edit", 1, str(audio), "slow 100")
    client.say("edit", 2, str(audio), "copy")
    await client.expect("progress", id=1, stage="generating")
    await client.expect("ack", id=2)
    await machine.restart(client)
    assert (await client.expect("fail", id=1))["code"] == "interrupted"
    await client.expect("done", id=2)
    client.say("edit", 1, str(audio), "slow 100")
    await client.expect("fail", id=1, skip=1)
    assert len({end.args for end in client.ends(1)}) == 1
    assert len(machine.runs()) == len(set(machine.runs())) == 2


async def test_a_job_whose_engine_had_finished_is_done(machine, audio):
    client = await machine.client(await machine.start())
    client.say("edit", 1, str(audio), "unwritten", out=str(audio.parent))
    job = (await client.expect("ack", id=1))["job"]
    while not (machine.paths.takes / job / "manifest.json").exists():
        await asyncio.sleep(0.02)
    await machine.restart(client)
    done = await client.expect("done", id=1)
    assert done["results"] == 1 and Path(done["manifest"]).exists()
    client.say("job/query", 1)
    result = await client.expect("result", id=1)
    assert (result["frames"], Path(result["path"]).parent) == (4800, audio.parent)
    assert len(machine.runs()) == 1


async def test_a_job_that_was_acknowledged_a_moment_before_is_not_forgotten(machine, audio):
    client = await machine.client(await machine.start())
    client.say("edit", 1, str(audio), "copy")
    await client.expect("ack", id=1)
    await machine.restart(client)
    client.say("edit", 1, str(audio), "copy")
    while not client.ends(1):
        await asyncio.sleep(0.02)
    assert len(machine.runs()) <= 1


async def test_a_message_that_comes_before_the_journal_was_read_waits_for_it(
    config, audio, monkeypatch
):
    """Or the job would be unknown for a moment, and begun a second time."""
    journal = Journal(config.paths().create().journal)
    journal.add_job(
        JobRecord(
            "job-1",
            "here/patch",
            1,
            "/retimbre/edit",
            "region",
            "print",
            job_spec(str(audio)),
            time.time(),
        )
    )
    journal.close()
    server, resume = Server(config, executor()), Server._resume

    async def slowly(self, recovery):
        client = await UdpClient.open(self.port)
        client.say("notify", 1, 0, "patch")
        client.say("edit", 1, str(audio), "copy")
        await asyncio.sleep(0.1)  # the messages are here
        assert not client.messages
        await resume(self, recovery)
        clients.append(client)

    clients = []
    monkeypatch.setattr(Server, "_resume", slowly)
    async with server:
        assert (await clients[0].expect("done", id=1, command="/retimbre/edit"))["serial"] == 1
        assert {ack.values["job"] for ack in clients[0].all("ack")} <= {"job-1"}
        assert len(list(server.paths.takes.glob("job-*"))) == 1
    clients[0].close()


async def test_a_patch_that_registered_is_still_known_with_its_defaults(machine, audio):
    port = await machine.start()
    client, ear = await machine.client(port), await machine.client(port)
    client.say("notify", 1, ear.port, "max")
    await ear.expect("done", command="/retimbre/notify")
    client.say("set", preset="harp")
    client.say("sync", 1)
    await ear.expect("synced")
    await machine.restart(client)
    ear.messages.clear()
    client.say("get", "preset")
    assert (await ear.expect("get.reply"))["value"] == "harp"
    client.say("edit", 1, str(audio), "copy")
    await ear.expect("done", id=1)
    assert not client.messages


async def test_a_named_client_finds_its_defaults_from_another_port(machine):
    client = await machine.client(await machine.start())
    client.say("notify", 1, 0, "max")
    client.say("set", preset="harp")
    client.say("sync", 1)
    await client.expect("synced")
    await machine.restart(client)
    other = await machine.client(client.server[1])
    other.say("notify", 1, 0, "max")
    other.say("get", "preset")
    assert (await other.expect("get.reply"))["value"] == "harp"


async def test_a_named_client_finds_its_jobs_from_another_port(machine, audio):
    port = await machine.start()
    client = await machine.client(port)
    client.say("notify", 1, 0, "script")
    client.say("edit", 1, str(audio), "copy")
    done = await client.expect("done", id=1)
    await machine.restart(client)
    other = await TcpClient.open(client.server[1])
    other.say("notify", 1, 0, "script")
    other.say("job/query", 1)
    assert await other.expect("done", id=1) == done
    other.close()


async def test_the_worker_does_not_outlive_the_server(machine, audio):
    client = await machine.client(await machine.start())
    client.say("edit", 1, str(audio), "slow 1000")
    await client.expect("progress", id=1, stage="generating")
    worker = machine.worker()
    machine.kill()
    for _ in range(int(PATIENCE_SECONDS / 0.05)):
        if not Path(f"/proc/{worker}").exists():
            break
        await asyncio.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    await machine.start()


async def test_two_servers_do_not_share_a_data_folder(machine):
    await machine.start()
    second = subprocess.run(
        [sys.executable, str(SCRIPT), str(machine.paths.data), str(machine.root)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert second.returncode != 0 and "another retimbre server" in second.stderr
