"""The network: OSC datagrams, byte streams, and both ends of a transfer."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from osc_protocol import (
    ROOT,
    BadRequest,
    DownloadReceiver,
    FramingError,
    ProtocolError,
    ReplyMessage,
    Request,
    StreamDecoder,
    UploadReceiver,
    UploadSender,
    decode_packet,
    decode_reply,
    encode,
)
from osc_protocol.addresses.constants import MISSING_AT_MOST
from osc_protocol.audio_receiver import EARLY_BYTES, EARLY_CHUNKS
from osc_protocol.wire import MAX_MESSAGES
from tests.fuzz.reader import Reader

FRAME_LIMIT_BYTES = 4096
TRANSFER_LIMIT_BYTES = 1 << 16
STEPS_AT_MOST = 400


def datagram(data: bytes) -> None:
    """Anything is requests and bad requests; and each bad one can be answered."""
    messages = decode_packet(data)
    assert len(messages) <= MAX_MESSAGES + 1
    for message in messages:
        if isinstance(message, BadRequest):
            decode_reply(
                encode(f"{ROOT}/fail", message.address, message.id, message.code, message.message)
            )


def reply(data: bytes) -> None:
    """What a client reads: a reply of the table, or a ProtocolError."""
    try:
        decode_reply(data)
    except ProtocolError:
        pass


def framing(data: bytes) -> None:
    """However the network cuts a stream, the same packets come out, and little is kept."""
    choices, stream = Reader(data[:8]), data[8:]
    pieces, at = [], 0
    while at < len(stream):
        size = 1 + (choices.number() if not choices.is_empty else 255)
        pieces.append(stream[at : at + size])
        at += size
    whole, is_whole = _feed([stream])
    cut, is_cut = _feed(pieces or [b""])
    if is_whole:
        assert (cut, is_cut) == (whole, True)
    else:
        assert not is_cut, "cut into pieces, a broken stream became a good one"


def _feed(pieces: list[bytes]) -> tuple[list[bytes], bool]:
    """The packets that a decoder finds, and whether it could read to the end."""
    decoder, found = StreamDecoder(FRAME_LIMIT_BYTES), []
    try:
        for piece in pieces:
            found += decoder.feed(piece)
            assert len(decoder._buffer) <= 2 * FRAME_LIMIT_BYTES + max(map(len, pieces)) + 4
    except FramingError:
        return found, False
    return found, True


def transfer(data: bytes) -> None:
    """Both ends of uploads and downloads, fed with whatever messages in whatever order.

    Kept: no more bytes than allowed, no more chunks behind a gap; a finished upload is what its
    checksum says.
    """
    choices = Reader(data)
    kind = (UploadReceiver, DownloadReceiver)[choices.number() % 2]
    decode = decode_reply if kind is UploadReceiver else decode_packet
    receiver = kind(1, "uploads/x", now=0.0, limit_bytes=TRANSFER_LIMIT_BYTES, chunk_bytes=256)
    sender = UploadSender(1, bytes(choices.number(2)), most_chunk_bytes=1 + choices.number())
    stored, now = b"", 0.0
    _read(sender.start(now), decode_packet)
    for _ in range(STEPS_AT_MOST):
        if choices.is_empty:
            break
        now += choices.number() / 100
        message = _transfer_message(choices)
        if isinstance(message, Request):
            _read(receiver.on_message(message, now), decode)
            stored += receiver.take()
        else:
            _read(sender.on_reply(message, now), decode_packet)
        _read(sender.on_tick(now), decode_packet)
        _check_bounds(sender, receiver)
    if receiver.state == "done":
        assert len(stored) == receiver.size_bytes and zlib.crc32(stored) == receiver._crc32


def _check_bounds(sender: UploadSender, receiver: UploadReceiver) -> None:
    assert receiver.size_bytes <= TRANSFER_LIMIT_BYTES
    assert len(receiver._early) <= EARLY_CHUNKS and receiver._early_bytes <= EARLY_BYTES
    assert len(sender._flights) <= 2 * sender.window + MISSING_AT_MOST


def _read(packets: list[bytes], read: Callable[[bytes], object]) -> None:
    """What a machine sends can be read by the other side."""
    for packet in packets:
        read(packet)


def _transfer_message(choices: Reader) -> Request | ReplyMessage:

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
