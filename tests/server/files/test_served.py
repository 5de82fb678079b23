"""Only audio and manifests leave the server."""

import numpy as np
import pytest
import soundfile

from server.files.served import HEAD_BYTES, begins_as_audio

FORMATS = ["WAV", "WAVEX", "RF64", "AIFF", "AU", "CAF", "FLAC", "OGG", "W64", "MP3"]


@pytest.mark.parametrize("format", FORMATS)
def test_what_libsndfile_writes_begins_as_audio(tmp_path, format):
    path = tmp_path / "sound"
    soundfile.write(path, np.zeros(48_000, np.float32), 48_000, format=format)
    assert begins_as_audio(path.read_bytes()[:HEAD_BYTES])


@pytest.mark.parametrize("head", [b"", b"RIFF", b"-----BEGIN OPENSSH", b'{"token": 1}', b"\xff"])
def test_other_files_do_not(head):
    assert not begins_as_audio(head)


@pytest.mark.parametrize("kind", ["udp", "tcp"])
async def test_a_file_that_is_no_audio_is_not_sent(connect, audio, kind):
    (audio.parent / "id_rsa").write_text("-----BEGIN OPENSSH PRIVATE KEY-----")
    client = await connect(kind)
    client.say("audio/get", 5, "id_rsa")
    assert (await client.expect("fail", id=5))["code"] == "bad_audio"


async def test_a_manifest_outside_the_takes_is_not_sent(connect, audio):
    (audio.parent / "manifest.json").write_text("{}")
    client = await connect("udp")
    client.say("audio/get", 5, "manifest.json")
    assert (await client.expect("fail", id=5))["code"] == "bad_audio"
