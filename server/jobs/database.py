"""The journal's SQLite file: opened, locked, upgraded, and written to even when the disk is full.

Every commit is on the disk when it returns (WAL, synchronous FULL). The file is locked exclusively
while it is open: a second server on the same data folder is refused, and the lock goes with the
process, however that ends. A small reserve file beside it is given up when the disk is full, so
that jobs that end then can still say so.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from server.errors import to_error

T = TypeVar("T")

SCHEMA_VERSION = 2
RESERVE_BYTES = 2**20  # a few hundred ends
ENDS_BETWEEN_CHECKPOINTS = 50  # a job leaves about 30 pages of 4 KB in the log: 6 MB
MAX_LOG_PAGES = 16_384  # 64 MB, whoever wrote them


class JournalError(RuntimeError):
    """The journal cannot be opened; the text says what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@lru_cache(maxsize=1)
def queries() -> dict[str, str]:
    """The queries of journal.sql by their names."""
    text = importlib.resources.files("server.jobs").joinpath("journal.sql").read_text("utf-8")
    _, *parts = re.split(r"^-- (\w+) --\n", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


class Database:
    """The open file. All methods belong to one thread. Raises JournalError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ends = 0  # since the last checkpoint
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=0.5)
        try:
            self._open()
        except sqlite3.Error as error:
            self._connection.close()
            raise _to_journal_error(path, error) from error
        except JournalError:
            self._connection.close()
            raise

    def _open(self) -> None:
        execute = self._connection.execute
        execute("pragma locking_mode = exclusive")
        execute("pragma journal_mode = wal")
        execute("pragma synchronous = full")
        # `checkpoint` comes earlier
        execute(f"pragma wal_autocheckpoint = {MAX_LOG_PAGES}")
        version = execute("pragma user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise JournalError(
                "not_ready",
                f"{self.path} was written by a newer retimbre (journal version {version}, "
                f"this one reads {SCHEMA_VERSION}); update, or choose another --data-dir",
            )
        scripts = [f"upgrade_{older}" for older in range(version, SCHEMA_VERSION)]
        with self.transaction():  # takes the lock, even where there is nothing to create
            for script in scripts if version else ["schema"]:
                for statement in queries()[script].split(";\n"):
                    execute(statement)
            if version < SCHEMA_VERSION:
                execute(f"pragma user_version = {SCHEMA_VERSION}")

    def close(self) -> None:
        """Write the log into the file and let go of the lock."""
        self._connection.close()

    def check(self) -> str:
        """SQLite's own judgement of the whole file: "ok", or what is wrong."""
        return self._connection.execute("pragma integrity_check").fetchone()[0]

    def run(self, query: str, *values: Any) -> sqlite3.Cursor:
        """Run a query of journal.sql."""
        return self._connection.execute(queries()[query], values)

    def run_for_each(self, query: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a query of journal.sql with the values of each row."""
        self._connection.executemany(queries()[query], rows)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing of what is written in the block; on the disk when the block is left."""
        self._connection.execute("begin immediate")
        try:
            yield
            self._connection.execute("commit")
        finally:
            # a commit that fails on a full disk leaves the transaction open, or has rolled it back
            if self._connection.in_transaction:
                self._connection.execute("rollback")

    def checkpoint(self) -> None:
        """Write the log into the file, once for so many calls; SQLite would do so at any commit."""
        self._ends += 1
        if self._ends >= ENDS_BETWEEN_CHECKPOINTS:
            with contextlib.suppress(sqlite3.Error):  # a full disk: the log still has everything
                self._connection.execute("pragma wal_checkpoint(passive)")
            self._ends = 0

    # The reserve

    @property
    def _reserve(self) -> Path:
        return self.path.with_name("journal.reserve")

    def refill(self) -> None:
        """Put the reserve back. Raises OSError where there is no room for it."""
        if not self._reserve.exists():
            try:
                with open(self._reserve, "wb") as file:
                    file.write(b"\0" * RESERVE_BYTES)
                    os.fsync(file.fileno())
            except OSError:
                self._give_up_reserve()
                raise

    def write_even_when_full(self, write: Callable[[], T]) -> T:
        """Write, and on a full disk once more with the room of the reserve."""
        try:
            return write()
        except sqlite3.Error as error:
            if to_error(error, "").code != "disk_full":
                raise
        self._give_up_reserve()
        return write()

    def _give_up_reserve(self) -> None:
        with contextlib.suppress(OSError):
            self._reserve.unlink(missing_ok=True)


def _to_journal_error(path: Path, error: sqlite3.Error) -> JournalError:
    if "locked" in str(error):
        return JournalError(
            "busy",
            f"another retimbre server uses {path.parent}; stop it (retimbre status shows "
            "it), or give this one a --data-dir of its own",
        )
    if isinstance(error, sqlite3.OperationalError):
        reason = to_error(error, f"{path} cannot be opened")
        return JournalError(reason.code, reason.message)
    return JournalError(
        "not_ready",
        f"{path} cannot be used as a journal ({error}); move it away and start again: "
        "the takes stay where they are",
    )
