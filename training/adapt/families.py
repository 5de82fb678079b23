"""Which families can learn, which method works on which, and why the rest does not."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from engine.families.ace_step.family import RENAMES
from training.adapt.config import TrainError

if TYPE_CHECKING:
    from torch import Tensor, nn

Arrays = Mapping[str, np.ndarray]


class SoftPrompt(Protocol):
    """Vectors among a text's embeddings: engine.adapters.soft_prompts.SoftPrompt."""

    vectors: Any


class TrainableModel(Protocol):
    """A loaded model as the loop wants it.

    Random numbers come from torch's CPU generator, which the loop seeds.
    """

    base: str  # of which checkpoint, for the card
    licence: str
    prefix: str  # of the part that is adapted, in files
    rate_hz: int
    word_width: int  # of learned words, where a family learns any
    module: nn.Module  # what a style is put on
    # of config.SITES, "context" and "block" -> regular expression of module names
    sites: Mapping[str, str]

    def files(self) -> Mapping[str, Path]:
        """What decides how the base sounds."""

    def recipe(self) -> Mapping[str, Any]:
        """What decides the features besides the clip: the cache's staleness key."""

    def features(self, path: Path) -> Arrays:
        """Of one clip; cached."""

    def text_features(self, text: str) -> Arrays:
        """Of one caption, without learned words; cached."""

    def loss(
        self,
        sounds: Sequence[Arrays],
        texts: Sequence[Arrays | str],
        dropped: Tensor,
        words: SoftPrompt | None,
    ) -> Tensor:
        """Mean over the clips, of which `dropped` [B] hear no words.

        Texts are features, or strings where `words` are learned.
        """

    def first_words(self, text: str, count: int) -> Tensor:
        """Vectors [count, word_width] of a text, as which learned words may begin."""

    def play(
        self, text: str, seconds: float, seed: int, source: Path, words: SoftPrompt | None = None
    ) -> np.ndarray:
        """Samples [n, channels] as a listener would get them.

        `source` is the clip whose notes are played by a family that plays given notes.
        """

    def checkpoint_layers(self) -> None:
        """Save memory: compute the inside of blocks again for the gradients."""

    def to(self, device: str) -> None: ...


@dataclass(frozen=True)
class Row:
    """How one family learns: its module, and what it refuses with which reason."""

    module: str  # `.load(models: Path | None) -> TrainableModel`
    refused: Mapping[str, str]  # method, or dora -> reason
    no_sites: Mapping[str, str]  # of config.SITES -> reason
    hears_region: bool = False  # so captions name the sound alone, and a preset says what they say
    # ends of its authors' layer names, and ours
    renames: Mapping[str, str] = field(default_factory=dict)


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
NO_WORDS = {
    "prefix": "its cross-attention takes no mask in which a prefix could be weighed; use lora",
    **dict.fromkeys(
        ("soft_prompt", "textual_inversion"),
        "styles go on the transformer alone, which words reach through another network; use lora",
    ),
}
GRAPHS = (
    "nano plays on finished graphs, with inputs for LoRA on attention and for learned words before "
    "the text"
)
FAMILIES: Mapping[str, Row] = {
    "nano": Row(
        "training.adapt.models.nano",
        {
            "qlora": "its 17 million numbers fit everywhere; use lora",
            "bottleneck": f"{GRAPHS}; use lora",
            "prefix": f"{GRAPHS}; use soft_prompt",
            "textual_inversion": f"{GRAPHS}; use soft_prompt with --length 1 to 8",
            "dreambooth": "lora reminds nano of its other sounds by itself, with stems that it "
            "makes; use lora",
            "full": "a whole nano is no style that can be put on and off; use lora, or make a nano "
            "of your own with training.nano.transformer",
            "dora": f"{GRAPHS}, and DoRA is no sum; use lora alone",
        },
        dict.fromkeys(("mlp", "time", "output"), GRAPHS),
        hears_region=True,
    ),
    "audioldm2": Row("training.adapt.models.audioldm2", {}, {}),
    "musicgen": Row(
        "training.adapt.models.musicgen",
        {
            "bottleneck": "the family's player puts on LoRA and learned words only; use lora",
            "prefix": "the family's player puts on LoRA and learned words only; use soft_prompt",
            "textual_inversion": "the family's player puts learned words in front of the text "
            "only; use soft_prompt with --length 1 to 8",
            "full": "a whole MusicGen is a checkpoint, no style that can be put on and off; "
            "use lora with --rank 128",
        },
        {"time": NO_TIME},
    ),
    "ace_step": Row(
        "training.adapt.models.ace_step",
        NO_WORDS,
        {"output": "its output layer is a convolution; use time, mlp"},
        renames=RENAMES,
    ),
    "stable_audio_3": Row("training.adapt.models.stable_audio_3", NO_WORDS, {}),
}


def row_of(family: str) -> Row:
    """TrainError unsupported."""
    if family not in FAMILIES:
        raise TrainError("unsupported", f"expected one of {', '.join(FAMILIES)}, got {family!r}")
    return FAMILIES[family]


def check(
    family: str, method: str, targets: Sequence[str] = (), inner: str = "lora", dora: bool = False
) -> Row:
    """TrainError unsupported, with the reason."""
    row = row_of(family)
    if method not in METHODS:
        raise TrainError(
            "unsupported", f"method: expected one of {', '.join(METHODS)}, got {method!r}"
        )
    for name in (method, *[inner] * (method == "dreambooth"), *["dora"] * dora):
        if name in row.refused:
            raise TrainError(
                "unsupported", f"{name} does not work on {family}: {row.refused[name]}"
            )
    if method in ("lora", "qlora") or (method, inner) == ("dreambooth", "lora"):
        for site in targets:
            if site in row.no_sites:
                raise TrainError(
                    "unsupported", f"{family} has no {site} to train: {row.no_sites[site]}"
                )
    return row


def load(family: str, models: Path | None) -> TrainableModel:
    """EngineError missing_weights, with the command that fetches them."""
    return importlib.import_module(row_of(family).module).load(models)


def table() -> list[str]:
    """Methods and families, for people."""
    lines = []
    for method, text in METHODS.items():
        lines.append(f"{method}: {text}")
        for family, row in FAMILIES.items():
            lines.append(f"  {family}: {row.refused.get(method, 'yes')}")
    return lines
