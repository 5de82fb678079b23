"""The judge is small, needs no torch, and is right about true renderings."""

import subprocess
import sys

import numpy as np
import pytest

from evaluation.corpus.instruments import INSTRUMENTS
from evaluation.corpus.scores import TEST_SEEDS, make_score
from evaluation.metrics.judge import WEIGHTS_FOLDER, Judge
from evaluation.metrics.sound import Sound

RATE_HZ = 32_000


def test_it_knows_the_models_target_sounds_in_their_order(judge):
    assert judge.names == tuple(instrument.name for instrument in INSTRUMENTS)


def test_it_weighs_less_than_a_megabyte_and_states_its_own_accuracy(judge):
    assert sum(file.stat().st_size for file in WEIGHTS_FOLDER.iterdir()) < 2**20
    assert set(judge.card["held_out_accuracy"]) == {"fluid", "musescore", "timgm"}


@pytest.mark.parametrize("seconds", [0.05, 1.0, 5.12, 13.0])
def test_any_length_gives_probabilities(judge, seconds):
    noise = np.random.default_rng(0).standard_normal(int(seconds * RATE_HZ)).astype(np.float32)
    probabilities = judge.probabilities(Sound(noise, RATE_HZ))
    assert probabilities.shape == (len(judge.names),) and probabilities.sum() == pytest.approx(
        1, abs=1e-4
    )


def test_silence_is_judged_without_complaint(judge):
    assert judge.name(Sound(np.zeros(RATE_HZ, np.float32), RATE_HZ)) in judge.names


def test_loudness_is_no_evidence(judge, tune):
    louder = Sound(tune.samples * 3, RATE_HZ)
    assert judge.probabilities(louder) == pytest.approx(judge.probabilities(tune), abs=1e-3)


def test_it_recognises_true_renderings_of_scores_it_never_heard(judge, pair_renderer):
    played = [
        (item.name, pair_renderer._unseen.render(make_score(TEST_SEEDS[-1 - i]), item.program))
        for i, item in enumerate(INSTRUMENTS)
    ]
    right = [
        judge.name(Sound(samples, RATE_HZ)) == name
        for name, samples in played
        if np.abs(samples).max() > 1e-3
    ]
    assert np.mean(right) > 0.8


def test_a_missing_judge_says_how_to_train_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="python -m training.judges.instrument"):
        Judge.load(tmp_path)


def test_judging_needs_no_torch():
    code = (
        "import sys, numpy as np\n"
        "from evaluation.metrics.judge import Judge\nfrom evaluation.metrics.sound import Sound\n"
        "Judge.load().name(Sound(np.ones(32000, 'f4'), 32000))\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
