"""A tune over chords and drums: the line, what is left of the others, and regions that have no such
thing.
"""

import numpy as np
import pytest

from engine.arranging import guide
from engine.arranging.compose import compose
from engine.hearing import pitches
from engine.hearing.lead import lead, line
from engine.hearing.pitches import NOTES

RATE_HZ, SECONDS = 32_000, 8.0
PIECE = compose(300_007, SECONDS, "folk")
TUNE = guide.tones(PIECE.tune, SECONDS, "sustained")
CHORDS = 0.5 * guide.tones(PIECE.parts["chords"], SECONDS)
DRUMS = 0.5 * guide.drums(PIECE.parts["drums"], SECONDS)


def take_out(region):
    return lead(region, RATE_HZ, pitches.find_pitches(region, RATE_HZ))


def above_the_rest_db(sound):
    """The tune in a sound over what is not the tune."""
    gain = np.dot(sound, TUNE) / np.dot(TUNE, TUNE)
    return 10 * np.log10(np.sum((gain * TUNE) ** 2) / np.sum((sound - gain * TUNE) ** 2))


@pytest.mark.parametrize("rest", [CHORDS, CHORDS + DRUMS], ids=["chords", "chords and drums"])
def test_the_tune_stands_out_more_than_before(rest):
    found, share = take_out(TUNE + rest)
    assert found.shape == TUNE.shape and 0 < share < 1
    assert above_the_rest_db(found) > above_the_rest_db(TUNE + rest) + 3


def test_the_line_follows_the_notes_of_the_tune():
    path = line(pitches.find_pitches(TUNE + CHORDS, RATE_HZ))
    frames = np.arange(len(path)) / pitches.FRAMES_PER_SECOND
    true = np.full(len(path), -1)
    for note in PIECE.tune:
        true[
            (frames >= note.start_seconds) & (frames < note.start_seconds + note.duration_seconds)
        ] = note.pitch_midi
    played = true >= 0
    assert np.mean(np.append(NOTES, -2)[path][played] == true[played]) > 0.6


@pytest.mark.parametrize(
    "region", [TUNE, np.zeros(32_000, np.float32)], ids=["one voice", "silence"]
)
def test_where_there_is_nothing_beside_it_the_region_is_left_alone(region):
    assert take_out(region)[0] is region


@pytest.mark.parametrize("count", [1, 1_600, 20_001])
def test_any_length(count):
    noise = np.random.default_rng(0).standard_normal(count).astype(np.float32)
    found, _ = take_out(noise)
    assert found.shape == (count,) and np.isfinite(found).all()
