import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engine.nano import features as F  # noqa: E402
from training.codec import InverseSTFT  # noqa: E402


def test_the_inverse_stft_with_gradients_equals_the_serving_one():
    random = np.random.default_rng(0)
    log_magnitude = random.standard_normal((40, 641)).astype(np.float32)
    phase = random.uniform(-3, 3, (40, 641)).astype(np.float32)
    made = InverseSTFT()(torch.from_numpy(log_magnitude)[None], torch.from_numpy(phase)[None])[0]
    np.testing.assert_allclose(made.numpy(), F.inverse_stft(log_magnitude, phase), atol=1e-4)
