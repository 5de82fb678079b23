"""The codec in three steps, so that the transformer need wait for the first alone.

    python -m training.nano.codec encoder --data runs/data --out runs/codec
    python -m training.nano.codec decoder --data runs/data --out runs/codec
    python -m training.nano.codec adversarial --data runs/data --out runs/codec

    encoder      minutes: features -> latents -> features
    decoder      hours: latents -> samples, the encoder frozen
    adversarial  hours: the decoder goes on, beside a critic

The encoder's latents are batch-normalised and get noise in training: what survives the noise is
what the transformer has to predict, and small errors of the transformer stay small in the sound.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from engine.families.nano import features as F
from engine.families.nano.model import CodecEncoder, ConvNeXt, LatentDecoder, NanoConfig
from training.loop import Schedule, load_average, run, steps_done
from training.nano.codec_losses import SpectralLoss, partials_loss
from training.nano.critic import Critic, adversarial_loss, critic_loss
from training.nano.data import from_bytes, shard_folders
from training.nano.synthesis import Synthesis

LATENT_NOISE = 0.2
CROP_FRAMES = 32  # 1.28 s
PARTIALS_ALONE_STEPS = 800
CRITIC_SAMPLES = 16_384  # of a crop: half a second
# weights of the losses
ADVERSARIAL_WEIGHTS = {"loss": 1.0, "partials": 1.0, "deceiving": 0.05, "maps": 0.1, "critic": 1.0}


class Decoded(NamedTuple):
    """What the decoder says of a sound: its residual's spectrum [B, F, 641], its partials."""

    log_magnitude: Tensor
    phase: Tensor
    log_amplitude: Tensor  # [B, F, 478], as the offset
    offset: Tensor


class FeatureCodec(nn.Module):
    """The encoder with a throw-away decoder back to features."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.encoder = CodecEncoder(config)
        width = config.codec_width
        self.decoder = nn.Sequential(
            nn.Linear(F.LATENT_CHANNELS, width),
            ConvNeXt(width),
            ConvNeXt(width),
            nn.Linear(width, F.FEATURE_WIDTH),
        )


def encoder_loss(module: FeatureCodec, features: Tensor) -> dict[str, Tensor]:
    """How far features are from themselves after noisy latents; `mel_l1` in natural logarithms."""
    with torch.autocast("cpu", torch.bfloat16):
        latent = module.encoder(features)
        decoded = module.decoder(latent + LATENT_NOISE * torch.randn_like(latent))
    error = decoded.float() - features
    return {
        "loss": error.abs().mean() + error.square().mean(),
        "mel_l1": error[..., : F.MEL_WIDTH].abs().mean() * F.MEL_STD,
    }


class Crops:
    """Random crops of all shards, mapped from disk: features [B, T, 944] and waves [B, 1280 T]."""

    def __init__(self, root: Path, batch: int, frames: int, seed: int) -> None:
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
        return self.clean[shard][row, start : start + self.frames], self.wave[shard][
            row, samples
        ].astype(np.float32) / 16384


def train_encoder(options: argparse.Namespace) -> None:
    batches = (features for features, _ in Crops(options.data, batch=32, frames=64, seed=1))
    run(
        options.out / "encoder",
        FeatureCodec(NanoConfig()),
        batches,
        encoder_loss,
        Schedule(options.steps or 1500, 2e-3),
        average_decay=0.99,
    )


class DecoderLosses:
    """From crops to the losses of the decoder, with the encoder frozen."""

    def __init__(self, folder: Path) -> None:
        self.encoder = load_average(folder / "encoder", FeatureCodec(NanoConfig())).encoder
        self.synthesise, self.spectral = Synthesis(), SpectralLoss()

    def decode(self, decoder: LatentDecoder, features: Tensor) -> Decoded:
        """Residual and partials of features [B, T, 944] through noisy latents."""
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                latent = self.encoder(features)
                level = 0.5 * LATENT_NOISE * torch.rand(len(latent), 1, 1)
                latent = latent + level * torch.randn_like(latent)
            return Decoded(*(part.float() for part in decoder(latent)))

    def sound(self, decoded: Decoded) -> Tensor:
        """[B, 1280 T].

        Spectra give no gradient to where the partials lie: they say little about it, and would undo
        what `partials_loss` knows.
        """
        return self.synthesise(*decoded[:3], decoded.offset.detach())


def train_decoder(options: argparse.Namespace) -> None:
    """Partials by what they truly are, throughout; then the residual by the spectra of the sum."""
    losses = DecoderLosses(options.out)
    steps = itertools.count(steps_done(options.out / "decoder"))

    def loss(module: LatentDecoder, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        features, wave = batch
        decoded = losses.decode(module, features)
        tonal = partials_loss(decoded.log_amplitude, decoded.offset, wave)
        if next(steps) < PARTIALS_ALONE_STEPS:  # a third of the time of a whole step
            return {"loss": tonal, "partials": tonal}
        spectral = losses.spectral(losses.sound(decoded), wave)
        return {**spectral, "loss": spectral["loss"] + tonal, "partials": tonal}

    crops = iter(Crops(options.data, batch=16, frames=CROP_FRAMES, seed=2))
    run(
        options.out / "decoder",
        LatentDecoder(NanoConfig()),
        crops,
        loss,
        Schedule(options.steps or 5000, 1e-3),
        average_decay=0.995,
        muon=False,
    )


class AdversarialCodec(nn.Module):
    """The decoder and its critic, trained side by side."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.decoder, self.critic = LatentDecoder(config), Critic()


def adversarial_folder(codec: Path) -> Path:
    """The run with the critic; runs of older versions are called `sharpened`."""
    older = codec / "sharpened"
    return older if older.exists() else codec / "adversarial"


def train_adversarial(options: argparse.Namespace) -> None:
    """The decoder goes on, towards sounds that a critic takes for true ones."""
    losses = DecoderLosses(options.out)
    both = AdversarialCodec(NanoConfig())
    both.decoder = load_average(options.out / "decoder", both.decoder)

    def loss(module: AdversarialCodec, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        features, wave = batch
        decoded = losses.decode(module.decoder, features)
        sound = losses.sound(decoded)
        found = losses.spectral(sound, wave)
        found["partials"] = partials_loss(decoded.log_amplitude, decoded.offset, wave)
        first = int(torch.randint(sound.shape[1] - CRITIC_SAMPLES + 1, ()))
        part = slice(first, first + CRITIC_SAMPLES)
        with torch.autocast("cpu", torch.bfloat16):
            true = module.critic(wave[:, part])
            found |= adversarial_loss(module.critic, sound[:, part], true)
            found["critic"] = critic_loss(module.critic, sound[:, part], true)
        total = sum(weight * found[name] for name, weight in ADVERSARIAL_WEIGHTS.items())
        return {**found, "loss": total}

    run(
        adversarial_folder(options.out),
        both,
        iter(Crops(options.data, batch=8, frames=CROP_FRAMES, seed=4)),
        loss,
        Schedule(options.steps or 1500, 2e-4),
        average_decay=0.995,
        muon=False,
    )


PARTS = {"encoder": train_encoder, "decoder": train_decoder, "adversarial": train_adversarial}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=tuple(PARTS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int)
    options = parser.parse_args(arguments)
    PARTS[options.part](options)


if __name__ == "__main__":
    main()
