"""Reads the parts of an AudioLDM2 repository (cvssp/audioldm2, -large, -music) from a folder.

diffusers' own pipeline fails on these repositories with transformers 5, because their language
model is the bare GPT2Model (huggingface/diffusers#12630). Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from engine.families.audioldm2.ap_adapter import AdaptedUNet
from engine.families.shared.pretrained import (
    PretrainedPart,
    model,
    read_parts,
    scheduler_config,
    tokenizer,
)
from engine.progress import Advance, IsCancelled, ignore_advance, never_cancelled


@dataclass
class Components:
    """The real classes, in evaluation mode and without gradients."""

    unet: AdaptedUNet
    vae: Any  # AutoencoderKL
    vocoder: Any  # SpeechT5HifiGan
    clap: Any  # ClapTextModelWithProjection: the text half of the repository's ClapModel
    t5: Any  # T5EncoderModel
    projection: Any  # AudioLDM2ProjectionModel
    language_model: Any  # GPT2Model
    clap_tokenizer: Any
    t5_tokenizer: Any
    scheduler_config: Mapping[str, Any]

    @property
    def frames_per_latent(self) -> int:
        """Mel frames in one latent frame, and mel bands in one latent band: 4."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, frames and bands of one window's latent: (8, 256, 16), 10.24 s."""
        config = self.unet.unet.config
        return (
            config.in_channels,
            config.sample_size,
            self.vocoder.config.model_in_dim // self.frames_per_latent,
        )

    @property
    def samples_per_latent(self) -> int:
        """640: 40 ms at 16 kHz."""
        return self.frames_per_latent * int(torch.tensor(self.vocoder.config.upsample_rates).prod())


PARTS = (
    PretrainedPart("clap_tokenizer", "tokenizer", tokenizer("RobertaTokenizerFast")),
    PretrainedPart("t5_tokenizer", "tokenizer_2", tokenizer("T5TokenizerFast")),
    PretrainedPart("scheduler_config", "scheduler", scheduler_config("DDIMScheduler")),
    PretrainedPart("unet", "unet", model("diffusers", "AudioLDM2UNet2DConditionModel")),
    PretrainedPart("vae", "vae", model("diffusers", "AutoencoderKL")),
    PretrainedPart("vocoder", "vocoder", model("transformers", "SpeechT5HifiGan")),
    PretrainedPart("clap", "text_encoder", model("transformers", "ClapTextModelWithProjection")),
    PretrainedPart("t5", "text_encoder_2", model("transformers", "T5EncoderModel")),
    PretrainedPart(
        "projection", "projection_model", model("diffusers", "AudioLDM2ProjectionModel")
    ),
    PretrainedPart("language_model", "language_model", model("transformers", "GPT2Model")),
)


def load(
    folder: Path,
    *,
    rotary: bool = False,
    advance: Advance = ignore_advance,
    cancelled: IsCancelled = never_cancelled,
) -> Components:
    """All parts in float32 on the CPU. `advance` gets the fraction of parts read.

    Raises EngineError missing_weights where a part is not there or cannot be read, and Cancelled
    between two parts.
    """
    found = read_parts("AudioLDM2", PARTS, folder, advance, cancelled)
    found["unet"] = AdaptedUNet(found["unet"], rotary).eval().requires_grad_(False)
    return Components(**found)
