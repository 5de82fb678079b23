"""Stems are written whole or not at all."""

import numpy as np
import pytest
import soundfile

from engine.audio.files import file_info
from engine.audio.reading import Audio, read_region
from engine.audio.writing import stem_format, write_audio
from engine.errors import EngineError
from tests.engine.signals import noise


def code_of(caught):
    return caught.value.code


@pytest.mark.parametrize("container", ("wav", "aiff", "flac"))
@pytest.mark.parametrize("subtype", ("PCM_16", "PCM_24"))
def test_integers_are_written_back_bit_by_bit(tmp_path, container, subtype):
    bits = int(subtype[-2:])
    whole = np.random.default_rng(0).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (500, 2))
    audio = Audio((whole / 2.0 ** (bits - 1)).astype(np.float32), 44_100)
    path = write_audio(tmp_path / f"a.{container}", audio, container, subtype)
    assert soundfile.info(path).subtype == subtype
    assert np.array_equal(read_region(path).samples, audio.samples)


def test_float_samples_come_back_as_they_were(tmp_path):
    audio = Audio(noise(1000, 3), 96_000)
    assert np.array_equal(
        read_region(write_audio(tmp_path / "a.wav", audio)).samples, audio.samples
    )


def test_an_existing_file_is_never_replaced(tmp_path):
    audio = Audio(noise(100), 8000)
    paths = [write_audio(tmp_path / "a.wav", audio) for _ in range(3)]
    assert [path.name for path in paths] == ["a.wav", "a-2.wav", "a-3.wav"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a-2.wav", "a-3.wav", "a.wav"]


def test_a_folder_that_is_gone_is_write_failed(tmp_path):
    with pytest.raises(EngineError) as caught:
        write_audio(tmp_path / "gone" / "a.wav", Audio(noise(100), 8000))
    assert code_of(caught) == "write_failed"


def test_equal_audio_gives_equal_files(tmp_path, monkeypatch):
    audio = Audio(noise(100), 8000)
    one = write_audio(tmp_path / "a.wav", audio).read_bytes()
    at = one.find(b"PEAK")
    assert at > 0 and one[at + 12 : at + 16] == b"\0\0\0\0"


@pytest.mark.parametrize(
    ("name", "subtype", "asked", "bits", "expected"),
    [
        ("a.wav", "PCM_24", None, None, ("wav", "PCM_24")),
        ("a.wav", "FLOAT", None, "same", ("wav", "FLOAT")),
        ("a.aiff", "PCM_16", None, None, ("aiff", "PCM_16")),
        ("a.flac", "PCM_24", None, None, ("flac", "PCM_24")),
        ("a.wav", "FLOAT", "flac", None, ("flac", "PCM_24")),
        ("a.wav", "PCM_U8", None, None, ("wav", "PCM_24")),
        ("a.ogg", "VORBIS", None, None, ("wav", "PCM_24")),
        ("a.wav", "PCM_16", "aiff", "f32", ("aiff", "FLOAT")),
    ],
)
def test_a_stem_has_the_inputs_format_unless_asked_otherwise(
    write, name, subtype, asked, bits, expected
):
    chosen = stem_format(file_info(write(noise(1000), 44_100, name, subtype)), asked, bits)
    assert (chosen.container, chosen.subtype) == expected


def test_more_channels_than_flac_holds_are_refused(write):
    with pytest.raises(EngineError, match="ask for wav"):
        stem_format(file_info(write(noise(100, 9), 8000)), "flac")


def test_an_unknown_format_is_named_in_the_error(write):
    with pytest.raises(EngineError, match="mp3"):
        stem_format(file_info(write(noise(100), 8000)), "mp3")
