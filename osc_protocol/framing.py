"""Packets in a byte stream: int32 lengths (OSC 1.0, scsynth) or SLIP (OSC 1.1, QLab).

    int32   00 00 00 10 | 16 bytes | 00 00 00 08 | 8 bytes …
    SLIP    C0 | packet, C0 sent as DB DC and DB as DB DD | C0 …   one END between packets, or two

The first byte tells which of the two it is.
"""

from __future__ import annotations

MAX_FRAME_BYTES = 64 << 20

END, ESC = b"\xc0", b"\xdb"
ESC_END, ESC_ESC = b"\xdb\xdc", b"\xdb\xdd"
# RFC 1055's own sender also starts without an END: at once a message or a bundle
SLIP_STARTS = END + b"/#"
LENGTH_BYTES = 4
HTTP_STARTS = (b"GET ", b"POST", b"PUT ", b"HEAD", b"OPTI")


class FramingError(Exception):
    """The stream cannot be read any further: tell the peer why, then close."""


class StreamDecoder:
    """Bytes in, as they arrive; whole packets out. The first byte decides the framing, for good."""

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.framing: str | None = None
        self.max_frame_bytes = max_frame_bytes
        self._buffer = bytearray()
        self._seen = 0  # SLIP: how many bytes at the start of the buffer are known to hold no END

    def feed(self, chunk: bytes) -> list[bytes]:
        """The packets that this chunk completes.

        Raises:
          FramingError: the first byte fits neither, or a packet is longer than max_frame_bytes.
        """
        self._buffer += chunk
        if not self._buffer:
            return []
        self.framing = self.framing or _detect(bytes(self._buffer[:4]))
        return self._int32_packets() if self.framing == "int32" else self._slip_packets()

    def _int32_packets(self) -> list[bytes]:
        packets, at = [], 0
        while len(self._buffer) - at >= LENGTH_BYTES:
            size = int.from_bytes(self._buffer[at : at + LENGTH_BYTES], "big")
            self._check_size(size)
            if len(self._buffer) - at - LENGTH_BYTES < size:
                break
            at += LENGTH_BYTES + size
            packets.append(bytes(self._buffer[at - size : at]))
        del self._buffer[:at]
        return [packet for packet in packets if packet]

    def _slip_packets(self) -> list[bytes]:
        frames = []
        last = self._buffer.rfind(END, self._seen)
        if last >= 0:
            frames = bytes(self._buffer[:last]).split(END)
            del self._buffer[: last + 1]
        self._seen = len(self._buffer)
        self._check_size(self._seen // 2)  # escapes at most double a packet
        return [self._unescape(frame) for frame in frames if frame]

    def _unescape(self, frame: bytes) -> bytes:
        # ESC before anything else stays as it is, as in RFC 1055; reading the message then finds
        # the damage.
        packet = frame.replace(ESC_END, END).replace(ESC_ESC, ESC)
        self._check_size(len(packet))
        return packet

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self.max_frame_bytes:
            raise FramingError(
                f"a packet of {size_bytes} bytes; at most {self.max_frame_bytes} are taken"
            )


def _detect(start: bytes) -> str:
    if start[0] <= 0x03:
        return "int32"  # lengths below 64 MiB
    if start[:1] in SLIP_STARTS:
        return "slip"
    hint = "; this port speaks OSC, HTTP has its own" if start[:4] in HTTP_STARTS else ""
    raise FramingError(
        f"a stream starts with a length below 64 MiB or with SLIP's C0, came {start[0]:02X}{hint}"
    )


def encode_frame(packet: bytes, framing: str) -> bytes:
    """The packet, ready for a stream that speaks `int32` or `slip` (with an END on both sides)."""
    if framing == "int32":
        return len(packet).to_bytes(LENGTH_BYTES, "big") + packet
    if framing == "slip":
        return END + packet.replace(ESC, ESC_ESC).replace(END, ESC_END) + END
    raise ValueError(f"framing: expected int32 or slip, came {framing!r}")
