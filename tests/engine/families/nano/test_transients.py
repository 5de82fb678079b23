"""Notes that begin too softly, and what must not change."""

import numpy as np
import pytest

from engine.audio import spectra
from engine.errors import Cancelled
from engine.families.nano.features import SAMPLE_RATE_HZ
from engine.families.nano.transients import match_transients

ONSETS_SECONDS = (0.5, 1.0, 1.5)


def never():
    return False


def notes(rise_seconds, hz=440.0, seconds=2.0):
    """A note every half second, its first partials; each rises for so long and then fades."""
    time = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    level = sum(
        np.clip((time - onset) / rise_seconds, 0, 1) * np.exp(-(time - onset).clip(0) / 0.15)
        for onset in ONSETS_SECONDS
    )
    return (0.2 * level * sum(np.sin(2 * np.pi * n * hz * time) / n for n in range(1, 8))).astype(
        np.float32
    )


def rise_db(sound, onset):
    """How much louder the 40 ms from an onset are than the 40 ms before the last 20."""
    at = int(onset * SAMPLE_RATE_HZ)
    after, before = sound[at : at + 1280], sound[at - 1920 : at - 640]
    return 10 * np.log10(np.square(after).mean() / (np.square(before).mean() + 1e-9))


def test_a_soft_attack_becomes_sharper():
    soft, sharp = notes(0.12), notes(0.002)
    made = match_transients(soft, sharp, 1.0, never)
    for onset in ONSETS_SECONDS[1:]:
        assert rise_db(made, onset) > rise_db(soft, onset) + 2
        assert rise_db(made, onset) < rise_db(sharp, onset) + 2


def test_how_a_note_goes_on_is_left_alone():
    soft = notes(0.12)
    made = match_transients(soft, notes(0.002), 1.0, never)
    for onset in ONSETS_SECONDS:
        later = slice(int((onset + 0.2) * SAMPLE_RATE_HZ), int((onset + 0.4) * SAMPLE_RATE_HZ))
        assert np.allclose(made[later], soft[later], atol=1e-3)


@pytest.mark.parametrize(
    "region",
    [notes(0.002), np.zeros(64_000, np.float32), 0.1 * notes(0.002)],
    ids=["same", "0", "softer"],
)
def test_nothing_is_lacking(region):
    stem = notes(0.002)
    assert np.allclose(match_transients(stem, region, 1.0, never), stem, atol=1e-4)


def test_fidelity_is_how_far_it_goes():
    soft, sharp = notes(0.12), notes(0.002)
    assert match_transients(soft, sharp, 0.0, never) is soft
    rises = [
        rise_db(match_transients(soft, sharp, fidelity, never), 1.0) for fidelity in (0.0, 0.5, 1.0)
    ]
    assert rises == sorted(rises) and rises[2] > rises[0] + 2


def test_an_attack_in_the_treble_leaves_the_bass_alone():
    stem = notes(0.12, hz=80.0)
    tick = np.zeros_like(stem)
    tick[32_000:32_100] = 0.5 * (-1.0) ** np.arange(100)  # all of it near 16 kHz
    made = match_transients(stem, tick, 1.0, never)
    low = (
        np.abs(np.fft.rfft(made - stem)[: 2 * 400]).max()
        / np.abs(np.fft.rfft(stem)[: 2 * 400]).max()
    )
    assert low < 0.01


@pytest.mark.parametrize("count", [1, 300, 32_000, 50_001])
def test_any_length(count):
    stem, region = np.random.default_rng(0).standard_normal((2, count)).astype(np.float32)
    found = match_transients(stem, region, 1.0, never)
    assert found.shape == (count,) and found.dtype == np.float32 and np.isfinite(found).all()


def test_in_blocks_as_in_one(monkeypatch):
    stem, region = notes(0.12), notes(0.002)
    whole = match_transients(stem, region, 1.0, never)
    monkeypatch.setattr(spectra, "BLOCK_FRAMES", 7)
    assert np.allclose(match_transients(stem, region, 1.0, never), whole, atol=1e-5)


def test_it_can_be_cancelled():
    with pytest.raises(Cancelled):
        match_transients(notes(0.1), notes(0.002), 1.0, lambda: True)
