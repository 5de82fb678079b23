import numpy as np
import pytest

from engine.arranging.compose import EIGHTHS_BPM, compose
from engine.arranging.genres import GENRES
from engine.arranging.parts import ROLES

# Notes of the key, of all that is written in three regions. Jazz, bossa nova and blues borrow
# chords from other keys.
LEAST_IN_KEY = {"jazz": 0.75, "bossa nova": 0.75, "blues": 0.75}


@pytest.fixture(scope="module", params=GENRES, ids=str)
def pieces(request):
    return [compose(seed, 6.0, request.param) for seed in range(3)]


def test_a_piece_has_a_tune_and_every_part(pieces):
    for piece in pieces:
        assert tuple(piece.parts) == ROLES and piece.tune
        for notes in (piece.tune, *piece.parts.values()):
            assert all(
                0 <= n.start_seconds < n.start_seconds + n.duration_seconds <= 6.0 + 1e-9
                for n in notes
            )


def test_the_grid_covers_the_region_in_the_metre_and_tempo_of_the_genre(pieces):
    for piece in pieces:
        grid, genre = piece.grid, GENRES[piece.genre]
        assert (
            grid.beats_seconds[0] <= 0 < grid.beats_seconds[1]
            and grid.beats_seconds[-2] < 6.0 <= grid.beats_seconds[-1]
        )
        assert grid.beats_per_bar in genre.metres
        low, high = genre.tempo_bpm if grid.beats_per_bar < 6 else EIGHTHS_BPM
        assert 0.98 * low <= grid.tempo_bpm <= 1.02 * high


def test_notes_are_in_key(pieces):
    pitched = [
        note.pitch_midi % 12 in piece.grid.key.pitch_classes
        for piece in pieces
        for notes in (
            piece.tune,
            *(notes for role, notes in piece.parts.items() if role != "drums"),
        )
        for note in notes
    ]
    assert np.mean(pitched) >= LEAST_IN_KEY.get(pieces[0].genre, 0.9)


def test_regions_begin_anywhere_in_a_bar():
    grids = [compose(seed, 4.0, "rock").grid for seed in range(24)]
    assert sum(abs(grid.beats_seconds[0]) < 1e-6 and grid.first_bar == 0 for grid in grids) >= 6
    assert sum(grid.first_bar > 0 for grid in grids) >= 3
    assert sum(grid.beats_seconds[0] < -0.01 for grid in grids) >= 3


def test_the_same_seed_is_the_same_piece():
    one, again, other = compose(7, 5.12), compose(7, 5.12), compose(8, 5.12)
    assert (
        one.tune == again.tune
        and one.parts == again.parts
        and np.array_equal(one.grid.beats_seconds, again.grid.beats_seconds)
    )
    assert one.tune != other.tune


def test_people_drift_and_machines_do_not():
    def spread(genre):
        return max(
            np.ptp(np.diff(compose(seed, 10.0, genre).grid.beats_seconds)) for seed in range(4)
        )

    assert spread("techno") < 1e-9
    assert 1e-3 < spread("folk") < 0.05


def test_strong_beats_of_a_tune_sing_the_chord():
    right = []
    for seed in range(8):
        piece = compose(seed, 12.0, "waltz")
        for note in piece.tune:
            beat = np.interp(
                note.start_seconds,
                piece.grid.beats_seconds,
                np.arange(len(piece.grid.beats_seconds)),
            )
            nearest = round(float(beat))
            if (
                abs(beat - nearest) < 0.06
                and nearest < len(piece.grid.chords)
                and not piece.grid.place_in_bar(nearest)
            ):
                right.append(note.pitch_midi % 12 in piece.grid.chords[nearest].pitch_classes)
    assert len(right) > 20 and np.mean(right) > 0.95


def test_a_tune_says_things_again():
    piece = compose(3, 60.0, "folk")
    grid, rhythms = piece.grid, {}
    for note in piece.tune:
        beat = (
            np.interp(note.start_seconds, grid.beats_seconds, np.arange(len(grid.beats_seconds)))
            - grid.first_bar
        )
        bar, place = divmod(round(float(beat) * 4) / 4, grid.beats_per_bar)
        rhythms.setdefault(bar, []).append(place)
    kinds = {tuple(places) for places in rhythms.values()}
    assert len(rhythms) > 12 and len(kinds) <= len(rhythms) / 2
