import pytest

from engine.arranging.notation import bars, chord, fit_bar, progression, swung
from engine.hearing.music import Chord, Key


def test_a_pattern_is_bars_of_beats():
    assert bars("x. xx | x . ") == (("x.", "xx"), ("x", "."))


@pytest.mark.parametrize(
    ("written", "beats", "played"),
    [
        ("0 1 2 3", 3, "012"),
        ("0 1 2", 6, "012012"),
        ("0 1 2 3", 7, "0123123"),
        ("0 1 2", 4, "0121"),
        ("0", 2, "00"),
    ],
)
def test_a_bar_fits_other_metres(written, beats, played):
    assert "".join(fit_bar(bars(written)[0], beats)) == played


@pytest.mark.parametrize(
    ("numeral", "root", "quality"),
    [
        ("I", 2, "major"),
        ("V7", 9, "dominant 7"),
        ("iiø7", 4, "half-diminished"),
        ("bVII", 0, "major"),
        ("bVIM7", 10, "major 7"),
        ("vi7", 11, "minor 7"),
    ],
)
def test_numerals_in_d(numeral, root, quality):
    assert chord(numeral, 2) == Chord(root, quality)


def test_two_chords_share_a_bar_the_first_has_the_longer_part():
    c = Key(0, "major")
    assert [str(chord) for chord in progression("I V | IV", c, 3)] == ["C major"] * 2 + [
        "G major"
    ] + ["F major"] * 3


def test_swing_moves_the_second_of_a_pair():
    assert swung(0.5, 2 / 3, 1) == pytest.approx(2 / 3)
    assert [swung(place, 0.6, 2) for place in (0, 0.25, 0.5, 0.75)] == pytest.approx(
        [0, 0.3, 0.5, 0.8]
    )
