"""Analyses of sounds whose key is known."""

import pytest

from tests.evaluation.sounds import C_MAJOR, make_chords, make_tune


@pytest.fixture(scope="module")
def melody():
    return make_tune()


@pytest.mark.parametrize(
    ("sound", "name"),
    [
        (C_MAJOR, "C major"),
        (make_chords(69, 74, 76, 69, minor=True), "A minor"),
        (make_chords(67, 72, 74, 67), "G major"),
    ],
)
def test_keys_are_heard(sound, name):
    assert sound.key_name == name
