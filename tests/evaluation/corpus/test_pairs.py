"""Pairs are fixed by their seed, fair to all targets, and never from training."""

from collections import Counter

from evaluation.corpus.instruments import INSTRUMENTS
from evaluation.corpus.pairs import make_pairs
from evaluation.corpus.scores import JUDGE_SEEDS, TEST_SEEDS, TRAINING_SEEDS


def test_the_same_seed_gives_the_same_pairs_and_another_gives_others():
    assert make_pairs(20, 3) == make_pairs(20, 3)
    assert make_pairs(20, 3) != make_pairs(20, 4)


def test_every_target_is_asked_equally_often_and_never_for_itself():
    pairs = make_pairs(2 * len(INSTRUMENTS), 0)
    assert set(Counter(pair.target for pair in pairs).values()) == {2}
    assert all(pair.source_program != pair.target_program for pair in pairs)


def test_scores_are_each_used_once_and_come_from_the_test_seeds_alone():
    seeds = [pair.score_seed for pair in make_pairs(200, 0)]
    assert len(set(seeds)) == 200
    assert all(s in TEST_SEEDS and s not in TRAINING_SEEDS and s not in JUDGE_SEEDS for s in seeds)


def test_pairs_are_asked_in_trained_words_or_in_others():
    by_name = {instrument.name: instrument for instrument in INSTRUMENTS}
    for pair in make_pairs(80, 0):
        assert any(word in pair.text for word in by_name[pair.target].words)
    for pair in make_pairs(40, 0, held_out_words=True):
        assert any(word in pair.text for word in by_name[pair.target].held_out_words)
