import numpy as np
import pytest

from engine.families.nano.features import SAMPLE_RATE_HZ
from training.nano import augment


@pytest.mark.parametrize(
    "link", [link for _, link in augment.CHAIN], ids=lambda link: link.__name__
)
def test_no_link_moves_a_click(link):
    samples = np.zeros(SAMPLE_RATE_HZ, np.float32)
    samples[10_000] = 0.5
    changed = link(samples, np.random.default_rng(1))
    assert changed.shape == samples.shape
    assert np.isfinite(changed).all()
    assert abs(int(np.argmax(np.abs(changed))) - 10_000) <= 2


def test_the_chain_is_the_same_for_the_same_seed():
    samples = np.sin(np.arange(20_000) / 20).astype(np.float32)
    one, two = (augment.degrade(samples, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
