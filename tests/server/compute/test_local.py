"""The executor with a real process at the other end of the pipe."""

import asyncio
import os
import signal
import sys
import time

import pytest

from server.compute import local as executor_module
from server.compute.executor import Timeouts
from server.compute.local import LocalExecutor
from tests.server.clients import PATIENCE_SECONDS, executor, write_wav


class Listener:
    def __init__(self):
        self.events = []
        self.news = asyncio.Event()

    def __call__(self, event):
        self.events.append(event)
        self.news.set()

    async def expect(self, kind, skip=0, **wanted):
        while True:
            found = [
                event
                for event in self.events
                if event["event"] == kind
                and all(event.get(key) == value for key, value in wanted.items())
            ]
            if len(found) > skip:
                return found[skip]
            self.news.clear()
            await asyncio.wait_for(self.news.wait(), PATIENCE_SECONDS)


@pytest.fixture
async def start():
    """start(executor) makes a listener of a running executor."""
    running = []

    async def make(executor, until="ready"):
        listener = Listener()
        running.append(executor)
        await executor.start(listener)
        if until:
            await listener.expect(until)
        return listener

    yield make
    for each in running:
        await each.stop(force=True)


@pytest.fixture
def edit(tmp_path):
    audio = write_wav(tmp_path / "a.wav")
    (tmp_path / "out").mkdir()

    def make(text, job="job-1.0"):
        return {
            "op": "edit",
            "job": job,
            "request": {
                "audio": str(audio),
                "text": text,
                "start_seconds": 0.0,
                "knobs": {"seed": 1},
                "output_dir": str(tmp_path / "out"),
                "stem_prefix": job,
            },
        }

    return make


async def test_a_request_is_answered_and_the_worker_is_idle_again(start, edit):
    runner = executor()
    heard = await start(runner)
    assert runner.info.device == "double" and runner.info.models[0]["loaded"] and runner.is_idle
    runner.submit(edit("copy"))
    assert not runner.is_idle
    await heard.expect("done", job="job-1.0")
    assert runner.is_idle


SAYS_ITS_THREADS = """
import json, os
names = ("OPENBLAS_NUM_THREADS", "OMP_WAIT_POLICY")
device = " ".join(os.environ[name] for name in names)
print(json.dumps({"event": "hello", "device": device}), flush=True)
print(json.dumps({"event": "ready", "model": "nano"}), flush=True)
input()
"""


async def test_the_workers_sums_are_reproducible_and_its_threads_sleep_when_idle(
    start, monkeypatch
):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    runner = LocalExecutor([sys.executable, "-c", SAYS_ITS_THREADS])
    await start(runner)
    assert runner.info.device == "1 PASSIVE"


async def test_a_worker_that_a_library_ends_for_lack_of_memory_says_so(start, edit):
    runner = executor()
    heard = await start(runner)
    runner.submit(edit("starve"))
    fail = await heard.expect("fail", job="job-1.0")
    assert fail["code"] == "out_of_memory" and "select less" in fail["message"]


@pytest.mark.skipif(os.name == "nt", reason="signals")
async def test_a_worker_that_is_killed_costs_its_request_and_is_replaced(start, edit):
    runner = executor()
    heard = await start(runner)
    runner.submit(edit("slow 100"))
    await heard.expect("progress")
    os.kill(runner.pid, signal.SIGKILL)
    fail = await heard.expect("fail", job="job-1.0")
    assert fail["code"] == "engine_died" and "SIGKILL" in fail["message"]
    await heard.expect("ready", skip=1)
    runner.submit(edit("copy", "job-2.0"))
    await heard.expect("done", job="job-2.0")


async def test_the_last_words_of_a_worker_are_passed_on(start, edit):
    runner = executor()
    heard = await start(runner)
    runner.submit(edit("die"))
    assert "a driver fell over" in (await heard.expect("fail"))["message"]


async def test_a_worker_that_says_nothing_is_ended(start, edit):
    runner = executor(silence_seconds=0.3)
    heard = await start(runner)
    runner.submit(edit("hang"))
    assert "said nothing" in (await heard.expect("fail", code="engine_died"))["message"]
    await heard.expect("ready", skip=1)


async def test_a_worker_that_hangs_while_it_loads_is_ended(start):
    hello = """print('{"event": "hello"}', flush=True); import time; time.sleep(60)"""
    timeouts = Timeouts(loading_silence_seconds=0.3)
    runner = LocalExecutor([sys.executable, "-c", hello], timeouts)
    heard = await start(runner, until=None)
    await heard.expect("hello", skip=1)  # of its successor
    assert "said nothing" in runner._exit_reason or runner.info.state == "loading"


async def test_a_server_that_stood_still_does_not_take_it_for_the_workers_silence(start, edit):
    runner = executor(silence_seconds=0.3)
    heard = await start(runner)
    runner.submit(edit("slow 20"))
    await heard.expect("progress")
    time.sleep(0.8)  # as after SIGSTOP: the time is over, and the pipe is full of news
    await heard.expect("done", job="job-1.0")


async def test_a_worker_that_does_not_obey_a_cancel_is_ended(start, edit):
    runner = executor(cancel_seconds=0.2)
    heard = await start(runner)
    runner.submit(edit("hang"))
    runner.cancel("job-1.0")
    assert "cancel" in (await heard.expect("fail", code="engine_died"))["message"]


async def test_a_program_that_is_not_there_is_an_error_with_its_name(start, monkeypatch):
    monkeypatch.setattr(executor_module, "BACKOFF_SECONDS", (0.01,))
    runner = LocalExecutor(["no-such-program"])
    heard = await start(runner, until=None)
    while runner.info.state != "error":
        await heard.expect("state")
        await asyncio.sleep(0.01)
    assert "no-such-program" in runner.info.unavailable_reason


async def test_a_worker_that_never_becomes_ready_ends_in_error_and_is_still_tried(
    start, monkeypatch
):
    monkeypatch.setattr(executor_module, "BACKOFF_SECONDS", (0.01,))
    runner = LocalExecutor(
        [sys.executable, "-c", "import sys; sys.exit('no runtime is installed')"]
    )
    heard = await start(runner, until=None)
    while runner.info.state != "error":
        heard.news.clear()
        await asyncio.wait_for(heard.news.wait(), PATIENCE_SECONDS)
    assert "no runtime is installed" in runner.info.unavailable_reason


async def test_noise_on_the_pipe_is_stepped_over(start):
    lines = [
        "hello?",
        "[1]",
        '{"event": "progress"}',
        '{"event": "ready", "model": "nano", "seconds": 1}',
    ]
    script = f"import time; [print(line, flush=True) for line in {lines}]; time.sleep(60)"
    await start(LocalExecutor([sys.executable, "-c", script]))


async def test_stopping_gently_ends_the_process(start):
    runner = executor()
    await start(runner)
    pid = runner.pid
    await runner.stop()
    assert runner.pid is None
    with pytest.raises(OSError):
        os.kill(pid, 0)


async def test_stopping_by_force_fails_what_runs(start, edit):
    runner = LocalExecutor(executor().command, Timeouts())
    heard = await start(runner)
    runner.submit(edit("hang"))
    await runner.stop(force=True)
    assert (await heard.expect("fail"))["code"] == "engine_died"
