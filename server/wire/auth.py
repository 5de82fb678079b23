"""Which clients of other machines may come in?

The password is compared in constant time. Each wrong one makes the next answer slower, and the
fourth locks the machine out for a while.

UDP has no connections: there an address is let in, which somebody on the same network can forge.
Use TCP or a tunnel where that matters.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from dataclasses import dataclass, field

from server.errors import RequestError

TRIES = 4
LOCKED_SECONDS = 300.0
MAX_HOSTS = 1024  # whose tries are remembered


@dataclass
class _Attempts:
    """The tries of one machine, one at a time: many sockets are no faster than one."""

    wrong: int = 0
    locked_until: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Authenticator:
    """Checks passwords.

    `delay_seconds`: before the answer to the first wrong one; the next ones take multiples.
    """

    def __init__(self, password: str, delay_seconds: float = 1.0) -> None:
        self.has_password = bool(password)
        self._expected = _digest(password)
        self._delay_seconds = delay_seconds
        self._attempts: dict[str, _Attempts] = {}

    async def check(self, host: str, password: str) -> None:
        """Returns when `host` may come in. Raises RequestError(auth)."""
        attempts = self._attempts.setdefault(host, _Attempts())
        self._make_room(host)
        async with attempts.turn:
            self._check_lock(attempts)
            if hmac.compare_digest(_digest(password), self._expected):
                attempts.wrong = 0
                return
            attempts.wrong += 1
            await asyncio.sleep(self._delay_seconds * attempts.wrong)
            if attempts.wrong >= TRIES:
                attempts.wrong, attempts.locked_until = 0, time.monotonic() + LOCKED_SECONDS
            self._check_lock(attempts)
            raise RequestError(
                "auth", f"wrong password; {TRIES - attempts.wrong} of {TRIES} tries are left"
            )

    def _check_lock(self, attempts: _Attempts) -> None:
        left = attempts.locked_until - time.monotonic()
        if left > 0:
            raise RequestError(
                "auth",
                f"{TRIES} wrong passwords came from this machine; it may try again in {left:.0f} s",
            )

    def _make_room(self, host: str) -> None:
        for other in list(self._attempts):
            if len(self._attempts) <= MAX_HOSTS:
                return
            if other != host and not self._attempts[other].turn.locked():
                del self._attempts[other]


def _digest(password: str) -> bytes:
    """Of equal length for all passwords, so that comparing tells nothing about it."""
    return hashlib.sha256(password.encode("utf-8", "replace")).digest()
