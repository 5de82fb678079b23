"""What may be said on the wire: one table of addresses, and bytes to meaning and back. No I/O, no clock."""
from osc_protocol.addresses import (
    ADDRESSES, DEFAULT_PORT, EDIT_KEYS, ERROR_CODES, HTTP_PORT, JOB_STATES, PROTOCOL_VERSION, REPLIES, REPLY_PORT,
    STAGES, STATES,
)
from osc_protocol.rows import REQUIRED, ROOT, Address, Arg, Reply
from osc_protocol.framing import MAX_FRAME_BYTES, FramingError, StreamDecoder, encode_frame
from osc_protocol.messages import (
    MAX_DATAGRAM_BYTES, BadRequest, ProtocolError, ReplyMessage, Request, decode_packet, decode_reply, encode, usage,
)
