"""Audio in chunks, acknowledged and windowed, as two state machines without sockets or clocks.

      the side that has the audio                     the side that wants it
      ---------------------------                     ----------------------
      /audio/open  id rate channels frames format ->
                                                  <-  /audio/ready   id chunk_bytes window handle
      /audio/data  id index bytes                 ->                     } at most `window` of them
                                                  <-  /audio/ack     id index received  } unanswered
      /audio/close id chunks crc32                ->
                                                  <-  /audio/missing id index…      until none is

An upload ends with /done /audio/close id handle, or /fail; a download with an empty /audio/missing,
or /cancel.

Rule 1: methods return the packets to send; `now` is any clock that goes forward, in seconds.
Rule 2: every message may be lost, doubled or late. The sender repeats, the receiver answers each
repeat again.

Without a window most datagrams of a burst are lost, even over loopback.
"""

from __future__ import annotations

from typing import Protocol

from osc_protocol.addresses.constants import CHUNK_BYTES
from osc_protocol.messages import ReplyMessage, Request
from osc_protocol.rows import ROOT

# its packet stays under 4 KB, the smallest buffer met in OSC libraries
UDP_CHUNK_BYTES = 3840
TCP_CHUNK_BYTES = CHUNK_BYTES
WINDOW = 8

AUDIO = f"{ROOT}/audio/"
OPEN, DATA, CLOSE = f"{AUDIO}open", f"{AUDIO}data", f"{AUDIO}close"
READY, ACK, MISSING = f"{AUDIO}ready", f"{AUDIO}ack", f"{AUDIO}missing"
DONE, FAIL, CANCEL = f"{ROOT}/done", f"{ROOT}/fail", f"{ROOT}/cancel"

AnyMessage = Request | ReplyMessage


class Sliceable(Protocol):
    """Bytes that need not be in memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> bytes | bytearray | memoryview: ...
