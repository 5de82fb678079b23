import numpy as np
import pytest

from engine.arranging.genres import GENRES
from engine.arranging.parts import ROLES, write
from engine.arranging.playing import felt
from engine.hearing.music import Chord, Grid, Key

C, F, G7, AM = Chord(0, "major"), Chord(5, "major"), Chord(7, "dominant 7"), Chord(9, "minor")


def grid(
    beats_per_bar=4,
    first_bar=0,
    bars=8,
    tempo_bpm=110.0,
    chords=(C, AM, F, G7),
    drift=0.0,
    early_beats=0.0,
):
    """A chord a bar; the region begins `early_beats` after the first beat."""
    count = first_bar + beats_per_bar * bars
    lengths = 60 / tempo_bpm * (1 + drift * np.sin(np.arange(count)))
    beats = np.concatenate([[0.0], np.cumsum(lengths)]) - early_beats * lengths[0]
    harmony = tuple(
        chords[(beat - first_bar) // beats_per_bar % len(chords)] for beat in range(count)
    )
    return Grid(float(beats[-1]), beats, first_bar, beats_per_bar, harmony, Key(0, "major"))


def part(role, on, genre, seed=0):
    return write(role, on, GENRES[genre], np.random.default_rng(seed))


def beat_of(note, on):
    return float(np.interp(note.start_seconds, on.beats_seconds, np.arange(len(on.beats_seconds))))


@pytest.mark.parametrize("genre", GENRES)
@pytest.mark.parametrize("role", ROLES)
def test_every_part_stays_inside_any_region(role, genre):
    for beats_per_bar in range(2, 8):
        on = grid(beats_per_bar, first_bar=1, bars=2, drift=0.05, early_beats=0.6)
        notes = part(role, on, genre)
        assert notes and list(notes) == sorted(notes)
        assert all(
            n.start_seconds >= 0 and n.start_seconds + n.duration_seconds <= on.seconds + 1e-9
            for n in notes
        )
        assert all(
            1 <= n.velocity <= 127 and n.duration_seconds > 0.05 and 24 <= n.pitch_midi <= 96
            for n in notes
        )


@pytest.mark.parametrize("role", ROLES)
def test_the_same_chance_gives_the_same_notes(role):
    assert part(role, grid(), "jazz", 5) == part(role, grid(), "jazz", 5)
    assert part(role, grid(), "jazz", 5) != part(role, grid(), "jazz", 6)


@pytest.mark.parametrize("first_bar", [0, 1, 3])
@pytest.mark.parametrize("genre", ["jazz", "rock", "folk", "orchestral", "hip-hop"])
def test_bass_notes_on_bar_lines_are_the_root(genre, first_bar):
    on = grid(first_bar=first_bar)
    starts = [
        note for note in part("bass", on, genre) if (beat_of(note, on) - first_bar + 0.1) % 4 < 0.2
    ]
    right = [note.pitch_midi % 12 == on.chords[round(beat_of(note, on))].root for note in starts]
    assert len(right) >= 7 and np.mean(right) >= 0.95


@pytest.mark.parametrize("genre", GENRES)
def test_a_bass_keeps_to_its_strings(genre):
    assert all(28 <= note.pitch_midi <= 52 for note in part("bass", grid(bars=16), genre))


def test_what_was_held_when_the_region_began_is_heard_from_its_start():
    on = grid(first_bar=2)
    assert part("bass", on, "ambient")[0].start_seconds < 0.1


def test_a_waltz_is_bass_then_two_chords():
    on = grid(3, first_bar=2)
    assert {(round(beat_of(note, on)) - 2) % 3 for note in part("bass", on, "waltz")} == {0}
    assert {(round(beat_of(note, on)) - 2) % 3 for note in part("chords", on, "waltz")} == {1, 2}


def test_a_skank_falls_between_the_beats():
    on = grid(tempo_bpm=76)
    places = {
        round(2 * beat_of(note, on)) % 2
        for note in part("chords", on, "reggae")
        if note.velocity > 70
    }
    assert places == {1}


@pytest.mark.parametrize("role", ["chords", "pad", "arpeggio"])
def test_chords_are_spelled_as_they_are_heard(role):
    on = grid(bars=4)
    for note in part(role, on, "orchestral"):
        sounding = on.chords[int(beat_of(note, on) + 0.2)]
        assert note.pitch_midi % 12 in sounding.pitch_classes


def test_voices_move_less_than_the_roots():
    on = grid(chords=(C, F))
    low = {}
    for note in part("chords", on, "ambient"):
        low.setdefault(round(beat_of(note, on)) // 4, []).append(note.pitch_midi)
    means = [np.mean(pitches) for _, pitches in sorted(low.items())]
    assert np.abs(np.diff(means)).max() < 5


def test_a_pad_holds_what_two_chords_share():
    on = grid(bars=2, chords=(C, AM))
    held = [
        note.pitch_midi % 12
        for note in part("pad", on, "ambient")
        if note.duration_seconds > on.seconds * 0.9
    ]
    assert sorted(held) == [0, 4]


def test_without_harmony_the_key_is_played():
    on = grid(chords=(None,))
    for role in ("bass", "chords", "pad"):
        assert {note.pitch_midi % 12 for note in part(role, on, "ambient")} <= set(C.pitch_classes)


@pytest.mark.parametrize(
    ("genre", "tempo_bpm", "expected"),
    [
        ("techno", 70, 140),
        ("ambient", 150, 75),
        ("jazz", 120, 120),
        ("hip-hop", 137, 68.5),
        ("reggae", 100, 100),
    ],
)
@pytest.mark.parametrize("first_bar", [0, 1, 2, 3])
def test_a_tempo_far_from_the_genre_is_felt_twice_or_half_as_fast(
    genre, tempo_bpm, expected, first_bar
):
    on = grid(first_bar=first_bar, tempo_bpm=tempo_bpm)
    move = felt(on, GENRES[genre])
    assert move.tempo_bpm == pytest.approx(expected)
    assert move.beats_seconds[move.first_bar] == pytest.approx(on.beats_seconds[first_bar])
    assert move.beats_seconds[0] <= 0 and move.beats_seconds[-1] >= on.seconds
