"""The codec in three steps, so that the transformer need wait for the first alone.

    python -m training.nano.codec encoder --data runs/data --out runs/codec     # minutes: features -> latents -> features
    python -m training.nano.codec decoder --data runs/data --out runs/codec     # hours: latents -> samples, encoder frozen
    python -m training.nano.codec sharpened --data runs/data --out runs/codec   # hours: the decoder goes on, beside a critic

The encoder's latents are batch-normalised and get noise in training: what survives the noise is
what the transformer has to predict, and small errors of the transformer stay small in the sound.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.families.nano import features as F
from engine.families.nano import synthesis
from engine.families.nano.model import CodecEncoder, ConvNeXt, LatentDecoder, NanoConfig
from training.loop import Schedule, load_average, run, steps_done
from training.nano.critic import Critic, adversarial_loss, critic_loss
from training.nano.data import from_bytes, shard_folders

LATENT_NOISE = 0.2
CROP_FRAMES = 32  # 1.28 s
PARTIALS_ALONE_STEPS = 800
CRITIC_SAMPLES = 16_384  # of a crop: half a second
# weights of the losses
SHARPENING = {"loss": 1.0, "partials": 1.0, "deceiving": 0.05, "maps": 0.1, "critic": 1.0}


class FeatureCodec(nn.Module):
    """The encoder with a throw-away decoder back to features."""

    def __init__(self, config: NanoConfig):
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
    with torch.autocast("cpu", torch.bfloat16):
        latent = module.encoder(features)
        decoded = module.decoder(latent + LATENT_NOISE * torch.randn_like(latent))
    error = decoded.float() - features
    return {
        "loss": error.abs().mean() + error.square().mean(),
        "mel_l1": error[..., : F.MEL_WIDTH].abs().mean() * F.MEL_STD,
    }


class Crops:
    """Random crops of all shards, mapped from disk: features [B, T, 944] and, if asked, waves [B,
    1280 T].
    """

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
        return self.clean[shard][row, start : start + self.frames], self.wave[shard][
            row, samples
        ].astype(np.float32) / 16384


class Synthesis(nn.Module):
    """engine.families.nano.synthesis with gradients, from the first frame on; a test holds the two equal."""

    def __init__(self):
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


class TruePartials:
    """What a sound's partials are: each bin's energy moved to the slot of its instantaneous
    frequency.

    Windows of 80 ms below 2 kHz, which tell low notes apart, and of 40 ms above. Resynthesised with
    any first phases this keeps the chroma (0.897 of 0.899 to the source, 12 unseen pairs).
    Reassignment of Kodera et al. 1976.
    """

    WINDOWS = ((2560, 2, 160), (1280, 80, 400))  # samples; [first, last) bin of its own spectrum
    REACH = 2  # bins from which energy is moved; further away it is leakage

    def __call__(self, wave: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 320 F] -> amplitude [B, F, 478] and offset in slot widths [B, F, 478]."""
        low, high = (self._slots(wave, *window) for window in self.WINDOWS)
        # 80 ms bins are half bins of the synthesis: the even ones lie on its bins, the odd ones
        # between
        return tuple(
            torch.cat([a[..., 0::2], a[..., 1::2], b], dim=-1)
            for a, b in zip(low, high, strict=True)
        )

    @staticmethod
    def _slots(wave: Tensor, n_fft: int, first: int, last: int) -> tuple[Tensor, Tensor]:
        pad = (n_fft - F.HOP) // 2
        padded = functional.pad(wave[:, None], (pad, pad + 1), mode="reflect")[:, 0]
        window = torch.hann_window(n_fft)
        bins = torch.arange(first - TruePartials.REACH, last + TruePartials.REACH)
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
        is_near = (slot - torch.arange(len(bins))[:, None]).abs() <= TruePartials.REACH
        energy = energy * (is_near & (bins >= 0)[:, None])
        slot = slot.clamp(0, len(bins) - 1)
        total = torch.zeros_like(energy).scatter_add_(1, slot, energy)
        centre = torch.zeros_like(energy).scatter_add_(1, slot, energy * true_bin) / total.clamp(
            min=1e-20
        )
        offset = torch.where(total > 1e-20, centre - bins[:, None], 0.0)
        inner = slice(TruePartials.REACH, -TruePartials.REACH)
        return total.sqrt()[:, inner].transpose(1, 2), offset[:, inner].transpose(1, 2)


def partials_loss(log_amplitude: Tensor, offset: Tensor, wave: Tensor) -> Tensor:
    """L1 of log-amplitude, and of where each partial lies, which matters by its share of the sound."""
    amplitude, true_offset = TruePartials()(wave)
    level = (log_amplitude.float() - (amplitude + synthesis.AMPLITUDE_FLOOR).log()).abs().mean()
    share = amplitude.sqrt() / amplitude.sqrt().mean()
    return level + 2 * (share * (offset.float() - true_offset).abs()).mean()


class SpectralLoss(nn.Module):
    """Log-mel L1 and spectral convergence at six resolutions: the shortest hears how sharp an
    attack is, the longest whether partials are steady.
    """

    RESOLUTIONS = (  # window, hop, bands
        (192, 48, 16),
        (512, 128, 40),
        (1024, 256, 80),
        (2048, 512, 128),
        (4096, 1024, 160),
        (8192, 2048, 256),
    )

    def __init__(self):
        super().__init__()
        from librosa.filters import mel

        self.filters = [
            torch.from_numpy(mel(sr=F.SAMPLE_RATE_HZ, n_fft=n, n_mels=bands))
            for n, _, bands in self.RESOLUTIONS
        ]

    def forward(self, made: Tensor, true: Tensor) -> dict[str, Tensor]:
        mels, convergences = [], []
        for (n_fft, hop, _bands), filters in zip(self.RESOLUTIONS, self.filters, strict=True):
            window = torch.hann_window(n_fft)
            one, two = (
                torch.stft(x, n_fft, hop, window=window, return_complex=True).abs()
                for x in (made, true)
            )
            mels.append(
                (torch.log(filters @ one + 1e-4) - torch.log(filters @ two + 1e-4)).abs().mean()
            )
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


class Listener:
    """Batches of crops to what the decoder's losses compare; the encoder is frozen."""

    def __init__(self, folder: Path) -> None:
        self.encoder = load_average(folder / "encoder", FeatureCodec(NanoConfig())).encoder
        self.speak, self.spectral = Synthesis(), SpectralLoss()

    def decoded(self, decoder: LatentDecoder, features: Tensor) -> tuple[Tensor, ...]:
        """Residual and partials of features [B, T, 944] through noisy latents."""
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                latent = self.encoder(features)
                latent = latent + 0.5 * LATENT_NOISE * torch.rand(
                    len(latent), 1, 1
                ) * torch.randn_like(latent)
            return tuple(part.float() for part in decoder(latent))

    def sound(self, decoded: tuple[Tensor, ...]) -> Tensor:
        """[B, 1280 T]. Where the partials lie gets no gradient: spectra say little about it, and
        would undo what `partials_loss` knows.
        """
        log_magnitude, phase, log_amplitude, offset = decoded
        return self.speak(log_magnitude, phase, log_amplitude, offset.detach())


def train_decoder(options) -> None:
    """Partials by what they truly are, throughout; then the residual by the spectra of the sum."""
    listener = Listener(options.out)
    steps = itertools.count(steps_done(options.out / "decoder"))

    def loss(module: LatentDecoder, batch) -> dict[str, Tensor]:
        features, wave = batch
        decoded = listener.decoded(module, features)
        tonal = partials_loss(*decoded[2:], wave)
        if next(steps) < PARTIALS_ALONE_STEPS:  # a third of the time of a whole step
            return {"loss": tonal, "partials": tonal}
        losses = listener.spectral(listener.sound(decoded), wave)
        return {**losses, "loss": losses["loss"] + tonal, "partials": tonal}

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


class Sharpening(nn.Module):
    """The decoder and its critic, trained side by side."""

    def __init__(self, config: NanoConfig):
        super().__init__()
        self.decoder, self.critic = LatentDecoder(config), Critic()


def train_sharpened(options) -> None:
    """The decoder as it was, and sounds that a critic takes for true ones."""
    listener = Listener(options.out)
    both = Sharpening(NanoConfig())
    both.decoder = load_average(options.out / "decoder", both.decoder)

    def loss(module: Sharpening, batch) -> dict[str, Tensor]:
        features, wave = batch
        decoded = listener.decoded(module.decoder, features)
        made = listener.sound(decoded)
        losses = {**listener.spectral(made, wave), "partials": partials_loss(*decoded[2:], wave)}
        first = int(torch.randint(made.shape[1] - CRITIC_SAMPLES + 1, ()))
        part = slice(first, first + CRITIC_SAMPLES)
        with torch.autocast("cpu", torch.bfloat16):
            true = module.critic(wave[:, part])
            losses |= adversarial_loss(module.critic, made[:, part], true)
            losses["critic"] = critic_loss(module.critic, made[:, part], true)
        return {**losses, "loss": sum(weight * losses[name] for name, weight in SHARPENING.items())}

    run(
        options.out / "sharpened",
        both,
        iter(Crops(options.data, batch=8, frames=CROP_FRAMES, seed=4)),
        loss,
        Schedule(options.steps or 1500, 2e-4),
        average_decay=0.995,
        muon=False,
    )


PARTS = {"encoder": train_encoder, "decoder": train_decoder, "sharpened": train_sharpened}


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
