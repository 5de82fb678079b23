"""A tiny AudioLDM2 of the real classes over-fits eight clips; what alpha and omega do to its
results afterwards.

    python -m tests.training.over_fit

First the base learns, all of it, 1024 other clips, as AudioLDM2 did: its GPT-2 context holds the
clip's pooled AudioMAE tokens, or what GPT-2 says of words that tell nothing. Then it is frozen and
the adapter alone learns the eight. Clips are four moments of four bands of noise, each on or off:
16 bits that the words do not tell. On the eight:

    loss          the paper's, on fixed noise, with the clip's own audio and with another clip's
    resemblance   cosine between what is sampled and the clip's latent, both less the mean clip;
                  0 is no resemblance
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AudioLDM2ProjectionModel, AudioLDM2UNet2DConditionModel, AutoencoderKL
from torch import Tensor
from transformers import GPT2Config, GPT2Model

from engine.families.audioldm2 import components, features
from engine.families.audioldm2.ap_adapter import AdaptedUNet, pool_tokens
from engine.families.audioldm2.audiomae import PATCH, AudioMae
from engine.families.audioldm2.weights import AudioLdm2Weights
from tests.engine.families.audioldm2 import tiny
from training.ap_adapter.objective import OMEGAS, Objective, adamw
from training.ap_adapter.windows import Batch, pictures_of

CLIPS, OTHERS = 8, 1024
MOMENTS, BANDS, LATENT_FRAMES = 4, 4, 2
MEL_FRAMES, MEL_BANDS = 128, 128  # 1.28 s
WIDTH = 64  # of AudioMAE and GPT-2
MOMENT_SAMPLES = MEL_FRAMES * features.HOP_SAMPLES // MOMENTS
ALPHAS = (0.0, 0.5, 1.0)
WORDS = "a recording of a noise"
SAMPLING_STEPS = 15
AUDIOMAE = {
    **tiny.AUDIOMAE,
    "image_size": (MEL_FRAMES, MEL_BANDS),
    "hidden_size": WIDTH,
    "num_hidden_layers": 1,
    "intermediate_size": 4 * WIDTH,
    "initializer_range": 0.2,
}
UNET = {
    "block_out_channels": (32, 64),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "norm_num_groups": 8,
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "cross_attention_dim": [[None, WIDTH, tiny.T5_WIDTH]] * 2,
    "attention_head_dim": 4,
    "layers_per_block": 1,
    "sample_size": LATENT_FRAMES,
    "in_channels": 8,
    "out_channels": 8,
}
# of the random cross-attention at the beginning, which the convolutions would else drown
CONTEXT_STRENGTH = 2.0
TOKEN_STRENGTH = 4.0  # likewise


def noise_clip(seed: int) -> np.ndarray:
    """One clip's samples: 1.28 s."""
    random = np.random.default_rng(seed)
    hz = np.fft.rfftfreq(MOMENT_SAMPLES, 1 / features.SAMPLE_RATE_HZ)
    # equal parts of the 64 mel bands
    band = np.minimum(np.searchsorted([754, 1656, 3640], hz), BANDS - 1)
    moments = []
    for _ in range(MOMENTS + 1):
        spectrum = (
            np.fft.rfft(random.standard_normal(MOMENT_SAMPLES)) * (random.random(BANDS) < 0.5)[band]
        )
        moments.append(0.1 * np.fft.irfft(spectrum))
    floor = 1e-4 * random.standard_normal(features.fbank_samples(MEL_FRAMES))
    return (np.concatenate(moments)[: len(floor)] + floor).astype(np.float32)


def pictures(seeds: range) -> Batch:
    mel, fbank = (
        np.stack(part)
        for part in zip(*(pictures_of(noise_clip(s), MEL_FRAMES) for s in seeds), strict=True)
    )
    return Batch(torch.from_numpy(mel), torch.from_numpy(fbank), [WORDS] * len(seeds))


class Trial:
    """The tiny system, its clips, and the steps of the proof."""

    def __init__(self, others: int = OTHERS) -> None:
        with tempfile.TemporaryDirectory() as folder:
            places = AudioLdm2Weights(tiny.write_models(Path(folder)))
            parts = components.load(places.base())
        torch.manual_seed(0)
        parts.projection, parts.language_model = _wider_words()
        parts.unet, parts.vae, ears = _unet(), _vae(), _audiomae()
        self.objective = Objective(parts, ears)
        self.unet = parts.unet
        self.clips, self.others = pictures(range(CLIPS)), pictures(range(CLIPS, CLIPS + others))
        _whiten(parts.vae, self.others.mel)
        self.other_tokens = _standardise(ears, self.others.fbank)
        self.latents = self.objective.latents(self.clips.mel)
        self.other_latents = self.objective.latents(self.others.mel)
        self.mean_clip = self.other_latents.mean(0)

    def learn_base(
        self, steps: int, batch: int = 32, learning_rate: float = 3e-3
    ) -> Iterator[float]:
        """The whole UNet but for the adapters: tokens in place of GPT-2's vectors, words alone in
        each fourth batch.
        """
        trained = [p for name, p in self.unet.named_parameters() if "processor" not in name]
        optimiser = torch.optim.AdamW(trained, lr=learning_rate, betas=(0.9, 0.99), fused=True)
        words = self.objective.words([WORDS] * batch)
        for parameter in trained:
            parameter.requires_grad_(True)
        for step in range(steps):
            chosen, times = (
                torch.randint(len(self.other_latents), (batch,)),
                torch.randint(1000, (batch,)),
            )
            latents, omega = self.other_latents[chosen], OMEGAS[int(torch.randint(len(OMEGAS), ()))]
            noise = torch.randn(latents.shape)
            tokens = pool_tokens(
                self.other_tokens[chosen], self.objective.audiomae.grid, (omega, omega)
            )
            context = {**words, "generated": tokens} if step % 4 else words
            predicted = self.unet(
                self.objective.scheduler.add_noise(latents, noise, times), times.float(), **context
            )
            yield _step((predicted - noise).square().mean(), trained, optimiser)
            _decay(optimiser, learning_rate, step / steps)
        for parameter in trained:
            parameter.requires_grad_(False)
        self.unet.reset_adapter()

    def learn_adapter(self, steps: int, learning_rate: float = 5e-3) -> Iterator[float]:
        """The adapter alone, by the objective that real training has."""
        (optimiser,) = adamw(self.objective.trained, learning_rate)
        for step in range(steps):
            loss = self.objective.loss(self.objective.trained, self.clips)["loss"]
            yield _step(loss, self.unet.adapter_parameters(), optimiser)
            _decay(optimiser, learning_rate, step / steps)

    @torch.no_grad()
    def loss(self, alpha: float, omega: int, other: bool = False, rounds: int = 6) -> float:
        """On fixed noise; `other`: with the audio of the next clip."""
        fixed, fbank = torch.Generator().manual_seed(5), self.clips.fbank.roll(int(other), 0)
        found = [
            self._error(
                self.latents,
                torch.randn(self.latents.shape, generator=fixed),
                torch.randint(1000, (CLIPS,), generator=fixed),
                fbank,
                omega,
                alpha,
            )
            for _ in range(rounds)
        ]
        return float(torch.stack(found).mean())

    @torch.no_grad()
    def sample(self, alpha: float, omega: int, seed: int = 0) -> Tensor:
        """What DDIM makes of the same noise for each clip: [8, C, T, F]."""
        scheduler = self.objective.scheduler
        scheduler.set_timesteps(SAMPLING_STEPS)
        latent = torch.randn(self.latents.shape, generator=torch.Generator().manual_seed(seed))
        for time in scheduler.timesteps:
            noise = self._predict(latent, time.repeat(CLIPS), self.clips.fbank, omega, alpha)
            latent = scheduler.step(noise, time, latent).prev_sample
        return latent

    def resemblance(self, alpha: float, omega: int) -> float:
        drawn = (self.sample(alpha, omega) - self.mean_clip).flatten(1)
        return float(
            torch.cosine_similarity(drawn, (self.latents - self.mean_clip).flatten(1)).mean()
        )

    def _error(
        self,
        latents: Tensor,
        noise: Tensor,
        times: Tensor,
        fbank: Tensor | None,
        omega: int,
        alpha: float,
    ) -> Tensor:
        noised = self.objective.scheduler.add_noise(latents, noise, times)
        return (self._predict(noised, times, fbank, omega, alpha) - noise).square().mean()

    def _predict(
        self, noised: Tensor, times: Tensor, fbank: Tensor | None, omega: int, alpha: float
    ) -> Tensor:
        words = [WORDS] * len(noised)
        return self.objective.predict(noised, times, words, fbank, omega, alpha)


def _step(loss: Tensor, trained: list[Tensor], optimiser: torch.optim.Optimizer) -> float:
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimiser.step()
    return float(loss.detach())


def _decay(optimiser: torch.optim.Optimizer, learning_rate: float, done: float) -> None:
    optimiser.param_groups[0]["lr"] = learning_rate * (1 - 0.95 * done)


def _unet() -> AdaptedUNet:
    raw = AudioLDM2UNet2DConditionModel(**UNET)
    with torch.no_grad():
        for name, parameter in raw.named_parameters():
            if "attn2.to_out.0.weight" in name or "attn2.to_v.weight" in name:
                parameter *= CONTEXT_STRENGTH
    return AdaptedUNet(raw).eval().requires_grad_(False)


def _wider_words() -> tuple[Any, Any]:
    """Projection and GPT-2 as wide as AudioMAE."""
    config = GPT2Config(
        n_embd=WIDTH,
        n_layer=2,
        n_head=2,
        n_positions=160,
        vocab_size=8,
        bos_token_id=0,
        eos_token_id=1,
    )
    projection = AudioLDM2ProjectionModel(tiny.CLAP_WIDTH, tiny.T5_WIDTH, WIDTH)
    return projection.eval().requires_grad_(False), GPT2Model(config).eval().requires_grad_(False)


@torch.no_grad()
def _audiomae() -> AudioMae:
    """Random, but with the original's sine positions, and so strong that what a token says depends
    on its place.
    """
    ears = AudioMae(AUDIOMAE).eval()
    embeddings = ears.vit.embeddings
    torch.nn.init.normal_(embeddings.patch_embeddings.projection.weight, std=0.5 / PATCH)
    rates = 10_000.0 ** (-torch.arange(WIDTH // 4) / (WIDTH // 4))
    bands, frames = (torch.arange(count)[:, None] * rates for count in reversed(ears.grid))
    along_bands, along_frames = (
        torch.cat([angle.sin(), angle.cos()], 1) for angle in (bands, frames)
    )
    grid = (*ears.grid, -1)
    places = torch.cat([along_bands[None].expand(grid), along_frames[:, None].expand(grid)], -1)
    embeddings.position_embeddings[:, 1:] = 2 * places.flatten(0, 1)
    return ears


@torch.no_grad()
def _standardise(ears: AudioMae, fbank: Tensor) -> Tensor:
    """Tokens of clips, after AudioMAE's last norm was set so that their mean is 0 and they are
    strong.
    """
    norm = ears.vit.layernorm
    norm.bias -= ears(fbank).mean((0, 1))
    norm.weight *= TOKEN_STRENGTH
    norm.bias *= TOKEN_STRENGTH
    return ears(fbank)


def _vae() -> Any:
    return (
        AutoencoderKL(
            block_out_channels=(8, 16, 32, 32, 32, 32, 32),
            in_channels=1,
            out_channels=1,
            norm_num_groups=2,
            latent_channels=8,
            down_block_types=("DownEncoderBlock2D",) * 7,
            up_block_types=("UpDecoderBlock2D",) * 7,
            layers_per_block=1,
            scaling_factor=1.0,
        )
        .eval()
        .requires_grad_(False)
    )


@torch.no_grad()
def _whiten(vae: Any, mel: Tensor) -> None:
    """Channels without correlation, of mean 0 and deviation 1, and hardly any posterior noise."""
    latent = vae.encode(mel[:, None]).latent_dist.mean.transpose(0, 1).flatten(1)
    whitening = torch.linalg.cholesky(torch.linalg.inv(torch.cov(latent))).T
    last, channels = vae.quant_conv, len(latent)
    last.weight[:channels] = (whitening @ last.weight[:channels].flatten(1))[..., None, None]
    last.bias[:channels] = whitening @ (last.bias[:channels] - latent.mean(1))
    last.weight[channels:] = 0
    last.bias[channels:] = -20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", type=int, default=2000, help="steps of the base")
    parser.add_argument("--rate", type=float, default=5e-3, help="learning rate of the adapter")
    parser.add_argument("--steps", type=int, default=3000, help="steps of the adapter")
    options = parser.parse_args()
    torch.set_num_threads(1)
    trial = Trial()
    torch.manual_seed(1)
    base, adapter = trial.learn_base(options.base), trial.learn_adapter(options.steps, options.rate)
    for name, losses in (("base", base), ("adapter", adapter)):
        recent: list[float] = []
        for step, loss in enumerate(losses, start=1):
            recent = [*recent[-99:], loss]
            if step % 250 == 0:
                print(f"{name} {step}: loss {np.mean(recent):.4f}", flush=True)
    print(f"resemblance at alpha {ALPHAS}")
    print(f"base alone: loss {trial.loss(0.0, 1):.4f}")
    for omega in OMEGAS:
        own, other = trial.loss(1.0, omega), trial.loss(1.0, omega, other=True)
        found = ", ".join(f"{trial.resemblance(alpha, omega):.3f}" for alpha in ALPHAS)
        print(
            f"omega {omega}: loss {own:.4f}, with another clip's audio {other:.4f}; "
            f"resemblance {found}"
        )


if __name__ == "__main__":
    main()
