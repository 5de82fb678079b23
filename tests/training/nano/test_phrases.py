import pytest

from evaluation.corpus.instruments import INSTRUMENTS
from training.nano.phrases import phrases, with_article


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("oboe", "play an oboe"),
        ("violin", "play a violin"),
        ("orchestral strings", "play orchestral strings"),
    ],
)
def test_articles_read_naturally(word, sentence):
    assert with_article("play a {}", word) == sentence


def test_no_held_out_word_is_ever_said_in_training():
    said = {sentence.lower() for index in range(len(INSTRUMENTS)) for sentence in phrases(index)}
    held_out = {word for instrument in INSTRUMENTS for word in instrument.held_out_words}
    assert not said & held_out


def test_there_are_enough_sounds_in_the_usual_groups():
    assert len({instrument.name for instrument in INSTRUMENTS}) >= 24
    assert {"keys", "strings", "brass", "reeds", "guitar", "voice", "synth"} <= {
        instrument.group for instrument in INSTRUMENTS
    }
