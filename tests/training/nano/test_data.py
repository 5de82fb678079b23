import numpy as np
import pytest

from evaluation.corpus.instruments import PERCUSSION, SOUNDS
from training.nano.data import SOURCE_ONLY, TARGETS_PER_SCORE, choose_players
from training.nano.pieces import SEEDS, make_piece
from training.nano.transformer import SHARES, shard_weights


@pytest.mark.parametrize("kind", SEEDS)
def test_a_seed_is_a_piece_and_no_two_kinds_share_seeds(kind):
    seed = SEEDS[kind][3]
    one, two = make_piece(kind, seed), make_piece(kind, seed)
    assert one.role == two.role and one.score.notes == two.score.notes and one.score.notes
    assert one.is_drums == (kind == "drums") and one.has_guide == (kind != "solo")
    assert not any(seed in others for name, others in SEEDS.items() if name != kind)


@pytest.mark.parametrize("kind", SEEDS)
def test_a_score_is_played_by_sounds_that_can_play_it_and_heard_as_its_guide(kind):
    for seed in SEEDS[kind][:6]:
        piece = make_piece(kind, seed)
        cast = choose_players(piece, np.random.default_rng(seed))
        targets = [player for player in cast if player.label != SOURCE_ONLY]
        assert len({player.label for player in targets}) == TARGETS_PER_SCORE
        assert all(
            (SOUNDS[player.label].bank == PERCUSSION) == piece.is_drums for player in targets
        )
        assert [player.is_guide for player in cast].count(True) == piece.has_guide
        assert all(player.label == SOURCE_ONLY for player in cast if player.is_guide)


def test_kinds_are_drawn_by_their_share_however_many_shards_they_have():
    names = [
        "shard_solo_00000",
        "shard_solo_00001",
        "shard_solo_00002",
        "shard_drums_00000",
        "shard_parts_00000",
    ]
    drawn = shard_weights(names)
    assert drawn.sum() == pytest.approx(1) and drawn[:3].sum() == pytest.approx(SHARES["solo"])
    assert shard_weights(names[:3]) == pytest.approx([1 / 3] * 3)
