import pytest

from engine.arranging.genres import GENRES
from engine.arranging.wording import parse_intent
from evaluation.corpus.instruments import INSTRUMENTS, TEMPLATES
from training.nano.phrases import with_article

PARTS = {
    "add a bass line": {"bass": ""},
    "bass and drums": {"bass": "", "drums": ""},
    "add a soft string pad please": {"pad": "soft string pad"},
    "add drums, brushed, and a mellow electric piano": {
        "drums": "brushed drums",
        "chords": "mellow electric piano",
    },
    "add a flute": {"counter": "flute"},
    "add a violin counter-melody": {"counter": "violin"},
    "accompany this with a soft guitar": {"chords": "soft guitar"},
    "add a techno beat and acid bass": {"drums": "", "bass": ""},
    "Could you add an 808 beat?": {"drums": "808 beat"},
    "add chords, jazz": {"chords": ""},
}
GENRE_OF = {
    "as a bossa nova": "bossa nova",
    "make it jazz": "jazz",
    "in the style of reggae": "reggae",
    "turn this into hip-hop": "hip-hop",
    "techno": "techno",
    "Turn this into a waltz, as one mix": "waltz",
}


@pytest.mark.parametrize("text", PARTS)
def test_what_is_added_is_a_stem_for_each_role(text):
    wanted = parse_intent(text)
    assert wanted.task == "accompaniment"
    assert {part.role: part.sound for part in wanted.parts} == PARTS[text]


@pytest.mark.parametrize("text", GENRE_OF)
def test_a_genre_alone_asks_for_an_arrangement(text):
    wanted = parse_intent(text)
    assert (wanted.task, wanted.genre, wanted.is_mix) == ("genre", GENRE_OF[text], "mix" in text)


def test_every_way_of_asking_for_a_sound_is_still_timbre_transfer():
    """None of the sentences that the network learned with may now start a band."""
    for instrument in INSTRUMENTS:
        for word in instrument.words:
            for template in TEMPLATES:
                text = with_article(template, word)
                assert parse_intent(text).task == "timbre", text


def test_a_preset_that_states_its_task_is_obeyed():
    assert parse_intent("turn this into a violin", "accompaniment").parts[0].sound == "violin"
    assert parse_intent("add a bass line", "timbre").task == "timbre"
    assert parse_intent("soft string pad", "accompaniment").parts[0].role == "pad"


def test_the_words_of_a_genre_belong_to_it_alone():
    words = [word for genre in GENRES.values() for word in genre.words]
    assert len(words) == len(set(words))
