"""Log lines: to standard error as text or JSON, and as JSON to a file of bounded size.

    {"at": "2026-11-21T12:00:00.123Z", "level": "info", "from": "server.jobs.dispatcher",
     "what": "job ended", "job": "job-5f…", "id": "7", "client": "here/max", "verb": "edit",
     "code": "", "seconds": 1.204}

1. `what` is a sentence of ours. Whatever came from outside has a field of its own:
   `log.info("job ended", extra={"job": …})`. So a line can be passed on without the fields in
   PRIVATE, as `retimbre doctor --bundle` does.
2. No line holds audio, a password or the text of a prompt.

Any thread may log. A thread of its own writes to the file, so that a slow disk stops nobody. While
MAX_WAITING lines wait for the disk, further ones are counted instead of written.
"""

from __future__ import annotations

import contextlib
import copy
import faulthandler
import json
import logging
import logging.handlers
import queue
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FIELDS = (
    "job",
    "id",
    "client",
    "peer",
    "verb",
    "code",
    "stage",
    "model",
    "device",
    "seconds",
    "bytes",
    "count",
    "port",
    "reason",
    "said",
)  # what `extra` may hold, in the order of a line
# these may hold names, paths and words of people
PRIVATE = frozenset(("id", "client", "peer", "reason", "said"))
TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
MAX_WAITING = 4096
FILES = 4  # the one that is written and older ones
FIELD_CHARACTERS = 2000


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "from": record.name,
            "what": record.getMessage()[:FIELD_CHARACTERS],
            **fields(record),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextLines(logging.Formatter):
    """For people: the sentence, then the fields."""

    def __init__(self) -> None:
        super().__init__(TEXT_FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:
        text = " ".join(f"{name}={value}" for name, value in fields(record).items())
        return f"{super().formatMessage(record)}{text and f' ({text})'}"


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """The fields of `extra`, without empty texts."""
    found = {name: getattr(record, name) for name in FIELDS if getattr(record, name, "") != ""}
    return {
        name: round(value, 4)
        if isinstance(value, float)
        else value
        if isinstance(value, int)
        else str(value)[:FIELD_CHARACTERS]
        for name, value in found.items()
    }


FORMATS = {"text": TextLines, "json": JsonLines}


class _QueuedLines(logging.handlers.QueueHandler):
    """Puts lines in the queue of the writing thread; never waits, never raises."""

    def __init__(self, lines: queue.Queue[logging.LogRecord]) -> None:
        super().__init__(lines)
        self._lost = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        record = copy.copy(record)
        # now: arguments may change before the thread reads them
        record.msg, record.args = record.getMessage(), None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            if self._lost:
                self.queue.put_nowait(
                    logging.makeLogRecord(
                        {
                            "name": __name__,
                            "levelno": logging.WARNING,
                            "levelname": "WARNING",
                            "count": self._lost,
                            "msg": "lines were not kept: the disk is slow",
                        }
                    )
                )
                self._lost = 0
            self.queue.put_nowait(record)
        except queue.Full:
            self._lost += 1


@contextlib.contextmanager
def write_logs(path: Path, level: str, format: str, megabytes: int) -> Iterator[None]:
    """Log to standard error from `level` on, and to `path` from info on.

    `megabytes`: of all files together; 0: no file. If the process crashes, Python writes where each
    thread was to `<path>.crash`.
    """
    root, before = logging.getLogger(), logging.getLogger().level
    console = logging.StreamHandler(sys.stderr)
    console.setLevel(level.upper())
    console.setFormatter(FORMATS[format]())
    with contextlib.ExitStack() as stack:
        _attach(root, console, stack)
        root.setLevel(level.upper())
        if megabytes:
            root.setLevel(min(logging.INFO, console.level))
            stack.enter_context(_file(root, path, megabytes))
        stack.callback(root.setLevel, before)
        yield


@contextlib.contextmanager
def _file(root: logging.Logger, path: Path, megabytes: int) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = logging.handlers.RotatingFileHandler(
            path, maxBytes=megabytes * 10**6 // FILES, backupCount=FILES - 1, encoding="utf-8"
        )
        crash = open(crash_file(path), "a", encoding="utf-8")  # noqa: SIM115 - closed below
    except OSError as error:  # the server runs without its file on a full disk
        logging.getLogger(__name__).warning("no log file: %s", error)
        yield
        return
    file.setFormatter(JsonLines())
    lines: queue.Queue[logging.LogRecord] = queue.Queue(MAX_WAITING)
    listener = logging.handlers.QueueListener(lines, file)
    handler = _QueuedLines(lines)
    handler.setLevel(logging.INFO)
    faulthandler.enable(crash)
    listener.start()
    with contextlib.ExitStack() as stack:
        stack.callback(crash.close)
        stack.callback(faulthandler.disable)
        stack.callback(file.close)
        stack.callback(listener.stop)  # writes what waits
        _attach(root, handler, stack)
        yield


def _attach(root: logging.Logger, handler: logging.Handler, stack: contextlib.ExitStack) -> None:
    root.addHandler(handler)
    stack.callback(root.removeHandler, handler)


def crash_file(path: Path) -> Path:
    """The file of crashes, beside the log."""
    return path.with_name(path.name + ".crash")


def tail(path: Path, count: int) -> list[dict[str, Any]]:
    """The last lines of the log, older files included, oldest first; foreign lines are left out."""
    found: list[dict[str, Any]] = []
    for each in (path, *(path.with_name(f"{path.name}.{number}") for number in range(1, FILES))):
        try:
            lines = each.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        found = [*_parse(lines[-count:]), *found][-count:]
        if len(found) >= count:
            break
    return found


def _parse(lines: list[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:  # half a line: the power failed
            continue
        if isinstance(value, dict):
            yield value
