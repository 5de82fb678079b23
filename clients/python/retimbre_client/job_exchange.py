"""How is a job followed? Started, repeated while nothing comes, asked for when it falls silent."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from osc_protocol import ADDRESSES, ROOT, ReplyMessage
from retimbre_client.exchange import Exchange, Repeats, request
from retimbre_client.values import NoServer, Outcome, Progress, Refused, Stem

QUIET_SECONDS = 3.0  # a living job speaks every two seconds; after three we ask
QUERY, CAPTURE = f"{ROOT}/job/query", f"{ROOT}/capture"
JOB_COMMANDS = frozenset(name for name, row in ADDRESSES.items() if "ack" in row.replies)


class JobExchange(Exchange):
    """An edit, a load, or a query of one.

    `packet` starts it; `command` is the one that /done and /fail will name.
    """

    def __init__(
        self,
        id: int | str,
        command: str,
        packet: bytes,
        silence_seconds: float,
        *,
        also: str = "",
        on_accepted: Callable[[], None] = lambda: None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        super().__init__()
        self._on_accepted = on_accepted
        self.id, self.also, self._command, self._packet = id, also, f"{ROOT}/{command}", packet
        self._silence_seconds, self._on_progress = silence_seconds, on_progress
        self.server_name = ""  # from /ack
        self.is_acknowledged = self.is_cancelled = False
        self.progress: Progress | None = None
        self.stems: dict[int, Stem] = {}
        self._heard_at = math.inf
        self._repeats = Repeats()

    def start(self, now: float) -> list[bytes]:
        self._heard_at = now
        return self.repeat(now)

    def repeat(self, now: float) -> list[bytes]:
        self._repeats.schedule(now)
        return [self._packet]

    def ask_for_its_end(self) -> None:
        """From now on repeat the question how it ended, not the request that would start it."""
        self._packet, self.is_acknowledged = request("job/query", self.id), False

    def cancel(self) -> None:
        """The server was told to stop it; if it never heard of it, it must not start it now."""
        self.is_cancelled = True
        self.ask_for_its_end()

    def concerns(self, message: ReplyMessage) -> bool:
        values, name = message.values, message.address[len(ROOT) + 1 :]
        if name not in _HANDLERS or values["id"] not in (self.id, self.also or self.id):
            return False
        # One that is asked for ends under the name of the command that once started it.
        return name not in ("done", "fail") or values["command"] in (
            self._command,
            QUERY,
            *JOB_COMMANDS,
        )

    def hear(self, message: ReplyMessage, now: float) -> list[bytes]:
        self._heard_at = now
        _HANDLERS[message.address[len(ROOT) + 1 :]](self, message.values)
        return []

    def tick(self, now: float) -> list[bytes]:
        quiet_seconds = now - self._heard_at
        if quiet_seconds >= self._silence_seconds:
            return self.end(
                error=NoServer(
                    "timed_out",
                    f"the server has said nothing about job {self.id} for "
                    f"{quiet_seconds:.0f} s; `retimbre status` says whether it still runs; "
                    "the same id sent again finds the job",
                )
            )
        return self.repeat(now) if now >= self._ask_at else []

    @property
    def _ask_at(self) -> float:
        """A job that was acknowledged is asked for only when it has fallen silent."""
        return max(
            self._repeats.due_at, self._heard_at + QUIET_SECONDS if self.is_acknowledged else 0.0
        )

    @property
    def next_tick(self) -> float:
        return min(self._heard_at + self._silence_seconds, self._ask_at)

    # Messages about it

    def _on_ack(self, values: dict[str, Any]) -> None:
        self.server_name = values["job"]
        if self._command == CAPTURE:  # sent again after a restart, it would take other bars
            self._packet = request("job/query", self.id)
        self._on_info(values)

    def _on_info(self, values: dict[str, Any]) -> None:
        self.is_acknowledged = True
        self._on_accepted()

    def _on_progress_reply(self, values: dict[str, Any]) -> None:
        self._on_info(values)
        self.progress = Progress(
            values["fraction"], values["stage"], values["eta"], values["queue_position"]
        )
        self._on_progress(self.progress)

    def _on_result(self, values: dict[str, Any]) -> None:
        self.stems[values["index"]] = Stem(
            values["index"],
            values["stem"],
            Path(values["path"]),
            values["rate"],
            values["channels"],
            values["frames"],
            values["start"],
            values["beats_start"],
        )

    def _on_done(self, values: dict[str, Any]) -> None:
        # a /result was lost: all come again before the next /done
        if len(self.stems) < values.get("results", 0):
            self.ask_for_its_end()
            return
        manifest = Path(values["manifest"]) if values.get("manifest") else None
        self.end(
            Outcome(
                self.id,
                tuple(self.stems[index] for index in sorted(self.stems)),
                values.get("seed", -1),
                manifest,
                values.get("seconds", 0.0),
            )
        )

    def _on_fail(self, values: dict[str, Any]) -> None:
        if self.is_cancelled and values["code"] == "unknown_job":
            self.end(error=Refused("cancelled", "stopped before the server had heard of it"))
        else:
            self.end(error=Refused(values["code"], values["message"]))


_HANDLERS: dict[str, Callable[[JobExchange, dict[str, Any]], None]] = {
    "ack": JobExchange._on_ack,
    "progress": JobExchange._on_progress_reply,
    "result": JobExchange._on_result,
    "done": JobExchange._on_done,
    "fail": JobExchange._on_fail,
    "job/info": JobExchange._on_info,
}
