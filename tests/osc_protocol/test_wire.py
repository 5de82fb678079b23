"""Bytes on one side, meaning on the other.

The bytes are written out; none comes from our own writer.
"""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pythonosc.osc_message_builder import OscMessageBuilder

from osc_protocol.wire import MAX_BUNDLE_DEPTH, MAX_MESSAGES, Message, read_packet, write_message

bounded = settings(max_examples=60, deadline=None)  # a busy machine is slow, not wrong

NOW = b"\0\0\0\0\0\0\0\1"
PING = b"/p\0\0,\0\0\0"


def bundle(*elements):
    return (
        b"#bundle\0"
        + NOW
        + b"".join(struct.pack(">i", len(element)) + element for element in elements)
    )


@pytest.mark.parametrize(
    "data, atoms",
    [
        (b"/p\0\0,i\0\0\0\0\0\x07", (7,)),
        (b"/p\0\0,i\0\0\xff\xff\xff\xff", (-1,)),
        (b"/p\0\0,f\0\0\x40\x60\0\0", (3.5,)),
        (b"/p\0\0,h\0\0\0\0\0\1\0\0\0\0", (2**32,)),
        (b"/p\0\0,d\0\0\x40\x0c\0\0\0\0\0\0", (3.5,)),
        (b"/p\0\0,s\0\0abc\0", ("abc",)),
        (b"/p\0\0,s\0\0abcd\0\0\0\0", ("abcd",)),
        (b"/p\0\0,s\0\0\0\0\0\0", ("",)),
        (b"/p\0\0,S\0\0ab\0\0", ("ab",)),
        (b"/p\0\0,s\0\0Gr\xc3\xbc\xc3\x9fe\0", ("Grüße",)),
        (b"/p\0\0,b\0\0\0\0\0\3abc\0", (b"abc",)),
        (b"/p\0\0,b\0\0\0\0\0\0", (b"",)),
        (b"/p\0\0,TF\0", (True, False)),
        (b"/p\0\0,iis\0\0\0\0\0\0\0\1\0\0\0\2x\0\0\0", (1, 2, "x")),
        (b"/p\0\0,\0\0\0", ()),
        (b"/p\0\0", ()),  # old senders: no type tags at all
    ],
)
def test_arguments_are_read(data, atoms):
    assert read_packet(data) == [Message("/p", atoms)]


def test_true_and_false_are_flags_not_numbers():
    assert [type(atom) for atom in read_packet(b"/p\0\0,TF\0")[0].atoms] == [bool, bool]


def test_text_that_is_not_utf8_is_replaced_and_said():
    # Latin-1, as from an old Max
    (message,) = read_packet(b"/p\0\0,is\0\0\0\0\7caf\xe9\0\0\0\0")
    assert message.atoms == (7, "caf\N{REPLACEMENT CHARACTER}")
    assert "argument 2 is not UTF-8" in message.warnings[0]


MALFORMED = {
    "empty": b"",
    "no slash": b"ping\0\0\0\0,\0\0\0",
    "text from a browser": b"GET / HTTP/1.1\r\n\r\n",
    "address without an end": b"/ping",
    "address without padding": b"/ping\0",
    "no comma before the tags": b"/p\0\0i\0\0\0\0\0\0\1",
    "tags without an end": b"/p\0\0,iii",
    "integer cut off": b"/p\0\0,i\0\0\0\0",
    "integer absent": b"/p\0\0,i\0\0",
    "double cut off": b"/p\0\0,d\0\0\0\0\0\0",
    "string without an end": b"/p\0\0,s\0\0abcd",
    "string without padding": b"/p\0\0,s\0\0ab\0",
    "blob longer than the packet": b"/p\0\0,b\0\0\0\0\1\0abcd",
    "blob without padding": b"/p\0\0,b\0\0\0\0\0\1a",
    "blob of negative size": b"/p\0\0,b\0\0\xff\xff\xff\xf8abcd",
    "blob of the most negative size": b"/p\0\0,b\0\0\x80\0\0\0abcd",
    "bytes after the last argument": b"/p\0\0,i\0\0\0\0\0\1\0\0\0\2",
    "bundle without a time tag": b"#bundle\0",
    "bundle with half a time tag": b"#bundle\0\0\0\0\0",
    "bundle element cut off": b"#bundle\0" + NOW + b"\0\0\0\x20" + PING,
    "bundle element of no size": b"#bundle\0" + NOW + b"\0\0\0\0" + PING,
    "bundle element of negative size": b"#bundle\0" + NOW + b"\xff\xff\xff\xfc" + PING,
    "bundle with half an element size": b"#bundle\0" + NOW + b"\0\0",
    "bundle marker without its NUL": b"#bundle!" + NOW,
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_damage_is_one_message_with_an_error(data):
    (message,) = read_packet(data)
    assert message.code == "bad_packet"
    assert message.error


@pytest.mark.parametrize("tag", "tcmr[]ax")
def test_other_type_tags_are_refused_by_name(tag):
    (message,) = read_packet(b"/p\0\0,i" + tag.encode() + b"\0" + bytes(24))
    assert (message.code, message.atoms) == ("bad_args", (0,))
    assert repr(tag) in message.error


def test_the_tags_of_buttons_carry_no_value():
    (message,) = read_packet(b"/p\0\0,NiI\0\0\0\0" + bytes(3) + b"\7")
    assert (message.error, message.atoms) == ("", (7,))


def test_the_arguments_before_the_damage_are_kept():
    (message,) = read_packet(b"/p\0\0,is\0\0\0\0\7abcd")
    assert message.atoms == (7,)


def test_bundles_are_flattened_in_order():
    inner = bundle(b"/b\0\0,\0\0\0", b"/c\0\0,\0\0\0")
    assert [
        message.address
        for message in read_packet(bundle(b"/a\0\0,\0\0\0", inner, b"/d\0\0,\0\0\0"))
    ] == ["/a", "/b", "/c", "/d"]


def test_an_empty_bundle_means_nothing():
    assert read_packet(bundle()) == []


def test_a_broken_element_does_not_take_the_others_down():
    first, second, third = read_packet(bundle(PING, b"junk", PING))
    assert (first.error, third.error) == ("", "")
    assert second.code == "bad_packet"


def nest(depth):
    packet = PING
    for _ in range(depth):
        packet = bundle(packet)
    return packet


def test_nesting_is_bounded():
    assert read_packet(nest(MAX_BUNDLE_DEPTH)) == [Message("/p")]
    (deep,) = read_packet(nest(1000))
    assert "nested deeper" in deep.error


def test_messages_in_a_packet_are_bounded():
    messages = read_packet(bundle(*[PING] * 3000))
    assert len(messages) == MAX_MESSAGES + 1
    assert "more than 256 messages" in messages[-1].error


def test_arguments_in_a_message_are_bounded():
    (message,) = read_packet(b"/p\0\0," + b"T" * 3000 + b"\0\0\0\0"[: 4 - 3001 % 4])
    assert message.code == "bad_args"
    assert "at most 256" in message.error


@bounded
@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_raising(data):
    assert all(isinstance(message, Message) for message in read_packet(data))


@bounded
@given(st.binary(max_size=120))
def test_any_bytes_in_a_bundle_or_after_an_address_are_read_without_raising(data):
    read_packet(b"#bundle\0" + NOW + data)
    read_packet(b"/p\0\0," + data)


INT32 = st.integers(-(2**31), 2**31 - 1)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=50)
ATOMS = st.lists(
    st.one_of(
        INT32, st.floats(width=32, allow_nan=False), TEXT, st.binary(min_size=1, max_size=50)
    ),
    max_size=8,
)


@bounded
@given(ATOMS)
def test_what_is_written_is_read_back(atoms):
    assert read_packet(write_message("/p", atoms)) == [Message("/p", tuple(atoms))]


@bounded
@given(ATOMS)
def test_python_osc_writes_the_same_bytes(atoms):
    builder = OscMessageBuilder("/p")
    for atom in atoms:
        # its guess: -2**31 is h
        builder.add_arg(atom, {int: "i", float: "f", str: "s", bytes: "b"}[type(atom)])
    assert write_message("/p", atoms) == builder.build().dgram


@bounded
@given(ATOMS)
def test_a_written_message_is_a_multiple_of_four_bytes(atoms):
    assert len(write_message("/p", atoms)) % 4 == 0  # Max drops others
