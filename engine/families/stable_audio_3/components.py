"""The parts of a Stable Audio 3 repository in diffusers' layout, and its stages as torch modules.

The stock pipelines offer text to audio (the only one with guidance and negative words), audio to
audio and inpainting; continuing is inpainting with nothing behind. The components are used, so that
every task has all of it, and a cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from engine.families.shared.pretrained import (
    PretrainedPart,
    model,
    read_parts,
    scheduler_config,
    tokenizer,
)
from engine.families.stable_audio_3.stages import STAGES

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
IN_HALF = ("text_encoder", "transformer")


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
    def vae_reach(self) -> int:
        """Latent frames on either side that one of the autoencoder's hears: a window's width a
        layer, and one more.
        """
        config = self.vae.config
        return int(config.sliding_window) * sum(config.encoder_transformer_depths) + 1


def load(
    folder: Path,
    *,
    advance: Callable[[float], None] = lambda fraction: None,
    cancelled: Callable[[], bool] = lambda: False,
    half: Any = None,
) -> Components:
    """All parts on the CPU. EngineError missing_weights. Raises Cancelled between two parts."""
    return Components(**read_parts("Stable Audio 3", PARTS, folder, advance, cancelled, half))


class Words(nn.Module):
    """Words -> the text encoder's answer."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.encoder(input_ids, attention_mask=attention_mask)[0]


class Length(nn.Module):
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
    built = {
        "text_encoder": Words(found.text_encoder),
        "duration_embedder": Length(found.duration_embedder),
        "vae_encoder": VaeEncoder(found.vae),
        "transformer": Denoiser(found.transformer),
        "vae_decoder": VaeDecoder(found.vae),
    }
    assert set(built) == {stage.name for stage in STAGES}
    return {name: each.eval() for name, each in built.items()}
