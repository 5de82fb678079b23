"""What is remembered of clients over a restart, as the journal keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class KnownClient:
    """A registration made with /notify."""

    address: str
    client: str
    reply_port: int
    level: int


@dataclass(frozen=True)
class KnownSession:
    """What a client has set. `number`: of /notify's answer."""

    client: str
    number: int
    state: dict[str, Any]
