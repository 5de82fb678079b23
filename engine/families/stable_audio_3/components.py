"""Which parts has a Stable Audio 3 repository, and how do they make stages?

The stock pipelines offer text to audio (the only one with guidance and negative words), audio to
audio and inpainting. Their components are used, so that every task has guidance, negative words and
a cancel. Continuing is inpainting with nothing behind the region.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from engine.families.shared.latent_editor import LatentSizes
from engine.families.shared.modules import TextEncoder
from engine.families.shared.pretrained import (
    PretrainedPart,
    model,
    read_parts,
    scheduler_config,
    tokenizer,
)
from engine.families.shared.torch_runner import check_modules
from engine.families.stable_audio_3.stages import STAGES
from engine.progress import Advance, IsCancelled, ignore_advance, never_cancelled

PARTS = (
    PretrainedPart("tokenizer", "tokenizer", tokenizer("AutoTokenizer")),
    PretrainedPart(
        "scheduler_config", "scheduler", scheduler_config("FlowMatchEulerDiscreteScheduler")
    ),
    PretrainedPart("vae", "vae", model("diffusers", "AutoencoderSAME")),
    PretrainedPart(
        "text_encoder", "text_encoder", model("transformers", "T5GemmaEncoderModel"), half=True
    ),
    PretrainedPart(
        "duration_embedder", "duration_embedder", model("diffusers", "StableAudio3DurationEmbedder")
    ),
    PretrainedPart(
        "transformer", "transformer", model("diffusers", "StableAudio3DiTModel"), half=True
    ),
)
HALF_STAGES = ("text_encoder", "transformer")


@dataclass
class Components:
    """The real classes, in evaluation mode and without gradients."""

    tokenizer: Any
    scheduler_config: Mapping[str, Any]
    vae: Any  # AutoencoderSAME
    text_encoder: Any
    duration_embedder: Any
    transformer: Any

    @property
    def sizes(self) -> LatentSizes:
        """44.1 kHz stereo, latent frames of 4096 samples and 256 channels.

        A frame of the autoencoder hears a window's width a layer on either side, and one more.
        """
        config = self.vae.config
        return LatentSizes(
            rate_hz=int(config.sampling_rate),
            frame_samples=int(self.vae.downsampling_ratio),
            channels=int(config.audio_channels),
            latent_channels=int(config.latent_dim),
            vae_reach=int(config.sliding_window) * sum(config.encoder_transformer_depths) + 1,
        )


def load(
    folder: Path,
    *,
    advance: Advance = ignore_advance,
    cancelled: IsCancelled = never_cancelled,
    half: Any = None,
) -> Components:
    """All parts on the CPU. EngineError missing_weights. Raises Cancelled between two parts."""
    return Components(**read_parts("Stable Audio 3", PARTS, folder, advance, cancelled, half))


class DurationEmbedder(nn.Module):
    """Seconds -> their embedding."""

    def __init__(self, embedder: Any) -> None:
        super().__init__()
        self.embedder = embedder

    def forward(self, seconds: Tensor) -> Tensor:
        return self.embedder(seconds)


class VaeEncoder(nn.Module):
    """Samples -> latent."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, samples: Tensor) -> Tensor:
        return self.vae.encode(samples).latents


class VaeDecoder(nn.Module):
    """Latent -> samples."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latent: Tensor) -> Tensor:
        return self.vae.decode(latent).sample


class Denoiser(nn.Module):
    """One prediction of the velocity."""

    def __init__(self, transformer: Any) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(
        self,
        latent: Tensor,
        time: Tensor,
        context: Tensor,
        context_mask: Tensor,
        duration: Tensor,
        kept: Tensor,
    ) -> Tensor:
        return self.transformer(
            latent, time, context, duration, context_mask, kept, return_dict=False
        )[0]


def modules(found: Components) -> dict[str, nn.Module]:
    """Stage name -> module, for every row of STAGES."""
    built: dict[str, nn.Module] = {
        "text_encoder": TextEncoder(found.text_encoder),
        "duration_embedder": DurationEmbedder(found.duration_embedder),
        "vae_encoder": VaeEncoder(found.vae),
        "transformer": Denoiser(found.transformer),
        "vae_decoder": VaeDecoder(found.vae),
    }
    return check_modules(STAGES, built)
