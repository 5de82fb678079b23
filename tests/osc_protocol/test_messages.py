import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osc_protocol import (
    ADDRESSES,
    EDIT_KEYS,
    ERROR_CODES,
    BadRequest,
    ProtocolError,
    Request,
    decode_packet,
    decode_reply,
    encode,
    usage,
)
from osc_protocol.wire import write_message

bounded = settings(max_examples=60, deadline=None)  # a busy machine is slow, not wrong


def decode(name, *atoms):
    """The one request or refusal that a message brings."""
    (message,) = decode_packet(write_message(f"/retimbre/{name}", atoms))
    return message


# -------------------------------------------------------------------------------------------------
# what is taken


def test_an_edit_has_its_arguments_and_keys():
    assert decode("edit", 7, "loop.wav", "a violin", "preset", "violin", "seed", 3.0) == Request(
        "/retimbre/edit",
        {"id": 7, "audio": "loop.wav", "text": "a violin"},
        {"preset": "violin", "seed": 3},
        (),
        7,
    )


def test_the_id_comes_back_in_the_type_it_came():
    assert decode("cancel", "seven").id == "seven"
    assert type(decode("cancel", 7.0).id) is int


def test_an_address_without_an_id_has_none():
    assert decode("status").id is None


def test_an_absent_argument_has_its_default():
    assert decode("notify", 1).values == {"on": 1, "port": 0, "name": ""}
    assert decode("model/load", "nano").id == 0


def test_an_absent_key_is_absent():
    assert decode("edit", 7, "loop.wav", "a violin").keys == {}


def test_trailing_words_are_joined_and_whole_floats_lose_their_point():
    assert decode("say", 7, "808.0", 808.0, "drums", 1.5).values["text"] == "808.0 808 drums 1.5"


def test_of_a_key_sent_twice_the_last_counts():
    assert decode("set", "seed", 1, "seed", 2).keys == {"seed": 2}


def test_ping_takes_anything_or_nothing():
    assert decode("ping").values == {"echo": ()}
    assert decode("ping", 1, 2.5, "x", b"y").values == {"echo": (1, 2.5, "x", b"y")}


def test_an_unknown_key_is_a_warning_that_names_the_nearest():
    request = decode("edit", 7, "loop.wav", "a violin", "sed", 3, "steps", 8)
    assert request.keys == {"steps": 8}
    assert request.warnings == ("no key 'sed', so it changes nothing; did you mean seed?",)


def test_an_unknown_key_that_is_near_none_lists_them_all():
    (warning,) = decode("set", "wobble", 3).warnings
    assert warning.endswith("there are " + " ".join(EDIT_KEYS))


def test_text_that_is_not_utf8_is_a_warning():
    (request,) = decode_packet(b"/retimbre/say\0\0\0,is\0\0\0\0\7caf\xe9\0\0\0\0")
    assert request.values["text"] == "caf\N{REPLACEMENT CHARACTER}"
    assert "argument 2 is not UTF-8" in request.warnings[0]


def test_a_bundle_brings_each_of_its_messages():
    status = write_message("/retimbre/status", [])
    element = len(status).to_bytes(4, "big") + status
    far_future = b"\xff" * 8
    assert decode_packet(b"#bundle\0" + far_future + 2 * element) == 2 * [
        Request("/retimbre/status")
    ]


def test_any_buffer_is_taken():
    status = write_message("/retimbre/status", [])
    assert (
        decode_packet(bytearray(status))
        == decode_packet(memoryview(status))
        == decode_packet(status)
    )


# -------------------------------------------------------------------------------------------------
# what is refused


@pytest.mark.parametrize(
    "name, atoms, id, words",
    [
        (
            "edit",
            (7, "loop.wav"),
            7,
            "text is missing. Usage: /retimbre/edit id audio text [key value]*",
        ),
        ("edit", (), 0, "id is missing"),
        (
            "edit",
            (7.5, "a", "b c"),
            0,
            "id: expected an integer or a short string of at most 64 bytes, came 7.5",
        ),
        ("edit", (7, b"x", "b c"), 7, "audio: expected text"),
        ("edit", (7, "a", "b c", "seed"), 7, "'seed' has none"),
        (
            "edit",
            (7, "a", "b c", "strength", 3),
            7,
            "strength: expected a number from 0 to 2, came 3",
        ),
        ("edit", (7, "a", "b c", "fit", "bars"), 7, "fit: expected same, came 'bars'"),
        ("edit", (7, "a", "b c", "start", -1), 7, "start: expected a number from 0 up, came -1"),
        ("edit", (7, "a" * 2000, "b c"), 7, "at most 1024 bytes"),
        ("say", (7,), 7, "text is missing"),
        ("say", (7, *["word"] * 250), 7, "text: expected text of at most 1024 bytes"),
        ("say", (7, "a", b"blob"), 7, "text: expected text"),
        ("cancel", (7, 8), 7, "1 too many: 8. Usage: /retimbre/cancel id"),
        ("status", (1,), 0, "1 too many: 1"),
        ("ping", (1,) * 17, 0, "echo: expected at most 16, came 17"),
        ("set", (), 0, "no key and no value"),
        ("get", ("sed",), 0, "did you mean seed?"),
        ("notify", (1, 70000), 0, "port: expected an integer from 0 to 65535, came 70000"),
        ("model/load", ("nano", 7, 8), 7, "1 too many"),
        ("audio/data", (5, 0, b"x" * (1 << 20) + b"x"), 5, "a blob of at most 1048576 bytes"),
    ],
)
def test_bad_arguments_are_refused_with_what_was_expected(name, atoms, id, words):
    bad = decode(name, *atoms)
    assert (bad.address, bad.id, bad.code) == (f"/retimbre/{name}", id, "bad_args")
    assert words in bad.message


@pytest.mark.parametrize(
    "words", [("turn", "this", "into", "a", "violin"), ("turn", "this", "into")]
)
def test_a_text_that_came_as_words_is_refused_rather_than_cut(words):
    bad = decode("edit", 7, "loop.wav", *words)
    assert "/retimbre/say joins them" in bad.message


@pytest.mark.parametrize(
    "address, words",
    [
        ("/retimbre/edti", "did you mean /retimbre/edit?"),
        ("/edit", "did you mean /retimbre/edit?"),
        ("/ai/edit", "did you mean /retimbre/edit?"),
        ("/retimbre/preset/lst", "did you mean /retimbre/preset/list?"),
        ("/retimbre/edit/", "did you mean /retimbre/edit?"),
        ("/live/song/get/tempo", "all start /retimbre/"),
        ("/retimbre/*", "address patterns are not taken"),
        ("/retimbre/ack", "is what the server sends"),
        ("/" + "x" * 5000, "all start"),
        ("/", "all start"),
    ],
)
def test_an_unknown_address_is_answered_with_the_nearest(address, words):
    (bad,) = decode_packet(write_message(address, [7]))
    assert (bad.code, bad.id) == ("unknown_address", 7)
    assert words in bad.message
    assert len(bad.address) <= 64


def test_a_damaged_message_keeps_the_id_before_the_damage():
    (bad,) = decode_packet(b"/retimbre/cancel\0\0\0\0,ic\0\0\0\0\7")
    assert (bad.code, bad.id) == ("bad_args", 7)


def test_a_packet_that_is_not_osc_is_refused():
    assert decode_packet(b"hello") == [
        BadRequest(
            "",
            0,
            "bad_packet",
            ("an OSC message starts with '/', a bundle with '#bundle'; came b'hello'"),
        )
    ]


@bounded
@given(st.binary(max_size=120))
def test_whatever_comes_is_answerable(data):
    for tail in (b"", b"/retimbre/edit\0\0", b"/retimbre/say\0\0\0,iss"):
        for message in decode_packet(tail + data):
            if isinstance(message, BadRequest):
                assert message.code in ERROR_CODES
                decode_reply(
                    encode(
                        "/retimbre/fail", message.address, message.id, message.code, message.message
                    )
                )


# -------------------------------------------------------------------------------------------------
# what is sent


def test_only_integers_floats_strings_and_blobs_leave():
    packet = encode("/retimbre/fail", "/retimbre/edit", True, "bad_args", "no", 0)
    assert (
        packet
        == b"/retimbre/fail\0\0,sissi\0\0/retimbre/edit\0\0\0\0\0\1bad_args\0\0\0\0no\0\0\0\0\0\0"
    )


def test_absent_arguments_travel_as_their_default():
    assert encode("/retimbre/got", 7) == encode("/retimbre/got", 7, 0)


def test_keys_may_follow_or_be_named():
    assert encode("/retimbre/edit", 7, "a", "b c", "seed", 3) == encode(
        "/retimbre/edit", 7, "a", "b c", seed=3
    )


def test_text_for_people_is_cut_to_its_limit():
    sent = decode_reply(encode("/retimbre/log", 2, "é" * 1000)).values["text"]
    assert sent == "é" * 448 + "…"
    assert len(sent.encode()) <= 900


@pytest.mark.parametrize(
    "address, args, words",
    [
        ("/retimbre/nothing", (), "no address"),
        ("/retimbre/ack", (7,), "job is missing"),
        ("/retimbre/ack", (7, "j", 0, None), "eta: expected a number from -1 up, came None"),
        ("/retimbre/ack", (7, "j", 0, float("nan")), "came nan"),
        ("/retimbre/ack", (7, "j", 0, -1, 5), "1 too many: 5"),
        (
            "/retimbre/result",
            (7, 0, "violin", "/x" * 600, 48000, 2, 1, 0, 0),
            "path: expected text of at most 1024",
        ),
        ("/retimbre/edit", (7, "a", "b c", "sed", 3), "did you mean seed?"),
        ("/retimbre/edit", (7, "a", "b c", "seed"), "'seed' has none"),
        ("/retimbre/done", ("/retimbre/cancel", 7), "was_running is missing"),
        ("/retimbre/audio/data", (5, 0, b""), "a blob of 0 bytes"),
    ],
)
def test_what_the_table_does_not_allow_is_our_mistake(address, args, words):
    with pytest.raises(ProtocolError, match=f"(?s).*{words}"):
        encode(address, *args)


# -------------------------------------------------------------------------------------------------
# what a client receives


def test_a_done_carries_what_its_command_promises():
    reply = decode_reply(
        encode("/retimbre/done", "/retimbre/edit", "j1", 4, 1, 1234, "/m.json", 2.5)
    )
    assert reply.values == {
        "command": "/retimbre/edit",
        "id": "j1",
        "serial": 4,
        "results": 1,
        "seed": 1234,
        "manifest": "/m.json",
        "seconds": 2.5,
    }


def test_a_done_of_an_unknown_command_is_read_as_far_as_possible():
    reply = decode_reply(write_message("/retimbre/done", ["/retimbre/dance", 7, 1, 2]))
    assert reply.values == {"command": "/retimbre/dance", "id": 7}
    assert reply.args == ("/retimbre/dance", 7, 1, 2)


def test_what_a_newer_server_adds_is_left_in_args():
    reply = decode_reply(write_message("/retimbre/synced", [7, "new"]))
    assert (reply.values, reply.args) == ({"n": 7}, (7, "new"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"junk",
        write_message("/retimbre/edit", [7]),
        write_message("/retimbre/synced", ["x"]),
        b"#bundle\0\0\0\0\0\0\0\0\1",
    ],
)
def test_what_is_not_a_reply_raises(data):
    with pytest.raises(ProtocolError):
        decode_reply(data)


def test_usage_is_one_line():
    assert usage(ADDRESSES["/retimbre/edit"]) == "/retimbre/edit id audio text [key value]*"
    assert usage(ADDRESSES["/retimbre/notify"]) == "/retimbre/notify on [port] [name]"
    assert usage(ADDRESSES["/retimbre/say"]) == "/retimbre/say id text..."
