"""One thing that is said until it is answered: a question, a list, a job, an upload, a download. No
sockets, no clock.

Rule 1: methods return the packets to send; `now` is any clock that goes forward, in seconds.
Rule 2: every packet may be lost, doubled or late. An exchange repeats itself until it is over; that is always safe,
        because the server never starts a second job for the same id.
Rule 3: a job has no total time-out, only a silence: whatever the server says about it feeds the
watchdog.
"""

from __future__ import annotations

import abc
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from osc_protocol import (
    ADDRESSES,
    ROOT,
    DownloadReceiver,
    ProtocolError,
    ReplyMessage,
    Sliceable,
    UploadSender,
    encode,
)
from retimbre_client.values import ClientError, NoServer, Outcome, Progress, Refused, Stem

RESEND_SECONDS = 0.25  # loopback answers within milliseconds, Wi-Fi within tens
RESEND_AT_MOST_SECONDS = 2.0
REPEATS_IN_TIME = 20  # what has 45 s to be answered is repeated after 2.25 s
QUIET_SECONDS = 3.0  # a living job speaks every two seconds; after three we ask
TOLD_APART = 0.01  # of an upload: a minute of audio has thousands of chunks
DOWNLOAD_LIMIT_BYTES = 4 << 30  # a WAV file holds no more

DONE, FAIL = f"{ROOT}/done", f"{ROOT}/fail"
QUERY = f"{ROOT}/job/query"
JOB_COMMANDS = frozenset(name for name, row in ADDRESSES.items() if "ack" in row.replies)
CAPTURE = f"{ROOT}/capture"
TRANSFERS = frozenset(f"{ROOT}/audio/{name}" for name in ("open", "data", "close"))
# arguments that a reply repeats: they tell whose answer it is
ECHOED = ("id", "name", "key", "n", "echo")


class Exchange(abc.ABC):
    """`on_end` is called once, when `outcome` or `error` stands."""

    was_doubted = False  # an /auth failure was answered by introducing ourselves again

    def __init__(self) -> None:
        self.is_over = False
        self.outcome: Any = None
        self.error: Exception | None = None
        self.on_end: Callable[[Exchange], None] = lambda exchange: None

    @abc.abstractmethod
    def start(self, now: float) -> list[bytes]:
        """Say it."""

    def repeat(self, now: float) -> list[bytes]:
        """The server may have forgotten what it was told: say it again."""
        return []

    @abc.abstractmethod
    def concerns(self, message: ReplyMessage) -> bool:
        """Whether this message answers us."""

    @abc.abstractmethod
    def hear(self, message: ReplyMessage, now: float) -> list[bytes]:
        """Take a message that concerns us."""

    @abc.abstractmethod
    def tick(self, now: float) -> list[bytes]:
        """Repeat what has waited too long, or give up."""

    @property
    @abc.abstractmethod
    def next_tick(self) -> float:
        """When `tick` will have something to do."""

    def end(self, outcome: Any = None, error: Exception | None = None) -> list[bytes]:
        """Over. Returns no packets, so that a handler may end with it."""
        if not self.is_over:
            self.is_over, self.outcome, self.error = True, outcome, error
            self.on_end(self)
        return []


class _Repeats:
    """When to say it again: after a quarter of a second, then after twice as long each time, up to
    two seconds.
    """

    def __init__(self, pause_seconds: float = RESEND_SECONDS) -> None:
        self._pause_seconds = pause_seconds
        self.due_at = math.inf

    def said(self, now: float) -> None:
        self.due_at = now + self._pause_seconds
        self._pause_seconds = max(
            self._pause_seconds, min(2 * self._pause_seconds, RESEND_AT_MOST_SECONDS)
        )


class Question(Exchange):
    """A request with one reply: its outcome is that message's values. What may take long is
    repeated rarely.
    """

    def __init__(
        self,
        name: str,
        args: tuple[Any, ...],
        reply: str,
        seconds: float,
        pause_seconds: float | None = None,
        packet: bytes = b"",
    ) -> None:
        super().__init__()
        self.address, self._reply, self._seconds = f"{ROOT}/{name}", f"{ROOT}/{reply}", seconds
        self._packet = packet or request(name, *args)
        self._asked = {
            arg.name: args[at:] if arg.rest else args[at]
            for at, arg in enumerate(ADDRESSES[self.address].args[: len(args)])
        }
        if pause_seconds is None:
            pause_seconds = (
                RESEND_SECONDS
                if seconds == math.inf
                else max(RESEND_SECONDS, seconds / REPEATS_IN_TIME)
            )
        self._repeats = _Repeats(pause_seconds)
        self._ends_at = math.inf

    def start(self, now: float) -> list[bytes]:
        self._ends_at = now + self._seconds
        return self.repeat(now)

    def repeat(self, now: float) -> list[bytes]:
        self._repeats.said(now)
        return [self._packet]

    def concerns(self, message: ReplyMessage) -> bool:
        if message.address in (DONE, FAIL):
            is_ours = message.values["command"] == self.address and message.values[
                "id"
            ] == self._asked.get("id", 0)
            return is_ours and message.address in (FAIL, self._reply)
        return message.address == self._reply and self._is_echo(message)

    def _is_echo(self, message: ReplyMessage) -> bool:
        values = message.values
        return all(
            values.get(name, self._asked.get(name)) == self._asked.get(name, values.get(name))
            for name in ECHOED
        )

    def hear(self, message: ReplyMessage, now: float) -> list[bytes]:
        if message.address == FAIL:
            return self.end(error=_refused(message))
        return self._answered(message)

    def _answered(self, message: ReplyMessage) -> list[bytes]:
        return self.end(message.values)

    def tick(self, now: float) -> list[bytes]:
        if now >= self._ends_at:
            return self.end(
                error=NoServer(
                    "timed_out",
                    f"no answer to {self.address} within {self._seconds:g} s; "
                    "is a server running there? start one: retimbre serve",
                )
            )
        return self.repeat(now) if now >= self._repeats.due_at else []

    @property
    def next_tick(self) -> float:
        return min(self._ends_at, self._repeats.due_at)


class Listing(Question):
    """A request that is answered with items and an end: its outcome is the items' values, in order."""

    def __init__(
        self, name: str, args: tuple[Any, ...], item: str, end: str, seconds: float
    ) -> None:
        super().__init__(name, args, end, seconds)
        self._item = f"{ROOT}/{item}"
        # by all arguments: a repeated answer adds nothing
        self._items: dict[tuple, dict[str, Any]] = {}

    def concerns(self, message: ReplyMessage) -> bool:
        if message.address == self._item:
            return "name" not in self._asked or message.values.get("name") == self._asked["name"]
        return super().concerns(message)

    def _answered(self, message: ReplyMessage) -> list[bytes]:
        if message.address == self._item:
            self._items[message.args] = message.values
            return []
        # some were lost: the repeat brings all of them
        if len(self._items) < message.values["count"]:
            return []
        return self.end(list(self._items.values()))


class Job(Exchange):
    """An edit, a load, or the wish to hear of one.

    `packet` starts it; `command` is what /done and /fail will name.
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
        self._repeats = _Repeats()

    def start(self, now: float) -> list[bytes]:
        self._heard_at = now
        return self.repeat(now)

    def repeat(self, now: float) -> list[bytes]:
        self._repeats.said(now)
        return [self._packet]

    def ask_for_its_end(self) -> None:
        """From now on repeat the question how it ended, not the request that would start it."""
        self._packet, self.is_acknowledged = request("job/query", self.id), False

    def cancelled(self) -> None:
        """The server was told to stop it; if it never heard of it, it must not hear of it now."""
        self.is_cancelled = True
        self.ask_for_its_end()

    def concerns(self, message: ReplyMessage) -> bool:
        values, name = message.values, message.address[len(ROOT) + 1 :]
        if name not in _HEARD or values["id"] not in (self.id, self.also or self.id):
            return False
        # One that is asked for ends under the name of the command that once started it.
        return name not in ("done", "fail") or values["command"] in (
            self._command,
            QUERY,
            *JOB_COMMANDS,
        )

    def hear(self, message: ReplyMessage, now: float) -> list[bytes]:
        self._heard_at = now
        _HEARD[message.address[len(ROOT) + 1 :]](self, message.values)
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

    # What may be said about it

    def _on_ack(self, values: dict[str, Any]) -> None:
        self.server_name = values["job"]
        if self._command == CAPTURE:  # sent again after a restart, it would take other bars
            self._packet = request("job/query", self.id)
        self._on_info(values)

    def _on_info(self, values: dict[str, Any]) -> None:
        self.is_acknowledged = True
        self._on_accepted()

    def _on_word(self, values: dict[str, Any]) -> None:
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


_HEARD: dict[str, Callable[[Job, dict[str, Any]], None]] = {
    "ack": Job._on_ack,
    "progress": Job._on_word,
    "result": Job._on_result,
    "done": Job._on_done,
    "fail": Job._on_fail,
    "job/info": Job._on_info,
}


class Sound:
    """The bytes of an open file, read where they are asked for."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._size_bytes = file, file.seek(0, os.SEEK_END)

    def __len__(self) -> int:
        return self._size_bytes

    def __getitem__(self, part: slice) -> bytes:
        first, last, _ = part.indices(self._size_bytes)
        self._file.seek(first)
        data = self._file.read(last - first)
        if len(data) < last - first:
            raise OSError(f"{self._file.name} became shorter while it was sent")
        return data


class Upload(Exchange):
    """An audio file on its way to the server: its outcome is the handle that stands for it there."""

    def __init__(
        self,
        id: str,
        data: Sliceable,
        format: str,
        silence_seconds: float,
        on_fraction: Callable[[float], None],
    ) -> None:
        super().__init__()
        self._sender = UploadSender(id, data, format=format)
        self._silence_seconds, self._on_fraction = silence_seconds, on_fraction
        self._heard_at = math.inf
        self._told = -1.0  # the fraction that was last told

    def start(self, now: float) -> list[bytes]:
        self._heard_at = now
        return self._sender.start(now)

    def concerns(self, message: ReplyMessage) -> bool:
        return message.values.get("id") == self._sender.id

    def hear(self, message: ReplyMessage, now: float) -> list[bytes]:
        self._heard_at = now
        return self._after(lambda: self._sender.on_reply(message, now))

    def tick(self, now: float) -> list[bytes]:
        if now >= self._heard_at + self._silence_seconds:
            return self.end(
                error=NoServer(
                    "timed_out", "the server takes no more of the upload; is it running?"
                )
            )
        return self._after(lambda: self._sender.on_tick(now))

    def _after(self, step: Callable[[], list[bytes]]) -> list[bytes]:
        if self.is_over:  # nobody waits for it any more, and its file is closed
            return []
        try:
            packets = step()
        except OSError as error:
            return self.end(error=Refused("no_file", f"{error}; send it again"))
        fraction = self._sender.fraction
        if fraction >= self._told + TOLD_APART or fraction == 1.0 > self._told:
            self._told = fraction
            self._on_fraction(fraction)
        if self._sender.state == "done":
            self.end(self._sender.handle)
        elif self._sender.state == "failed":
            code, message = self._sender.error
            self.end(error=(NoServer if code == "timed_out" else Refused)(code, message))
        return packets

    @property
    def next_tick(self) -> float:
        silent_at = self._heard_at + self._silence_seconds
        return (
            silent_at if self._sender.next_tick is None else min(silent_at, self._sender.next_tick)
        )


class Download(Exchange):
    """A file on its way here, handed to `write` piece by piece and in order."""

    def __init__(
        self,
        id: str,
        path: str,
        chunk_bytes: int,
        silence_seconds: float,
        write: Callable[[bytes], object],
    ) -> None:
        super().__init__()
        self._id, self._path, self._write, self._silence_seconds = id, path, write, silence_seconds
        self._packet = request("audio/get", id, path)
        self._receiver = DownloadReceiver(
            id, "", now=0.0, limit_bytes=DOWNLOAD_LIMIT_BYTES, chunk_bytes=chunk_bytes
        )
        self._heard_at = math.inf
        self._repeats = _Repeats()

    def start(self, now: float) -> list[bytes]:
        self._heard_at = now
        return self.repeat(now)

    def repeat(self, now: float) -> list[bytes]:
        """Asking again begins anew, so only while nothing has come; later the server repeats what
        we lack.
        """
        if self._receiver.received:
            return []
        self._repeats.said(now)
        return [self._packet]

    def concerns(self, message: ReplyMessage) -> bool:
        return message.values.get("id") == self._id and message.address in (*TRANSFERS, FAIL)

    def hear(self, message: ReplyMessage, now: float) -> list[bytes]:
        self._heard_at = now
        if message.address == FAIL:
            return self.end(error=_refused(message))
        packets = self._receiver.on_message(message, now)
        self._write(self._receiver.take())
        if self._receiver.state == "done":
            self.end()
        elif self._receiver.state == "failed":
            self.end(error=Refused("bad_audio", f"{self._path} arrived damaged; fetch it again"))
        return packets

    def tick(self, now: float) -> list[bytes]:
        if now >= self._heard_at + self._silence_seconds:
            return self.end(error=NoServer("timed_out", f"the server stopped sending {self._path}"))
        return self.repeat(now) if now >= self._due_at else []

    @property
    def _due_at(self) -> float:
        return math.inf if self._receiver.received else self._repeats.due_at

    @property
    def next_tick(self) -> float:
        return min(self._heard_at + self._silence_seconds, self._due_at)


def request(name: str, *args: Any, **keys: Any) -> bytes:
    """The packet for one request. Raises Refused when the protocol does not allow it."""
    try:
        return encode(f"{ROOT}/{name}", *args, **keys)
    except ProtocolError as error:
        raise Refused("bad_args", str(error)) from error


def _refused(message: ReplyMessage) -> ClientError:
    return Refused(message.values["code"], message.values["message"])
