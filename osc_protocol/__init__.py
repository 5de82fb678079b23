"""What may be said on the wire: one table of addresses, and bytes to meaning and back. No I/O, no
clock.
"""

# ruff: noqa: F401, I001 - the names below are the package
from osc_protocol.addresses import (
    ADDRESSES,
    DEFAULT_PORT,
    EDIT_KEYS,
    ERROR_CODES,
    HTTP_PORT,
    JOB_STATES,
    PROTOCOL_VERSION,
    REPLIES,
    REPLY_PORT,
    STAGES,
    STATES,
)
from osc_protocol.audio_transfer import (
    TCP_CHUNK_BYTES,
    UDP_CHUNK_BYTES,
    WINDOW,
    DownloadReceiver,
    Sliceable,
    UploadReceiver,
    UploadSender,
)
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
