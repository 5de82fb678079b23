import numpy as np
import pytest

from engine.arranging.genres import DRUMS, GENRES
from engine.arranging.parts import write
from engine.hearing.music import Chord, Grid, Key


def grid(beats_per_bar=4, first_bar=0, bars=8, tempo_bpm=110.0):
    count = beats_per_bar * bars + first_bar
    beats = np.arange(count + 1) * 60 / tempo_bpm
    return Grid(
        float(beats[-1]),
        beats,
        first_bar,
        beats_per_bar,
        (Chord(0, "major"),) * count,
        Key(0, "major"),
    )


def drums(genre, on, seed=0):
    return write("drums", on, GENRES[genre], np.random.default_rng(seed))


def beats_of(notes, on, line):
    return (
        np.array([n.start_seconds for n in notes if n.pitch_midi == DRUMS[line]])
        * on.tempo_bpm
        / 60
    )


@pytest.mark.parametrize("genre", ["house", "techno", "disco"])
def test_a_floor_has_four_kicks_in_a_bar(genre):
    on = grid()
    kicks = beats_of(drums(genre, on), on, "kick")
    assert all(np.abs(kicks - beat).min() < 0.05 for beat in range(8 * 4))


def test_one_drop_leaves_the_first_beat_free():
    on = grid(tempo_bpm=76)
    kicks = beats_of(drums("reggae", on, seed=3), on, "kick")
    first_beats = [np.abs(kicks - 4 * bar).min() < 0.05 for bar in range(8)]
    assert sum(first_beats) <= 4
    assert all(np.abs(kicks - 4 * bar - 1).min() < 0.05 for bar in range(7))


@pytest.mark.parametrize("first_bar", [0, 1, 2])
def test_a_waltz_has_its_kick_where_the_bars_begin(first_bar):
    on = grid(3, first_bar)
    kicks = np.round(beats_of(drums("waltz", on), on, "kick")).astype(int)
    assert {(kick - first_bar) % 3 for kick in kicks} == {0}


def test_the_last_bar_of_eight_is_a_fill():
    on = grid()
    notes = drums("rock", on)
    toms = np.concatenate([beats_of(notes, on, "high_tom"), beats_of(notes, on, "floor_tom")])
    assert (toms > 30 - 0.1).any()


def test_the_second_of_two_eighths_waits_in_jazz():
    on = grid()
    late = beats_of(drums("jazz", on), on, "ride") % 1
    late = late[(late > 0.2) & (late < 0.9)]
    assert abs(np.median(late) - GENRES["jazz"].swing) < 0.02


def test_a_shuffle_written_in_three_is_not_swung_again():
    on = grid(tempo_bpm=90)
    places = beats_of(drums("blues", on), on, "ride") % 1
    places = places[(places > 0.2) & (places < 0.9)]
    assert abs(np.median(places) - 2 / 3) < 0.02
