"""Which families can learn here, and which method works on which. The rest is refused, with the reason."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from training.adapt.config import TrainError

if TYPE_CHECKING:
    from torch import Tensor, nn

Arrays = Mapping[str, np.ndarray]


class LearnedWords(Protocol):
    """Vectors among a text's embeddings: engine.styles.words.LearnedWords."""

    vectors: Any


class Subject(Protocol):
    """A loaded model as the loop wants it. Random numbers come from torch's CPU generator, which the loop seeds."""

    base: str  # of which checkpoint, for the card
    licence: str
    prefix: str  # of the part that is adapted, in files
    rate_hz: int
    module: nn.Module  # what a style is put on
    sites: Mapping[str, str]  # of config.SITES, "context" and "block" -> regular expression of module names

    def files(self) -> Mapping[str, Path]:
        """What decides how the base sounds."""

    def recipe(self) -> Mapping[str, Any]:
        """What decides the features besides the clip: the cache's staleness key."""

    def features(self, path: Path) -> Arrays:
        """Of one clip; cached."""

    def text_features(self, text: str) -> Arrays:
        """Of one caption, without learned words; cached."""

    def loss(self, sounds: Sequence[Arrays], texts: Sequence[Arrays | str], dropped: Tensor,
             words: LearnedWords | None) -> Tensor:
        """Mean over the clips; texts are features, or strings where `words` are learned. `dropped` [B]: no words."""

    def text_embedding(self) -> nn.Embedding:
        """Of the encoder whose input learned words join."""

    def token_ids(self, text: str) -> Sequence[int]:
        """Of a text, without the sign of its end."""

    def play(self, text: str, seconds: float, seed: int, words: LearnedWords | None = None) -> np.ndarray:
        """Samples [n, channels] as a listener would get them."""

    def checkpoint_layers(self) -> None:
        """Compute the inside of blocks again on the way back."""

    def to(self, device: str) -> None: ...


@dataclass(frozen=True)
class Row:
    module: str  # `.load(models: Path | None) -> Subject`
    refused: Mapping[str, str]  # method -> reason
    no_sites: Mapping[str, str]  # of config.SITES -> reason
    seconds: float  # clips that it was made for


METHODS: Mapping[str, str] = {
    "lora": "low-rank changes of some layers; small, blends exactly",
    "qlora": "the same on a model in four bits",
    "bottleneck": "small networks behind every block",
    "prefix": "learned states in front of the words, in every layer",
    "soft_prompt": "learned words in front of the words; the smallest of all",
    "textual_inversion": "one learned word that captions use",
    "dreambooth": "a rare word learned beside general clips, so that nothing is forgotten",
    "full": "every weight; wants hundreds of recordings",
}
NO_TIME = "a language model has no time embedding: it says one step after the other"
FAMILIES: Mapping[str, Row] = {
    "audioldm2": Row("training.adapt.audioldm2", {}, {}, 10.0),
    "musicgen": Row(
        "training.adapt.musicgen",
        {
            "bottleneck": "the family's player puts on LoRA and learned words only; use lora",
            "prefix": "the family's player puts on LoRA and learned words only; use soft_prompt",
            "textual_inversion": "the family's player puts learned words in front of the text only; use soft_prompt "
            "with --length 1 to 8",
            "full": "a whole MusicGen is a checkpoint, no style that can be put on and off; use lora with --rank 128",
        },
        {"time": NO_TIME},
        30.0,
    ),
}
NOT_HERE: Mapping[str, str] = {
    "nano": "its parts for playing are finished graphs; its own trainer is training.transformer",
    "ace_step": "its objective needs the authors' preprocessing; train with ACE-Step 1.5 or Side-Step, then: "
    "retimbre train import",
    "stable_audio_3": "its objective is in the authors' train_lora.py; train there, then: retimbre train import",
}


def row_of(family: str) -> Row:
    """TrainError unsupported."""
    if family in NOT_HERE:
        raise TrainError("unsupported", f"{family} cannot learn here: {NOT_HERE[family]}")
    if family not in FAMILIES:
        raise TrainError("unsupported", f"expected one of {', '.join(FAMILIES)}, got {family!r}")
    return FAMILIES[family]


def check(family: str, method: str, targets: Sequence[str] = (), inner: str = "lora") -> Row:
    """TrainError unsupported, with the reason."""
    row = row_of(family)
    if method not in METHODS:
        raise TrainError("unsupported", f"method: expected one of {', '.join(METHODS)}, got {method!r}")
    for name in (method, inner) if method == "dreambooth" else (method,):
        if name in row.refused:
            raise TrainError("unsupported", f"{name} does not work on {family}: {row.refused[name]}")
    if method in ("lora", "qlora") or (method, inner) == ("dreambooth", "lora"):
        for site in targets:
            if site in row.no_sites:
                raise TrainError("unsupported", f"{family} has no {site} to train: {row.no_sites[site]}")
    return row


def load(family: str, models: Path | None) -> Subject:
    """EngineError missing_weights, with the command that fetches them."""
    return importlib.import_module(row_of(family).module).load(models)


def table() -> list[str]:
    """Methods and families, for people."""
    lines = []
    for method, text in METHODS.items():
        lines.append(f"{method}: {text}")
        for family, row in FAMILIES.items():
            lines.append(f"  {family}: {row.refused.get(method, 'yes')}")
    return lines + [f"{family}: not here: {reason}" for family, reason in NOT_HERE.items()]
