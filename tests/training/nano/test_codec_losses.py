import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engine.families.nano import synthesis as S
from training.nano.codec_losses import PartialAnalysis, partials_loss

RATE_HZ = 32_000


@pytest.mark.parametrize("hz", [73.4, 440.0, 1990.0, 3333.0])
def test_true_partials_find_a_sine(hz):
    wave = 0.3 * torch.sin(2 * torch.pi * hz * torch.arange(64 * 320) / RATE_HZ)
    amplitude, offset = PartialAnalysis()(wave[None])
    centres, widths = S.slots()
    slot = int(amplitude[0, 32].argmax())
    assert float(amplitude[0, 32, slot]) == pytest.approx(0.3, rel=0.05)
    found_hz = 25 * (centres[slot] + widths[slot] * float(offset[0, 32, slot]))
    assert found_hz == pytest.approx(hz, abs=0.5)


def test_true_partials_played_again_have_no_loss_and_silence_has_some():
    wave = (0.1 * np.random.default_rng(0).standard_normal((1, 40 * 320))).astype(np.float32)
    wave = torch.from_numpy(wave)
    amplitude, offset = PartialAnalysis()(wave)
    exact = partials_loss((amplitude + 1e-4).log(), offset, wave)
    assert float(exact) == pytest.approx(0, abs=1e-4)
    assert float(partials_loss(torch.full_like(amplitude, -9.0), offset, wave)) > 1
