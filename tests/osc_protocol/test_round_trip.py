"""Every row of the table there and back, with any values that it allows."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osc_protocol import (
    ADDRESSES,
    REPLIES,
    REQUIRED,
    BadRequest,
    decode_packet,
    decode_reply,
    encode,
)
from osc_protocol.arguments import RANGES
from osc_protocol.messages import _args_of
from osc_protocol.wire import read_packet, write_message

bounded = settings(max_examples=60, deadline=None)  # a busy machine is slow, not wrong


def text_up_to(limit_bytes):
    characters = st.characters(
        exclude_characters="\0\N{REPLACEMENT CHARACTER}", exclude_categories=["Cs"]
    )
    return st.text(characters, min_size=1, max_size=min(20, limit_bytes // 4))


def numbers(arg):
    low, high = RANGES[arg.type]
    low, high = low if arg.low is None else arg.low, high if arg.high is None else arg.high
    return st.integers(low, int(high)) if arg.type == "i" else st.floats(low, high, width=32)


INT32 = st.integers(*RANGES["i"])


def values_of(arg):
    """Any value that the argument allows."""
    if arg.choices:
        return st.sampled_from(arg.choices)
    if arg.type in RANGES:
        return numbers(arg)
    text, blob = text_up_to(arg.limit_bytes), st.binary(min_size=1, max_size=20)
    anything = INT32 | text | blob | st.floats(-(2.0**30), 2.0**30, width=32)
    return {"s": text, "b": blob, "id": INT32 | text, "any": anything}[arg.type]


def arguments_of(args):
    """All arguments; for one that takes the rest, up to three values, or a single word."""
    return st.tuples(
        *(
            st.lists(values_of(arg), max_size=3).map(tuple)
            if arg.rest and arg.type != "s"
            else values_of(arg)
            for arg in args
        )
    )


def flat(values):
    return [atom for value in values for atom in (value if isinstance(value, tuple) else (value,))]


@bounded
@given(st.data())
def test_every_request_comes_back_as_it_was_sent(data):
    row = data.draw(st.sampled_from(list(ADDRESSES.values())))
    values = data.draw(arguments_of(row.args))
    names = (
        data.draw(st.lists(st.sampled_from(list(row.keys)), unique=True, max_size=4))
        if row.keys
        else []
    )
    keys = {name: data.draw(values_of(row.keys[name])) for name in names or list(row.keys)[:1]}
    (request,) = decode_packet(encode(row.path, *flat(values), **keys))
    assert request.address == row.path
    assert tuple(request.values.values()) == values
    assert request.keys == keys
    assert request.id == request.values.get("id")


@bounded
@given(st.data())
def test_every_reply_comes_back_as_it_was_sent(data):
    row = data.draw(st.sampled_from(list(REPLIES.values())))
    commands = [command.path for command in ADDRESSES.values() if command.done is not None]
    command = data.draw(st.sampled_from(commands)) if row.name == "done" else ""
    values = data.draw(arguments_of(_args_of(row, [command])))
    values = (command, *values[1:]) if command else values
    packet = encode(row.path, *flat(values))
    reply = decode_reply(packet)
    assert tuple(reply.values.values()) == values
    assert list(reply.args) == flat(values)
    assert set(read_packet(packet)[0].atoms) == set(flat(values))


@pytest.mark.parametrize("row", ADDRESSES.values(), ids=lambda row: row.name)
def test_every_request_without_its_arguments_is_refused_or_has_defaults(row):
    (message,) = decode_packet(write_message(row.path, []))
    needs_one = any(
        arg.default is REQUIRED and not (arg.rest and arg.type != "s") for arg in row.args
    )
    assert isinstance(message, BadRequest) == (needs_one or row.name == "set")
