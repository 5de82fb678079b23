"""The command as a user runs it, on a band whose figures are known, and the pieces that it is
judged by.
"""

import numpy as np
import pytest
import soundfile

from evaluation.corpus.arrangements import (
    GENRE_ROLES,
    PROGRAMS,
    TUNE,
    render_parts,
    render_rearrangement,
    set_levels,
)
from evaluation.exams import accompaniment

SECONDS = 4.0


@pytest.fixture(scope="module")
def piece():
    from engine.arranging.compose import compose

    return compose(300_000, SECONDS, "rock")


def test_every_sound_that_a_genre_names_can_be_played():
    from engine.arranging.genres import GENRES

    named = {
        word for genre in GENRES.values() for words in genre.instruments.values() for word in words
    }
    assert named <= set(PROGRAMS)


def test_a_performance_has_its_parts_at_their_levels(renderer, piece):
    played = render_parts(renderer, piece, ("bass", "drums"), np.random.default_rng(0))
    assert set(played.parts) == {TUNE, "bass", "drums"}
    assert all(part.shape == (round(SECONDS * 32_000),) for part in played.parts.values())
    assert np.array_equal(played.mix("bass", "drums"), played.parts["bass"] + played.parts["drums"])


def test_a_piece_is_rearranged_over_its_own_chords(renderer, piece):
    played = render_rearrangement(renderer, piece, "waltz", np.random.default_rng(0))
    assert played.piece.grid is piece.grid and played.piece.tune == piece.tune
    assert (
        set(played.parts) == {TUNE, *GENRE_ROLES}
        and played.piece.parts["bass"] != piece.parts["bass"]
    )


def test_silence_stays_silent():
    assert not set_levels({"bass": np.zeros(32_000, np.float32)})["bass"].any()


def test_a_band_that_copies_its_source_is_caught(examine, copycat, renderer, capsys):
    code, report = examine(accompaniment, copycat("bass"), "--arrangements", "1", "--check")
    rows = report["unseen"]["rows"]
    assert code == 1
    assert (
        rows["stem"]["source"]["mean"] == pytest.approx(0.0, abs=1e-3)
        and rows["true"]["source"]["mean"] < -10
    )
    assert rows["true"]["harmony"]["mean"] > 0.8
    assert {goal["name"]: goal["reached"] for goal in report["goals"]}[
        "energy of the source in the stem, dB"
    ] is False
    assert "true part" in capsys.readouterr().out


def test_recordings_are_judged_without_a_truth(examine, copycat, tmp_path, tune):
    (tmp_path / "clips").mkdir()
    soundfile.write(tmp_path / "clips" / "tune.wav", tune.samples, 32_000)
    _, report = examine(
        accompaniment,
        copycat("bass"),
        "--arrangements",
        "0",
        "--recordings",
        str(tmp_path / "clips"),
    )
    assert [row["asked"] for row in report["recordings"]["results"]] == [
        request.text for request in accompaniment.REQUESTS[:3]
    ]
    assert not report["goals"]


def test_a_folder_that_is_none_is_wrong_use(copycat, tmp_path):
    assert (
        accompaniment.main(["--recordings", str(tmp_path / "absent")], model=copycat("bass")) == 2
    )
