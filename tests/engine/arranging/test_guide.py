import numpy as np
import pytest

from engine.arranging import guide
from engine.hearing.music import Note

RATE_HZ = guide.RATE_HZ


@pytest.mark.parametrize("role", ["bass", "pad"])
@pytest.mark.parametrize("pitch_midi", [28, 57, 96])
def test_a_note_sounds_at_its_pitch_from_its_first_sample_to_its_end(role, pitch_midi):
    sound = guide.sound(role, [Note(0.25, 0.5, pitch_midi, 100)], 1.5)
    assert sound.shape == (48_000,) and sound.dtype == np.float32
    assert not sound[: RATE_HZ // 4].any() and sound[RATE_HZ // 4 : RATE_HZ // 4 + 300].any()
    assert not sound[-RATE_HZ // 2 :].any()
    spectrum = np.abs(
        np.fft.rfft(sound[RATE_HZ // 4 : 3 * RATE_HZ // 4] * np.hanning(RATE_HZ // 2))
    )
    lowest = np.flatnonzero(spectrum > 0.3 * spectrum.max())[0] * 2.0  # Hz
    assert lowest == pytest.approx(440 * 2 ** ((pitch_midi - 69) / 12), abs=4)


def test_drums_strike_where_they_are_written_and_as_hard():
    loud, soft = (
        guide.sound("drums", [Note(0.5, 0.1, 38, velocity)], 1.0) for velocity in (120, 60)
    )
    first = np.flatnonzero(loud)[0]
    assert abs(first - RATE_HZ // 2) < 40
    assert np.abs(loud).max() == pytest.approx(4 * np.abs(soft).max(), rel=0.01)


@pytest.mark.parametrize("pitch_midi", [27, *guide.HITS, 75, 87])
def test_every_percussion_key_is_heard(pitch_midi):
    sound = guide.sound("drums", [Note(0.0, 0.1, pitch_midi, 100)], 0.5)
    assert np.isfinite(sound).all() and np.abs(sound).max() > 0.02


def test_what_lies_outside_the_region_is_left_out():
    notes = [Note(-0.2, 0.5, 60, 100), Note(0.9, 5.0, 64, 100), Note(2.0, 1.0, 67, 100)]
    assert guide.sound("chords", notes, 1.0).shape == (RATE_HZ,)
    assert guide.sound("chords", notes[:1], 1.0)[:100].any(), "what began before rings on"
    assert not guide.sound("chords", notes[2:], 1.0).any()
