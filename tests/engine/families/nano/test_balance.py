"""Notes that are too loud or too soft beside the region's, and what must not change."""

import numpy as np
import pytest

from engine.audio import spectra
from engine.errors import Cancelled
from engine.families.nano.balance import match_note_balance
from engine.families.nano.features import SAMPLE_RATE_HZ

TIME = np.arange(3 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
C4, E4, G4 = 261.63, 329.63, 392.0


def never():
    return False


def chord(**levels_db):
    """Five partials each."""
    return sum(
        10 ** (level_db / 20) * np.sin(2 * np.pi * n * globals()[name] * TIME) / n
        for name, level_db in levels_db.items()
        for n in range(1, 6)
    ).astype(np.float32)


def level_db(sound, hz):
    inner = sound[SAMPLE_RATE_HZ : 2 * SAMPLE_RATE_HZ] * np.hanning(SAMPLE_RATE_HZ)
    return 20 * np.log10(
        np.abs(inner @ np.exp(-2j * np.pi * hz * np.arange(len(inner)) / SAMPLE_RATE_HZ)) / 8000
    )


def test_a_note_that_the_region_does_not_have_goes_back():
    stem = match_note_balance(chord(C4=0, E4=-3), chord(C4=0), 1.0, 1, never)
    assert level_db(stem, E4) < -3 - 12
    assert abs(level_db(stem, C4)) < 1


def test_a_note_that_was_neglected_comes_forward():
    stem = match_note_balance(chord(C4=0, G4=-20), chord(C4=-20, G4=0), 1.0, 1, never)
    assert level_db(stem, G4) - level_db(stem, C4) > -20 + 12


def test_what_is_soft_in_the_region_need_not_come_forward():
    stem = match_note_balance(chord(C4=0, G4=-40), chord(C4=0, G4=-20), 1.0, 1, never)
    assert level_db(stem, G4) < -40 + 2


def test_partials_far_above_the_notes_are_left_alone():
    """The ninth partial of a C is a D, and no note."""
    partial = np.sin(2 * np.pi * 9 * C4 * TIME).astype(np.float32)
    stem = match_note_balance(chord(C4=0) + partial, chord(C4=0), 1.0, 1, never)
    assert abs(level_db(stem, 9 * C4)) < 0.1


def test_other_octaves_of_the_region_s_notes_are_left_alone():
    low, high = chord(C4=0), np.sin(2 * np.pi * 2 * C4 * TIME).astype(np.float32)
    assert np.abs(match_note_balance(high, low, 1.0, 1, never) - high)[4096:-4096].max() < 0.1


@pytest.mark.parametrize(
    "region", [chord(C4=0, E4=-6), np.zeros_like(TIME, np.float32)], ids=["the same", "silence"]
)
def test_there_is_nothing_to_change(region):
    stem = chord(C4=0, E4=-6)
    assert np.abs(match_note_balance(stem, region, 1.0, 1, never) - stem).max() < 1e-4


def test_fidelity_is_how_far_it_goes():
    stem, region = chord(C4=0, E4=-3), chord(C4=0)
    assert match_note_balance(stem, region, 0.0, 1, never) is stem
    levels = [
        level_db(match_note_balance(stem, region, fidelity, 1, never), E4)
        for fidelity in (0.0, 0.5, 1.0)
    ]
    assert levels == sorted(levels, reverse=True) and levels[0] - levels[2] > 12


def test_a_stroke_stays_where_it_is():
    stem = np.zeros_like(TIME, np.float32)
    stem[40_000:40_200] = np.hanning(200)
    assert np.argmax(np.abs(match_note_balance(stem, chord(C4=0), 1.0, 1, never))) == np.argmax(
        stem
    )


@pytest.mark.parametrize("count", [1, 1_600, 32_000, 100_001])
def test_any_length(count):
    random = np.random.default_rng(0)
    stem, region = random.standard_normal((2, count)).astype(np.float32)
    found = match_note_balance(stem, region, 1.0, 1, never)
    assert found.shape == (count,) and found.dtype == np.float32 and np.isfinite(found).all()


def test_in_blocks_as_in_one(monkeypatch):
    stem, region = np.random.default_rng(0).standard_normal((2, 200_000)).astype(np.float32)
    whole = match_note_balance(stem, region, 1.0, 2, never)
    monkeypatch.setattr(spectra, "BLOCK_FRAMES", 7)
    assert np.allclose(match_note_balance(stem, region, 1.0, 2, never), whole, atol=1e-5)


def test_it_can_be_cancelled():
    with pytest.raises(Cancelled):
        match_note_balance(chord(C4=0), chord(E4=0), 1.0, 1, lambda: True)
