"""A real process on the worker's pipe that computes nothing: a request's words tell it what to do.

copy            the stem is a copy of the input
slow 12         the same after 12 steps of 50 ms, with progress; obeys cancel
die             ends at once, without a word
starve          ends as OpenBLAS ends a process that gets no memory
hang            says nothing any more
fail bad_audio  fails with that code
unwritten       writes stem and manifest, then waits without telling
Loads take 0.3 s. Each run of an edit adds a line to runs.txt beside its folder's parent, so that
tests can count.
"""

import json
import os
import queue
import shutil
import struct
import sys
import threading
import time
from pathlib import Path


def say(event, **values):
    print(json.dumps({"event": event, **values}), flush=True)


def header(data):
    """(rate, channels, frames) of a WAV of any sample format, unlike the standard library."""
    at, chunks = 12, {}
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        chunks[name] = at + 8, size
        at += 8 + size + size % 2
    channels, rate_hz, _, frame_bytes = struct.unpack_from("<HIIH", data, chunks[b"fmt "][0] + 2)
    return rate_hz, channels, chunks[b"data"][1] // frame_bytes


class Double:
    def __init__(self):
        self.cancelled = set()
        self.requests = queue.Queue()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in sys.stdin:
            request = json.loads(line)
            if request["op"] == "cancel":
                self.cancelled.add(request["job"])
            else:
                self.requests.put(request)
        os._exit(0)

    def serve(self):
        models = [
            {
                "name": "nano",
                "title": "Nano",
                "loaded": False,
                "licence": "Apache-2.0",
                "max_seconds": 600,
            }
        ]
        say("hello", device="double", models=models, pid=os.getpid(), versions={})
        say("ready", model="nano", seconds=0.01)
        while True:
            request = self.requests.get()
            if request["op"] == "shutdown":
                return
            getattr(self, request["op"])(request)

    def load(self, request):
        if self.is_cancelled_within(0.3, request["job"]):
            say("fail", job=request["job"], code="cancelled", message="stopped on request")
            return
        say("ready", job=request["job"], model=request["model"], seconds=0.01)

    def is_cancelled_within(self, seconds, job):
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at and job not in self.cancelled:
            time.sleep(0.02)
        return job in self.cancelled

    def unload(self, request):
        say("unloaded", job=request["job"], model=request["model"])

    def edit(self, request):
        job, edit = request["job"], request["request"]
        with open(Path(edit["output_dir"]).parent / "runs.txt", "a") as runs:
            runs.write(f"{job}\n")
        verb, _, argument = edit["text"].partition(" ")
        getattr(self, f"do_{verb}", self.do_copy)(job, edit, argument)

    def do_copy(self, job, edit, argument):
        say("progress", job=job, fraction=0.5, stage="generating", eta_seconds=0.1)
        stem = self.write(edit)
        say(
            "result",
            job=job,
            index=0,
            stem=stem["name"],
            path=stem["path"],
            rate_hz=stem["rate_hz"],
            channels=stem["channels"],
            frames=stem["frames"],
            start_seconds=edit["start_seconds"] or 0.0,
        )
        manifest = str(Path(edit["output_dir"]) / "manifest.json")
        say("done", job=job, seed=edit["knobs"]["seed"], manifest=manifest, seconds=0.1)

    def do_slow(self, job, edit, argument):
        steps = int(argument)
        for step in range(steps):
            if job in self.cancelled:
                say("fail", job=job, code="cancelled", message="stopped on request")
                return
            say(
                "progress",
                job=job,
                fraction=step / steps,
                stage="generating",
                eta_seconds=0.05 * (steps - step),
            )
            time.sleep(0.05)
        self.do_copy(job, edit, "")

    def do_die(self, job, edit, argument):
        print("a driver fell over", file=sys.stderr, flush=True)
        os.kill(os.getpid(), 9)

    def do_starve(self, job, edit, argument):
        message = "OpenBLAS error: Memory allocation still failed after 10 retries, giving up."
        print(message, file=sys.stderr, flush=True)
        os._exit(1)

    def do_hang(self, job, edit, argument):
        time.sleep(3600)

    def do_fail(self, job, edit, argument):
        say("fail", job=job, code=argument, message="as you wished")

    def do_unwritten(self, job, edit, argument):
        self.write(edit)
        time.sleep(3600)

    def write(self, edit):
        folder = Path(edit["output_dir"])
        path = folder / f"{edit['stem_prefix']}-violin.wav"
        shutil.copyfile(edit["audio"], path)
        rate_hz, channels, frames = header(path.read_bytes())
        stem = {
            "name": "violin",
            "path": str(path),
            "rate_hz": rate_hz,
            "channels": channels,
            "frames": frames,
        }
        part = folder / "manifest.part"
        part.write_text(
            json.dumps({"schema": 1, "stems": [stem], "seed": edit["knobs"]["seed"], "edit": edit})
        )
        part.rename(folder / "manifest.json")
        return stem


if __name__ == "__main__":
    Double().serve()
