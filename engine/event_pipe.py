"""Events of a child process, one JSON object a line, on a stdout that nobody else writes to."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol, TextIO


class EventSink(Protocol):
    """Where events go: a pipe, or somebody who listens in the same process."""

    def send(self, event: str, **values: Any) -> None:
        """One event. Any thread may call it."""


class EventPipe:
    """Writes events as lines. `on_closed` is called when nobody reads them any more."""

    def __init__(
        self, stream: TextIO, on_closed: Callable[[], object] = lambda: os._exit(0)
    ) -> None:
        self._stream, self._on_closed = stream, on_closed
        self._lock = threading.Lock()

    def send(self, event: str, **values: Any) -> None:
        line = json.dumps({"event": event, **values}, ensure_ascii=False)
        try:
            with self._lock:
                self._stream.write(line + "\n")
                self._stream.flush()
        except (BrokenPipeError, ValueError):
            self._on_closed()


def take_stdout() -> TextIO:
    """The real stdout, for events alone.

    What libraries print to stdout goes where stderr goes from here on.
    """
    events = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return events
