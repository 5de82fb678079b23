import pytest

from engine.arranging.genres import DRUMS, GENRES, VOICINGS
from engine.arranging.notation import bars, progression
from engine.hearing.music import MODES, Key

SIGNS = {
    "bass": "13578wax.-n",
    "chords": "Xxo.-n",
    "arpeggio": "12345678.-",
    "tune": "x.-",
    "counter": "x.-",
}


@pytest.fixture(params=GENRES, ids=str)
def genre(request):
    return GENRES[request.param]


def test_there_are_genres_and_metres_to_choose_from():
    assert len(GENRES) >= 14
    assert {3, 4, 5, 6} <= {beats for genre in GENRES.values() for beats in genre.metres}


def test_nobody_says_one_word_for_two_genres():
    words = [word for name, genre in GENRES.items() for word in {name, *genre.words}]
    assert len(words) == len(set(words))


def test_tempo_and_weights_are_in_bounds(genre):
    assert 60 <= genre.tempo_bpm[0] < genre.tempo_bpm[1] <= 180
    assert sum(genre.metres.values()) == pytest.approx(1)
    assert sum(harmony.weight for harmony in genre.harmonies) == pytest.approx(1)
    assert genre.voicing in VOICINGS


def test_harmony_can_be_read(genre):
    for harmony in genre.harmonies:
        assert harmony.mode in MODES
        for text in (*harmony.progressions, harmony.cadence):
            assert progression(text, Key(0, harmony.mode), 4)
        assert len(bars(harmony.cadence)) == 2


def test_a_cadence_comes_home(genre):
    for harmony in genre.harmonies:
        assert progression(harmony.cadence, Key(7, harmony.mode), 4)[-1].root == 7


def test_patterns_use_the_signs_of_their_role(genre):
    for role, signs in SIGNS.items():
        for pattern in getattr(genre, role):
            assert set(pattern) <= set(signs + " |"), (role, pattern)
            assert len({len(bar) for bar in bars(pattern)}) == 1, pattern


def test_each_metre_has_its_own_drums_and_patterns(genre):
    for beats in genre.metres:
        for patterns in (genre.bass, genre.chords, genre.tune, genre.arpeggio):
            assert any(len(bars(pattern)[0]) == beats for pattern in patterns), (beats, patterns)
        assert any(len(bars(kit.groove["kick"])[0]) == beats for kit in genre.drums)


def test_the_lines_of_a_kit_are_of_one_length(genre):
    for kit in genre.drums:
        assert kit.crash in DRUMS
        for lines in (kit.groove, kit.variation, kit.fill):
            assert set(lines) <= set(DRUMS)
            assert len({len(bar) for line in lines.values() for bar in bars(line)}) == 1, lines
            assert set("".join(lines.values())) <= set("Xxo?. |")
