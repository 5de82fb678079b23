import numpy as np
import pytest

from engine.families.nano.features import SAMPLE_RATE_HZ
from evaluation.corpus.scores import make_score
from training.nano.adjectives import ADJECTIVES, PLAIN
from training.nano.phrases import phrases

BY_WORD = {word: adjective for adjective in ADJECTIVES for word in adjective.words}
RANDOM = np.random.default_rng(0)
# decays within half a second
PULSE = np.repeat(np.exp(-np.arange(8) / 2.0), 2000) * RANDOM.standard_normal(16_000)


def centroid_hz(samples):
    power = np.abs(np.fft.rfft(samples)) ** 2
    return (power * np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE_HZ)).sum() / power.sum()


@pytest.mark.parametrize(
    ("word", "is_higher"), [("bright", True), ("dark", False), ("muted", False)]
)
def test_a_colour_moves_the_spectrum_as_its_word_says(word, is_higher):
    assert (centroid_hz(BY_WORD[word].sound(PULSE)) > 1.2 * centroid_hz(PULSE)) == is_higher
    assert (centroid_hz(BY_WORD[word].sound(PULSE)) < centroid_hz(PULSE) / 1.2) != is_higher


def test_distortion_squeezes_and_a_hall_rings_on():
    crest = lambda samples: np.abs(samples).max() / np.sqrt(np.mean(samples**2))  # noqa: E731
    assert crest(BY_WORD["distorted"].sound(PULSE)) < 0.5 * crest(PULSE)
    scale_velocity = np.concatenate([PULSE, np.zeros(16_000)])
    assert np.abs(BY_WORD["reverberant"].sound(scale_velocity)[20_000:]).max() > 1e-3


def test_soft_and_staccato_change_the_notes_and_plain_changes_nothing():
    score = make_score(7)
    loudness = [
        np.mean([note.velocity for note in BY_WORD[word].play(score).notes])
        for word in ("soft", "real", "hard")
    ]
    assert loudness == sorted(loudness) and BY_WORD["real"].play(score) is score
    assert max(note.duration_seconds for note in BY_WORD["staccato"].play(score).notes) <= 0.1


def test_a_colour_is_asked_for_by_its_own_words_alone():
    bright = BY_WORD["bright"]
    coloured = phrases(0, ADJECTIVES.index(bright))
    assert coloured and all(any(word in sentence for word in bright.words) for sentence in coloured)
    assert not any(
        word in sentence.split() for word in bright.words for sentence in phrases(0, PLAIN)
    )
