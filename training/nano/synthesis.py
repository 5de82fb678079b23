"""The codec's synthesis with gradients, for training."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.families.nano import features as F
from engine.families.nano import synthesis


class Synthesis(nn.Module):
    """engine.families.nano.synthesis from the first frame on; a test holds both equal."""

    def __init__(self) -> None:
        super().__init__()
        centres, widths = synthesis.slots()
        for name, values in {
            "window": F.hann(synthesis.N_FFT),
            "centres": centres,
            "widths": widths,
            "signs": synthesis.lobe_signs(),
            "first_phases": synthesis.first_phases(),
        }.items():
            self.register_buffer(name, torch.from_numpy(values).float(), persistent=False)

    def forward(
        self, log_magnitude: Tensor, phase: Tensor, log_amplitude: Tensor, offset: Tensor
    ) -> Tensor:
        """[B, F, 641] twice, [B, F, 478] twice -> [B, 320 F]."""
        magnitude = log_magnitude.clamp(max=7.0).exp()
        cosine, sine = self._partials(log_amplitude, offset)
        return self._inverse_stft(
            torch.complex(magnitude * phase.cos() + cosine, magnitude * phase.sin() + sine)
        )

    def _partials(self, log_amplitude: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        """Real and imaginary part [B, F, 641]."""
        position = self.centres + offset * self.widths
        turns = torch.cumsum(position * (F.HOP / synthesis.N_FFT), dim=1)
        phase = 2 * math.pi * (turns % 1.0) + self.first_phases
        amplitude = (log_amplitude.exp() - synthesis.AMPLITUDE_FLOOR).clamp(min=0)
        parts = torch.stack([amplitude * phase.cos(), amplitude * phase.sin()])  # [2, B, F, 478]
        spectrum = parts.new_zeros(*parts.shape[:3], synthesis.LOBE_REACH + synthesis.BINS)
        for group, first in synthesis.slot_slices():
            beside = position[..., group] - torch.arange(first, first + group.stop - group.start)
            for column, lobe in enumerate(synthesis.hann_lobes(beside, torch), first):
                spectrum[..., column : column + beside.shape[-1]] += parts[..., group] * lobe
        return (spectrum[..., synthesis.LOBE_REACH :] * self.signs).unbind(0)

    def _inverse_stft(self, spectrum: Tensor) -> Tensor:
        frames = torch.fft.irfft(spectrum, synthesis.N_FFT, dim=-1) * self.window
        signal = self._overlap_add(frames)
        envelope = self._overlap_add(self.window.square().expand(1, *frames.shape[1:]))
        pad = (synthesis.N_FFT - F.HOP) // 2
        return signal[:, pad:-pad] / envelope[:, pad:-pad].clamp(min=1e-8)

    @staticmethod
    def _overlap_add(frames: Tensor) -> Tensor:
        count, parts = frames.shape[1], frames.shape[2] // F.HOP
        pieces = frames.reshape(frames.shape[0], count, parts, F.HOP)
        return sum(
            functional.pad(pieces[:, :, part], (0, 0, part, parts - 1 - part))
            for part in range(parts)
        ).flatten(1)
