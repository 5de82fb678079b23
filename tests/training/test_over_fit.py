"""The beginning of `over_fit`, short enough for every day; its whole length and figures:
docs/audioldm2.md.
"""

import pytest

torch = pytest.importorskip("torch")
for module in ("transformers", "diffusers"):
    pytest.importorskip(module)

from tests.training.over_fit import WORDS, Trial


@pytest.fixture(scope="module")
def trial():
    trial = Trial(others=32)
    torch.manual_seed(1)
    list(trial.learn_base(20))
    before = trial.loss(1.0, 1, rounds=2)
    list(trial.learn_adapter(60))
    return trial, before


def test_the_loss_falls_while_only_the_adapter_learns(trial):
    trial, before = trial
    after = trial.loss(1.0, 1, rounds=2)
    assert after < 0.98 * before and after < trial.loss(0.0, 1, rounds=2)
    assert after < trial.loss(1.0, 1, other=True, rounds=2)


@torch.no_grad()
def test_alpha_0_is_the_base_model_to_the_bit_also_after_training(trial):
    trial, _ = trial
    latent, times = torch.randn(trial.latents.shape), torch.randint(1000, (len(trial.latents),))
    texts = [WORDS] * len(latent)
    base = trial.objective.predict(latent, times, texts, None, 1)
    assert torch.equal(
        trial.objective.predict(latent, times, texts, trial.clips.fbank, 2, alpha=0.0), base
    )
    assert not torch.equal(
        trial.objective.predict(latent, times, texts, trial.clips.fbank, 2, alpha=1.0), base
    )
