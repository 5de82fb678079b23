"""Which files may a client name?

Text from the wire in; a real regular file under an allowed root out, or a RequestError.

Rule 1: nothing is opened before it has passed; a name that fails costs one `stat` at most.
Rule 2: real paths are compared with real paths. A link at the end of a path is refused even when
    it points back inside, because its target may change between the check and the reading.
Rule 3: names may be swapped at any moment, so a file that has passed is known by device and inode.
    Those are found by a walk that follows no link, and are compared when the file is opened:
    by `AudioFile.open` here, by `engine.audio.files.open_audio` in the worker.

Functions here touch the disk, and a sleeping network drive may take seconds: call them from a file
thread.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from engine.audio.identity import FileIdentity, open_without_waiting
from server.errors import RequestError, unreadable

IS_WINDOWS = sys.platform == "win32"
MAX_PATH_CHARACTERS = 4096  # PATH_MAX of Linux; Windows and macOS stop earlier

# Folders on the way are only walked through, which needs no right to list them where the system
# knows that (O_PATH).
_WALK = (
    getattr(os, "O_PATH", os.O_RDONLY)
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
)

_DRIVE = re.compile(r"^[A-Za-z]:[\\/]")
# Max on macOS: "Macintosh HD:/Users/..."
_MAC_VOLUME = re.compile(r"^(?P<volume>[^/\\:]{2,}):(?P<path>/.*)$")
_MAC_BOOT_VOLUME = "Macintosh HD"
_WINDOWS_DEVICE = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$", re.IGNORECASE)
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True)
class AudioFile:
    """A file that has passed, and what it was then: it may be written to or swapped since."""

    path: str  # its real path
    identity: FileIdentity

    @classmethod
    def at(cls, path: str | Path) -> AudioFile:
        """The regular file at a real path.

        Raises OSError when it is gone, RequestError(path_denied) if it is none.
        """
        status = _status(str(path))
        if not stat.S_ISREG(status.st_mode):
            kind = next(
                (kind for is_kind, kind in _KINDS if is_kind(status.st_mode)), "not a regular file"
            )
            raise RequestError("path_denied", f"{path} is {kind}; expected a regular file")
        return cls(str(path), FileIdentity.from_status(status))

    def open(self) -> BinaryIO:
        """The file to read.

        Raises OSError, RequestError(path_denied) when its name stands for another file by now.
        """
        # the caller closes it
        file = open(self.path, "rb", opener=open_without_waiting)  # noqa: SIM115
        if self.identity.is_same_file(os.fstat(file.fileno())):
            return file
        file.close()
        raise RequestError(
            "path_denied",
            f"{self.path} was swapped for another file while it was looked at; "
            "render each region to a file of its own",
        )

    def to_json(self) -> dict[str, Any]:
        """One flat object."""
        return {"path": self.path, **vars(self.identity)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> AudioFile:
        """What `to_json` wrote. Fields that an older version did not write are 0: no file is it."""
        names = (field.name for field in fields(FileIdentity))
        return cls(values["path"], FileIdentity(*(values.get(name, 0) for name in names)))


def _status(real: str) -> os.stat_result:
    """`lstat` of a real path, by a walk from the top that follows no link.

    A link on the way was put there since the path was resolved.

    Raises OSError, RequestError(path_denied). Windows has no such walk; there links need an
    administrator.
    """
    if os.stat not in os.supports_dir_fd:
        return os.lstat(real)
    *folders, name = real.strip(os.sep).split(os.sep)
    descriptor = os.open(os.sep, _WALK)
    try:
        for folder in folders:
            below = os.open(folder, _WALK, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        raise RequestError(
            "path_denied", f"{real} has become a path through a symbolic link; send it again"
        ) from error
    finally:
        os.close(descriptor)
    return status


def normalise(text: str, windows: bool = IS_WINDOWS) -> str:
    """The path that the client meant, in this machine's form: file URLs, ~, volumes, slashes."""
    if not text.strip():
        raise RequestError("no_file", "expected the path of an audio file, got an empty name")
    if "\0" in text:
        raise RequestError("path_denied", "the path holds a NUL character; send a plain path")
    if len(text) > MAX_PATH_CHARACTERS:
        raise RequestError(
            "path_denied",
            f"the path has {len(text)} characters; at most {MAX_PATH_CHARACTERS} are allowed",
        )
    if text.lower().startswith("file:"):
        text = _from_url(text, windows)
    if text.startswith(("\\\\", "//")):
        raise RequestError(
            "path_denied", f"{text!r} is a network or device path; mount it and send its local path"
        )
    return _windows_form(text) if windows else _posix_form(text)


def _from_url(text: str, windows: bool) -> str:
    try:
        url = urlsplit(text)
    except ValueError as error:
        raise RequestError(
            "path_denied", f"{text!r} is no file URL ({error}); send a plain path"
        ) from error
    if url.netloc not in ("", "localhost"):
        raise RequestError(
            "path_denied", f"{text!r} names another machine; upload the audio instead"
        )
    path = unquote(url.path)
    if "\0" in path:
        raise RequestError("path_denied", "the path holds a NUL character; send a plain path")
    return path[1:] if windows and _DRIVE.match(path[1:]) else path


def _windows_form(text: str) -> str:
    tail = text[2:] if _DRIVE.match(text) else text
    parts = re.split(r"[\\/]", tail)
    if ":" in tail or any(_WINDOWS_DEVICE.match(part) for part in parts):
        raise RequestError(
            "path_denied", f"{text!r} names a device or a stream; send the path of a file"
        )
    return text.replace("/", "\\")


def _posix_form(text: str) -> str:
    if _DRIVE.match(text):
        raise RequestError(
            "no_file",
            f"{text!r} is a Windows path and this server does not run on Windows; "
            "send a path of this machine, or upload the audio",
        )
    volume = _MAC_VOLUME.match(text)
    if volume:
        path = volume["path"]
        return (
            path if volume["volume"] == _MAC_BOOT_VOLUME else f"/Volumes/{volume['volume']}{path}"
        )
    return os.path.expanduser(text) if text.startswith("~/") else text


class Sandbox:
    """The folders whose audio clients may name. Thread-safe: holds no state but its roots."""

    def __init__(self, roots: Sequence[str | Path], max_file_bytes: int) -> None:
        self.roots = tuple(os.path.realpath(os.path.expanduser(root)) for root in roots)
        self.max_file_bytes = max_file_bytes

    def audio_file(self, text: str) -> AudioFile:
        """The real file that `text` names.

        Raises RequestError(no_file | path_denied | too_large).
        """
        named = normalise(text)
        real = self._under_a_root(named, text)
        try:
            file = AudioFile.at(real)
        except OSError as error:
            message = f"{text!r}: {error.strerror or error}; looked for {real}"
            raise unreadable(error, "no_file", message) from error
        size_bytes = file.identity.size_bytes
        if size_bytes > self.max_file_bytes:
            raise RequestError(
                "too_large",
                f"{text!r} has {size_bytes / 1e6:.0f} MB; "
                f"at most {self.max_file_bytes / 1e6:.0f} MB are accepted (--max-file-mb)",
            )
        if not os.access(real, os.R_OK):
            raise RequestError(
                "path_denied", f"{text!r} may not be read by the server; check its permissions"
            )
        return file

    def folder(self, text: str) -> Path:
        """An existing folder under a root, for copies of stems.

        Raises RequestError(no_file | path_denied).
        """
        named = normalise(text)
        real = self._under_a_root(named, text, may_be_root=True)
        if not os.path.isdir(real):
            raise RequestError(
                "no_file",
                f"out: folder {text!r} does not exist under an allowed root; make it first",
            )
        return Path(real)

    def _under_a_root(self, named: str, text: str, may_be_root: bool = False) -> str:
        candidates = (
            [named] if os.path.isabs(named) else [os.path.join(root, named) for root in self.roots]
        )
        # once: links may change between two looks
        reals = {path: os.path.realpath(path) for path in candidates}
        inside = [path for path in candidates if self._is_inside(reals[path], may_be_root)]
        found = [path for path in inside if os.path.lexists(path)]
        if not found and len(inside) < len(candidates):
            raise RequestError(
                "path_denied",
                f"{text!r} is outside the allowed folders ({', '.join(self.roots)}); "
                "start the server with --root FOLDER to allow more, or upload the audio",
            )
        path = (found or inside)[0]
        if os.path.islink(path):
            raise RequestError(
                "path_denied", f"{text!r} is a symbolic link; send the path of the file itself"
            )
        return reals[path]

    def _is_inside(self, real: str, may_be_root: bool) -> bool:
        folded = os.path.normcase(real)
        for root in map(os.path.normcase, self.roots):
            if folded.startswith(root.rstrip(os.sep) + os.sep) or (may_be_root and folded == root):
                return True
        return False
