"""What may be said on the wire? One table of addresses, and bytes to meaning and back.

No I/O, no sockets, no clock; nothing of ours is imported.
"""

from osc_protocol.addresses import ADDRESSES, EDIT_KEYS, ERROR_CODES, REPLIES
from osc_protocol.addresses.constants import (
    DEFAULT_PORT,
    HTTP_PORT,
    JOB_STATES,
    PROTOCOL_VERSION,
    REPLY_PORT,
    STAGES,
    STATES,
)
from osc_protocol.audio_receiver import DownloadReceiver, UploadReceiver
from osc_protocol.audio_sender import UploadSender
from osc_protocol.audio_transfer import TCP_CHUNK_BYTES, UDP_CHUNK_BYTES, WINDOW, Sliceable
from osc_protocol.framing import MAX_FRAME_BYTES, FramingError, StreamDecoder, encode_frame
from osc_protocol.hosts import is_loopback
from osc_protocol.messages import (
    MAX_DATAGRAM_BYTES,
    BadRequest,
    ProtocolError,
    ReplyMessage,
    Request,
    decode_message,
    decode_packet,
    decode_reply,
    encode,
    usage,
)
from osc_protocol.rows import REQUIRED, ROOT, Address, Arg, Reply
from osc_protocol.wire import Message

__all__ = [
    "ADDRESSES",
    "Address",
    "Arg",
    "BadRequest",
    "DEFAULT_PORT",
    "DownloadReceiver",
    "EDIT_KEYS",
    "ERROR_CODES",
    "FramingError",
    "HTTP_PORT",
    "JOB_STATES",
    "MAX_DATAGRAM_BYTES",
    "MAX_FRAME_BYTES",
    "Message",
    "PROTOCOL_VERSION",
    "ProtocolError",
    "REPLIES",
    "REPLY_PORT",
    "REQUIRED",
    "ROOT",
    "Reply",
    "ReplyMessage",
    "Request",
    "STAGES",
    "STATES",
    "Sliceable",
    "StreamDecoder",
    "TCP_CHUNK_BYTES",
    "UDP_CHUNK_BYTES",
    "UploadReceiver",
    "UploadSender",
    "WINDOW",
    "decode_message",
    "decode_packet",
    "decode_reply",
    "encode",
    "encode_frame",
    "is_loopback",
    "usage",
]
