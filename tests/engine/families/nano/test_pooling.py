"""Pooling of audio tokens."""

import numpy as np
import pytest

from engine.families.nano.pooling import pool


def test_a_pool_is_the_mean_of_mean_and_maximum_at_its_centre():
    tokens = np.arange(8, dtype=np.float32).reshape(1, 8, 1)
    pooled, centres = pool(tokens, 4)
    assert pooled[0, :, 0].tolist() == [2.25, 6.25] and centres[0].tolist() == [1.5, 5.5]


def test_pools_of_one_are_the_tokens_themselves():
    tokens = np.random.default_rng(0).standard_normal((2, 128, 4)).astype(np.float32)
    pooled, centres = pool(tokens, 1)
    assert np.allclose(pooled, tokens) and centres[1, -1] == 127


@pytest.mark.parametrize("omega", range(1, 9))
def test_every_frame_is_heard_at_any_rate(omega):
    tokens = np.zeros((1, 128, 1), np.float32)
    tokens[0, -1] = 1
    pooled, centres = pool(tokens, omega)
    assert pooled[0, -1] > 0 and len(centres[0]) == pooled.shape[1] == -(-128 // omega)


def test_training_pools_the_same_way():
    torch = pytest.importorskip("torch")
    from engine.families.nano.model import pool as trained

    tokens = np.random.default_rng(0).standard_normal((2, 128, 4)).astype(np.float32)
    for ours, theirs in zip(pool(tokens, 4), trained(torch.from_numpy(tokens), 4), strict=True):
        assert np.allclose(ours, theirs.numpy(), atol=1e-6)
