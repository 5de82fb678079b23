"""JSON to atoms and back."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osc_protocol import ADDRESSES, BadRequest, Request, decode_message, decode_reply
from osc_protocol.wire import write_message
from server.http import json_form
from server.http.json_form import BadBody

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = sorted({arg.name for row in ADDRESSES.values() for arg in (*row.args, *row.keys.values())})


@given(
    st.sampled_from(sorted(ADDRESSES)),
    st.dictionaries(st.sampled_from(NAMES) | st.text(), ANYTHING, max_size=6),
)
def test_whatever_comes_is_read_or_refused(address, body):
    try:
        message = json_form.message(address, json.loads(json.dumps(body)))
    except BadBody:
        return
    assert isinstance(decode_message(message), (Request, BadRequest))


def test_arguments_are_put_into_the_rows_order_and_keys_follow():
    message = json_form.message(
        "/retimbre/edit", {"text": "a violin", "seed": 3, "audio": "a.wav", "id": "7"}
    )
    assert message.atoms == ("7", "a.wav", "a violin", "seed", 3)


def test_what_may_be_left_out_gets_its_default_where_others_follow():
    message = json_form.message("/retimbre/region", {"id": 1, "audio": "a.wav", "length": 2.5})
    assert message.atoms == (1, "a.wav", 0.0, 2.5)


def test_null_is_as_good_as_nothing():
    assert json_form.message("/retimbre/take/list", {"region": None}).atoms == ("",)


@pytest.mark.parametrize("text", ["a violin", ["a", "violin"]])
def test_words_may_be_a_list(text):
    request = decode_message(json_form.message("/retimbre/say", {"id": 1, "text": text}))
    assert request.values["text"] == "a violin"


def test_bytes_travel_as_base64_both_ways():
    request = decode_message(
        json_form.message("/retimbre/audio/data", {"id": 1, "index": 0, "bytes": "AAEC"})
    )
    assert request.values["bytes"] == b"\0\1\2"
    reply = decode_reply(write_message("/retimbre/audio/data", (1, 0, b"\0\1\2")))
    assert json_form.reply(reply) == {
        "address": "/retimbre/audio/data",
        "id": 1,
        "index": 0,
        "bytes": "AAEC",
    }


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_floats_are_short_and_the_same(number):
    short = json_form._short(number)
    assert struct.pack(">f", short) == struct.pack(">f", number)
    assert len(repr(short)) <= len(repr(number))
