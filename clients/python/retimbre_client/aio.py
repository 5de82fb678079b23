"""The client, for programs with an event loop.

    async with AsyncClient() as client:
        outcome = await client.edit("solo.wav", "turn this into a violin", seed=3)

All of it, callbacks too, runs in the loop that opened it.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import shutil
from collections.abc import Awaitable, Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import osc_protocol
from osc_protocol import DEFAULT_PORT, ROOT, TCP_CHUNK_BYTES, UDP_CHUNK_BYTES
from retimbre_client import exchanges
from retimbre_client.conversation import Conversation
from retimbre_client.exchanges import Download, Exchange, Listing, Question, Sound, Upload, request
from retimbre_client.line import Line
from retimbre_client.values import ClientError, NoServer, Outcome, Progress, Refused, Stem

log = logging.getLogger(__name__)

TRANSPORTS = ("udp", "tcp")
ANSWER_SECONDS = 5.0  # for anything but jobs
LIVE_SECONDS = 45.0  # an operating system may ask its user whether we may listen
UPLOAD_FORMATS = {".wav": "wav", ".flac": "flac", ".aiff": "aiff", ".aif": "aiff"}
UNSEEN = ("path_denied", "no_file")  # what a server answers that cannot see our file
BUNDLE_HEAD = b"#bundle\0" + bytes(7) + b"\1"  # time tag: at once

OnProgress = Callable[[Progress], None]


def ignore(*_: object) -> None:
    """The default of every callback."""


def _guarded(call: Callable[..., None]) -> Callable[..., None]:
    """The caller's function; a mistake in it goes to the log, and must not take the connection
    down.
    """

    def guarded(*args: Any) -> None:
        try:
            call(*args)
        except Exception:
            log.exception("a callback failed: %r", call)

    return guarded


def new_id() -> str:
    """An id that no other client is using."""
    return os.urandom(6).hex()


class Job:
    """A job on its way. `await job` gives its Outcome, or raises; as often as you like."""

    def __init__(self, client: AsyncClient, id: int | str, on_progress: OnProgress) -> None:
        self.id, self._client, self._listeners = id, client, [_guarded(on_progress)]
        self.progress: Progress | None = None
        self._exchange: exchanges.Job | None = None
        self._is_cancelled = False
        self._is_accepted = asyncio.Event()
        self._task: asyncio.Task[Outcome] | None = None

    def __await__(self) -> Generator[Any, None, Outcome]:
        return asyncio.shield(self._task).__await__()  # who stops waiting does not stop the job

    @property
    def is_over(self) -> bool:
        """Whether it has ended, well or badly."""
        return self._task.done()

    @property
    def server_name(self) -> str:
        """The server's name for it, once it was acknowledged."""
        return self._exchange.server_name if self._exchange else ""

    @property
    def stems(self) -> tuple[Stem, ...]:
        """What has come so far."""
        return tuple(self._exchange.stems.values()) if self._exchange else ()

    async def accepted(self) -> None:
        """Wait until the server has it in its journal, so that no power cut loses it, or until it
        is over.
        """
        await self._is_accepted.wait()

    def on_progress(self, call: OnProgress) -> None:
        """One more who wants to hear how far it is."""
        self._listeners.append(_guarded(call))

    async def cancel(self) -> None:
        """Ask the server to stop it; it then ends with Refused, code cancelled. One that has ended
        stays as it is.
        """
        if self.is_over:
            return
        self._is_cancelled = True
        self._task.add_done_callback(_expected)
        if self._exchange is None or self._exchange.error:
            self._task.cancel()  # its audio is still on the way
            return
        self._exchange.cancelled()
        await self._client.ask("cancel", self.id, reply="done")

    def _hear(self, progress: Progress) -> None:
        self.progress = progress
        for call in self._listeners:
            call(progress)

    async def _run(self, steps: Awaitable[Outcome]) -> Outcome:
        try:
            return await steps
        except asyncio.CancelledError:
            if self._is_cancelled:
                raise Refused("cancelled", "stopped before the job was sent") from None
            raise
        finally:
            self._is_accepted.set()

    async def _say(self, command: str, packet: bytes, also: str = "") -> Outcome:
        self._exchange = exchanges.Job(
            self.id,
            command,
            packet,
            self._client.silence_seconds,
            also=also,
            on_accepted=self._is_accepted.set,
            on_progress=self._hear,
        )
        return await self._client._line.ask(self._exchange)


def _expected(task: asyncio.Task[Outcome]) -> None:
    """asyncio complains about errors that nobody asked for; that of a cancelled job is no news."""
    if not task.cancelled():
        task.exception()


class AsyncClient:
    """One client of one server.

    Raises NoServer and Refused, both ClientError, with a code and what to do.

    Args:
      transport: "udp" or "tcp", for requests.
      audio_transport: "tcp", or "udp" for a network that lets nothing else through.
      shares_disk: whether a path means the same to the server; None: it does if the server's address is this
        machine's own. Audio that the server cannot see is uploaded.
      name: keeps takes, defaults and jobs when this program starts again or speaks from another address.
      silence_seconds: a job that nothing was heard of for so long is given up; living ones speak every two seconds.
      on_log: gets level (0 debug to 3 error) and text.
      on_news: gets "ready", "state", "preset/changed", "live/state" or "live/playing", and its values by name.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        *,
        transport: str = "udp",
        audio_transport: str = "tcp",
        shares_disk: bool | None = None,
        name: str = "",
        password: str = "",
        silence_seconds: float = 10.0,
        connect_seconds: float = ANSWER_SECONDS,
        on_log: Callable[[int, str], None] = ignore,
        on_news: Callable[[str, dict[str, Any]], None] = ignore,
    ) -> None:
        for each in (transport, audio_transport):
            if each not in TRANSPORTS:
                raise ValueError(f"transport: expected {' or '.join(TRANSPORTS)}, came {each!r}")
        self.host, self.port, self.silence_seconds = host, port, silence_seconds
        self._password, self._connect_seconds, self._shares_disk = (
            password,
            connect_seconds,
            shares_disk,
        )
        self._on_log, self._on_news = _guarded(on_log), _guarded(on_news)
        self._audio_transport = audio_transport
        # Over TCP an address is new after each reconnection: only a name finds the jobs of the old
        # one.
        wants_name = transport == "tcp" or on_news is not ignore
        self._name = name or (new_id() if wants_name else "")
        self._line = self._new_line(transport, self._name)
        self._audio_line: asyncio.Task[Line] | None = None
        self._jobs: dict[int | str, Job] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def __aenter__(self) -> AsyncClient:
        return await self.open()

    async def __aexit__(self, error: type[BaseException] | None, *_: object) -> None:
        await self.close(at_once=error is not None)

    async def open(self) -> AsyncClient:
        """Connect. Raises NoServer when nobody answers, Refused when the password is wrong."""
        try:
            await self._line.open(self._connect_seconds)
        except BaseException:
            self._line.close()
            raise
        return self

    async def close(self, at_once: bool = False) -> None:
        """Close the sockets, when the server has accepted what was submitted.

        Jobs go on there, and takes are kept.
        """
        if not at_once:
            await asyncio.gather(*(job.accepted() for job in self._jobs.values()))
        tasks = [job._task for job in self._jobs.values()]
        self._line.close(request("notify", 0) if self._name else b"")
        if self._audio_line:
            self._audio_line.cancel()
            await asyncio.wait([self._audio_line])
            if not self._audio_line.cancelled() and not self._audio_line.exception():
                self._audio_line.result().close()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def shares_disk(self) -> bool:
        """Whether paths are taken to mean the same to the server and to us."""
        return self._line.is_loopback if self._shares_disk is None else self._shares_disk

    # Jobs

    async def edit(
        self,
        audio: str | Path,
        text: str,
        *,
        on_progress: OnProgress = ignore,
        job_id: int | str | None = None,
        **keys: Any,
    ) -> Outcome:
        """Edit one region and wait for the stems; who stops waiting, cancels. `keys`:
        osc_protocol.EDIT_KEYS.
        """
        job = self.submit(audio, text, on_progress=on_progress, job_id=job_id, **keys)
        try:
            return await job
        except asyncio.CancelledError:
            await job.cancel()
            raise

    def submit(
        self,
        audio: str | Path,
        text: str,
        *,
        on_progress: OnProgress = ignore,
        job_id: int | str | None = None,
        **keys: Any,
    ) -> Job:
        """Send an edit and return at once.

        An id that was used before finds that job, also after a restart.

        `audio`: a file of ours (uploaded when the server cannot see it), a path of the server's, or
        a handle.
        """
        id = new_id() if job_id is None else job_id

        def packet(location: str) -> bytes:
            return request("edit", id, location, text, **keys)

        packet("")  # a key or value that the protocol does not have fails here and now
        return self._begin(
            id,
            on_progress,
            lambda job: self._with_audio(
                audio, lambda location: job._say("edit", packet(location)), job._hear
            ),
        )

    def say(
        self, text: str, *, on_progress: OnProgress = ignore, job_id: int | str | None = None
    ) -> Job:
        """Edit the current region."""
        id = new_id() if job_id is None else job_id
        return self._begin(id, on_progress, lambda job: job._say("say", request("say", id, text)))

    def again(
        self,
        old_id: int | str,
        *,
        on_progress: OnProgress = ignore,
        job_id: int | str | None = None,
        **keys: Any,
    ) -> Job:
        """Run an earlier job again, with changes; with none, the same audio comes back."""
        id = new_id() if job_id is None else job_id
        packet = request("again", id, old_id, **keys)
        return self._begin(id, on_progress, lambda job: job._say("again", packet))

    def attach(self, job_id: int | str, *, on_progress: OnProgress = ignore) -> Job:
        """A job that was sent earlier, by this client or by one of the same name."""
        packet = request("job/query", job_id)
        return self._begin(job_id, on_progress, lambda job: job._say("job/query", packet))

    def capture(
        self,
        bars: int,
        text: str,
        *,
        on_progress: OnProgress = ignore,
        job_id: int | str | None = None,
        **keys: Any,
    ) -> Job:
        """Edit the last whole bars of live audio.

        `keys`: osc_protocol.CAPTURE_KEYS; the stem plays at a bar line.
        """
        id = new_id() if job_id is None else job_id
        packet = request("capture", id, bars, text, **keys)
        return self._begin(id, on_progress, lambda job: job._say("capture", packet))

    def load(self, model: str, *, on_progress: OnProgress = ignore) -> Job:
        """Load and warm up a model before it is needed."""
        return self._on_model("model/load", model, on_progress)

    def unload(self, model: str) -> Job:
        """Give a model's memory back."""
        return self._on_model("model/unload", model, ignore)

    def use_take(self, take: Mapping[str, Any]) -> Job:
        """Go back to one of `takes()`; its outcome comes again."""
        packet = request("take/use", take["job"])
        return self._begin(
            take["id"], ignore, lambda job: job._say("take/use", packet, also=take["job"])
        )

    def job(self, id: int | str) -> Job | None:
        """The job of this client that has that id and has not ended."""
        return self._jobs.get(id)

    async def cancel_all(self) -> int:
        """Stop all jobs of this client. Returns how many were stopped."""
        return (await self.ask("cancel/all", reply="done"))["cancelled"]

    def _on_model(self, command: str, model: str, on_progress: OnProgress) -> Job:
        id = new_id()
        return self._begin(
            id, on_progress, lambda job: job._say(command, request(command, model, id))
        )

    def _begin(
        self, id: int | str, on_progress: OnProgress, steps: Callable[[Job], Awaitable[Outcome]]
    ) -> Job:
        if id in self._jobs:  # sent again while it lives: the same job, here as on the server
            return self._jobs[id]
        job = self._jobs[id] = Job(self, id, on_progress)
        job._task = asyncio.get_running_loop().create_task(job._run(steps(job)), name=f"job {id}")
        job._task.add_done_callback(lambda _: self._jobs.pop(id, None))
        return job

    # The current region, defaults, styles, takes

    async def region(
        self, audio: str | Path, start: float = 0.0, length: float = 0.0, **keys: Any
    ) -> dict[str, Any]:
        """Choose the region that `say` edits, in seconds; length 0: to the end. Returns what the
        server reads there.
        """
        return await self._with_audio(
            audio,
            lambda location: self.ask(
                "region", new_id(), location, start, length, *_pairs(keys), reply="region.reply"
            ),
            ignore,
        )

    async def set(self, **keys: Any) -> None:
        """Keys for all later jobs of this client."""
        await self._tell("set", request("set", **keys))

    async def get(self, key: str) -> Any:
        """One of them."""
        return (await self.ask("get", key, reply="get.reply"))["value"]

    async def presets(self) -> list[dict[str, Any]]:
        """All styles."""
        return await self.collect("preset/list", item="preset/item", end="preset/list.end")

    async def preset(self, name: str) -> list[dict[str, Any]]:
        """One style's settings."""
        return await self.collect("preset/get", name, item="preset/param", end="preset/get.end")

    async def blend(self, mixture: str | Mapping[str, float]) -> int:
        """Mix styles for all later jobs: {"harp": 0.7, "pan_flute": 0.3}. Returns how many are
        mixed.
        """
        return (await self.ask("preset/blend", mixture_text(mixture), reply="done"))["styles"]

    async def reload_presets(self) -> int:
        """Have the server read its preset files again. Returns how many there are."""
        return (await self.ask("preset/reload", reply="done", seconds=self.silence_seconds))[
            "presets"
        ]

    async def models(self) -> list[dict[str, Any]]:
        """All models."""
        return await self.collect("model/list", item="model/item", end="model/list.end")

    async def takes(self, region: str = "") -> list[dict[str, Any]]:
        """What was made of a region (`region()["region"]`), newest first; empty: of the current
        one, or of all.
        """
        return await self.collect("take/list", region, item="take/item", end="take/list.end")

    # Live audio: docs/live.md

    async def live_start(self, input: str = "", output: str = "", **keys: Any) -> dict[str, Any]:
        """Listen to an input, and play on an output ("none": never). `keys`: osc_protocol's
        LIVE_KEYS.
        """
        return await self.ask(
            "live/start", input, output, *_pairs(keys), reply="done", seconds=LIVE_SECONDS
        )

    async def live_stop(self) -> None:
        """Stop listening, and forget the sound."""
        await self.ask("live/stop", reply="done", seconds=LIVE_SECONDS)

    async def live_devices(self) -> list[dict[str, Any]]:
        """What could be listened to and played on."""
        return await self.collect(
            "live/devices", item="live/device", end="live/devices.end", seconds=LIVE_SECONDS
        )

    async def live_status(self) -> dict[str, Any]:
        """State, level, latencies in frames, sound that was lost, and how many bars can be
        captured.
        """
        return await self.ask("live/status", reply="live/status.reply")

    async def live_transport(self, tempo: float, beat: float = 0.0, **keys: Any) -> None:
        """Where the DAW is now. `keys`: osc_protocol's TRANSPORT_KEYS."""
        await self._tell("live/transport", request("live/transport", tempo, beat, **keys))

    async def live_measure(self) -> dict[str, Any]:
        """Measure the way from output to input, in frames, and compensate by it."""
        return await self.ask("live/measure", reply="done", seconds=LIVE_SECONDS)

    async def live_play(self, job_id: int | str, index: int = 0, times: int = 1) -> dict[str, Any]:
        """Play a stem of a take from the next bar line on. Returns where that is."""
        return await self.ask("live/play", job_id, index, times, reply="live/playing")

    async def live_silence(self) -> None:
        """Stop what is played."""
        await self.ask("live/silence", reply="done")

    # The server

    async def ping(self, seconds: float = 1.0) -> bool:
        """Whether the server answers."""
        try:
            await self.ask("ping", new_id(), reply="pong", seconds=seconds)
        except NoServer:
            return False
        return True

    async def status(self) -> dict[str, Any]:
        """State, queue, memory."""
        return await self.ask("status", reply="status.reply")

    async def version(self) -> dict[str, Any]:
        """Which server it is."""
        return await self.ask("version", reply="version.reply")

    async def folder(self) -> Path:
        """Where a program on the server's machine may write a region."""
        return Path((await self.ask("folder", reply="folder.reply"))["path"])

    async def ask(
        self, name: str, *args: Any, reply: str, seconds: float = ANSWER_SECONDS
    ) -> dict[str, Any]:
        """Any request of the protocol that has one reply: that reply's values. Raises Refused on
        its /fail.
        """
        return await self._in_turn(name, Question(name, args, reply, seconds))

    async def collect(
        self, name: str, *args: Any, item: str, end: str, seconds: float = ANSWER_SECONDS
    ) -> list[dict[str, Any]]:
        """Any request that is answered with items and an end: the items' values, complete and in
        order.
        """
        return await self._in_turn(name, Listing(name, args, item, end, seconds))

    async def _tell(self, name: str, packet: bytes) -> None:
        """A request that is answered only when it fails."""
        barrier = int.from_bytes(os.urandom(3), "big")
        await self._in_turn(name, _Told(f"{ROOT}/{name}", packet, barrier))

    async def _in_turn(self, name: str, exchange: Exchange) -> Any:
        """One of a kind at a time: most replies do not say which question they answer."""
        async with self._turns.setdefault(name, asyncio.Lock()):
            return await self._line.ask(exchange)

    # Audio

    async def upload(self, path: str | Path, on_fraction: Callable[[float], None] = ignore) -> str:
        """Send a whole audio file. Returns the handle that stands for it where a path is wanted."""
        path = Path(path)
        format = UPLOAD_FORMATS.get(path.suffix.lower())
        if format is None:
            raise Refused(
                "bad_audio", f"{path}: expected a name that ends with {', '.join(UPLOAD_FORMATS)}"
            )
        line = await self._audio()
        try:
            with open(path, "rb") as file:
                upload = Upload(new_id(), Sound(file), format, self.silence_seconds, on_fraction)
                try:
                    return await line.ask(upload)
                finally:
                    upload.end()  # who stops waiting, stops sending
        except OSError as error:
            raise _unreadable(path, error) from error

    async def read(self, path: str | Path) -> bytes:
        """The bytes of a file that the server made: a stem, a manifest."""
        path = Path(path)
        if self._is_here(path):
            return await _bytes_of(path)
        pieces: list[bytes] = []
        await self.download(path, pieces.append)
        return b"".join(pieces)

    async def manifest(self, outcome: Outcome) -> dict[str, Any]:
        """All that made these stems."""
        return json.loads((await self.read(outcome.manifest)).decode("utf-8"))

    async def fetch(self, stem: Stem | str | Path, target: str | Path) -> Path:
        """Put a copy of a stem at `target`: under a temporary name, then renamed, so nobody sees
        half of it.
        """
        path, target = stem.path if isinstance(stem, Stem) else Path(stem), Path(target)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            if self._is_here(path):
                await asyncio.to_thread(shutil.copyfile, path, part)
            else:
                with open(part, "wb") as file:
                    await self.download(path, file.write)
            os.replace(part, target)
        except OSError as error:
            raise ClientError(
                "disk_full" if error.errno == errno.ENOSPC else "write_failed",
                f"{target} could not be written: {error}; the stem itself is at {path}",
            ) from error
        finally:
            part.unlink(missing_ok=True)
        return target

    async def download(self, path: str | Path, write: Callable[[bytes], object]) -> None:
        """Bring a file that the server made over the wire; `write` gets its pieces in order."""
        line = await self._audio()
        chunk_bytes = TCP_CHUNK_BYTES if line.transport == "tcp" else UDP_CHUNK_BYTES
        await line.ask(
            Download(new_id(), Path(path).as_posix(), chunk_bytes, self.silence_seconds, write)
        )

    async def _audio(self) -> Line:
        """The connection for audio: TCP loses nothing. Where it cannot be had, the requests' own."""
        if self._audio_transport == self._line.transport:
            return self._line
        if self._audio_line is None:
            self._audio_line = asyncio.get_running_loop().create_task(self._open_audio())
        return await asyncio.shield(self._audio_line)

    async def _open_audio(self) -> Line:
        # no name: its owner hears of jobs on the other connection
        line = self._new_line(self._audio_transport, "")
        try:
            await line.open(self._connect_seconds)
        except NoServer as error:
            line.close()
            self._on_log(1, f"audio goes over {self._line.transport}, for {error.message}")
            return self._line
        except BaseException:
            line.close()
            raise
        return line

    def _is_here(self, path: Path) -> bool:
        return self.shares_disk and path.is_file()

    async def _with_audio(
        self, audio: str | Path, use: Callable[[str], Awaitable[Any]], on_progress: OnProgress
    ) -> Any:
        """Use `audio` where the server sees it, else send it first and use its handle."""
        ours = Path(audio).resolve() if Path(audio).is_file() else None
        if ours is None or self.shares_disk:
            try:
                return await use(str(ours or audio))
            except Refused as refusal:
                if ours is None or refusal.code not in UNSEEN:
                    raise
                self._on_log(
                    2,
                    f"the server may not read {ours}, so it is sent over {self._audio_transport.upper()} "
                    f"(a server started with --root {ours.parent} reads it in place)",
                )
        return await use(
            await self.upload(
                ours, lambda fraction: on_progress(Progress(fraction, "sending", -1.0, 0))
            )
        )

    # The connection

    def _new_line(self, transport: str, name: str) -> Line:
        conversation = Conversation(
            lambda is_first: self._introduction(is_first, name), self._on_log, self._on_news
        )
        return Line(conversation, self.host, self.port, transport)

    def _introduction(self, is_first: bool, name: str) -> list[Question]:
        """Password, then a name or at least a word.

        Only the first must be answered by a certain time.
        """
        seconds = self._connect_seconds if is_first else float("inf")
        # A repeated password counts as another try: do it slowly.
        secret = (
            [Question("auth", (self._password,), "done", seconds, ANSWER_SECONDS)]
            if self._password
            else []
        )
        greeting = (
            Question("notify", (1, 0, name), "done", seconds)
            if name
            else Question("ping", (new_id(),), "pong", seconds)
        )
        return [*secret, greeting]


class _Told(Question):
    """The /sync in the same bundle says that it has been read."""

    def __init__(self, command: str, packet: bytes, barrier: int) -> None:
        super().__init__(
            "sync",
            (barrier,),
            "synced",
            ANSWER_SECONDS,
            packet=_bundle(packet, request("sync", barrier)),
        )
        self._command = command

    def concerns(self, message: osc_protocol.ReplyMessage) -> bool:
        return message.values.get("command") == self._command or super().concerns(message)


def mixture_text(mixture: str | Mapping[str, float]) -> str:
    """A mixture as the protocol writes it: `harp 0.7 pan_flute 0.3`."""
    if isinstance(mixture, str):
        return mixture
    return " ".join(f"{name} {weight:g}" for name, weight in mixture.items())


def _pairs(keys: Mapping[str, Any]) -> list[Any]:
    return [atom for pair in keys.items() for atom in pair]


def _bundle(*packets: bytes) -> bytes:
    return BUNDLE_HEAD + b"".join(len(packet).to_bytes(4, "big") + packet for packet in packets)


async def _bytes_of(path: Path) -> bytes:
    try:
        return await asyncio.to_thread(path.read_bytes)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> Refused:
    return Refused("no_file", f"{path} cannot be read: {error.strerror or error}")
