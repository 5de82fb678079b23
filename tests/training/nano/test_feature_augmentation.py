"""A source that sounds otherwise, but plays the same at the same time."""

import numpy as np
import pytest

from engine.families.nano import features as F
from training.nano import feature_augmentation as disguise
from training.nano.feature_augmentation import CHAIN, augment_features

TIME = np.arange(3 * F.SAMPLE_RATE_HZ) / F.SAMPLE_RATE_HZ
TONE = F.features((np.sin(2 * np.pi * 440 * TIME) * (TIME > 1) * (TIME < 1.5)).astype(np.float32))
OTHER = F.features((np.sin(2 * np.pi * 660 * TIME) * (TIME > 1) * (TIME < 1.5)).astype(np.float32))
PITCH = disguise.FEATURE_KINDS[1]


TONE_BIN = (69 - F.PITCH_LOWEST_MIDI) * F.PITCH_BINS_PER_SEMITONE


def pitches(features):
    """Log-levels [2 T, 216]."""
    return features[:, PITCH.columns].reshape(-1, PITCH.bins)


def begins(levels):
    """The first frame in which the tone is about as loud as it ever is."""
    tone = levels[:, TONE_BIN]
    return int(np.argmax(tone > tone.max() - 0.3))


def test_most_visits_differ_and_some_are_plain():
    rows = augment_features(np.stack([TONE] * 60), np.stack([TONE] * 60), np.random.default_rng(0))
    assert rows.dtype == np.float32 and rows.shape == (60, *TONE.shape)
    same = [np.array_equal(row, TONE) for row in rows]
    assert 3 < sum(same) < 30


@pytest.mark.parametrize("link", [link for _, link in CHAIN], ids=lambda link: link.__name__)
def test_no_link_moves_a_note_in_time_or_pitch(link, monkeypatch):
    monkeypatch.setattr(disguise, "CHAIN", ((1.0, link),))
    monkeypatch.setattr(disguise, "DOUBLED_PROBABILITY", 0.0)
    for seed in range(5):
        (row,) = augment_features(TONE[None], TONE[None], np.random.default_rng(seed))
        changed = pitches(row)
        assert not np.array_equal(row, TONE)
        assert abs(int(changed[60].argmax()) - int(pitches(TONE)[60].argmax())) <= 1
        assert abs(begins(changed) - begins(pitches(TONE))) <= 1


def test_a_second_player_is_heard_too(monkeypatch):
    monkeypatch.setattr(disguise, "CHAIN", ())
    monkeypatch.setattr(disguise, "DOUBLED_PROBABILITY", 1.0)
    (row,) = augment_features(TONE[None], OTHER[None], np.random.default_rng(1))
    fifth = int(pitches(OTHER)[60].argmax())
    assert pitches(row)[60, fifth] > pitches(TONE)[60, fifth] + 1
