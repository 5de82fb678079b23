import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engine.families.nano import synthesis as S
from training.nano.synthesis import Synthesis


def test_the_synthesis_with_gradients_equals_the_serving_one():
    random = np.random.default_rng(0)
    shapes = ((S.BINS, 1.0), (S.BINS, 3.0), (S.SLOTS, 1.0), (S.SLOTS, 0.5))
    frames = [
        (spread * random.standard_normal((40, width))).astype(np.float32)
        for width, spread in shapes
    ]
    sound = Synthesis()(*(torch.from_numpy(part)[None] for part in frames))[0]
    expected = S.OverlapAddSynthesizer().process(*frames, is_last=True)
    np.testing.assert_allclose(sound.numpy(), expected, atol=1e-3 * np.abs(expected).max())
