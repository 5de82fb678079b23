"""Which parts has an ACE-Step 1.5 repository in diffusers' layout, and how do they make stages?

The stock pipeline does all tasks, but takes no negative words and no mixture of prompts, cannot be
cancelled before the first step, and draws from the encoder's posterior without its generator. So
its components are used, not its call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.errors import EngineError
from engine.families.ace_step.stages import STAGES
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
from engine.progress import Advance, IsCancelled, ignore_advance, never_cancelled

PIPELINE = "diffusers.pipelines.ace_step"
PARTS = (
    PretrainedPart("tokenizer", "tokenizer", tokenizer("AutoTokenizer")),
    PretrainedPart(
        "scheduler_config", "scheduler", scheduler_config("FlowMatchEulerDiscreteScheduler")
    ),
    PretrainedPart("vae", "vae", model("diffusers", "AutoencoderOobleck")),
    PretrainedPart("text_encoder", "text_encoder", model("transformers", "AutoModel"), half=True),
    PretrainedPart(
        "condition_encoder",
        "condition_encoder",
        model(PIPELINE, "AceStepConditionEncoder"),
        half=True,
    ),
    PretrainedPart(
        "transformer", "transformer", model("diffusers", "AceStepTransformer1DModel"), half=True
    ),
)
CODES = (  # for covers; a repository may come without them
    PretrainedPart(
        "audio_tokenizer", "audio_tokenizer", model(PIPELINE, "AceStepAudioTokenizer"), half=True
    ),
    PretrainedPart(
        "detokenizer",
        "audio_token_detokenizer",
        model(PIPELINE, "AceStepAudioTokenDetokenizer"),
        half=True,
    ),
)
HALF_STAGES = (
    "text_encoder",
    "word_embedding",
    "condition_encoder",
    "semantic_codes",
    "transformer",
)


@dataclass
class Components:
    """The real classes, in evaluation mode and without gradients."""

    tokenizer: Any
    scheduler_config: Mapping[str, Any]
    vae: Any  # AutoencoderOobleck
    text_encoder: Any  # Qwen3Model
    condition_encoder: Any
    transformer: Any
    audio_tokenizer: Any = None
    detokenizer: Any = None

    @property
    def sizes(self) -> LatentSizes:
        """48 kHz stereo, latent frames of 1920 samples and 64 channels.

        Frames come in multiples of the transformer's patches and of the codes' pools: 10.
        """
        pool = self.audio_tokenizer.pool_window_size if self.audio_tokenizer else 1
        return LatentSizes(
            rate_hz=int(self.vae.config.sampling_rate),
            frame_samples=int(self.vae.hop_length),
            channels=int(self.vae.config.audio_channels),
            latent_channels=int(self.transformer.config.audio_acoustic_hidden_dim),
            frames_at_once=int(np.lcm(self.transformer.config.patch_size, pool)),
        )

    @property
    def silence(self) -> np.ndarray:
        """Ten minutes of the latent of silence [frames, 64]. Zeros are no silence: they drone."""
        return self.condition_encoder.silence_latent[0].float().numpy()

    @property
    def no_words(self) -> np.ndarray:
        """The learned context of no words at all [1, 1, width]."""
        return self.condition_encoder.null_condition_emb.detach().float().numpy()


def load(
    folder: Path,
    *,
    advance: Advance = ignore_advance,
    cancelled: IsCancelled = never_cancelled,
    half: Any = None,
) -> Components:
    """All parts on the CPU. EngineError missing_weights. Raises Cancelled between two parts."""
    codes = CODES if all((folder / part.folder).is_dir() for part in CODES) else ()
    found = Components(**read_parts("ACE-Step", (*PARTS, *codes), folder, advance, cancelled, half))
    found.vae.use_tiling = True  # above half a minute, in tiles that overlap: memory stays bounded
    return found


class LyricsEmbedding(nn.Module):
    """Lyrics -> their embeddings alone: the condition encoder has a reader of its own for them."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.embedding = encoder.get_input_embeddings()

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.embedding(input_ids)


class ConditionEncoder(nn.Module):
    """Words, lyrics and a timbre reference as the one sequence that the transformer attends to."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, words: Tensor, lyrics: Tensor, timbre: Tensor) -> Tensor:
        whole_words, whole_lyrics = (
            torch.ones(each.shape[:2], dtype=torch.bool, device=each.device)
            for each in (words, lyrics)
        )
        order = torch.arange(len(words), device=words.device)
        return self.encoder(words, whole_words, lyrics, whole_lyrics, timbre, order)[0]


class VaeEncoder(nn.Module):
    """Samples -> the mean of their latent."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, samples: Tensor) -> Tensor:
        return self.vae.encode(samples).latent_dist.mean.transpose(1, 2)


class VaeDecoder(nn.Module):
    """Latent -> samples."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latent: Tensor) -> Tensor:
        return self.vae.decode(latent.transpose(1, 2)).sample


class SemanticCodes(nn.Module):
    """A latent -> the latent of its semantic codes: melody and form, without their sound."""

    def __init__(self, audio_tokenizer: Any, detokenizer: Any, silence: Tensor) -> None:
        super().__init__()
        self.audio_tokenizer, self.detokenizer = audio_tokenizer, detokenizer
        self.register_buffer("silence", silence, persistent=False)

    def forward(self, latent: Tensor) -> Tensor:
        codes, _ = self.audio_tokenizer.tokenize(latent, self.silence)
        return self.detokenizer(codes)[:, : latent.shape[1]]


class NoCodes(nn.Module):
    """Stands where a repository came without the two tokenizers."""

    def forward(self, latent: Tensor) -> Tensor:
        raise EngineError(
            "missing_weights",
            "this checkpoint has no audio_tokenizer and audio_token_detokenizer, which covers "
            "need; fetch another",
        )


class Denoiser(nn.Module):
    """One prediction of the velocity."""

    def __init__(self, transformer: Any) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, latent: Tensor, time: Tensor, context: Tensor, source: Tensor) -> Tensor:
        return self.transformer(latent, time, time, context, source, return_dict=False)[0]


def modules(found: Components) -> dict[str, nn.Module]:
    """Stage name -> module, for every row of STAGES."""
    codes: nn.Module = NoCodes()
    if found.audio_tokenizer:
        silence = found.condition_encoder.silence_latent.clone()
        codes = SemanticCodes(found.audio_tokenizer, found.detokenizer, silence)
    built: dict[str, nn.Module] = {
        "text_encoder": TextEncoder(found.text_encoder),
        "word_embedding": LyricsEmbedding(found.text_encoder),
        "condition_encoder": ConditionEncoder(found.condition_encoder),
        "vae_encoder": VaeEncoder(found.vae),
        "semantic_codes": codes,
        "transformer": Denoiser(found.transformer),
        "vae_decoder": VaeDecoder(found.vae),
    }
    return check_modules(STAGES, built)
