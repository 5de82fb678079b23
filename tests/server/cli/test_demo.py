import numpy as np
import pytest
import soundfile

from server.cli.demo import command as demo
from server.cli.demo.picture import BANDS, draw, spectrogram_db
from server.cli.errors import CliError


def test_picture_shows_a_sine_as_one_line():
    rate_hz = 44_100
    image = spectrogram_db(np.sin(2 * np.pi * 1000 * np.arange(rate_hz) / rate_hz), rate_hz)
    loudest = image[:, image.shape[1] // 2].argmax()
    assert image.shape[0] == BANDS
    assert np.geomspace(40, 12_000, BANDS)[loudest] == pytest.approx(1000, rel=0.02)


def test_picture_of_silence_is_the_floor():
    assert spectrogram_db(np.zeros(8000), 8000).max() == -80


def test_draw_writes_a_picture(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((100, 2)), 8000)
    assert (
        draw([("before", tmp_path / "a.wav")], tmp_path / "p.png")
        .read_bytes()
        .startswith(b"\x89PNG")
    )


def test_folder_is_the_next_free_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [demo._new_folder(None).name for _ in range(3)] == [
        "retimbre-demo",
        "retimbre-demo-2",
        "retimbre-demo-3",
    ]


def test_a_folder_that_exists_is_refused(tmp_path):
    with pytest.raises(CliError, match="file_exists"):
        demo._new_folder(tmp_path)


def test_region_becomes_a_wav_with_the_same_samples(tmp_path):
    samples = np.round(np.random.default_rng(0).uniform(-1, 1, (500, 2)) * 2**15) / 2**15 * 0.9
    soundfile.write(tmp_path / "r.flac", samples, 22_050, subtype="PCM_16")
    wav, rate_hz = soundfile.read(demo._region(tmp_path / "r.flac", tmp_path))
    assert rate_hz == 22_050
    assert np.array_equal(wav, soundfile.read(tmp_path / "r.flac")[0])


@pytest.mark.parametrize(
    ("text", "name"),
    [("church organ please", "church-organ-please"), ("??", "stem"), ("../../etc: x", "etc-x")],
)
def test_file_name_keeps_letters_only(text, name):
    assert demo._file_name(text) == name
