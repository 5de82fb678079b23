"""Learned words: vectors among the embeddings of a text, in front of it or where a placeholder
stands.

One file: a tensor `soft_prompt` [length, width]; `placeholder` in the metadata where there is one.
Several are mixed by weight where their lengths agree, else they stand in a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.errors import EngineError

TENSOR, PLACEHOLDER = "soft_prompt", "placeholder"


class LearnedWords(nn.Module):
    """Vectors [length, width]."""

    def __init__(self, vectors: Tensor, placeholder: str = "") -> None:
        super().__init__()
        self.vectors, self.placeholder = nn.Parameter(vectors.detach().clone().float()), placeholder

    def embedded(
        self, text: str, ids_of: Callable[[str], Sequence[int]], end: int, embedding: nn.Embedding
    ) -> Tensor:
        """[1, L, width] of a text with the end's sign; a text without the placeholder stays plain."""
        device, ours = embedding.weight.device, self.vectors.to(embedding.weight)
        plain = lambda ids: embedding(torch.tensor(list(ids), dtype=torch.long, device=device))  # noqa: E731
        if not self.placeholder:
            pieces = [ours, plain(ids_of(text))]
        else:
            parts = [plain(ids_of(part.strip())) for part in text.split(self.placeholder)]
            pieces = [piece for part in parts for piece in (ours, part)][1:]
        return torch.cat([*pieces, plain([end])])[None]

    def without_placeholder(self, text: str) -> str:
        """For encoders that know nothing of it."""
        return " ".join(text.replace(self.placeholder, " ").split()) if self.placeholder else text


def write_words(path: Path, words: LearnedWords, notes: Mapping[str, str] = {}) -> Path:
    from safetensors.torch import save_file

    more = {PLACEHOLDER: words.placeholder} if words.placeholder else {}
    save_file(
        {TENSOR: words.vectors.detach().cpu().contiguous()},
        str(path),
        {"format": "pt", **notes, **more},
    )
    return path


def read_words(path: Path, width: int) -> LearnedWords:
    """EngineError bad_preset: no such tensor, or made for another text encoder."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "pt") as file:
            vectors = file.get_tensor(TENSOR) if TENSOR in file.keys() else None  # noqa: SIM118
            placeholder = (file.metadata() or {}).get(PLACEHOLDER, "")
    except (OSError, SafetensorError) as error:
        raise EngineError(
            "bad_preset", f"{path} cannot be read as learned words: {error}"
        ) from error
    if vectors is None or vectors.ndim != 2 or vectors.shape[1] != width:
        found = "no such tensor" if vectors is None else list(vectors.shape)
        raise EngineError(
            "bad_preset",
            f"{path}: expected `{TENSOR}` [any, {width}] for this model, found {found}",
        )
    return LearnedWords(vectors, placeholder).requires_grad_(False)


def mixed(parts: Sequence[tuple[LearnedWords, float]]) -> LearnedWords | None:
    """One out of several: the weighted sum where lengths agree, else one behind the other.
    EngineError bad_preset.
    """
    worn = [(words, weight) for words, weight in parts if weight]
    if not worn:
        return None
    placeholders = {words.placeholder for words, _ in worn}
    if len(placeholders) > 1:
        message = f"learned words for {' and '.join(map(repr, sorted(placeholders)))} cannot be mixed: use one of them"
        raise EngineError("bad_preset", message)
    scaled = [weight * words.vectors for words, weight in worn]
    same = len({len(vectors) for vectors in scaled}) == 1
    return LearnedWords(
        sum(scaled) if same else torch.cat(scaled), placeholders.pop()
    ).requires_grad_(False)
