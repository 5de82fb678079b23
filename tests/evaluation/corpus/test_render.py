import numpy as np
import pytest

from engine.families.nano.features import SAMPLE_RATE_HZ
from evaluation.corpus.render import SOUNDFONTS, Renderer, find_soundfont
from evaluation.corpus.scores import Note, Score


def steady(bend_cents: float = 0.0, start_seconds: float = 0.5) -> Score:
    curve = np.ones(200, np.float32)
    return Score(2.0, 120.0, (Note(start_seconds, 1.0, 69, 100),), bend_cents * curve, curve)


@pytest.fixture(scope="module")
def renderer():
    pytest.importorskip("fluidsynth")
    try:
        made = Renderer(find_soundfont("timgm"))
    except FileNotFoundError as error:
        pytest.skip(str(error))
    yield made
    made.close()


def peak_hz(samples: np.ndarray) -> float:
    return (
        np.argmax(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))))
        * SAMPLE_RATE_HZ
        / len(samples)
    )


def test_a_note_sounds_from_its_start_and_not_before(renderer):
    samples = renderer.render(steady(), program=73)
    assert samples.shape == (2 * SAMPLE_RATE_HZ,) and samples.dtype == np.float32
    assert np.abs(samples[: SAMPLE_RATE_HZ // 2]).max() < 1e-3
    assert np.abs(samples[SAMPLE_RATE_HZ // 2 : SAMPLE_RATE_HZ]).max() > 1e-2


def test_bend_moves_the_pitch_by_that_many_cents(renderer):
    middle = slice(int(0.8 * SAMPLE_RATE_HZ), int(1.4 * SAMPLE_RATE_HZ))
    plain, bent = (
        peak_hz(renderer.render(steady(cents), program=80)[middle]) for cents in (0, 100)
    )
    assert 1200 * np.log2(bent / plain) == pytest.approx(100, abs=10)


def test_nothing_of_one_score_is_left_in_the_next(renderer):
    renderer.render(steady(), program=89)  # a pad with a long release
    one, two = (renderer.render(steady(), program=73) for _ in range(2))
    # FluidSynth's dither goes on from note to note
    np.testing.assert_allclose(one, two, atol=3 / 32768)


def test_a_missing_soundfont_names_its_package(monkeypatch):
    monkeypatch.setattr("evaluation.corpus.render.SOUNDFONT_FOLDERS", ())
    for name, (_, package) in SOUNDFONTS.items():
        with pytest.raises(FileNotFoundError, match=package):
            find_soundfont(name)
