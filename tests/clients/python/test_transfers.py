"""Audio to and from a peer that loses chunks."""

import os
import zlib

import pytest
from retimbre_client import Refused

from osc_protocol import ROOT, Request, encode


def test_an_upload_arrives_whole_though_chunks_are_lost(connect, tmp_path):
    audio = bytes(range(256)) * 100
    (tmp_path / "a.wav").write_bytes(audio)
    chunks, lost = {}, {2}

    def answer(request: Request):
        values = request.values
        if request.address == f"{ROOT}/audio/open":
            return [encode(f"{ROOT}/audio/ready", request.id, 3840, 8, "handle-1")]
        if request.address == f"{ROOT}/audio/data":
            if values["index"] in lost:
                lost.remove(values["index"])
                return []
            chunks[values["index"]] = values["bytes"]
            return [encode(f"{ROOT}/audio/ack", request.id, values["index"], len(chunks))]
        whole = b"".join(chunks[index] for index in sorted(chunks))
        assert values["crc32"] == f"{zlib.crc32(whole):08x}"
        return [encode(f"{ROOT}/done", f"{ROOT}/audio/close", request.id, "handle-1")]

    client, _ = connect(answer)
    assert client.upload(tmp_path / "a.wav") == "handle-1"
    assert b"".join(chunks[index] for index in sorted(chunks)) == audio


def test_a_file_that_becomes_shorter_while_it_is_sent_says_so(connect, tmp_path):
    (tmp_path / "a.wav").write_bytes(bytes(25_600))

    def answer(request: Request):
        if request.address == f"{ROOT}/audio/open":
            os.truncate(tmp_path / "a.wav", 5000)
            return [encode(f"{ROOT}/audio/ready", request.id, 3840, 1, "handle-1")]
        return [encode(f"{ROOT}/audio/ack", request.id, request.values["index"], 1)]

    client, _ = connect(answer)
    with pytest.raises(Refused, match="no_file: .*shorter"):
        client.upload(tmp_path / "a.wav")


def test_only_audio_files_are_uploaded(connect, tmp_path):
    client, _ = connect(lambda request: [])
    with pytest.raises(Refused, match="bad_audio"):
        client.upload(tmp_path / "notes.txt")


def test_a_download_arrives_whole(connect):
    audio = bytes(range(256)) * 30
    pieces = [audio[at : at + 3840] for at in range(0, len(audio), 3840)]

    def answer(request: Request):
        name = request.address.removeprefix(f"{ROOT}/audio/")
        if name == "get":
            return [encode(f"{ROOT}/audio/open", request.id, 0, 0, 0, "wav")]
        if name == "ready":
            return [
                encode(f"{ROOT}/audio/data", request.id, index, piece)
                for index, piece in enumerate(pieces)
            ]
        if name == "ack" and request.values["received"] == len(pieces):
            return [
                encode(f"{ROOT}/audio/close", request.id, len(pieces), f"{zlib.crc32(audio):08x}")
            ]
        return []

    client, _ = connect(answer)
    assert client.read("/takes/0.wav") == audio
