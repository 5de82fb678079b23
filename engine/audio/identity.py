"""Which file is it, and in which state? Needs neither NumPy nor libsndfile."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class FileIdentity:
    """A file as it was when it was checked; its name may stand for another one by now.

    A file that was written to since has another identity. One that was only renamed keeps it.
    """

    device: int
    inode: int
    size_bytes: int
    modified_ns: int

    @classmethod
    def from_status(cls, status: os.stat_result) -> FileIdentity:
        """Of the file that `os.stat`, `os.lstat` or `os.fstat` has looked at."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

    def is_same_file(self, status: os.stat_result) -> bool:
        """Whether that is this file, whatever was written to it since."""
        return (status.st_dev, status.st_ino) == (self.device, self.inode)


def open_without_waiting(path: str, flags: int) -> int:
    """An opener for `open` that does not wait for ever for a pipe in the file's place."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
