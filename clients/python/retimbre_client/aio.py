"""The client, for programs with an event loop.

    async with AsyncClient() as client:
        outcome = await client.edit("solo.wav", "turn this into a violin", seed=3)

All of it, callbacks too, runs in the loop that opened it.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from osc_protocol import DEFAULT_PORT
from retimbre_client.audio_link import AudioLink, new_id, unreadable
from retimbre_client.callbacks import OnProgress, guard, ignore
from retimbre_client.connection import Connection
from retimbre_client.conversation import Conversation
from retimbre_client.exchange import Exchange, request
from retimbre_client.jobs import Jobs
from retimbre_client.questions import ANSWER_SECONDS, Command, Listing, Question
from retimbre_client.values import ClientError, Outcome, Progress, Refused, Stem
from retimbre_client.wires import TRANSPORTS

UNSEEN = ("path_denied", "no_file")  # what a server answers that cannot see our file


class AsyncClient(Jobs):
    """One client of one server.

    Raises NoServer and Refused, both ClientError, with a code and what to do.

    Args:
      transport: "udp" or "tcp", for requests.
      audio_transport: "tcp", or "udp" for a network that lets nothing else through.
      shares_disk: whether a path means the same to the server; None: it does if the server's
        address is this machine's own. Audio that the server cannot see is uploaded.
      name: keeps takes, defaults and jobs when this program starts again or has another address.
      silence_seconds: a job is given up after so long without a word about it; living ones speak
        every two seconds.
      on_log: gets level (0 debug to 3 error) and text.
      on_news: gets "ready", "state", "preset/changed", "live/state" or "live/playing", and its
        values by name.
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
        super().__init__(silence_seconds)
        self.host, self.port = host, port
        self._password, self._connect_seconds = password, connect_seconds
        self._shares_disk, self._audio_transport = shares_disk, audio_transport
        self._on_log, self._on_news = guard(on_log), guard(on_news)
        # Over TCP an address is new after each reconnection: only a name finds the jobs of the old
        # one.
        wants_name = transport == "tcp" or on_news is not ignore
        self._name = name or (new_id() if wants_name else "")
        self._connection = self._make_connection(transport, self._name)
        self._audio = AudioLink(
            self._connection,
            None if audio_transport == transport else self._connect_audio,
            connect_seconds,
            silence_seconds,
            self._on_log,
        )
        self._turns: dict[str, asyncio.Lock] = {}

    async def __aenter__(self) -> AsyncClient:
        return await self.open()

    async def __aexit__(self, error: type[BaseException] | None, *_: object) -> None:
        await self.close(at_once=error is not None)

    async def open(self) -> AsyncClient:
        """Connect. Raises NoServer when nobody answers, Refused when the password is wrong."""
        try:
            await self._connection.open(self._connect_seconds)
        except BaseException:
            self._connection.close()
            raise
        return self

    async def close(self, at_once: bool = False) -> None:
        """Close the sockets, when the server has accepted what was submitted.

        Jobs go on there, and takes are kept.
        """
        if not at_once:
            await asyncio.gather(*(job.accepted() for job in self._jobs.values()))
        tasks = [job.task for job in self._jobs.values()]
        self._connection.close(request("notify", 0) if self._name else b"")
        await self._audio.close()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def shares_disk(self) -> bool:
        """Whether paths are taken to mean the same to the server and to us."""
        return self._connection.is_loopback if self._shares_disk is None else self._shares_disk

    # Any request

    async def ask(
        self, name: str, *args: Any, reply: str, seconds: float = ANSWER_SECONDS
    ) -> dict[str, Any]:
        """Any request of the protocol that has one reply: that reply's values.

        Raises Refused on its /fail.
        """
        return await self._ask_in_turn(name, Question(name, args, reply, seconds))

    async def collect(
        self, name: str, *args: Any, item: str, end: str, seconds: float = ANSWER_SECONDS
    ) -> list[dict[str, Any]]:
        """Any request that is answered with items and an end: the items' values, all, in order."""
        return await self._ask_in_turn(name, Listing(name, args, item, end, seconds))

    async def _command(self, name: str, packet: bytes) -> None:
        barrier = int.from_bytes(os.urandom(3), "big")
        await self._ask_in_turn(name, Command(name, packet, barrier))

    def _ask(self, exchange: Exchange) -> asyncio.Future[Any]:
        return self._connection.ask(exchange)

    async def _ask_in_turn(self, name: str, exchange: Exchange) -> Any:
        """One of a kind at a time: most replies do not say which question they answer."""
        async with self._turns.setdefault(name, asyncio.Lock()):
            return await self._ask(exchange)

    # Audio

    async def upload(self, path: str | Path, on_fraction: Callable[[float], None] = ignore) -> str:
        """Send a whole audio file. Returns the handle that stands for it where a path is wanted."""
        return await self._audio.upload(Path(path), on_fraction)

    async def read(self, path: str | Path) -> bytes:
        """The bytes of a file that the server made: a stem, a manifest."""
        path = Path(path)
        if self._is_here(path):
            try:
                return await asyncio.to_thread(path.read_bytes)
            except OSError as error:
                raise unreadable(path, error) from error
        pieces: list[bytes] = []
        await self.download(path, pieces.append)
        return b"".join(pieces)

    async def manifest(self, outcome: Outcome) -> dict[str, Any]:
        """All that made these stems."""
        if outcome.manifest is None:
            raise ClientError("no_file", f"job {outcome.job_id} left no manifest")
        return json.loads((await self.read(outcome.manifest)).decode("utf-8"))

    async def fetch(self, stem: Stem | str | Path, target: str | Path) -> Path:
        """Put a copy of a stem at `target`, whole: it has a temporary name until it is complete."""
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
        await self._audio.download(Path(path), write)

    def _is_here(self, path: Path) -> bool:
        return self.shares_disk and path.is_file()

    async def _with_audio(
        self, audio: str | Path, use: Callable[[str], Awaitable[Any]], on_progress: OnProgress
    ) -> Any:
        """Use `audio` where the server sees it, else send it first and use its handle."""
        path = Path(audio)
        if not path.is_file():
            return await use(str(audio))
        path = path.resolve()
        if self.shares_disk:
            try:
                return await use(str(path))
            except Refused as refusal:
                if refusal.code not in UNSEEN:
                    raise
                self._on_log(
                    2,
                    f"the server may not read {path}, so it is sent over "
                    f"{self._audio_transport.upper()} "
                    f"(a server started with --root {path.parent} reads it in place)",
                )

        def report(fraction: float) -> None:
            on_progress(Progress(fraction, "sending", -1.0, 0))

        return await use(await self.upload(path, report))

    # The connection

    def _connect_audio(self) -> Connection:
        # no name: its owner hears of jobs on the other connection
        return self._make_connection(self._audio_transport, "")

    def _make_connection(self, transport: str, name: str) -> Connection:
        conversation = Conversation(
            lambda is_first: self._introduce(is_first, name), self._on_log, self._on_news
        )
        return Connection(conversation, self.host, self.port, transport)

    def _introduce(self, is_first: bool, name: str) -> list[Question]:
        """The password, then a name or at least a ping.

        Only the first introduction must be answered by a certain time.
        """
        seconds = self._connect_seconds if is_first else float("inf")
        questions = []
        if self._password:  # a repeated one counts as another try: do it slowly
            auth = Question("auth", (self._password,), "done", seconds, ANSWER_SECONDS)
            questions.append(auth)
        if name:
            questions.append(Question("notify", (1, 0, name), "done", seconds))
        else:
            questions.append(Question("ping", (new_id(),), "pong", seconds))
        return questions
