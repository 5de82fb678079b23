import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osc_protocol import FramingError, StreamDecoder, encode_frame

bounded = settings(max_examples=60, deadline=None)  # a busy machine is slow, not wrong

PACKET = b"/p\0\0,\0\0\0"
# all that SLIP must escape, and what escapes look like
AWKWARD = b"\xc0\xdb\xdc\xdd\xdb\xdb\xdc\xc0\xc0"


@pytest.mark.parametrize(
    "stream, framing, packets",
    [
        (b"\0\0\0\x08" + PACKET, "int32", [PACKET]),
        (b"\0\0\0\x08" + PACKET + b"\0\0\0\x08" + PACKET, "int32", [PACKET, PACKET]),
        # an empty frame is nothing
        (b"\0\0\0\0" + b"\0\0\0\x08" + PACKET, "int32", [PACKET]),
        (b"\0\0\0\x08" + PACKET[:5], "int32", []),
        (b"\0\0", "int32", []),
        (b"\xc0" + PACKET + b"\xc0", "slip", [PACKET]),
        # OSC 1.1: an END on both sides
        (b"\xc0" + PACKET + b"\xc0\xc0" + PACKET + b"\xc0", "slip", [PACKET, PACKET]),
        # RFC 1055: one END between
        (b"\xc0" + PACKET + b"\xc0" + PACKET + b"\xc0", "slip", [PACKET, PACKET]),
        # RFC 1055's own sender
        (PACKET + b"\xc0" + PACKET + b"\xc0", "slip", [PACKET, PACKET]),
        (b"#bundle\0\0\0\0\0\0\0\0\1\xc0", "slip", [b"#bundle\0\0\0\0\0\0\0\0\1"]),
        (b"\xc0\xc0\xc0", "slip", []),
        (b"\xc0" + PACKET, "slip", []),
        (b"\xc0/a\xdb\xdcb\xdb\xddc\xc0", "slip", [b"/a\xc0b\xdbc"]),
        # an escaped ESC, then DC itself
        (b"\xc0/a\xdb\xdd\xdcb\xc0", "slip", [b"/a\xdb\xdcb"]),
        # RFC 1055: keep what is no escape
        (b"\xc0/a\xdbb\xc0", "slip", [b"/a\xdbb"]),
    ],
)
def test_a_stream_is_cut_into_packets(stream, framing, packets):
    decoder = StreamDecoder()
    assert decoder.feed(stream) == packets
    assert decoder.framing == framing


def test_the_framing_is_not_known_before_the_first_byte():
    decoder = StreamDecoder()
    assert decoder.feed(b"") == []
    assert decoder.framing is None


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\n", b"hello", b"\x04\0\0\0", b"\xff"])
def test_a_stream_of_something_else_is_refused(start):
    with pytest.raises(
        FramingError, match="starts with a length below 64 MiB or with SLIP's C0, came"
    ):
        StreamDecoder().feed(start)


def test_a_browser_is_told_where_it_is():
    with pytest.raises(FramingError, match="HTTP has its own"):
        StreamDecoder().feed(b"GET / HTTP/1.1\r\n")


def test_a_length_above_the_cap_is_refused_before_its_bytes_come():
    with pytest.raises(FramingError, match="a packet of 1001 bytes; at most 1000"):
        StreamDecoder(max_frame_bytes=1000).feed(b"\0\0\x03\xe9")


def test_a_slip_packet_above_the_cap_is_refused_complete_or_not():
    with pytest.raises(FramingError):
        StreamDecoder(max_frame_bytes=1000).feed(b"\xc0" + b"/" * 1001 + b"\xc0")
    with pytest.raises(FramingError):
        StreamDecoder(max_frame_bytes=1000).feed(b"\xc0" + b"/" * 3000)


def test_a_packet_at_the_cap_passes_in_both_framings():
    for framing in ("int32", "slip"):
        assert StreamDecoder(max_frame_bytes=9).feed(encode_frame(AWKWARD, framing)) == [AWKWARD]


def test_encoding_knows_two_framings():
    assert encode_frame(PACKET, "int32") == b"\0\0\0\x08" + PACKET
    assert encode_frame(PACKET, "slip") == b"\xc0" + PACKET + b"\xc0"
    with pytest.raises(ValueError, match="expected int32 or slip, came 'http'"):
        encode_frame(PACKET, "http")


PACKETS = st.lists(st.binary(min_size=1, max_size=40) | st.just(AWKWARD), max_size=5)


@bounded
@given(PACKETS, st.sampled_from(["int32", "slip"]), st.integers(1, 9))
def test_packets_survive_any_cutting_of_the_stream(packets, framing, step):
    stream = b"".join(encode_frame(packet, framing) for packet in packets)
    decoder = StreamDecoder()
    received = [
        packet
        for at in range(0, len(stream), step)
        for packet in decoder.feed(stream[at : at + step])
    ]
    assert received == packets


@bounded
@given(st.binary(max_size=100), st.integers(1, 9))
def test_any_stream_yields_packets_or_a_framing_error(stream, step):
    decoder = StreamDecoder(max_frame_bytes=50)
    try:
        packets = [
            packet
            for at in range(0, len(stream), step)
            for packet in decoder.feed(stream[at : at + step])
        ]
    except FramingError:
        return
    assert all(0 < len(packet) <= 50 for packet in packets)
