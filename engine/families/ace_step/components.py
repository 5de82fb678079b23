"""The parts of an ACE-Step 1.5 repository in diffusers' layout, and its stages as torch modules.

The stock pipeline offers all the tasks here, but no negative words, no mixture of prompts, no
cancel before the first step, and it draws from the encoder's posterior without its generator: so
its components are used, not its call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.errors import EngineError
from engine.families.ace_step.stages import STAGES
from engine.families.shared.pretrained import (
    PretrainedPart,
    model,
    read_parts,
    scheduler_config,
    tokenizer,
)

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
IN_HALF = ("text_encoder", "word_embedding", "condition_encoder", "semantic_codes", "transformer")


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
    def frame_samples(self) -> int:
        """Samples of one latent frame: 1920."""
        return int(self.vae.hop_length)

    @property
    def frames_at_once(self) -> int:
        """Latent frames come in multiples of the transformer's patches and of the codes' pools: 10."""
        pool = self.audio_tokenizer.pool_window_size if self.audio_tokenizer else 1
        return int(np.lcm(self.transformer.config.patch_size, pool))

    @property
    def silence(self) -> np.ndarray:
        """The latent of silence [frames, 64], ten minutes of it: zeros are none, they drone."""
        return self.condition_encoder.silence_latent[0].float().numpy()

    @property
    def no_words(self) -> np.ndarray:
        """The learned context of no words at all [1, 1, width]."""
        return self.condition_encoder.null_condition_emb.detach().float().numpy()


def load(
    folder: Path,
    *,
    advance: Callable[[float], None] = lambda fraction: None,
    cancelled: Callable[[], bool] = lambda: False,
    half: Any = None,
) -> Components:
    """All parts on the CPU. EngineError missing_weights. Raises Cancelled between two parts."""
    codes = CODES if all((folder / part.folder).is_dir() for part in CODES) else ()
    found = Components(**read_parts("ACE-Step", (*PARTS, *codes), folder, advance, cancelled, half))
    found.vae.use_tiling = True  # above half a minute, in tiles that overlap: memory stays bounded
    return found


class Words(nn.Module):
    """Words -> the text encoder's answer; each text alone, so there is no padding."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.encoder(input_ids=input_ids).last_hidden_state


class Lyrics(nn.Module):
    """Lyrics -> their embeddings alone: the condition encoder has a reader of its own for them."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.embedding = encoder.get_input_embeddings()

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.embedding(input_ids)


class Context(nn.Module):
    """Words, lyrics and a timbre reference as the one sequence that the transformer attends to."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, words: Tensor, lyrics: Tensor, timbre: Tensor) -> Tensor:
        everything = lambda sequence: torch.ones(
            sequence.shape[:2], dtype=torch.bool, device=sequence.device
        )  # noqa: E731
        order = torch.arange(len(words), device=words.device)
        return self.encoder(words, everything(words), lyrics, everything(lyrics), timbre, order)[0]


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
    """A latent -> the latent of its semantic codes: the tune and its course, without their sound."""

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
        message = "this checkpoint has no audio_tokenizer and audio_token_detokenizer, which covers need; fetch another"
        raise EngineError("missing_weights", message)


class Denoiser(nn.Module):
    """One prediction of the velocity."""

    def __init__(self, transformer: Any) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, latent: Tensor, time: Tensor, context: Tensor, source: Tensor) -> Tensor:
        return self.transformer(latent, time, time, context, source, return_dict=False)[0]


def modules(found: Components) -> dict[str, nn.Module]:
    """Stage name -> module, for every row of STAGES."""
    codes = NoCodes()
    if found.audio_tokenizer:
        silence = found.condition_encoder.silence_latent.clone()
        codes = SemanticCodes(found.audio_tokenizer, found.detokenizer, silence)
    built = {
        "text_encoder": Words(found.text_encoder),
        "word_embedding": Lyrics(found.text_encoder),
        "condition_encoder": Context(found.condition_encoder),
        "vae_encoder": VaeEncoder(found.vae),
        "semantic_codes": codes,
        "transformer": Denoiser(found.transformer),
        "vae_decoder": VaeDecoder(found.vae),
    }
    assert set(built) == {stage.name for stage in STAGES}
    return {name: each.eval() for name, each in built.items()}
