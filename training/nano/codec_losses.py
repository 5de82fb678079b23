"""What the decoder's sound is compared with: the true partials, and spectra at six resolutions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.families.nano import features as F
from engine.families.nano import synthesis


class PartialAnalysis:
    """A sound's partials: each bin's energy moved to the slot of its instantaneous frequency.

    Windows of 80 ms below 2 kHz tell low notes apart; above, windows are 40 ms long. Reassignment
    of Kodera et al. 1976.
    """

    WINDOWS = ((2560, 2, 160), (1280, 80, 400))  # samples; [first, last) bin of its own spectrum
    REACH = 2  # bins from which energy is moved; further away it is leakage

    def __call__(self, wave: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 320 F] -> amplitude [B, F, 478] and offset in slot widths [B, F, 478]."""
        low, high = (self._slots(wave, *window) for window in self.WINDOWS)
        # 80 ms bins are half bins of the synthesis: the even ones lie on its bins, the odd ones
        # between
        amplitude, offset = (
            torch.cat([a[..., 0::2], a[..., 1::2], b], dim=-1)
            for a, b in zip(low, high, strict=True)
        )
        return amplitude, offset

    @staticmethod
    def _slots(wave: Tensor, n_fft: int, first: int, last: int) -> tuple[Tensor, Tensor]:
        pad = (n_fft - F.HOP) // 2
        padded = functional.pad(wave[:, None], (pad, pad + 1), mode="reflect")[:, 0]
        window = torch.hann_window(n_fft)
        bins = torch.arange(first - PartialAnalysis.REACH, last + PartialAnalysis.REACH)
        here, next_sample = (
            torch.stft(x, n_fft, F.HOP, window=window, center=False, return_complex=True)[
                :, bins.clamp(min=0)
            ]
            for x in (padded[:, :-1], padded[:, 1:])
        )  # [B, bins, F]
        true_bin = torch.angle(next_sample * here.conj()).abs() * (n_fft / (2 * math.pi))
        # a lobe of Hann holds 1.5 times its peak's
        energy = (here.abs() / (n_fft / 4)).square() / 1.5
        slot = true_bin.round().long() - bins[0]
        is_near = (slot - torch.arange(len(bins))[:, None]).abs() <= PartialAnalysis.REACH
        energy = energy * (is_near & (bins >= 0)[:, None])
        slot = slot.clamp(0, len(bins) - 1)
        total = torch.zeros_like(energy).scatter_add_(1, slot, energy)
        centre = torch.zeros_like(energy).scatter_add_(1, slot, energy * true_bin) / total.clamp(
            min=1e-20
        )
        offset = torch.where(total > 1e-20, centre - bins[:, None], 0.0)
        inner = slice(PartialAnalysis.REACH, -PartialAnalysis.REACH)
        return total.sqrt()[:, inner].transpose(1, 2), offset[:, inner].transpose(1, 2)


def partials_loss(log_amplitude: Tensor, offset: Tensor, wave: Tensor) -> Tensor:
    """L1 of log-amplitude, and of each partial's place, weighted by its share of the sound."""
    amplitude, true_offset = PartialAnalysis()(wave)
    level = (log_amplitude.float() - (amplitude + synthesis.AMPLITUDE_FLOOR).log()).abs().mean()
    share = amplitude.sqrt() / amplitude.sqrt().mean()
    return level + 2 * (share * (offset.float() - true_offset).abs()).mean()


class SpectralLoss(nn.Module):
    """Log-mel L1 and spectral convergence at six resolutions.

    The shortest window shows how sharp an attack is, the longest whether partials are steady.
    """

    RESOLUTIONS = (  # window, hop, bands
        (192, 48, 16),
        (512, 128, 40),
        (1024, 256, 80),
        (2048, 512, 128),
        (4096, 1024, 160),
        (8192, 2048, 256),
    )

    def __init__(self) -> None:
        super().__init__()
        from librosa.filters import mel

        self.filters = [
            torch.from_numpy(mel(sr=F.SAMPLE_RATE_HZ, n_fft=n, n_mels=bands))
            for n, _, bands in self.RESOLUTIONS
        ]

    def forward(self, synthesised: Tensor, true: Tensor) -> dict[str, Tensor]:
        mels, convergences = [], []
        for (n_fft, hop, _bands), filters in zip(self.RESOLUTIONS, self.filters, strict=True):
            window = torch.hann_window(n_fft)
            one, two = (
                torch.stft(x, n_fft, hop, window=window, return_complex=True).abs()
                for x in (synthesised, true)
            )
            mels.append(
                (torch.log(filters @ one + 1e-4) - torch.log(filters @ two + 1e-4)).abs().mean()
            )
            convergences.append((one - two).norm() / two.norm())
        mel, convergence = sum(mels) / len(mels), sum(convergences) / len(convergences)
        return {"loss": mel + 0.5 * convergence, "mel_l1": mel, "convergence": convergence}
