"""The worker as the server sees it: a process, lines in, lines out."""

import io
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine.event_pipe import EventPipe
from engine.families.registry import ModelCache
from engine.worker import NICENESS
from engine.worker_job import STUCK_SECONDS, WorkerJob
from engine.worker_queue import Worker
from tests.engine.signals import noise

ROOT = Path(__file__).parents[2]
CLOSING = ("done", "fail", "info", "unloaded", "ready", "not_ready")


class Process:
    """A worker whose weights lie in a given folder."""

    def __init__(self, weights: Path):
        program = (
            "import sys, pathlib; from engine.families.nano import family; "
            "family.WEIGHTS = pathlib.Path(sys.argv.pop(1)); from engine.worker import main; main()"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", program, str(weights), "--threads", "1"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self._lines: queue.Queue = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(json.loads(line))

    def send(self, **request):
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def until(self, *events):
        """All events up to the first of these kinds."""
        seen = []
        while not seen or seen[-1]["event"] not in events:
            seen.append(self._lines.get(timeout=60))
        return seen

    def end(self):
        self._process.stdin.close()
        return self._process.wait(timeout=30)


@pytest.fixture
def process(tiny_weights):
    worker = Process(tiny_weights)
    worker.until("ready")
    yield worker
    assert worker.end() == 0


def edit_request(path, folder, **changes):
    return {
        "audio": str(path),
        "text": "violin",
        "output_dir": str(folder),
        "knobs": {"steps": 2},
        **changes,
    }


def test_it_greets_before_it_loads(tiny_weights):
    worker = Process(tiny_weights)
    hello, loaded, ready = worker.until("ready")
    assert (loaded["event"], loaded["model"], loaded["licence"]) == ("loaded", "nano", "Apache-2.0")
    assert hello["event"] == "hello" and hello["pid"] and hello["models"][0]["name"] == "nano"
    assert ready["model"] == "nano" and ready["seconds"] > 0
    assert worker.end() == 0


@pytest.mark.skipif(not hasattr(os, "nice"), reason="no priorities of this kind")
def test_who_asks_goes_before_who_computes(tiny_weights):
    worker = Process(tiny_weights)
    pid, ours = worker.until("ready")[0]["pid"], os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(19, ours + NICENESS)
    assert worker.end() == 0


def test_an_edit_is_progress_result_done(process, write, tmp_path):
    process.send(op="edit", job="1", request=edit_request(write(noise(24_000), 48_000), tmp_path))
    *progress, result, done = process.until("done", "fail")
    assert {event["event"] for event in progress} == {"progress"} and progress[-1][
        "stage"
    ] == "writing"
    assert (result["job"], result["index"], result["frames"], result["rate_hz"]) == (
        "1",
        0,
        24_000,
        48_000,
    )
    assert Path(result["path"]).is_file() and Path(done["manifest"]).is_file()


def test_a_failed_job_does_not_end_the_worker(process, write, tmp_path):
    process.send(op="edit", job="1", request=edit_request(tmp_path / "gone.wav", tmp_path))
    assert process.until("fail")[-1]["code"] == "no_file"
    process.send(op="edit", job="2", request={"audio": 3})
    assert process.until("fail")[-1]["code"] == "bad_args"
    process.send(op="dance", job="3")
    assert "edit" in process.until("fail")[-1]["message"]
    process.send(op="inspect", job="4", audio=str(write(noise(24_000), 48_000)), start_seconds=0.1)
    info = process.until("info", "fail")[-1]
    assert (info["job"], info["rate_hz"], info["start_frame"], info["region_frames"]) == (
        "4",
        48_000,
        4_800,
        19_200,
    )


def test_a_running_job_is_cancelled_between_steps(process, write, tmp_path):
    folder = tmp_path / "take"
    folder.mkdir()
    path = write(noise(8_000 * 30), 8_000)
    process.send(op="edit", job="1", request=edit_request(path, folder, knobs={"steps": 100}))
    process.until("progress")
    process.send(op="cancel", job="1")
    assert process.until("fail", "done")[-1]["code"] == "cancelled"
    assert not list(folder.iterdir())


def test_models_are_unloaded_and_loaded_again(process):
    process.send(op="unload", job="1", model="nano")
    assert process.until("unloaded")[-1]["job"] == "1"
    process.send(op="load", job="2", model="nano")
    assert process.until("ready")[-1]["job"] == "2"
    process.send(op="load", job="3", model="mega")
    assert process.until("fail")[-1]["code"] == "unknown_model"


def test_without_weights_it_says_so_and_lives_on(tmp_path, write):
    worker = Process(tmp_path / "empty")
    hello, trouble = worker.until("not_ready")
    assert "denoiser.onnx" in trouble["message"] and hello["models"][0]["trouble"]
    worker.send(op="edit", job="1", request=edit_request(write(noise(24_000), 48_000), tmp_path))
    assert worker.until("fail")[-1]["code"] == "not_ready"
    worker.send(op="shutdown")
    assert worker.end() == 0


def events_of(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_memory_that_is_not_there_is_out_of_memory():
    stream = io.StringIO()
    worker = Worker(EventPipe(stream), ModelCache(1))

    def greedy(request, job):
        raise MemoryError

    worker._operations["edit"] = greedy
    worker.submit({"op": "edit", "job": "1"})
    worker.stop()
    worker._jobs[0].is_cancelled.clear()
    worker.run()
    assert events_of(stream)[-1]["code"] == "out_of_memory"


def test_memory_is_swept_when_nobody_waits_any_more(monkeypatch):
    stream, is_swept, told = io.StringIO(), threading.Event(), []
    worker = Worker(EventPipe(stream), ModelCache(1))
    worker._operations["edit"] = lambda request, job: ("done", {})
    monkeypatch.setattr(
        "engine.worker_queue.gc.collect",
        lambda: told.append(len(events_of(stream))) or is_swept.set(),
    )
    for name in ("1", "2", "3"):
        worker.submit({"op": "edit", "job": name})
    running = threading.Thread(target=worker.run)
    running.start()
    assert is_swept.wait(10)
    worker.stop()
    running.join()
    assert told[0] == 3


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


def test_progress_is_not_sent_too_often_never_falls_and_never_stops():
    stream, clock = io.StringIO(), Clock()
    job = WorkerJob("1", EventPipe(stream), clock)
    job.report("encoding", 0.1)
    job.report("encoding", 0.2)  # too soon
    clock.seconds = 1.0
    job.report("generating", 0.15)
    clock.seconds = 2.6
    job.tick()
    job.close()
    clock.seconds = 9.0
    job.tick()
    sent = [(event["stage"], event["fraction"]) for event in events_of(stream)]
    assert sent == [("encoding", 0.1), ("generating", 0.2), ("generating", 0.2)]
    assert events_of(stream)[1]["eta_seconds"] == pytest.approx(4.0)


def test_a_step_that_never_ends_falls_silent_so_that_the_server_takes_us_for_hung():
    stream, clock = io.StringIO(), Clock()
    job = WorkerJob("1", EventPipe(stream), clock)
    job.report("generating", 0.1)
    clock.seconds = STUCK_SECONDS - 1
    job.tick()
    clock.seconds = STUCK_SECONDS + 1
    job.tick()
    assert len(events_of(stream)) == 2
