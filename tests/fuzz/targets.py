"""What strangers' bytes reach: one function on bytes for each way in, and the one error that it may
raise.

A target checks more than that nothing breaks: what it says in its asserts must hold for any bytes
at all.
"""

from __future__ import annotations

import atexit
import functools
import io
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

CORPUS = Path(__file__).with_name("corpus")
FRAME_LIMIT_BYTES = 4096
TRANSFER_LIMIT_BYTES = 1 << 16
STEPS_AT_MOST = 400


@dataclass(frozen=True)
class Target:
    """`run` takes the bytes.

    `watched`: the packages whose branches guide the fuzzer. `longest_bytes`: of one input.
    """

    run: Callable[[bytes], None]
    watched: tuple[str, ...]
    longest_bytes: int = 4096

    def seeds(self, name: str) -> list[Path]:
        """The inputs that the search starts from; those that once broke something are called
        crash-*.
        """
        return sorted((CORPUS / name).iterdir())


class Reader:
    """Choices from bytes: what is left when they run out is 0."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def is_empty(self) -> bool:
        return self._at >= len(self._data)

    def number(self, size_bytes: int = 1) -> int:
        return int.from_bytes(self.bytes(size_bytes), "little")

    def bytes(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        self._at += count
        return piece


# -------------------------------------------------------------------------------------------------------------
# network


def datagram(data: bytes) -> None:
    """Anything is requests and bad requests; and each bad one can be answered."""
    from osc_protocol import ROOT, BadRequest, decode_packet, decode_reply, encode
    from osc_protocol.wire import MAX_MESSAGES

    messages = decode_packet(data)
    assert len(messages) <= MAX_MESSAGES + 1
    for message in messages:
        if isinstance(message, BadRequest):
            decode_reply(
                encode(f"{ROOT}/fail", message.address, message.id, message.code, message.message)
            )


def reply(data: bytes) -> None:
    """What a client reads: a reply of the table, or a ProtocolError."""
    from osc_protocol import ProtocolError, decode_reply

    try:
        decode_reply(data)
    except ProtocolError:
        pass


def framing(data: bytes) -> None:
    """However the network cuts a stream, the same packets come out, and no more is kept than the
    limit allows.
    """
    from osc_protocol import FramingError, StreamDecoder

    def packets(pieces: list[bytes]) -> tuple[list[bytes], bool]:
        decoder, found = StreamDecoder(FRAME_LIMIT_BYTES), []
        try:
            for piece in pieces:
                found += decoder.feed(piece)
                assert len(decoder._buffer) <= 2 * FRAME_LIMIT_BYTES + max(map(len, pieces)) + 4
        except FramingError:
            return found, False
        return found, True

    choices, stream = Reader(data[:8]), data[8:]
    pieces, at = [], 0
    while at < len(stream):
        size = 1 + (choices.number() if not choices.is_empty else 255)
        pieces.append(stream[at : at + size])
        at += size
    whole, is_whole = packets([stream])
    cut, is_cut = packets(pieces or [b""])
    if is_whole:
        assert (cut, is_cut) == (whole, True)
    else:
        assert not is_cut, "cut into pieces, a broken stream became a good one"


def transfer(data: bytes) -> None:
    """Both ends of uploads and downloads, fed with whatever messages in whatever order.

    Kept: no more bytes than allowed, no more chunks behind a gap; a finished upload is what its
    checksum says.
    """
    import zlib

    from osc_protocol import (
        DownloadReceiver,
        Request,
        UploadReceiver,
        UploadSender,
        decode_packet,
        decode_reply,
    )
    from osc_protocol import audio_receiver as machine

    choices = Reader(data)
    kinds = (UploadReceiver, DownloadReceiver)
    receiver = kinds[choices.number() % 2](
        1, "uploads/x", now=0.0, limit_bytes=TRANSFER_LIMIT_BYTES, chunk_bytes=256
    )
    sender = UploadSender(1, bytes(choices.number(2)), most_chunk_bytes=1 + choices.number())
    stored, now = b"", 0.0
    _read(sender.start(now), decode_packet)
    for _ in range(STEPS_AT_MOST):
        if choices.is_empty:
            break
        now += choices.number() / 100
        message = _transfer_message(choices)
        if isinstance(message, Request):
            _read(
                receiver.on_message(message, now),
                decode_reply if kinds[0] is type(receiver) else decode_packet,
            )
            stored += receiver.take()
        else:
            _read(sender.on_reply(message, now), decode_packet)
        _read(sender.on_tick(now), decode_packet)
        assert receiver.size_bytes <= TRANSFER_LIMIT_BYTES
        assert (
            len(receiver._early) <= machine.EARLY_CHUNKS
            and receiver._early_bytes <= machine.EARLY_BYTES
        )
        assert len(sender._flights) <= 2 * sender.window + machine.MISSING_AT_MOST
    if receiver.state == "done":
        assert len(stored) == receiver.size_bytes and zlib.crc32(stored) == receiver._crc32


def _read(packets: list[bytes], read: Callable) -> None:
    """What a machine sends can be read by the other side."""
    for packet in packets:
        read(packet)


def _transfer_message(choices: Reader):
    from osc_protocol import ROOT, ReplyMessage, Request

    small, wide = choices.number(), choices.number(4) & 0x7FFFFFFF
    index = small if small < 200 else wide
    name, values = (
        lambda: ("open", {}),
        lambda: ("data", {"index": index, "bytes": choices.bytes(choices.number() * 2)}),
        lambda: ("close", {"chunks": index, "crc32": f"{choices.number(4):08x}"}),
        lambda: (
            "ready",
            {"chunk_bytes": 1 + wide % 4096, "window": 1 + small % 64, "handle": "uploads/x"},
        ),
        lambda: ("ack", {"index": index}),
        lambda: ("missing", {"indexes": tuple(choices.number() for _ in range(small % 8))}),
        lambda: ("fail", {"command": f"{ROOT}/audio/open", "code": "internal", "message": ""}),
    )[choices.number() % 7]()
    if name in ("open", "data", "close"):
        return Request(f"{ROOT}/audio/{name}", {"id": 1, **values}, id=1)
    return ReplyMessage(
        f"{ROOT}/{name if name == 'fail' else f'audio/{name}'}", {"id": 1, **values}, ()
    )


# ----------------------------------------------------------------------------------------------------------------
# HTTP


def body(data: bytes) -> None:
    """The JSON of a POST: the message that OSC would have brought, or a BadBody."""
    from osc_protocol import ADDRESSES, BadRequest, decode_message
    from server.http import calls, json_form

    addresses = [*ADDRESSES, "/retimbre/no such"]
    address = addresses[(data[0] if data else 0) % len(addresses)]
    try:
        message = json_form.message(address, json_form.parse(data[1:]))
    except json_form.BadBody as error:
        str(error).encode("utf-8", "replace")
        return
    request = decode_message(message)
    if isinstance(request, BadRequest):
        calls.refusal(request.address, request.code, request.message)


def query(data: bytes) -> None:
    """A request line and headers as they come: what OSCQuery, uploads and the guard read from them."""
    from aiohttp import web
    from aiohttp.test_utils import make_mocked_request

    from server.errors import RequestError
    from server.http import clients, files, oscquery, security, websocket

    line, _, header = data.partition(b"\n")
    text = header.decode("utf-8", "surrogateescape")
    try:
        request = make_mocked_request(
            "GET", "/" + line.decode("latin-1").lstrip("/"), **_connection()
        )
    except ValueError:  # aiohttp's own parser has refused it before it would come to us
        return
    names = request.query
    for read, refusals in (
        (lambda: oscquery.answer(_nobody(), request), web.HTTPException),
        (
            lambda: files._request(
                "open",
                "x",
                names.get("rate", 0),
                names.get("channels", 0),
                names.get("frames", 0),
                names.get("format", "wav"),
            ),
            RequestError,
        ),
        (lambda: security.host_and_port(text), ValueError),
        (lambda: security._password(text), ()),
        (lambda: websocket._parse(text), ()),
        (lambda: clients.NAME.fullmatch(names.get("client", "")), ()),
    ):
        try:
            read()
        except refusals:
            pass


@functools.cache
def _connection() -> dict[str, Mock]:
    """One for all requests: made anew for each they would take longer than what is looked at."""
    transport = Mock()
    transport.get_extra_info.return_value = ("127.0.0.1", 11022)
    return {"app": Mock(), "transport": transport, "protocol": Mock(), "writer": Mock()}


@functools.cache
def _nobody() -> SimpleNamespace:
    """As much of a server as OSCQuery looks at: no styles, no models."""
    executor = SimpleNamespace(info=SimpleNamespace(models=[]))
    return SimpleNamespace(
        library=SimpleNamespace(presets=lambda: ()),
        state="ready",
        port=1,
        http_port=2,
        config=SimpleNamespace(host="::1"),
        executor=executor,
    )


# ---------------------------------------------------------------------------------------------------------------
# files


@functools.cache
def _folder() -> Path:
    folder = Path(
        tempfile.mkdtemp(
            prefix="retimbre-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None
        )
    )
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def file_of(data: bytes, name: str) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def path(data: bytes) -> None:
    """Whatever a client calls a file, what is let through is a regular file under the root."""
    from server.errors import RequestError
    from server.files.sandbox import normalise

    text = data.decode("utf-8", "surrogateescape")
    for is_windows in (False, True):
        try:
            normalise(text, is_windows)
        except RequestError:
            pass
    try:
        found = _sandbox().audio_file(text).path
    except RequestError:
        return
    root = _sandbox().roots[0]
    assert (
        os.path.realpath(found) == found
        and found.startswith(root + os.sep)
        and os.path.isfile(found)
    )


@functools.cache
def _sandbox():
    from server.files.sandbox import Sandbox

    root = _folder() / "root"
    (root / "song").mkdir(parents=True)
    for name in ("a.wav", "song/b.wav"):
        (root / name).write_bytes(b"x")
    (root.parent / "secret.wav").write_bytes(b"x")
    (root / "up").symlink_to(root.parent)
    (root / "link.wav").symlink_to(root.parent / "secret.wav")
    os.mkfifo(root / "pipe.wav")
    return Sandbox([root], 1000)


def header(data: bytes) -> None:
    """The first look at a file: what it promises, or a HeaderError."""
    from server.files.headers import HeaderError, read_header

    try:
        found = read_header(io.BytesIO(data))
    except HeaderError:
        return
    assert found is None or (found.seconds >= 0 and found.end_bytes >= 0)


def audio(data: bytes) -> None:
    """libsndfile's look and ours: finite samples in the header's shape, or an EngineError."""
    import numpy as np

    from engine.audio.files import file_info, read_region
    from engine.errors import EngineError

    found = file_of(data, "audio.wav")
    try:
        info = file_info(found)
        region = read_region(found, length_seconds=0.5, context_seconds=0.1)
        whole = read_region(found) if info.frames < 1e6 else region
    except EngineError:
        return
    assert region.samples.shape[1] == info.channels and np.isfinite(region.samples).all()
    assert len(region.region) == region.frames and np.isfinite(whole.samples).all()


def preset(data: bytes) -> None:
    """A style, or a PresetError."""
    from presets.errors import PresetError
    from presets.loader import parse_preset

    try:
        parse_preset(data)
    except PresetError as error:
        str(error).encode("utf-8", "replace")


def options(data: bytes) -> None:
    """The option file: a configuration, or a ConfigError."""
    from server.config import ConfigError, ServeConfig, build

    try:
        build(ServeConfig, {"config": str(file_of(data, "options.yaml"))}, {})
    except ConfigError:
        pass


def tensors(data: bytes) -> None:
    """An adapter's file: tensors, or an EngineError."""
    from safetensors import SafetensorError

    from engine.families.audioldm2.ap_adapter import read_adapter

    try:
        read_adapter(file_of(data, "adapter.safetensors"))
    except SafetensorError:
        pass


OSC, HTTP, FILES = (
    ("osc_protocol",),
    ("osc_protocol", "server", "aiohttp"),
    ("server", "engine", "soundfile"),
)
TARGETS = {
    "datagram": Target(datagram, (*OSC, "pythonosc")),
    "reply": Target(reply, (*OSC, "pythonosc")),
    "framing": Target(framing, OSC, 16384),
    "transfer": Target(transfer, OSC, 2048),
    "body": Target(body, ("osc_protocol", "server.http", "json")),
    "query": Target(query, ("osc_protocol", "server.http")),
    "path": Target(path, ("server.files.sandbox",), 512),
    "header": Target(header, ("server.files.headers",), 4096),
    "audio": Target(audio, ("engine.audio.files",), 16384),
    "preset": Target(preset, ("presets", "yaml"), 8192),
    "options": Target(options, ("server.config", "yaml"), 4096),
    "tensors": Target(tensors, ("engine.families.audioldm2.ap_adapter", "safetensors"), 4096),
}
