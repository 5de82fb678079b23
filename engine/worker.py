"""The engine as a process: `python -m engine.worker`.

One JSON object a line: requests on stdin, events on stdout.

requests  {"op": "edit", "job", "request"}
          {"op": "load" | "unload", "job", "model"}
          {"op": "inspect", "job", "audio", "start_seconds", "length_seconds"}
          {"op": "cancel", "job"}
          {"op": "shutdown"}
events    hello, ready, progress, result, done, fail, info, unloaded
          not_ready: the first model could not be loaded
          loaded: a model is in memory, maybe for the job that runs
          loading: the first model is on its way, said every 2 s

Threads: the reader takes lines from stdin and sets flags; the main thread computes; the ticker
repeats the last progress of a silent job, so that the server knows that we live; a loading ticker
does so until the first model is there. Events may come from any of them, and lines never mix. The
end of stdin is a shutdown.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from engine.event_pipe import EventPipe, take_stdout
from engine.families.registry import Family, ModelCache
from engine.runtimes import providers
from engine.runtimes.runner import threads_for
from engine.worker_job import MIN_GAP_SECONDS
from engine.worker_queue import Worker

NICENESS = 10  # a DAW and the acks of the server go first; 15 would leave nothing beside a busy DAW


def read_requests(stream: TextIO, worker: Worker) -> None:
    """The reader thread: until the end of stdin, which is a shutdown."""
    for line in stream:
        if not line.strip():
            continue
        try:
            request = json.loads(line)
        except ValueError as error:
            print(f"not a request: {line[:200]!r}: {error}", file=sys.stderr, flush=True)
            continue
        if isinstance(request, dict):
            worker.submit(request)
        else:
            print(f"not a request: {line[:200]!r}", file=sys.stderr, flush=True)
    worker.stop()


def _tick_for_ever(worker: Worker) -> None:
    while True:
        time.sleep(MIN_GAP_SECONDS)
        worker.tick()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="engine.worker", description="Edit regions for the retimbre server."
    )
    parser.add_argument("--model", default="nano", help="family to load at once")
    parser.add_argument(
        "--threads",
        type=int,
        default=0,
        help="threads per stage; 0: as many as the machine can spare",
    )
    parser.add_argument(
        "--models-dir", type=Path, help="folder of weights that the user has fetched"
    )
    parser.add_argument(
        "--runtime",
        choices=providers.NAMES,
        default="auto",
        help="what computes; auto: the fastest",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until the end of stdin or a shutdown."""
    options = _parser().parse_args(arguments)
    if hasattr(os, "nice"):  # Windows has none
        os.nice(NICENESS)
    faulthandler.enable()  # a crash in a driver says where it was, in the server's log
    # ctrl-C in a terminal is for the server, which drains us
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe = EventPipe(take_stdout())

    def tell(family: Family) -> None:
        pipe.send("loaded", model=family.name, licence=family.licence)

    models = ModelCache(threads_for(options.threads), options.models_dir, tell)
    worker = Worker(pipe, models, options.runtime)
    worker.hello()
    requests = open(0, encoding="utf-8", errors="replace", newline="\n")  # noqa: SIM115 (open as long as the process)
    threading.Thread(
        target=read_requests, args=(requests, worker), daemon=True, name="reader"
    ).start()
    threading.Thread(target=_tick_for_ever, args=(worker,), daemon=True, name="ticker").start()
    worker.load_first(options.model)
    worker.run()
    sys.stderr.flush()
    os._exit(0)  # the reader may still hang in a read that nothing ends


if __name__ == "__main__":
    main()
