"""Audio in chunks. It may run either way: the side that has the audio opens, sends and closes."""

from __future__ import annotations

from osc_protocol.addresses.arguments import ID
from osc_protocol.addresses.constants import AUDIO_FORMATS, CHUNK_BYTES, MISSING_AT_MOST, PATH_BYTES
from osc_protocol.rows import Address, Arg, Reply

# fmt: off
AUDIO_OPEN = (
    ID,
    Arg("rate", "i", "Hz", low=0, default=0, help="0: the file's header says it"),
    Arg("channels", "i", low=0, default=0, help="0: the file's header says it"),
    Arg("frames", "i", low=0, default=0, help="0: the file's header says it"),
    Arg("format", "s", choices=AUDIO_FORMATS, default="wav",
        help="a whole file, or raw samples (f32le, s24le, s16le)"),
)
AUDIO_DATA = (
    ID,
    Arg("index", "i", low=0, help="0, 1, 2 … in any order"),
    Arg("bytes", "b", high=CHUNK_BYTES, help="at most chunk_bytes"),
)
AUDIO_CLOSE = (
    ID,
    Arg("chunks", "i", low=0, help="how many there are"),
    Arg("crc32", "s", help="of all bytes: eight hexadecimal digits"),
)
AUDIO_READY = (
    ID,
    Arg("chunk_bytes", "i", "bytes", low=1, high=CHUNK_BYTES, help="most in one /audio/data"),
    Arg("window", "i", low=1, high=1024, help="most chunks on their way without an /audio/ack"),
    Arg("handle", "s", help="stands for the audio in /edit and /region"),
)
AUDIO_ACK = (
    ID,
    Arg("index", "i", low=0, help="the chunk that arrived"),
    Arg("received", "i", low=0, help="how many different chunks have arrived"),
)
AUDIO_MISSING = (
    ID,
    Arg("indexes", "i", low=0, rest=MISSING_AT_MOST, help="send these again, then close again"),
)

REQUESTS: tuple[Address, ...] = (
    Address("audio/open", "Begin an upload.",
        args=AUDIO_OPEN,
        replies=("audio/ready", "fail"), critical=True),
    Address("audio/data", "One chunk of it.",
        args=AUDIO_DATA,
        replies=("audio/ack", "fail"), critical=True),
    Address("audio/close", "Every chunk was sent.",
        args=AUDIO_CLOSE,
        replies=("audio/missing", "done", "fail"),
        done=(Arg("handle", "s", help="use it where a path is wanted"),), critical=True),
    Address("audio/get",
        "Begin a download: the server now opens, sends and closes, and you answer.",
        args=(ID, Arg("audio", "s", high=PATH_BYTES, help="a path from /result, or a handle")),
        replies=("audio/open", "audio/data", "audio/close", "fail"), critical=True),
    Address("audio/ready", "Download: ready, send the chunks.", args=AUDIO_READY),
    Address("audio/ack", "Download: this chunk arrived.", args=AUDIO_ACK),
    Address("audio/missing",
        "Download: these chunks did not arrive. Without an index: all of them did.",
        args=AUDIO_MISSING),
)

REPLIES: tuple[Reply, ...] = (
    Reply("audio/ready", "Upload: ready, send the chunks.", AUDIO_READY),
    Reply("audio/ack", "Upload: this chunk arrived. Repeats are acknowledged too.", AUDIO_ACK),
    Reply("audio/missing", "Upload: these chunks did not arrive.", AUDIO_MISSING),
    Reply("audio/open", "Download: the audio follows.", AUDIO_OPEN),
    Reply("audio/data", "Download: one chunk.", AUDIO_DATA),
    Reply("audio/close", "Download: every chunk was sent.", AUDIO_CLOSE),
)
# fmt: on
