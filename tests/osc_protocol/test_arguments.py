import math

import pytest

from osc_protocol import Arg
from osc_protocol.arguments import BadArgument, clip, describe, nearest, show, take

STRENGTH = Arg("strength", "f", low=0, high=2)
STEPS = Arg("steps", "i", low=1, high=100)
FORMAT = Arg("format", "s", choices=("wav", "flac", "aiff"))
TEXT = Arg("text", "s", high=12)
ID = Arg("id", "id")
BLOB = Arg("bytes", "b", high=8)
ANY = Arg("echo", "any")


@pytest.mark.parametrize(
    "arg, atom, value",
    [
        (STEPS, 8, 8),
        (STEPS, 8.0, 8),
        (STEPS, "8", 8),
        (STEPS, " \x1e8 ", 8),
        (STEPS, "8.0", 8),
        (STEPS, True, 1),
        (STEPS, 1, 1),
        (STEPS, 100, 100),
        (STRENGTH, 1, 1.0),
        (STRENGTH, "0.5", 0.5),
        (STRENGTH, ".5", 0.5),
        (STRENGTH, "1e-1", 0.1),
        (STRENGTH, False, 0.0),
        (STRENGTH, 0, 0.0),
        (STRENGTH, 2, 2.0),
        (FORMAT, "flac", "flac"),
        (TEXT, "a violin", "a violin"),
        (TEXT, 808.0, "808"),
        (TEXT, 808, "808"),
        (TEXT, 0.25, "0.25"),
        (TEXT, True, "1"),
        (TEXT, "", ""),
        (TEXT, "éééééé", "éééééé"),
        (ID, 7, 7),
        (ID, "seven", "seven"),
        (ID, 7.0, 7),
        (ID, "", ""),
        (ID, "7", "7"),
        (BLOB, b"12345678", b"12345678"),
        (ANY, 7, 7),
        (ANY, 7.5, 7.5),
        (ANY, "x", "x"),
        (ANY, b"x", b"x"),
        (ANY, True, 1),
    ],
)
def test_an_atom_becomes_the_kind_that_is_wanted(arg, atom, value):
    taken = take(arg, atom)
    assert (taken, type(taken)) == (value, type(value))


@pytest.mark.parametrize(
    "arg, atom, words",
    [
        (STEPS, 0, "expected an integer from 1 to 100, came 0"),
        (STEPS, 101, "came 101"),
        (STEPS, 8.5, "came 8.5"),
        (STEPS, "eight", "came 'eight'"),
        (STEPS, b"x", "a blob of 1"),
        (STEPS, math.nan, "came nan"),
        (STEPS, math.inf, "came inf"),
        (STEPS, "0x8", "came '0x8'"),
        (STEPS, "", "came ''"),
        (STRENGTH, 2.01, "expected a number from 0 to 2, came 2.01"),
        (STRENGTH, math.nan, "came nan"),
        (STRENGTH, "nan", "came 'nan'"),
        (STRENGTH, -math.inf, "came -inf"),
        (Arg("x", "f"), 1e39, "expected a number, came 1e+39"),
        (Arg("x", "i"), 2**31, "expected an integer, came 2147483648"),
        (Arg("x", "i", low=0), -1, "expected an integer from 0 up, came -1"),
        (FORMAT, "flak", "expected wav or flac or aiff, came 'flak'; did you mean flac?"),
        (FORMAT, 3, "expected wav or flac or aiff, came 3"),
        (TEXT, "a long violin", "expected text of at most 12 bytes, came 'a long violin'"),
        (TEXT, "ééééééé", "at most 12 bytes"),
        (TEXT, b"x", "a blob"),
        (TEXT, "a\0b", "came 'a\\x00b'"),
        (TEXT, "\udcff", "expected text"),
        (ID, 7.5, "expected an integer or a short string"),
        (ID, 2**31, "came 2147483648"),
        (ID, b"7", "a blob"),
        (ID, "x" * 65, "at most 64 bytes"),
        (BLOB, b"123456789", "a blob of at most 8 bytes, came a blob of 9 bytes"),
        (BLOB, b"", "a blob of 0 bytes"),
        (BLOB, "text", "came 'text'"),
        (ANY, math.nan, "came nan"),
        (ANY, 2**40, "came"),
    ],
)
def test_anything_else_is_refused_in_words(arg, atom, words):
    with pytest.raises(BadArgument) as error:
        take(arg, atom)
    assert str(error.value).startswith(f"{arg.name}: expected")
    assert words in str(error.value)


def test_long_text_is_shown_short():
    assert show("x" * 5000) == f"{'x' * 40!r}… (5000 bytes)"


def test_many_choices_are_listed():
    assert describe(Arg("state", "s", choices=tuple("abcd"))) == "one of a b c d"


def test_the_nearest_name_is_found_and_far_ones_are_not():
    assert nearest("sed", ["seed", "steps"]) == "seed"
    assert nearest("violin", ["seed", "steps"]) == ""


@pytest.mark.parametrize(
    "text, limit, expect",
    [
        ("short", 10, "short"),
        ("exactly 10", 10, "exactly 10"),
        ("more than ten", 10, "more th…"),
        ("éééééé", 10, "ééé…"),
        ("a\0b", 10, "a b"),
        ("\udcff", 10, "?"),
    ],
)
def test_clipping_keeps_whole_characters(text, limit, expect):
    assert clip(text, limit) == expect
    assert len(clip(text, limit).encode()) <= limit


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", ["1" * 60_000 + "x", "." * 60_000, "1" * 64 + ".e"])
def test_text_that_is_no_number_is_refused_in_linear_time(text):
    with pytest.raises(BadArgument):
        take(STRENGTH, text)
