from pathlib import Path

import numpy as np
import pytest

from engine.arranging.compose import compose
from engine.arranging.genres import GENRES
from engine.arranging.parts import ROLES
from evaluation.corpus.instruments import PERCUSSION
from evaluation.corpus.render import TRAINING_SOUNDFONTS, Renderer, find_soundfont
from training.pages.arranger import SHOWN, draw_roll, genre_table, instrument, render_mix

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_has_the_genres_of_the_code():
    page = (DOCS / "arranger.md").read_text(encoding="utf-8")
    assert genre_table() in page, "run python -m training.pages.arranger --out docs"


def test_every_picture_is_shown():
    page = (DOCS / "arranger.md").read_text(encoding="utf-8")
    for name in SHOWN:
        picture = f"pictures/arranger-{name.replace(' ', '-')}.png"
        assert picture in page and (DOCS / picture).exists()


@pytest.mark.parametrize("genre", GENRES)
def test_every_role_has_an_instrument_that_is_rendered(genre):
    for role in ("lead", *ROLES):
        for words in GENRES[genre].instruments[role]:
            assert (instrument(words).bank == PERCUSSION) == (role == "drums"), words


def test_words_that_are_not_learned_name_the_sound_of_their_last_word():
    assert instrument("acid bass").name == "synth bass"
    assert instrument("upright bass").group == "bass"


def test_a_piece_is_drawn(tmp_path):
    draw_roll(tmp_path / "roll.png", compose(1, 4.0, "waltz"))
    assert (tmp_path / "roll.png").stat().st_size > 5000


def test_all_parts_sound_together():
    try:
        renderer = Renderer(find_soundfont(TRAINING_SOUNDFONTS[0]))
    except (FileNotFoundError, ImportError) as missing:
        pytest.skip(str(missing))
    piece = compose(2, 2.0, "rock")
    sound = render_mix(piece, renderer)
    renderer.close()
    assert sound.shape == (64_000,) and np.abs(sound).max() == pytest.approx(1)
