"""What does a client get? Plain frozen values, and the errors that it may meet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class ClientError(Exception):
    """It came to nothing.

    `code` is symbolic (osc_protocol.ERROR_CODES), `message` says what came and what to do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class NoServer(ClientError):
    """Nobody listens there, or nobody answers any more."""


class Refused(ClientError):
    """The server answered with /fail, or would have: the request cannot be met as it is."""


@dataclass(frozen=True)
class Progress:
    """How far a job is; `fraction` (0 to 1) and `eta_seconds` are -1 when nobody knows."""

    fraction: float
    stage: str  # one of osc_protocol.STAGES, or "sending" while audio is uploaded
    eta_seconds: float
    queue_position: int


@dataclass(frozen=True)
class Stem:
    """One file that came back; `path` is the server's. Client.fetch brings it here."""

    index: int
    name: str
    path: Path
    rate_hz: int
    channels: int
    frames: int
    start_seconds: float
    beats_start: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """How a job ended well. A load or unload has no stems, no seed and no manifest."""

    job_id: int | str
    stems: tuple[Stem, ...] = ()
    seed: int = -1
    manifest: Path | None = None
    seconds: float = 0.0
