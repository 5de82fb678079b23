"""A tiny AudioLDM2 of the real classes over-fits eight clips; what alpha and omega do to its results afterwards.

    python -m tests.training.over_fit --base 300 --steps 2500

First the base learns, all of it, 192 other clips with words alone. Then it is frozen and the adapter learns eight.
Clips are sixteen moments of four bands of noise, each on or off: 64 bits that the words do not tell. On the eight:

    loss          the paper's, on fixed noise, with the clip's own audio and with another clip's
    resemblance   cosine between what is sampled and the clip's latent, both less the mean clip: 0 is no resemblance
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AudioLDM2UNet2DConditionModel, AutoencoderKL
from torch import Tensor

from engine.audioldm2 import audiomae, components, features
from engine.audioldm2.ap_adapter import AdaptedUNet
from engine.audioldm2.weights import Places
from tests.engine.audioldm2 import tiny
from training.ap_adapter import OMEGAS, Batch, Objective, adamw, pictures_of

CLIPS, OTHERS = 8, 192
MOMENTS, BANDS, LATENT_BANDS = 16, 4, 4
MEL_FRAMES = 4 * tiny.WINDOW_LATENTS
MOMENT_SAMPLES = MEL_FRAMES * features.HOP_SAMPLES // MOMENTS
ALPHAS = (0.0, 0.5, 1.0)
WORDS = "a recording of a noise"
SAMPLING_STEPS = 15
UNET = {
    "block_out_channels": (24, 32), "down_block_types": ("CrossAttnDownBlock2D",) * 2, "norm_num_groups": 4,
    "up_block_types": ("CrossAttnUpBlock2D",) * 2, "mid_block_type": "UNetMidBlock2DCrossAttn", "layers_per_block": 1,
    "cross_attention_dim": [[None, tiny.GPT2_WIDTH, tiny.T5_WIDTH]] * 2, "attention_head_dim": 2,
    "sample_size": MOMENTS, "in_channels": 8, "out_channels": 8,
}  # fmt: skip
TEXT_STRENGTH = 3.0  # of the random base's cross-attention, which would otherwise be drowned by its convolutions


def noise_clip(seed: int) -> np.ndarray:
    """One clip's samples: 2.56 s."""
    random = np.random.default_rng(seed)
    hz = np.fft.rfftfreq(MOMENT_SAMPLES, 1 / features.SAMPLE_RATE_HZ)
    band = np.minimum(np.searchsorted([754, 1656, 3640], hz), BANDS - 1)  # equal parts of the 64 mel bands
    moments = []
    for _ in range(MOMENTS + 1):
        spectrum = np.fft.rfft(random.standard_normal(MOMENT_SAMPLES)) * (random.random(BANDS) < 0.5)[band]
        moments.append(0.1 * np.fft.irfft(spectrum))
    floor = 1e-4 * random.standard_normal(features.fbank_samples(MEL_FRAMES))
    return (np.concatenate(moments)[: len(floor)] + floor).astype(np.float32)


def pictures(seeds: range) -> Batch:
    mel, fbank = (np.stack(part) for part in zip(*(pictures_of(noise_clip(s), MEL_FRAMES) for s in seeds), strict=True))
    return Batch(torch.from_numpy(mel), torch.from_numpy(fbank), [WORDS] * len(seeds))


class Trial:
    """The tiny system, its clips, and the steps of the proof."""

    def __init__(self, others: int = OTHERS) -> None:
        with tempfile.TemporaryDirectory() as folder:
            places = Places(tiny.write_models(Path(folder)))
            parts, ears = components.load(places.base()), audiomae.read(places.audiomae())
        torch.manual_seed(0)
        parts.unet, parts.vae = _unet(), _vae()
        self.objective = Objective(parts, ears)
        self.unet = parts.unet
        self.clips, self.others = pictures(range(CLIPS)), pictures(range(CLIPS, CLIPS + others))
        _whiten(parts.vae, self.others.mel)
        self.latents = self.objective.latents(self.clips.mel)
        self.mean_clip = self.objective.latents(self.others.mel).mean(0)

    def learn_base(self, steps: int) -> Iterator[float]:
        """The whole UNet, without audio."""
        trained = [p for name, p in self.unet.named_parameters() if "processor" not in name]
        latents = self.objective.latents(self.others.mel)
        optimiser = torch.optim.AdamW(trained, lr=5e-3, betas=(0.9, 0.99))
        for step in range(steps):
            chosen = torch.randint(len(latents), (16,))
            for parameter in trained:
                parameter.requires_grad_(True)
            noise, times = torch.randn(latents[chosen].shape), torch.randint(1000, (len(chosen),))
            yield _step(self._error(latents[chosen], noise, times, None, 1, 0.0), trained, optimiser)
            optimiser.param_groups[0]["lr"] = 5e-3 * (1 - 0.9 * step / steps)
        for parameter in trained:
            parameter.requires_grad_(False)
        self.unet.reset_adapter()

    def learn_adapter(self, steps: int, learning_rate: float = 1e-2) -> Iterator[float]:
        """The adapter alone, by the objective that real training has."""
        (optimiser,) = adamw(self.objective.trained, learning_rate)
        for _ in range(steps):
            loss = self.objective.loss(self.objective.trained, self.clips)["loss"]
            yield _step(loss, self.unet.adapter_parameters(), optimiser)

    @torch.no_grad()
    def loss(self, alpha: float, omega: int, other: bool = False, rounds: int = 6) -> float:
        """On fixed noise; `other`: with the audio of the next clip."""
        fixed, fbank = torch.Generator().manual_seed(5), self.clips.fbank.roll(int(other), 0)
        found = [
            self._error(
                self.latents, torch.randn(self.latents.shape, generator=fixed),
                torch.randint(1000, (CLIPS,), generator=fixed), fbank, omega, alpha,
            )
            for _ in range(rounds)
        ]  # fmt: skip
        return float(torch.stack(found).mean())

    @torch.no_grad()
    def sampled(self, alpha: float, omega: int, seed: int = 0) -> Tensor:
        """What DDIM makes of the same noise for each clip: [8, C, T, F]."""
        scheduler = self.objective.scheduler
        scheduler.set_timesteps(SAMPLING_STEPS)
        latent = torch.randn(self.latents.shape, generator=torch.Generator().manual_seed(seed))
        for time in scheduler.timesteps:
            noise = self._predicted(latent, time.repeat(CLIPS), self.clips.fbank, omega, alpha)
            latent = scheduler.step(noise, time, latent).prev_sample
        return latent

    def resemblance(self, alpha: float, omega: int) -> float:
        drawn = (self.sampled(alpha, omega) - self.mean_clip).flatten(1)
        return float(torch.cosine_similarity(drawn, (self.latents - self.mean_clip).flatten(1)).mean())

    def _error(
        self, latents: Tensor, noise: Tensor, times: Tensor, fbank: Tensor | None, omega: int, alpha: float
    ) -> Tensor:
        noised = self.objective.scheduler.add_noise(latents, noise, times)
        return (self._predicted(noised, times, fbank, omega, alpha) - noise).square().mean()

    def _predicted(self, noised: Tensor, times: Tensor, fbank: Tensor | None, omega: int, alpha: float) -> Tensor:
        words = [WORDS] * len(noised)
        return self.objective.predicted(noised, times, words, fbank, omega, alpha)


def _step(loss: Tensor, trained: list[Tensor], optimiser: torch.optim.Optimizer) -> float:
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimiser.step()
    return float(loss.detach())


def _unet() -> AdaptedUNet:
    raw = AudioLDM2UNet2DConditionModel(**UNET)
    with torch.no_grad():
        for name, parameter in raw.named_parameters():
            if "attn2.to_out.0.weight" in name:
                parameter *= TEXT_STRENGTH
    return AdaptedUNet(raw).eval().requires_grad_(False)


def _vae() -> Any:
    return AutoencoderKL(
        block_out_channels=(4, 4, 8, 8, 8), in_channels=1, out_channels=1, norm_num_groups=2, latent_channels=8,
        down_block_types=("DownEncoderBlock2D",) * 5, up_block_types=("UpDecoderBlock2D",) * 5, layers_per_block=1,
        scaling_factor=1.0,
    ).eval().requires_grad_(False)  # fmt: skip


@torch.no_grad()
def _whiten(vae: Any, mel: Tensor) -> None:
    """Channels of mean 0 and deviation 1, and hardly any posterior noise: as a trained VAE, unlike a random one."""
    latent = vae.encode(mel[:, None]).latent_dist.mean
    mean, deviation = latent.mean((0, 2, 3)), latent.std((0, 2, 3))
    last, channels = vae.quant_conv, latent.shape[1]
    last.weight[:channels] /= deviation[:, None, None, None]
    last.bias[:channels] = (last.bias[:channels] - mean) / deviation
    last.weight[channels:] = 0
    last.bias[channels:] = -20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=int, default=300, help="steps of the base")
    parser.add_argument("--steps", type=int, default=2500, help="steps of the adapter")
    options = parser.parse_args()
    torch.set_num_threads(1)
    trial = Trial()
    torch.manual_seed(1)
    for name, losses in (("base", trial.learn_base(options.base)), ("adapter", trial.learn_adapter(options.steps))):
        recent: list[float] = []
        for step, loss in enumerate(losses, start=1):
            recent = [*recent[-99:], loss]
            if step % 100 == 0:
                print(f"{name} {step}: loss {np.mean(recent):.4f}", flush=True)
    print(f"resemblance at alpha {ALPHAS}")
    print(f"base alone: loss {trial.loss(0.0, 1):.4f}")
    for omega in OMEGAS:
        own, other = trial.loss(1.0, omega), trial.loss(1.0, omega, other=True)
        found = ", ".join(f"{trial.resemblance(alpha, omega):.3f}" for alpha in ALPHAS)
        print(f"omega {omega}: loss {own:.4f}, with another clip's audio {other:.4f}; resemblance {found}")


if __name__ == "__main__":
    main()
