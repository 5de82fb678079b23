"""What headers promise: literal bytes on one side, meaning on the other."""

import io
import struct

import pytest
import soundfile

from server.files.headers import HeaderError, read_header
from server.files.uploads import wav_header

FRAMES, RATE_HZ = 1000, 44100


def header_at(path):
    with open(path, "rb") as file:
        return read_header(file)


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "PCM_24"),
        ("WAV", "FLOAT"),
        ("WAVEX", "PCM_24"),
        ("RF64", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("AIFF", "PCM_24"),
        ("FLAC", "PCM_24"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_headers_of_libsndfile_agree_with_the_files(tmp_path, container, subtype, channels):
    path = tmp_path / "a"
    soundfile.write(path, [[0.1] * channels] * FRAMES, RATE_HZ, subtype=subtype, format=container)
    header = header_at(path)
    assert (header.rate_hz, header.channels, header.frames) == (RATE_HZ, channels, FRAMES)
    assert header.end_bytes <= path.stat().st_size


def test_a_file_that_is_cut_short_is_shorter_than_promised(tmp_path):
    whole, half = tmp_path / "whole.wav", tmp_path / "half.wav"
    soundfile.write(whole, [0.1] * FRAMES, RATE_HZ)
    half.write_bytes(whole.read_bytes()[:500])
    assert header_at(half).end_bytes > 500


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"RIFF\0\0\0\0WAVE",
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01",
        b"FORM\0\0\0\0AIFFCOMM\0\0\0\x12\0",
        b"fLaC\0\0",
    ],
)
def test_headers_that_end_too_early_are_errors(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(HeaderError):
        header_at(tmp_path / "a")


def test_other_formats_are_left_to_the_engine(tmp_path):
    (tmp_path / "a").write_bytes(b"OggS and more of it")
    assert header_at(tmp_path / "a") is None


def test_a_rate_of_nothing_is_an_error(tmp_path):
    (tmp_path / "a").write_bytes(wav_header("s16le", 0, 1, 100))
    with pytest.raises(HeaderError, match="0 Hz"):
        header_at(tmp_path / "a")


def test_streamed_wavs_that_do_not_know_their_size_promise_nothing(tmp_path):
    header = bytearray(wav_header("s16le", 48000, 2, 100))
    struct.pack_into("<I", header, 40, 0xFFFFFFFF)
    (tmp_path / "a").write_bytes(header + b"\0" * 100)
    assert header_at(tmp_path / "a").end_bytes == 0


@pytest.mark.parametrize(
    ("format", "subtype"), [("f32le", "FLOAT"), ("s24le", "PCM_24"), ("s16le", "PCM_16")]
)
def test_our_own_header_is_read_by_libsndfile(format, subtype):
    data = b"\0" * 3 * 4 * 2 * 10
    with soundfile.SoundFile(io.BytesIO(wav_header(format, 96000, 2, len(data)) + data)) as file:
        assert (file.samplerate, file.channels, file.subtype) == (96000, 2, subtype)
        assert file.frames == len(data) // (2 * {"FLOAT": 4, "PCM_24": 3, "PCM_16": 2}[subtype])
