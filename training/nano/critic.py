"""Discriminators: nets that tell a true spectrogram from a synthesised one, at three resolutions.

    samples -> complex spectrogram, compressed -> convolutions over (bands, time) -> a map of scores

Distances to one true sound are smallest for a mean of all likely ones, and a mean of attacks is
dull. A critic asks only whether this could be a true one. After the discriminators of EnCodec
(Defossez et al. 2022, section 3.4) and DAC (Kumar et al. 2023), narrowed until a CPU trains them.
The loss is the hinge loss and the distance of the hidden maps.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# window and hop in samples: attacks, both, steady partials
RESOLUTIONS = ((256, 64), (512, 128), (2048, 512))
CHANNELS = (16, 24, 32, 32)
COMPRESSION = 0.3  # exponent of the magnitudes: what is soft counts, too

Scored = list[tuple[Tensor, list[Tensor]]]  # at every resolution: scores, hidden maps


class Critic(nn.Module):
    """Scores and hidden maps at every resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.critics = nn.ModuleList(SpectrogramCritic(*resolution) for resolution in RESOLUTIONS)

    def forward(self, wave: Tensor) -> Scored:
        """Of sounds [B, N]."""
        return [critic(wave) for critic in self.critics]


class SpectrogramCritic(nn.Module):
    """One resolution; bands are halved from layer to layer, time is kept."""

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        widths = (2, *CHANNELS)
        self.layers = nn.ModuleList(
            nn.utils.parametrizations.weight_norm(nn.Conv2d(before, after, (7, 3), (2, 1), (3, 1)))
            for before, after in zip(widths[:-1], widths[1:], strict=True)
        )
        self.score = nn.Conv2d(CHANNELS[-1], 1, 3, padding=1)

    def forward(self, wave: Tensor) -> tuple[Tensor, list[Tensor]]:
        """[B, N] -> scores [B, 1, bands / 16, frames], maps of the layers."""
        window = torch.hann_window(self.n_fft, device=wave.device)
        spectrum = torch.stft(wave, self.n_fft, self.hop, window=window, return_complex=True)
        power = spectrum.real.square() + spectrum.imag.square() + 1e-6
        x = torch.stack([spectrum.real, spectrum.imag], dim=1) * power[:, None] ** (
            (COMPRESSION - 1) / 2
        )
        maps = []
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), 0.1)
            maps.append(x)
        return self.score(x).float(), maps


def critic_loss(critic: Critic, made: Tensor, true: Scored) -> Tensor:
    """Hinge loss: true sounds above 1, synthesised ones below -1; `true`: scored with gradients."""
    pairs = zip(critic(made.detach()), true, strict=True)
    return _mean(
        [functional.relu(1 + m).mean() + functional.relu(1 - t).mean() for (m, _), (t, _) in pairs]
    )


def adversarial_loss(critic: Critic, made: Tensor, true: Scored) -> dict[str, Tensor]:
    """The loss of the decoder, with the critic held still.

    `deceiving` falls as the critic takes `made` for true; `maps` is the hidden maps' distance.
    """
    still = {name: value.detach() for name, value in critic.named_parameters()}
    heard = torch.func.functional_call(critic, still, (made,))
    maps = [
        (m.float() - t.detach().float()).abs().mean() / t.detach().float().abs().mean()
        for (_, mine), (_, theirs) in zip(heard, true, strict=True)
        for m, t in zip(mine, theirs, strict=True)
    ]
    return {"deceiving": _mean([-scores.mean() for scores, _ in heard]), "maps": _mean(maps)}


def _mean(values: list[Tensor]) -> Tensor:
    return sum(values) / len(values)
