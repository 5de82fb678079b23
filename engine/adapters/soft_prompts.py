"""Soft prompts: learned vectors among the embeddings of a text, before it or at a placeholder.

peft's prompt tuning does not fit these models: on MusicGen it raises, on its text encoder the mask
stays too short, and as a prefix it silently changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from engine.adapters import files
from engine.adapters.files import PLACEHOLDER, SOFT_PROMPT
from engine.errors import EngineError


class Embedding(Protocol):
    """Token ids [L] to vectors [L, width], of the device and type of `weight`."""

    @property
    def weight(self) -> Tensor: ...

    def __call__(self, input_ids: Tensor, /) -> Tensor: ...


class SoftPrompt(nn.Module):
    """Vectors [length, width] in place of `placeholder`, or before the text where it is empty."""

    def __init__(self, vectors: Tensor, placeholder: str = "") -> None:
        super().__init__()
        self.vectors, self.placeholder = nn.Parameter(vectors.detach().clone().float()), placeholder

    def forward(self, embedded: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The vectors before the embeddings of texts.

        [B, L, width] and mask [B, L] become [B, length + L, width] and [B, length + L].
        """
        ours = self.vectors.to(embedded).expand(len(embedded), -1, -1)
        longer = torch.cat([mask.new_ones(ours.shape[:2]), mask], dim=1)
        return torch.cat([ours, embedded], dim=1), longer

    def embed(
        self, text: str, ids_of: Callable[[str], Sequence[int]], end: int, embedding: Embedding
    ) -> Tensor:
        """[1, L, width] of a text and its end token; a text without the placeholder stays plain."""
        ours = self.vectors.to(embedding.weight)

        def embed_ids(ids: Sequence[int]) -> Tensor:
            return embedding(torch.tensor(list(ids), dtype=torch.long, device=ours.device))

        if not self.placeholder:
            pieces = [ours, embed_ids(ids_of(text))]
        else:
            parts = [embed_ids(ids_of(part.strip())) for part in text.split(self.placeholder)]
            pieces = [piece for part in parts for piece in (ours, part)][1:]
        return torch.cat([*pieces, embed_ids([end])])[None]

    def without_placeholder(self, text: str) -> str:
        """For encoders that know nothing of it."""
        return " ".join(text.replace(self.placeholder, " ").split()) if self.placeholder else text


def write_soft_prompt(path: Path, prompt: SoftPrompt, notes: Mapping[str, str] = {}) -> Path:
    """One tensor `soft_prompt` [length, width]; the placeholder in the metadata."""
    more = {PLACEHOLDER: prompt.placeholder} if prompt.placeholder else {}
    return files.save_tensors(path, {SOFT_PROMPT: prompt.vectors}, {**notes, **more})


def read_soft_prompt(path: Path, width: int) -> SoftPrompt:
    """EngineError bad_preset: no such tensor, or made for another text encoder."""
    vectors, placeholder = files.read_soft_prompt(path, width)
    return SoftPrompt(torch.from_numpy(vectors), placeholder).requires_grad_(False)


def mix(prompts: Sequence[tuple[SoftPrompt, float]]) -> SoftPrompt | None:
    """One out of several: the weighted sum where lengths agree, else one behind the other.

    EngineError bad_preset for different placeholders.
    """
    heard = [(prompt, weight) for prompt, weight in prompts if weight]
    if not heard:
        return None
    placeholders = {prompt.placeholder for prompt, _ in heard}
    if len(placeholders) > 1:
        names = " and ".join(map(repr, sorted(placeholders)))
        message = f"soft prompts for {names} cannot be mixed: use one of them"
        raise EngineError("bad_preset", message)
    scaled = [weight * prompt.vectors for prompt, weight in heard]
    is_alike = len({len(vectors) for vectors in scaled}) == 1
    together = sum(scaled[1:], scaled[0]) if is_alike else torch.cat(scaled)
    return SoftPrompt(together, placeholders.pop()).requires_grad_(False)
