"""What a client hears about its jobs, and how often. Every job message goes out here.

A job that lives is reported at least every HEARTBEAT_SECONDS and at most five times a second. Its
end may get lost on UDP, so it is repeated with the same serial until the client says /got, or asks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from osc_protocol import ROOT, ProtocolError, encode
from server.jobs.job import Job
from server.jobs.records import End, Result
from server.wire.sessions import Peer, Sessions

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.5  # the promise is 2 s
PROGRESS_APART_SECONDS = 0.2
REPEATS = 3
SECRET = frozenset((f"{ROOT}/auth",))  # its arguments are shown nowhere
REPEAT_APART_SECONDS = 0.5


class Delivery:
    """Sends messages about jobs. Belongs to the event loop's thread."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._repeats: dict[str, asyncio.TimerHandle] = {}

    def send(self, peer: Peer, address: str, *atoms: Any) -> None:
        """Send one message to one peer."""
        try:
            packet = encode(f"{ROOT}/{address}", *atoms)
        except ProtocolError:  # our mistake, which must not cost the job
            log.exception("a message is not sent", extra={"verb": address, "peer": peer.key})
            return
        if peer.session.dump_level:
            trace(peer, "out", f"{ROOT}/{address}", atoms, packet)
        peer.link.send(packet)

    def push(self, address: str, *atoms: Any) -> None:
        """Send news to all who registered with /notify."""
        for peer in list(self._sessions.listeners()):
            self.send(peer, address, *atoms)

    def send_ack(self, job: Job, queue_position: int, eta_seconds: float) -> None:
        """Acknowledge a job, which stands in the journal."""
        self._send_to_all(job, "ack", job.client_id, job.name, queue_position, eta_seconds)

    def send_progress(self, job: Job, queue_position: int) -> None:
        """Report where a job is now."""
        self._send_to_all(
            job, "progress", job.client_id, job.fraction, job.stage, job.eta_seconds, queue_position
        )

    def may_report(self, job: Job) -> bool:
        """Whether there is room for one more of five messages a second."""
        return time.monotonic() - job.reported_at >= PROGRESS_APART_SECONDS

    def is_due(self, job: Job) -> bool:
        """Whether its client has not heard of it for a while."""
        return time.monotonic() - job.reported_at >= HEARTBEAT_SECONDS

    def send_result(self, job: Job, result: Result) -> None:
        """Send one stem of a job."""
        self._send_to_all(job, "result", *_result_atoms(job, result))

    def send_end(self, job: Job) -> None:
        """Send the one /done or /fail; over UDP again and again until it was received."""
        self._send_end(job)
        if job.peer and not job.peer.link.is_stream and job.op == "edit":
            self._repeat_later(job, REPEATS)

    def answer(self, job: Job, peer: Peer, command: str = "") -> None:
        """Send once more what an ended job made and how it ended; it is not repeated then.

        `command`: the address that is answered, where it is not the job's own.
        """
        self.stop_repeating(job)
        for result in job.results:
            self.send(peer, "result", *_result_atoms(job, result))
        if job.end:
            self.send(peer, *_end_message(job, job.end, command))

    def stop_repeating(self, job: Job) -> None:
        """The client has received the end of a job."""
        timer = self._repeats.pop(job.name, None)
        if timer:
            timer.cancel()

    def close(self) -> None:
        """Stop all repeats."""
        for timer in self._repeats.values():
            timer.cancel()
        self._repeats.clear()

    def _repeat_later(self, job: Job, left: int) -> None:
        if left:
            self._repeats[job.name] = asyncio.get_running_loop().call_later(
                REPEAT_APART_SECONDS, self._repeat, job, left
            )
        else:
            self._repeats.pop(job.name, None)

    def _repeat(self, job: Job, left: int) -> None:
        self._send_end(job)
        self._repeat_later(job, left - 1)

    def _send_end(self, job: Job) -> None:
        if job.end:
            self._send_to_all(job, *_end_message(job, job.end))

    def _send_to_all(self, job: Job, address: str, *atoms: Any) -> None:
        job.reported_at = time.monotonic()
        for peer in self._audience(job):
            self.send(peer, address, *atoms)

    def _audience(self, job: Job) -> list[Peer]:
        """The job's own client, and clients that asked for the jobs of others, too."""
        own = [job.peer] if job.peer else []
        return own + [
            peer
            for peer in self._sessions.listeners(level=2)
            if peer not in own and peer.session.client != job.record.client
        ]


def _result_atoms(job: Job, result: Result) -> tuple[Any, ...]:
    return (
        job.client_id,
        result.index,
        result.stem,
        result.path,
        result.rate_hz,
        result.channels,
        result.frames,
        result.start_seconds,
        result.beats_start,
    )


def _end_message(job: Job, end: End, command: str = "") -> tuple[Any, ...]:
    """Address and atoms. `command`: the address that is answered, where it is not the job's own."""
    # a failed job may have made a take before, and whoever asks for that can use it
    if end.code and not command:
        return "fail", job.record.command, job.client_id, end.code, end.message, end.serial
    command = command or job.record.command
    if job.op == "load":
        return "done", command, job.client_id, job.load_seconds
    if job.op == "unload":
        return "done", command, job.client_id
    return (
        "done",
        command,
        job.client_id,
        end.serial,
        end.results,
        end.seed,
        end.manifest,
        end.seconds,
    )


def trace(peer: Peer, way: str, address: str, atoms: tuple[Any, ...], packet: bytes) -> None:
    """Show one message to the client that asked for it with /dump, and in the log."""
    is_secret = address in SECRET
    line = f"{peer.key} {way} {address} " + (
        "<secret>" if is_secret else " ".join(_to_text(atom) for atom in atoms)
    )
    if peer.session.dump_level > 1 and not is_secret:
        line += f" | {len(packet)} bytes: {packet[:128].hex(' ', 4)}"
    log.info("traced", extra={"said": line})
    peer.link.send(encode(f"{ROOT}/log", 0, line))


def _to_text(atom: Any) -> str:
    return f"<{len(atom)} bytes>" if isinstance(atom, bytes) else repr(atom)
