"""Which Stable Audio 3 checkpoint plays, and which one are styles trained on?

models/stable_audio_3/          any checkpoint in diffusers' layout: it plays before others
models/stable-audio-3-medium/   a checkpoint of Stability's under its own name, in that layout

Stability publishes another layout behind a gate; a script of diffusers fetches a checkpoint and
converts it in one go.
"""

from __future__ import annotations

import json
from pathlib import Path

from engine.errors import EngineError
from engine.families.shared.weights import PACKAGES, Download, FamilyWeights, find_repository

OWNER, OWN = "stabilityai", ("stable_audio_3",)
KINDS = ("medium", "small-music", "medium-base", "small-music-base", "small-sfx", "small-sfx-base")
SCRIPT = (
    "https://raw.githubusercontent.com/huggingface/diffusers/v0.42.1/scripts/"
    "convert_stable_audio_3_to_diffusers.py"
)
LICENCE = (
    "Stability AI Community License: free below US $1,000,000 of yearly revenue, commercial use "
    "wants registration at stability.ai/community-license; the text encoder is under Google's "
    "Gemma Terms of Use"
)


def _download(kind: str) -> Download:
    """A small checkpoint, which needs no graphics card."""
    name = f"stable-audio-3-{kind}"
    larger = name.replace("small-music", "medium")
    return Download(
        f"Stable Audio 3 {kind}",
        "about 3.6 GB",
        LICENCE,
        f"accept the terms on huggingface.co/{OWNER}/{name} and "
        f"huggingface.co/google/t5gemma-b-b-ul2, then hf auth login && curl -LO {SCRIPT} && "
        f"python convert_stable_audio_3_to_diffusers.py --checkpoint_path {OWNER}/{name} "
        f'--output_dir "{{folder}}/{name}" '
        f"(medium, about 10 GB, for a graphics card: {larger} in both places)",
    )


class StableAudio3Weights(FamilyWeights):
    """The Stable Audio 3 checkpoints on this machine."""

    family, owner, own = "stable_audio_3", OWNER, OWN
    packages = (*PACKAGES, "peft")
    repositories = tuple(f"stable-audio-3-{kind}" for kind in KINDS)
    download = _download("small-music")
    trainable = tuple(name for name in repositories if name.endswith("-base"))
    to_train = _download("small-music-base")

    def training_base(self) -> Path:
        """The checkpoint that styles are trained on. EngineError missing_weights.

        It has to be a base checkpoint, as its authors train on these.
        """
        own = find_repository(self.folder, OWNER, OWN) if self.folder else None
        if own and not is_distilled(own):
            return own
        if found := find_repository(self.folder, OWNER, self.trainable):
            return found
        why = "styles are trained on a base checkpoint and play on both kinds"
        raise EngineError("missing_weights", f"{why}; {self.to_train.describe(self.folder)}")


def is_distilled(folder: Path) -> bool:
    """Whether a checkpoint has its guidance built in, as its scheduler tells."""
    try:
        config = json.loads(
            (folder / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8")
        )
    except (OSError, ValueError):  # reading the checkpoint says what is wrong with it
        return False
    return bool(config.get("stochastic_sampling"))
