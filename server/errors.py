"""The one error that reaches a client: a code from osc_protocol.ERROR_CODES and a sentence."""

from __future__ import annotations

import errno
import sqlite3

_MAKE_ROOM = ("disk_full", "make room on that disk, or choose another --data-dir")
_MAY_NOT = (
    "write_failed",
    "the disk or folder is read-only, or belongs to another user; change that, or choose "
    "another --data-dir",
)
_NO_HANDLES = ("no_handles", "close some clients, or allow the server more with ulimit -n")
CURES = {
    errno.ENOSPC: _MAKE_ROOM,
    errno.EDQUOT: _MAKE_ROOM,
    errno.EFBIG: _MAKE_ROOM,
    errno.EROFS: _MAY_NOT,
    errno.EACCES: _MAY_NOT,
    errno.EPERM: _MAY_NOT,
    errno.EMFILE: _NO_HANDLES,
    errno.ENFILE: _NO_HANDLES,
}
# Python 3.10 does not give the error numbers of SQLite, whose wording is stable.
SQLITE_CURES = {
    "disk is full": _MAKE_ROOM,
    "disk I/O error": _MAKE_ROOM,
    "readonly database": _MAY_NOT,
    "unable to open": _MAY_NOT,
}


class RequestError(Exception):
    """The client asked for something that it cannot have.

    `code` is what programs branch on; `message` says what was expected, what came and what to do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def to_error(error: Exception, what: str) -> RequestError:
    """What an error of the disk or of the journal means to a client. `what` could not be done."""
    if isinstance(error, sqlite3.Error):
        code, cure = next(
            (cure for words, cure in SQLITE_CURES.items() if words in str(error)), _MAY_NOT
        )
    else:
        number = error.errno if isinstance(error, OSError) else None
        code, cure = CURES.get(number or 0, ("internal", "the log has more"))
    return RequestError(code, f"{what} ({getattr(error, 'strerror', None) or error}); {cure}")


def unreadable(error: OSError, code: str, message: str) -> RequestError:
    """What an unreadable file means to a client: `code`, unless the server lacks file handles."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return to_error(error, message)
    return RequestError(code, message)
