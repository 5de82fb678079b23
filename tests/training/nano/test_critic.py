"""A critic that learns to tell, and what is asked of those who would deceive it."""

import pytest

torch = pytest.importorskip("torch")

from training.nano.critic import RESOLUTIONS, Critic, adversarial_loss, critic_loss


def sharp_and_dull(count=4, samples=4096):
    """Clicks, and the same clicks smeared over 10 ms."""
    torch.manual_seed(0)
    clicks = torch.zeros(count, samples)
    for row, places in zip(clicks, torch.randint(400, samples - 400, (count, 3)), strict=True):
        row[places] = 1.0
    dull = torch.nn.functional.conv1d(
        clicks[:, None], torch.hann_window(321)[None, None] / 16, padding=160
    )[:, 0]
    return clicks + 1e-3 * torch.randn_like(clicks), dull + 1e-3 * torch.randn_like(clicks)


def test_it_scores_every_resolution():
    scores = Critic()(torch.randn(2, 4096))
    assert [len(maps) for _, maps in scores] == [4] * len(RESOLUTIONS)
    assert all(score.shape[:2] == (2, 1) for score, _ in scores)


def test_it_learns_to_tell_sharp_from_dull_and_then_prefers_the_sharp():
    torch.manual_seed(1)
    critic, (sharp, dull) = Critic(), sharp_and_dull()
    optimiser = torch.optim.AdamW(critic.parameters(), lr=2e-3)
    before = critic_loss(critic, dull, critic(sharp)).item()
    for _ in range(25):
        loss = critic_loss(critic, dull, critic(sharp))
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    assert loss.item() < 0.6 * before
    true = critic(sharp)
    assert (
        adversarial_loss(critic, sharp, true)["deceiving"]
        < adversarial_loss(critic, dull, true)["deceiving"]
    )


def test_deceiving_moves_the_sound_and_not_the_critic():
    critic, (sharp, dull) = Critic(), sharp_and_dull()
    dull.requires_grad_()
    sum(adversarial_loss(critic, dull, critic(sharp)).values()).backward()
    assert dull.grad.abs().sum() > 0 and all(weight.grad is None for weight in critic.parameters())
    dull.grad = None
    critic_loss(critic, dull, critic(sharp)).backward()
    assert dull.grad is None and all(weight.grad is not None for weight in critic.parameters())


def test_the_same_sound_has_the_same_maps():
    sharp, dull = sharp_and_dull()
    critic = Critic()
    assert adversarial_loss(critic, sharp, critic(sharp))["maps"] == 0
    assert adversarial_loss(critic, dull, critic(sharp))["maps"] > 0.05
