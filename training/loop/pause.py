"""A run that is asked to stop finishes its step, saves, and can go on later."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Pause:
    """Asked for by ctrl-C, by a polite end (SIGTERM), or by a file that appears."""

    def __init__(self, path: Path) -> None:
        self._path, self._has_signal = path, False

    @property
    def is_requested(self) -> bool:
        return self._has_signal or self._path.exists()

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Signals count as requests; a second ctrl-C breaks off. Only in the main thread."""

        def request(number: int, _: Any) -> None:
            if self._has_signal:
                raise KeyboardInterrupt
            self._has_signal = True

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, request) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
