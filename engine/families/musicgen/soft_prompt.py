"""A style as learned words: vectors that stand before the text's own embeddings at T5's input, all
else frozen.

peft's prompt tuning does not fit MusicGen: on the composite it raises, on the text encoder the
composite's mask stays too short, and as a prefix it changes nothing without a word. So this is our
own, thirty vectors (23,040 numbers).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.errors import EngineError

LENGTH = 30
TENSOR, PLACEHOLDER = "soft_prompt", "placeholder"  # in the file, and in its metadata


class SoftPrompt(nn.Module):
    """Learned vectors [length, width] before the words.

    `begin` [length, width]; None: noise, as the authors begin.
    """

    def __init__(self, width: int, length: int = LENGTH, begin: Tensor | None = None) -> None:
        super().__init__()
        self.vectors = nn.Parameter(
            torch.randn(length, width) if begin is None else begin.detach().clone()
        )

    @classmethod
    def of_words(
        cls, embeddings: nn.Embedding, input_ids: Tensor, length: int = LENGTH
    ) -> SoftPrompt:
        """A prompt that begins as words [L] say it, repeated or cut: quicker to learn than noise."""
        repeated = input_ids.flatten().repeat(-(-length // input_ids.numel()))[:length]
        return cls(embeddings.embedding_dim, length, embeddings(repeated).float())

    def forward(self, embedded: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings [B, length + L, width] and mask [B, length + L], of words' [B, L, width] and
        [B, L].
        """
        ours = self.vectors.to(embedded).expand(len(embedded), -1, -1)
        return torch.cat([ours, embedded], dim=1), torch.cat(
            [mask.new_ones(ours.shape[:2]), mask], dim=1
        )


def write_soft_prompt(path: Path, prompt: SoftPrompt, metadata: Mapping[str, str] = {}) -> None:
    """A safetensors file with one tensor, `soft_prompt`."""
    save_file(
        {TENSOR: prompt.vectors.detach().float().cpu().contiguous()},
        str(path),
        {"format": "pt", **metadata},
    )


def read_soft_prompt(path: Path, width: int) -> SoftPrompt:
    """EngineError bad_preset: no such tensor, made for another text encoder, or for a placeholder
    in the words.
    """
    try:
        with safe_open(str(path), "pt") as file:
            vectors: Any = file.get_tensor(TENSOR) if TENSOR in file.keys() else None  # noqa: SIM118 - no mapping
            placeholder = (file.metadata() or {}).get(PLACEHOLDER)
    except (OSError, SafetensorError) as error:
        raise EngineError(
            "bad_preset", f"{path} cannot be read as a soft prompt: {error}"
        ) from error
    if vectors is None or vectors.ndim != 2 or vectors.shape[1] != width:
        found = "no such tensor" if vectors is None else list(vectors.shape)
        raise EngineError(
            "bad_preset",
            f"{path}: expected `{TENSOR}` [any, {width}] for this model, found {found}",
        )
    if placeholder:
        raise EngineError(
            "bad_preset",
            f"{path} stands for {placeholder!r} in the words; musicgen takes learned words "
            "in front of them only",
        )
    return SoftPrompt(width, len(vectors), vectors.float()).requires_grad_(False)
