"""How does a finished file get its name? By a rename that never replaces another file.

Needs neither NumPy nor libsndfile.
"""

from __future__ import annotations

import os
from pathlib import Path

MAX_COPIES = 10_000  # of one name in one folder


def publish(temporary: Path, wanted: Path, folder: int | None = None) -> Path:
    """Give a finished file its name, or the next free one (`name-2`, `name-3` ...). Returns it.

    With `folder`, an open descriptor, both lie in it, whatever its path stands for meanwhile.
    FileExistsError: all names are taken.
    """
    for number in range(1, MAX_COPIES):
        numbered = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
        target = wanted if number == 1 else numbered
        try:
            _rename_to_free_name(temporary, target, folder)
        except FileExistsError:
            continue
        _sync_folder(target.parent)
        return target
    raise FileExistsError(f"{MAX_COPIES} files are named like {wanted}; empty the folder")


def _rename_to_free_name(temporary: Path, target: Path, folder: int | None) -> None:
    """Rename, or raise FileExistsError where `target` exists."""
    if os.name == "nt":
        os.rename(temporary, target)  # refuses by itself
        return
    here, there = (temporary, target) if folder is None else (temporary.name, target.name)
    try:
        os.link(here, there, src_dir_fd=folder, dst_dir_fd=folder)  # refuses, where links exist
    except FileExistsError:
        raise
    except OSError:
        # exFAT and some network drives have no links: reserve the name, then replace our own file
        os.close(os.open(there, os.O_CREAT | os.O_EXCL | os.O_WRONLY, dir_fd=folder))
        os.replace(here, there, src_dir_fd=folder, dst_dir_fd=folder)


def _sync_folder(folder: Path) -> None:
    """The new name itself must survive a power cut (POSIX only)."""
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # a folder that may be written to and not read
        return
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems refuse to flush a folder; the file itself is safe
        return
    finally:
        os.close(descriptor)
