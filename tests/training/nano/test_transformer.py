"""What training asks for, and how often."""

import numpy as np
import pytest

pytest.importorskip("torch")

from training.nano.adjectives import PLAIN
from training.nano.data import SOURCE_ONLY
from training.nano.transformer import ADJECTIVE_WEIGHT, shard_weights, target_weights


def test_coloured_rows_are_asked_for_more_often_and_sources_never():
    weights = target_weights(np.array([3, 5, SOURCE_ONLY, 7]), np.array([PLAIN, 2, PLAIN, PLAIN]))
    assert weights[2] == 0 and weights.sum() == pytest.approx(1)
    assert weights[1] / weights[0] == pytest.approx(ADJECTIVE_WEIGHT) and weights[0] == weights[3]


def test_kinds_of_shards_keep_their_share_whatever_their_number():
    share = shard_weights(
        ["shard_solo_0", "shard_solo_1", "shard_solo_2", "shard_drums_0", "shard_parts_0"]
    )
    assert share.sum() == pytest.approx(1)
    assert share[:3].sum() > share[3] > share[4]
