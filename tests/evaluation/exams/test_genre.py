"""The command as a user runs it, on a model whose figures are known."""

import numpy as np
import pytest

from evaluation.corpus.arrangements import TUNE
from evaluation.exams import genre
from evaluation.metrics.sound import Sound


def test_a_genre_that_stays_the_old_one_is_caught(examine, copycat, renderer):
    code, report = examine(genre, copycat(TUNE), "--arrangements", "1", "--check")
    rows = report["unseen"]["rows"]
    assert code == 1 and set(rows) == {"stem", "true", "codec", "copy"}
    assert rows["stem"]["tune"]["mean"] == pytest.approx(1.0, abs=1e-3)


def test_stems_are_mixed_at_their_levels_and_a_mix_is_left_alone(tune):
    quiet = Sound(tune.samples * np.float32(0.01), 32_000)
    assert np.allclose(
        genre.mix_stems({TUNE: tune}).samples, genre.mix_stems({TUNE: quiet}).samples, atol=1e-4
    )
    assert genre.mix_stems({"mix": tune}) is tune
