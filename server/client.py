"""A small blocking client: send a region and a few words, wait, get the stems.

The client reads its socket only while it waits for something, so one thread at a time may use it.
A request that nobody answers is sent again; the server never starts a job twice for the same id.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import osc_protocol
from osc_protocol import (
    ROOT,
    TCP_CHUNK_BYTES,
    UDP_CHUNK_BYTES,
    DownloadReceiver,
    ReplyMessage,
    UploadSender,
)

RESEND_SECONDS = 0.25  # loopback answers within milliseconds, Wi-Fi within tens
RESEND_AT_MOST_SECONDS = 2.0
ANSWER_SECONDS = 5.0  # for anything but jobs
QUIET_SECONDS = 3.0  # a living job speaks every two seconds; after three we ask
MAX_DATAGRAM_BYTES = 65_507
RECEIVE_BUFFER_BYTES = 4 << 20
SOCKET_READ_BYTES = 1 << 18
DOWNLOAD_LIMIT_BYTES = 4 << 30  # a WAV file holds no more
UPLOAD_FORMATS = ("wav", "flac", "aiff")
TRANSFER = frozenset(f"{ROOT}/audio/{name}" for name in ("open", "data", "close"))


class ClientError(Exception):
    """The request came to nothing. `code` is symbolic (see osc_protocol.ERROR_CODES), the text says what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class NoServer(ClientError):
    """Nobody listens there, or nobody answers any more."""


class Refused(ClientError):
    """The server answered with /fail."""


@dataclass(frozen=True)
class Progress:
    """How far a job is; `fraction` and `eta_seconds` are -1 when nobody knows."""

    fraction: float
    stage: str
    eta_seconds: float
    queue_position: int


@dataclass(frozen=True)
class Stem:
    """One file that came back."""

    index: int
    name: str
    path: Path
    rate_hz: int
    channels: int
    frames: int
    start_seconds: float


@dataclass(frozen=True)
class Outcome:
    """How a job ended well."""

    job_id: int | str
    stems: tuple[Stem, ...]
    seed: int
    manifest: Path
    seconds: float


@dataclass
class Job:
    """One job on its way: what has been heard about it so far."""

    id: int | str
    packet: bytes
    on_progress: Callable[[Progress], None]
    heard_at: float
    acknowledged: bool = False
    stems: dict[int, Stem] = field(default_factory=dict)
    outcome: Outcome | None = None
    error: Refused | None = None

    @property
    def ended(self) -> bool:
        """Whether /done or /fail has come."""
        return self.outcome is not None or self.error is not None


def _ignore(*_: object) -> None:
    pass


class Client:
    """A connection to one server. Use with `with`; raises NoServer and Refused."""

    def __init__(self, host: str = "127.0.0.1", port: int = osc_protocol.DEFAULT_PORT, *, transport: str = "udp",
                 password: str = "", silence_seconds: float = 10.0,
                 on_log: Callable[[int, str], None] = _ignore) -> None:
        self.host, self.port, self.silence_seconds, self.on_log = host, port, silence_seconds, on_log
        self._password = password
        self._wire = {"udp": _UdpWire, "tcp": _TcpWire}[transport](host, port)
        self._jobs: dict[int | str, Job] = {}
        if password:
            self.ask("auth", password, reply="done", pause=ANSWER_SECONDS)  # sent once: a repeat counts as a try

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket; what runs on the server goes on running."""
        self._wire.close()

    # Jobs

    def edit(self, audio: str | Path, text: str, *, on_progress: Callable[[Progress], None] = _ignore,
             job_id: int | str | None = None, **keys: Any) -> Outcome:
        """Edit one file and wait for the stems. `keys` are those of osc_protocol.EDIT_KEYS."""
        return self.wait(self.submit(audio, text, on_progress=on_progress, job_id=job_id, **keys))

    def submit(self, audio: str | Path, text: str, *, on_progress: Callable[[Progress], None] = _ignore,
               job_id: int | str | None = None, **keys: Any) -> Job:
        """Send an edit and return at once; `wait` for it later."""
        job_id = new_id() if job_id is None else job_id
        packet = osc_protocol.encode(f"{ROOT}/edit", job_id, str(audio), text, **keys)
        job = self._jobs[job_id] = Job(job_id, packet, on_progress, heard_at=time.monotonic())
        self._wire.send(packet)
        return job

    def wait(self, job: Job) -> Outcome:
        """Wait until a job has ended. Raises Refused when it failed, NoServer after `silence_seconds` of silence."""
        pause = RESEND_SECONDS
        asked_at = time.monotonic()
        while not job.ended:
            self._receive_one(pause)
            now = time.monotonic()
            quiet = now - job.heard_at
            if quiet > self.silence_seconds:
                raise NoServer("timed_out", f"the server has said nothing about job {job.id} for {quiet:.0f} s; "
                                            "`retimbre status` says whether it still runs")
            if now - asked_at >= pause and quiet >= (QUIET_SECONDS if job.acknowledged else pause):
                self._wire.send(job.packet)  # answered with the job's state, or with its end
                asked_at, pause = now, min(2 * pause, RESEND_AT_MOST_SECONDS)
        del self._jobs[job.id]
        if job.error:
            raise job.error
        assert job.outcome is not None
        return job.outcome

    def cancel(self, job: Job) -> None:
        """Ask the server to stop a job; it then ends with Refused, code cancelled."""
        self.ask("cancel", job.id, reply="done")

    # Questions

    def ask(self, name: str, *args: Any, reply: str, seconds: float = ANSWER_SECONDS,
            pause: float = RESEND_SECONDS) -> ReplyMessage:
        """Send a request until its reply comes, and return that message. Raises Refused on its /fail."""
        address = f"{ROOT}/{name}"
        packet = osc_protocol.encode(address, *args)
        for message in self._answers(packet, seconds, pause):
            _raise_if_refused(message, address)
            if message.address == f"{ROOT}/{reply}" and message.values.get("command", address) == address:
                return message
        raise NoServer("timed_out", f"no answer to {address} from {self.host} port {self.port} "
                                    f"within {seconds:g} s; is a server running there? start one: retimbre serve")

    def collect(self, name: str, *args: Any, item: str, end: str) -> list[dict[str, Any]]:
        """Send a request that is answered with items and an end, and return the items' values."""
        packet = osc_protocol.encode(f"{ROOT}/{name}", *args)
        items: dict[tuple, dict[str, Any]] = {}
        for message in self._answers(packet, ANSWER_SECONDS):
            _raise_if_refused(message, f"{ROOT}/{name}")
            if message.address == f"{ROOT}/{item}":
                items[message.args] = message.values
            if message.address == f"{ROOT}/{end}" and len(items) >= message.values["count"]:
                return list(items.values())
        raise NoServer("timed_out", f"no complete answer to {ROOT}/{name} from {self.host} port {self.port}; "
                                    "is a server running there? start one: retimbre serve")

    def ping(self, seconds: float = 1.0) -> bool:
        """Whether a server answers."""
        echo = new_id()
        try:
            return self.ask("ping", echo, reply="pong", seconds=seconds).args == (echo,)
        except NoServer:
            return False

    # Audio

    def upload(self, path: Path, on_fraction: Callable[[float], None] = _ignore) -> str:
        """Send a whole audio file and return the handle that stands for it. TCP is faster, UDP works too."""
        format = "aiff" if path.suffix.lower() == ".aif" else path.suffix.lower().lstrip(".")
        if format not in UPLOAD_FORMATS:
            raise Refused("bad_audio", f"{path}: expected a name that ends with {', '.join(UPLOAD_FORMATS)}")
        sender = UploadSender(new_id(), path.read_bytes(), format=format)
        packets = sender.start(time.monotonic())
        while not sender.is_over:
            self._send_all(packets)
            message = self._receive_one(max(0.0, (sender.next_tick or 0.0) - time.monotonic()))
            now = time.monotonic()
            packets = (sender.on_reply(message, now) if message else []) + sender.on_tick(now)
            on_fraction(sender.fraction)
        if sender.state == "failed":
            raise Refused(*sender.error)
        return sender.handle

    def download(self, path: Path) -> bytes:
        """Fetch a file that a /result or a /done named."""
        request = osc_protocol.encode(f"{ROOT}/audio/get", identity := new_id(), str(path))
        chunk_bytes = TCP_CHUNK_BYTES if isinstance(self._wire, _TcpWire) else UDP_CHUNK_BYTES
        receiver = DownloadReceiver(identity, "", now=time.monotonic(), limit_bytes=DOWNLOAD_LIMIT_BYTES,
                                    chunk_bytes=chunk_bytes)
        parts: list[bytes] = []
        heard_at = time.monotonic()
        self._wire.send(request)
        while receiver.state == "open":
            message = self._receive_one(RESEND_SECONDS)
            now = time.monotonic()
            if now - heard_at > self.silence_seconds:
                raise NoServer("timed_out", f"the server stopped sending {path}")
            if message is None and not receiver.received:
                self._wire.send(request)
            if message is None or message.values.get("id") != identity:
                continue
            heard_at = now
            _raise_if_refused(message, f"{ROOT}/audio/get")
            if message.address in TRANSFER:
                self._send_all(receiver.on_message(message, now))
                parts.append(receiver.take())
        if receiver.state == "failed":
            raise Refused("bad_audio", f"{path} arrived damaged; try again over TCP (--transport tcp)")
        return b"".join(parts)

    @contextlib.contextmanager
    def file(self, path: Path, shares_disk: bool) -> Iterator[Path]:
        """A file that the server made: the file itself on the same machine, else a copy that is fetched and removed."""
        if shares_disk:
            yield path
            return
        import tempfile

        with tempfile.TemporaryDirectory(prefix="retimbre-") as folder:
            copy = Path(folder) / path.name
            copy.write_bytes(self.download(path))
            yield copy

    def over_tcp(self) -> Client:
        """Another connection to the same server, for audio: TCP loses nothing."""
        return Client(self.host, self.port, transport="tcp", password=self._password,
                      silence_seconds=self.silence_seconds, on_log=self.on_log)

    # The wire

    def _send_all(self, packets: list[bytes]) -> None:
        for packet in packets:
            self._wire.send(packet)

    def _answers(self, packet: bytes, seconds: float, pause: float = RESEND_SECONDS) -> Iterator[ReplyMessage]:
        """Send `packet` again and again, yield every message that is not about a job, stop after `seconds`."""
        ends_at = time.monotonic() + seconds
        while (left := ends_at - time.monotonic()) > 0:
            self._wire.send(packet)
            resend_at = time.monotonic() + min(pause, left)
            while (wait := resend_at - time.monotonic()) > 0:
                message = self._receive_one(wait)
                if message is not None:
                    yield message
            pause = min(2 * pause, RESEND_AT_MOST_SECONDS)

    def _receive_one(self, seconds: float) -> ReplyMessage | None:
        """Take one message off the wire, if one comes in time: give it to its job, or return it."""
        packet = self._wire.receive(seconds)
        if packet is None:
            return None
        try:
            message = osc_protocol.decode_reply(packet)
        except osc_protocol.ProtocolError as error:  # a newer server may say more than we know
            self.on_log(1, f"left unread: {error}")
            return None
        if message.address == f"{ROOT}/log":
            self.on_log(message.values["level"], message.values["text"])
            return None
        return None if self._is_for_a_job(message) else message

    def _is_for_a_job(self, message: ReplyMessage) -> bool:
        values = message.values
        name = message.address[len(ROOT) + 1:]
        if name in ("done", "fail") and values["command"] not in JOB_COMMANDS:
            return False
        if name not in ("ack", "progress", "result", "done", "fail", "job/info"):
            return False
        job = self._jobs.get(values["id"])
        if job is not None:
            job.heard_at = time.monotonic()
            _HEARD[name](job, values)
        if name in ("done", "fail") and values.get("serial") and (job is None or job.ended):  # repeats too
            self._wire.send(osc_protocol.encode(f"{ROOT}/got", values["id"], values["serial"]))
        return True


JOB_COMMANDS = frozenset(f"{ROOT}/{name}" for name in ("edit", "say", "again"))


def _heard_ack(job: Job, values: dict[str, Any]) -> None:
    job.acknowledged = True


def _heard_progress(job: Job, values: dict[str, Any]) -> None:
    job.on_progress(Progress(values["fraction"], values["stage"], values["eta"], values["queue_position"]))


def _heard_result(job: Job, values: dict[str, Any]) -> None:
    job.stems[values["index"]] = Stem(values["index"], values["stem"], Path(values["path"]), values["rate"],
                                      values["channels"], values["frames"], values["start"])


def _heard_done(job: Job, values: dict[str, Any]) -> None:
    if len(job.stems) < values["results"]:  # a /result was lost: ask, and all come again before the next /done
        job.packet, job.acknowledged = osc_protocol.encode(f"{ROOT}/job/query", job.id), False
        return
    job.outcome = Outcome(job.id, tuple(job.stems[index] for index in sorted(job.stems)), values["seed"],
                          Path(values["manifest"]), values["seconds"])


def _heard_fail(job: Job, values: dict[str, Any]) -> None:
    job.error = Refused(values["code"], values["message"])


_HEARD: dict[str, Callable[[Job, dict[str, Any]], None]] = {
    "ack": _heard_ack, "progress": _heard_progress, "result": _heard_result, "done": _heard_done, "fail": _heard_fail,
    "job/info": _heard_ack,
}


def _raise_if_refused(message: ReplyMessage, address: str) -> None:
    if message.address == f"{ROOT}/fail" and message.values["command"] == address:
        raise Refused(message.values["code"], message.values["message"])


def new_id() -> str:
    """An id that no other client on this machine is using."""
    return os.urandom(6).hex()


def _unreachable(host: str, port: int, error: OSError) -> NoServer:
    return NoServer("not_ready", f"nobody listens on {host} port {port} ({error.strerror or error}); "
                                 "start a server with: retimbre serve")


class _UdpWire:
    """Datagrams to and from one address."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        try:
            family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, kind)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            self._socket.connect(address)  # so that a closed port is reported, and strangers are not heard
        except OSError as error:
            raise _unreachable(host, port, error) from error

    def send(self, packet: bytes) -> None:
        try:
            self._socket.send(packet)
        except OSError as error:
            raise _unreachable(*self._address, error) from error

    def receive(self, seconds: float) -> bytes | None:
        self._socket.settimeout(max(seconds, 1e-3))
        try:
            return self._socket.recv(MAX_DATAGRAM_BYTES)
        except TimeoutError:
            return None
        except OSError as error:
            raise _unreachable(*self._address, error) from error

    def close(self) -> None:
        self._socket.close()


class _TcpWire:
    """Packets with a length before each, on one connection."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._decoder = osc_protocol.StreamDecoder()
        self._packets: list[bytes] = []
        try:
            self._socket = socket.create_connection((host, port), timeout=ANSWER_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise _unreachable(host, port, error) from error

    def send(self, packet: bytes) -> None:
        self._socket.settimeout(ANSWER_SECONDS)
        try:
            self._socket.sendall(osc_protocol.encode_frame(packet, "int32"))
        except OSError as error:
            raise _unreachable(*self._address, error) from error

    def receive(self, seconds: float) -> bytes | None:
        if not self._packets:
            self._socket.settimeout(max(seconds, 1e-3))
            try:
                chunk = self._socket.recv(SOCKET_READ_BYTES)
            except TimeoutError:
                return None
            except OSError as error:
                raise _unreachable(*self._address, error) from error
            if not chunk:
                raise NoServer("not_ready", f"the server at {self._address[0]} port {self._address[1]} hung up")
            self._packets += self._decoder.feed(chunk)
        return self._packets.pop(0) if self._packets else None

    def close(self) -> None:
        self._socket.close()
