"""Reads a MusicGen checkpoint from a folder in transformers' layout. Nothing is downloaded.

transformers' `generate` is not used: it takes no negative words, no mixture of prompts and no
generator of random numbers, cannot be cancelled and ends at 30 s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.adapters.soft_prompts import SoftPrompt
from engine.errors import Cancelled, EngineError
from engine.families.musicgen.conditions import Condition, melody_of, text_states, tokenize
from engine.families.musicgen.decoder import Decoder
from engine.families.musicgen.delay import delays_of
from engine.families.musicgen.weights import MELODY, kind_of
from engine.families.shared.pretrained import quiet_libraries, read_model
from engine.progress import IsCancelled, never_cancelled


@dataclass
class Components:
    """Musicgen(Melody)ForConditionalGeneration with its tokenizer."""

    model: Any
    tokenizer: Any

    @property
    def hears_melody(self) -> bool:
        return self.model.config.model_type == MELODY

    @property
    def rate_hz(self) -> int:
        """32000."""
        return self.model.config.audio_encoder.sampling_rate

    @property
    def hop(self) -> int:
        """Samples of one frame of codes: 640, 20 ms."""
        return math.prod(self.model.config.audio_encoder.upsampling_ratios)

    @property
    def frames_per_second(self) -> int:
        """50."""
        return self.rate_hz // self.hop

    @property
    def channels(self) -> int:
        return self.model.config.decoder.audio_channels

    @property
    def delays(self) -> np.ndarray:
        """The delay of each codebook in steps [K]."""
        return delays_of(self.model.config.decoder.num_codebooks, self.channels)

    @property
    def padding(self) -> int:
        """The token that starts a sequence and fills a codebook's silent steps: 2048."""
        return self.model.config.decoder.pad_token_id

    @property
    def text_width(self) -> int:
        """768."""
        return self.model.config.text_encoder.d_model

    @property
    def width(self) -> int:
        """Width of the decoder's states: 1024 in -small."""
        return self.model.config.decoder.hidden_size

    @torch.inference_mode()
    def encode_words(self, words: str, prompt: SoftPrompt | None) -> np.ndarray:
        """States [L, H] of a text with the soft prompt before it."""
        ids = tokenize(self.tokenizer, [words])
        input_ids, mask = (
            torch.tensor(ids[name], device=self.model.device)
            for name in ("input_ids", "attention_mask")
        )
        states, _ = text_states(self.model, input_ids, mask, prompt)
        return states[0].cpu().numpy()

    @torch.inference_mode()
    def encode_melodies(self, melodies: Sequence[np.ndarray]) -> np.ndarray:
        """States [B, 235, H] of a chroma [any, 12] for each row."""
        rows = melody_of(self.model, melodies).to(self.model.device)
        return self.model.audio_enc_to_dec_proj(rows).cpu().numpy()

    def decoder(self, factors: np.ndarray, condition_at: Callable[[int], Condition]) -> Decoder:
        """`factors` [B]: of the condition's rows; `condition_at`: of a window's first frame."""
        return Decoder(self.model.decoder, factors, condition_at)

    @torch.inference_mode()
    def encode(self, samples: np.ndarray) -> np.ndarray:
        """Codes int64 [K, frames] of samples [n, channels].

        Each channel is encoded alone, as the stereo models were trained.
        """
        codec = self.model.audio_encoder
        columns = torch.from_numpy(np.ascontiguousarray(samples.T, np.float32))
        sides = [
            codec.encode(column[None, None].to(codec.device)).audio_codes[0, 0]
            for column in columns
        ]
        return _interleave(sides).cpu().numpy()

    @torch.inference_mode()
    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Samples float32 [hop * frames, channels] of codes [K, frames]."""
        codec = self.model.audio_encoder
        tokens = torch.from_numpy(np.ascontiguousarray(codes)).to(codec.device)[None, None]
        sides = [tokens[:, :, side :: self.channels] for side in range(self.channels)]
        sounds = [
            codec.decode(side, [None]).audio_values[0, 0].float().cpu().numpy() for side in sides
        ]
        return np.stack(sounds, axis=1)[: self.hop * codes.shape[1]]


def _interleave(sides: list[Tensor]) -> Tensor:
    """Codebooks [K, T] of each channel's [K / channels, T]: left, right, left, right."""
    return torch.stack(sides, dim=1).flatten(0, 1)


def load(folder: Path, device: str = "cpu", cancelled: IsCancelled = never_cancelled) -> Components:
    """A checkpoint on a device, its language model in half precision on a graphics card.

    Raises EngineError missing_weights where a part is not there or cannot be read, and Cancelled
    before and after reading.
    """
    import transformers
    from safetensors import SafetensorError

    names = {
        True: "MusicgenMelodyForConditionalGeneration",
        False: "MusicgenForConditionalGeneration",
    }
    kind = getattr(transformers, names[kind_of(folder) == MELODY])
    _check(cancelled)
    try:
        with quiet_libraries():
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = read_model(kind, folder, dtype=torch.float32)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        message = f"expected a MusicGen checkpoint in {folder}: {error}; fetch it again"
        raise EngineError("missing_weights", message) from error
    _check(cancelled)
    model.eval().requires_grad_(False).to(device)
    if device.startswith("cuda"):
        model.decoder.half()
    return Components(model, tokenizer)


def _check(cancelled: IsCancelled) -> None:
    if cancelled():
        raise Cancelled
