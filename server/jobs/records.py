"""What the journal remembers of a job: how it came, what it made, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from server.jobs.spec import JobSpec, ModelSpec

Spec = TypeVar("Spec", JobSpec, ModelSpec)
OtherSpec = TypeVar("OtherSpec", JobSpec, ModelSpec)


@dataclass(frozen=True)
class JobRecord(Generic[Spec]):
    """A job as it was accepted. Only edits stand in the journal."""

    job: str  # the server's name of it
    client: str  # see server.wire.sessions
    client_id: int | str  # what the client calls it
    command: str  # address of the request
    region: str  # name of the region, see `server.jobs.job.region_name`
    fingerprint: str  # of the request, to tell a repeat from an id that is used again
    spec: Spec
    created: float  # seconds since 1970
    state: str = "queued"
    started: float = 0.0
    in_use: bool = False  # the chosen take of its region

    def with_spec(self, spec: OtherSpec) -> JobRecord[OtherSpec]:
        """The same job, asked to do something else."""
        return JobRecord(**{**vars(self), "spec": spec})


EditRecord = JobRecord[JobSpec]
ModelRecord = JobRecord[ModelSpec]


@dataclass(frozen=True)
class Result:
    """One stem that a job made."""

    index: int
    stem: str
    path: str
    rate_hz: int
    channels: int
    frames: int
    start_seconds: float
    beats_start: float = 0.0


@dataclass(frozen=True)
class End:
    """How a job ended; an empty code means done. `serial` is given by the journal."""

    code: str = ""
    message: str = ""
    seed: int = 0
    manifest: str = ""
    seconds: float = 0.0
    results: int = 0
    serial: int = 0
