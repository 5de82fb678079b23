"""The codec in two steps, so that the transformer need not wait for the slow one.

    python -m training.codec encoder --data runs/data --out runs/codec     # minutes: features -> latents -> features
    python -m training.codec decoder --data runs/data --out runs/codec     # hours: latents -> samples, encoder frozen

The encoder's latents are batch-normalised and get noise in training: what survives the noise is what the
transformer has to predict, and small errors of the transformer stay small in the sound.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.nano import features as F
from engine.nano.model import CodecEncoder, ConvNeXt, LatentDecoder, NanoConfig
from training.data import from_bytes, shard_folders
from training.loop import Schedule, load_average, run

LATENT_NOISE = 0.2
CROP_FRAMES = 32  # 1.28 s


class FeatureCodec(nn.Module):
    """The encoder with a throw-away decoder back to features."""

    def __init__(self, config: NanoConfig):
        super().__init__()
        self.encoder = CodecEncoder(config)
        width = config.codec_width
        self.decoder = nn.Sequential(
            nn.Linear(F.LATENT_CHANNELS, width), ConvNeXt(width), ConvNeXt(width), nn.Linear(width, F.FEATURE_WIDTH)
        )


def encoder_loss(module: FeatureCodec, features: Tensor) -> dict[str, Tensor]:
    with torch.autocast("cpu", torch.bfloat16):
        latent = module.encoder(features)
        decoded = module.decoder(latent + LATENT_NOISE * torch.randn_like(latent))
    error = decoded.float() - features
    return {
        "loss": error.abs().mean() + error.square().mean(),
        "mel_l1": error[..., : F.MEL_WIDTH].abs().mean() * F.MEL_STD,
    }


class Crops:
    """Random crops of all shards, mapped from disk: features [B, T, 944] and, if asked, waves [B, 1280 T]."""

    def __init__(self, root: Path, batch: int, frames: int, seed: int):
        folders = shard_folders(root)
        self.clean = [np.load(folder / "clean.npy", mmap_mode="r") for folder in folders]
        self.wave = [np.load(folder / "wave.npy", mmap_mode="r") for folder in folders]
        self.batch, self.frames, self.random = batch, frames, np.random.default_rng(seed)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            picks = [self._crop() for _ in range(self.batch)]
            yield (
                torch.from_numpy(from_bytes(np.stack([p[0] for p in picks]))),
                torch.from_numpy(np.stack([p[1] for p in picks])),
            )

    def _crop(self) -> tuple[np.ndarray, np.ndarray]:
        shard = self.random.integers(len(self.clean))
        row = self.random.integers(len(self.clean[shard]))
        start = self.random.integers(self.clean[shard].shape[1] - self.frames + 1)
        samples = slice(start * F.SAMPLES_PER_FRAME, (start + self.frames) * F.SAMPLES_PER_FRAME)
        return self.clean[shard][row, start : start + self.frames], self.wave[shard][row, samples].astype(
            np.float32
        ) / 16384


class InverseSTFT(nn.Module):
    """features.inverse_stft with gradients; a test holds the two equal."""

    def __init__(self):
        super().__init__()
        self.register_buffer("window", torch.hann_window(F.SYNTHESIS_N_FFT))

    def forward(self, log_magnitude: Tensor, phase: Tensor) -> Tensor:
        """[B, F, 641] twice -> [B, 320 F]."""
        magnitude = log_magnitude.clamp(max=7.0).exp()
        spectrum = torch.complex(magnitude * phase.cos(), magnitude * phase.sin())
        frames = torch.fft.irfft(spectrum, F.SYNTHESIS_N_FFT, dim=-1) * self.window
        signal = self._overlap_add(frames)
        envelope = self._overlap_add(self.window.square().expand(1, *frames.shape[1:]))
        pad = (F.SYNTHESIS_N_FFT - F.HOP) // 2
        return signal[:, pad:-pad] / envelope[:, pad:-pad].clamp(min=1e-8)

    @staticmethod
    def _overlap_add(frames: Tensor) -> Tensor:
        count, parts = frames.shape[1], frames.shape[2] // F.HOP
        pieces = frames.reshape(frames.shape[0], count, parts, F.HOP)
        return sum(functional.pad(pieces[:, :, part], (0, 0, part, parts - 1 - part)) for part in range(parts)).flatten(
            1
        )


class SpectralLoss(nn.Module):
    """Log-mel L1 and spectral convergence at five resolutions; the longest hears whether partials are steady."""

    RESOLUTIONS = ((512, 128, 40), (1024, 256, 80), (2048, 512, 128), (4096, 1024, 160), (8192, 2048, 256))

    def __init__(self):
        super().__init__()
        from librosa.filters import mel

        self.filters = [
            torch.from_numpy(mel(sr=F.SAMPLE_RATE_HZ, n_fft=n, n_mels=bands)) for n, _, bands in self.RESOLUTIONS
        ]

    def forward(self, made: Tensor, true: Tensor) -> dict[str, Tensor]:
        mels, convergences = [], []
        for (n_fft, hop, _bands), filters in zip(self.RESOLUTIONS, self.filters, strict=True):
            window = torch.hann_window(n_fft)
            one, two = (torch.stft(x, n_fft, hop, window=window, return_complex=True).abs() for x in (made, true))
            mels.append((torch.log(filters @ one + 1e-4) - torch.log(filters @ two + 1e-4)).abs().mean())
            convergences.append((one - two).norm() / two.norm())
        mel, convergence = sum(mels) / len(mels), sum(convergences) / len(convergences)
        return {"loss": mel + 0.5 * convergence, "mel_l1": mel, "convergence": convergence}


def train_encoder(options) -> None:
    batches = (features for features, _ in Crops(options.data, batch=32, frames=64, seed=1))
    run(
        options.out / "encoder",
        FeatureCodec(NanoConfig()),
        batches,
        encoder_loss,
        Schedule(options.steps or 1500, 2e-3),
        average_decay=0.99,
    )


def train_decoder(options) -> None:
    encoder = load_average(options.out / "encoder", FeatureCodec(NanoConfig())).encoder
    inverse, spectral = InverseSTFT(), SpectralLoss()

    def loss(module: LatentDecoder, batch) -> dict[str, Tensor]:
        features, wave = batch
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                latent = encoder(features)
                latent = latent + 0.5 * LATENT_NOISE * torch.rand(len(latent), 1, 1) * torch.randn_like(latent)
            log_magnitude, phase = module(latent)
        return spectral(inverse(log_magnitude.float(), phase.float()), wave)

    crops = iter(Crops(options.data, batch=16, frames=CROP_FRAMES, seed=2))
    run(
        options.out / "decoder",
        LatentDecoder(NanoConfig()),
        crops,
        loss,
        Schedule(options.steps or 5000, 1e-3),
        average_decay=0.998,
        muon=False,
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("encoder", "decoder"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int)
    options = parser.parse_args(arguments)
    {"encoder": train_encoder, "decoder": train_decoder}[options.part](options)


if __name__ == "__main__":
    main()
