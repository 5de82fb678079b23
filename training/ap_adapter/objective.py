"""The paper's loss, and how its memory is kept small."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from engine.families.audioldm2.ap_adapter import AdaptedUNet, pool_positions, pool_tokens
from engine.families.audioldm2.text import TextConditioner, stack
from training.ap_adapter.windows import Batch

if TYPE_CHECKING:
    from engine.families.audioldm2.audiomae import AudioMae
    from engine.families.audioldm2.components import Components

OMEGAS = (1, 2, 4, 8)  # one is drawn for each batch, the same along time and frequency
TEXT_DROPPED, AUDIO_DROPPED, BOTH_DROPPED = 0.05, 0.05, 0.05  # shares of all samples, for guidance
LEARNING_RATE = 1e-4
ADAMW = {"betas": (0.9, 0.999), "weight_decay": 1e-2, "eps": 1e-8}


class Objective:
    """The paper's loss: the noise in a latent, found from AudioMAE tokens and words.

    All frozen parts run without gradients. Random numbers are drawn on the CPU whatever the device,
    so that a resumed run is the uninterrupted one.
    """

    def __init__(
        self, components: Components, audiomae: AudioMae, device: str = "cpu", half: bool = False
    ) -> None:
        from diffusers import DDIMScheduler

        from engine.families.audioldm2 import graphs

        self.unet: AdaptedUNet = components.unet.to(device)
        self.vae, self.audiomae = (
            components.vae.to(device),
            audiomae.to(device).requires_grad_(False),
        )
        own = {
            name: value
            for name, value in components.scheduler_config.items()
            if not name.startswith("_")
        }
        self.scheduler = DDIMScheduler.from_config(own)
        self.latent_frames = components.latent_shape[1]
        self.device, self.half = device, half
        runners = graphs.runners(graphs.modules(components, audiomae), device)
        self._text = TextConditioner(runners, components.clap_tokenizer, components.t5_tokenizer)
        for parameter in self.unet.adapter_parameters():
            parameter.requires_grad_(True)

    @property
    def trained(self) -> nn.ModuleList:
        """The adapters, in the order of `adapter_parameters`."""
        return nn.ModuleList(self.unet.adapters.values())

    def loss(self, _: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """`loss`, and the same of the samples that heard their audio (`with_audio`)."""
        latent = self.latents(batch.mel)
        noise = torch.randn(latent.shape).to(self.device)
        times = torch.randint(self.scheduler.config.num_train_timesteps, (len(latent),)).to(
            self.device
        )
        omega = OMEGAS[int(torch.randint(len(OMEGAS), ()))]
        drops_text, drops_audio = draw_dropped(len(latent))
        texts = [
            "" if drop else text
            for text, drop in zip(batch.texts, drops_text.tolist(), strict=True)
        ]
        fbank = torch.where(drops_audio[:, None, None], torch.zeros_like(batch.fbank), batch.fbank)
        predicted = self.predict(
            self.scheduler.add_noise(latent, noise, times), times, texts, fbank, omega
        )
        error = functional.mse_loss(predicted.float(), noise, reduction="none").mean((1, 2, 3))
        heard = (~drops_audio).to(self.device, error.dtype)
        return {
            "loss": error.mean(),
            "with_audio": (error * heard).sum() / heard.sum().clamp(min=1),
        }

    def predict(
        self,
        noised: Tensor,
        times: Tensor,
        texts: list[str],
        fbank: Tensor | None,
        omega: int,
        alpha: float = 1.0,
    ) -> Tensor:
        """The noise that the UNet finds in latents [B, C, T, F]; `fbank` None: without audio."""
        words = self.words(texts)
        heard = {} if fbank is None else self._audio_inputs(fbank, omega, alpha)
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.half):
            return self.unet(noised, times.float(), **words, **heard)

    def words(self, texts: list[str]) -> dict[str, Tensor]:
        """The UNet's text inputs."""
        words = stack([self._text.words(text) for text in texts])
        return {name: torch.from_numpy(value).to(self.device) for name, value in words.items()}

    def latents(self, mel: Tensor) -> Tensor:
        """A sample of the VAE's posterior, as the reference trains on, not its mean."""
        with torch.no_grad():
            posterior = self.vae.encode(mel[:, None].to(self.device)).latent_dist
        drawn = posterior.mean + posterior.std * torch.randn(posterior.mean.shape).to(self.device)
        return drawn * self.vae.config.scaling_factor

    @torch.no_grad()
    def _audio_inputs(self, fbank: Tensor, omega: int, alpha: float) -> dict[str, Tensor]:
        """The UNet's audio inputs."""
        grid = self.audiomae.grid
        audio = pool_tokens(self.audiomae(fbank.to(self.device)), grid, (omega, omega))
        positions = pool_positions(grid, (omega, omega), self.latent_frames / grid[0]).to(
            self.device
        )
        scale = torch.full((len(audio),), alpha, device=self.device)
        return {
            "audio": audio,
            "audio_position": positions.expand(len(audio), -1),
            "audio_scale": scale,
        }


def draw_dropped(count: int) -> tuple[Tensor, Tensor]:
    """Which samples lose their text, and which their audio; some lose both."""
    lot = torch.rand(count)
    both = lot < BOTH_DROPPED
    text = lot < BOTH_DROPPED + TEXT_DROPPED
    audio = (lot >= BOTH_DROPPED + TEXT_DROPPED) & (
        lot < BOTH_DROPPED + TEXT_DROPPED + AUDIO_DROPPED
    )
    return text, both | audio


def checkpoint_layers(unet: AdaptedUNet) -> None:
    """Trade time for memory: the inside of each block is computed again for the gradients.

    diffusers' own switch fails here: with a text mask its checkpointed call forgets an argument
    (diffusers #13602).
    """
    from diffusers.models.resnet import ResnetBlock2D
    from diffusers.models.transformers.transformer_2d import Transformer2DModel
    from torch.utils.checkpoint import checkpoint

    for module in unet.modules():
        if isinstance(module, (ResnetBlock2D, Transformer2DModel)):
            module.forward = functools.partial(checkpoint, module.forward, use_reentrant=False)


def adamw(module: nn.Module, learning_rate: float) -> list[torch.optim.Optimizer]:
    """The paper's optimiser."""
    return [torch.optim.AdamW(module.parameters(), lr=learning_rate, **ADAMW)]
