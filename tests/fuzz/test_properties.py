"""Properties that hold for any well-made input, cut or changed anywhere.

test_targets has inputs that are made of noise.
"""

import io
import json
import random
import struct
import zlib
from collections import deque

import numpy as np
import pytest
import soundfile
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from osc_protocol import (
    ADDRESSES,
    BadRequest,
    UploadReceiver,
    UploadSender,
    decode_message,
    decode_packet,
    decode_reply,
    encode,
)
from presets.errors import PresetError
from presets.loader import parse_preset
from server.files.headers import HeaderError, read_header
from server.http import json_form
from tests.fuzz.files import file_of

CONTAINERS = (
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("WAVEX", "PCM_24"),
    ("AIFF", "PCM_16"),
    ("FLAC", "PCM_24"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
QUICK = settings(max_examples=60, deadline=None)


@QUICK
@given(
    st.binary(max_size=20_000),
    st.integers(0, 2**32),
    st.floats(0, 0.3),
    st.floats(0, 0.3),
    st.floats(0, 0.3),
)
def test_an_upload_arrives_whole_through_any_loss_doubling_and_disorder(
    data, seed, lost, doubled, disordered
):
    dice, now = random.Random(seed), 0.0
    sender = UploadSender(1, data, most_chunk_bytes=997)
    receiver = UploadReceiver(1, "uploads/x", now=now, limit_bytes=1 << 20, chunk_bytes=997)
    stored, ways = b"", {True: deque(sender.start(now)), False: deque()}
    while not sender.is_over and now < 600:
        if not any(ways.values()):
            now = max(now + 0.001, sender.next_tick or 0.0)
            ways[True].extend(sender.on_tick(now))
        there = bool(ways[True]) and (not ways[False] or dice.random() < 0.5)
        if not ways[there]:
            continue
        way = ways[there]
        if dice.random() < disordered:
            way.rotate(-1)
        packet = way[0] if dice.random() < doubled else way.popleft()
        if dice.random() < lost:
            continue
        if there:
            [request] = decode_packet(packet)
            ways[False].extend(receiver.on_message(request, now))
            stored += receiver.take()
        else:
            ways[True].extend(sender.on_reply(decode_reply(packet), now))
    assert (sender.state, receiver.state, stored) == ("done", "done", data)
    assert receiver._crc32 == zlib.crc32(data)


@QUICK
@given(
    st.sampled_from(CONTAINERS),
    st.integers(1, 8),
    st.integers(1, 4000),
    st.sampled_from((8000, 44100, 96000)),
    st.integers(0, 2**32),
)
def test_a_header_is_read_as_it_was_written_and_cut_anywhere_it_never_promises_more(
    kind, channels, frames, rate, seed
):
    container, subtype = kind
    sound = io.BytesIO()
    soundfile.write(sound, np.zeros((frames, channels)), rate, format=container, subtype=subtype)
    whole = read_header(io.BytesIO(sound.getvalue()))
    assert (whole.rate_hz, whole.channels, whole.frames) == (rate, channels, frames)
    at = random.Random(seed).randrange(len(sound.getvalue()))
    try:
        cut = read_header(io.BytesIO(sound.getvalue()[:at]))
    except HeaderError:
        return
    assert cut is None or cut.frames <= frames and (cut.rate_hz, cut.channels) == (rate, channels)


@QUICK
@given(JSON)
def test_any_yaml_is_a_style_or_a_list_of_its_mistakes(value):
    try:
        parse_preset(yaml.safe_dump(value).encode())
    except PresetError as error:
        assert str(error)


@QUICK
@given(
    st.text(st.characters(categories=("L", "N", "P", "Zs")), max_size=60).filter(str.strip),
    st.floats(0, 10),
    st.integers(1, 100),
    st.integers(-1, 2**31 - 1),
)
def test_a_style_of_any_words_and_knobs_is_read_back(text, guidance, steps, seed):
    style = {
        "name": "any",
        "title": "t",
        "description": "d",
        "model": "nano",
        "task": "timbre",
        "licence": "MIT",
        "prompts": [{"text": text}],
        "guidance": guidance,
        "steps": steps,
        "seed": seed,
    }
    read = parse_preset(yaml.safe_dump(style, allow_unicode=True).encode())
    assert (read.prompts[0].text, read.guidance, read.steps, read.seed) == (
        text,
        guidance,
        steps,
        seed,
    )


@QUICK
@given(st.sampled_from(sorted(ADDRESSES)), JSON)
def test_any_json_is_a_request_or_is_refused(address, value):
    try:
        message = json_form.message(address, json_form.parse(json.dumps(value).encode()))
    except json_form.BadBody as error:
        assert str(error)
        return
    request = decode_message(message)
    assert isinstance(request, BadRequest) or request.address == address


@QUICK
@given(
    st.integers(1, 2**31 - 1),
    st.text(st.characters(categories=("L", "N")), min_size=1, max_size=50),
    st.integers(1, 100),
)
def test_json_says_what_osc_says(identity, text, steps):
    body = json.dumps({"id": identity, "audio": "a.wav", "text": text, "steps": steps}).encode()
    [said] = decode_packet(encode("/retimbre/edit", identity, "a.wav", text, steps=steps))
    assert decode_message(json_form.message("/retimbre/edit", json_form.parse(body))) == said


@QUICK
@given(
    st.dictionaries(
        st.text(st.characters(categories=("L",)), min_size=1, max_size=8),
        st.lists(st.integers(1, 4), max_size=3),
        max_size=4,
    ),
    st.integers(0, 2**32),
)
def test_tensors_are_read_back_and_cut_anywhere_they_are_refused(shapes, seed):
    pytest.importorskip("torch")
    from safetensors import SafetensorError

    from engine.families.audioldm2.ap_adapter import read_adapter

    table, at = {}, 0
    for name, shape in shapes.items():
        size = 4 * int(np.prod(shape))
        table[name], at = (
            {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]},
            at + size,
        )
    head = json.dumps(table).encode()
    data = struct.pack("<Q", len(head)) + head + bytes(at)
    tensors, _ = read_adapter(file_of(data, "property.safetensors"))
    assert {name: list(tensor.shape) for name, tensor in tensors.items()} == shapes
    with pytest.raises(SafetensorError):
        read_adapter(
            file_of(data[: random.Random(seed).randrange(len(data))], "property.safetensors")
        )
