"""Where the checkpoints lie, and how one gets those that are missing.

Nothing here downloads, and nothing needs torch.

models/stable_audio_3/             any checkpoint in diffusers' layout: it plays before all others
models/stable-audio-3-medium/      Stability's checkpoints under their own names, converted to that layout

Stability publishes its own layout behind a gate: diffusers' script fetches a checkpoint and
converts it in one go.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from engine.errors import EngineError
from engine.families.repository import Missing, check_packages, repository

OWNER, OWN = "stabilityai", "stable_audio_3"
REPOSITORIES = tuple(
    f"stable-audio-3-{name}"
    for name in (
        "medium",
        "small-music",
        "medium-base",
        "small-music-base",
        "small-sfx",
        "small-sfx-base",
    )
)
TO_FETCH = "stable-audio-3-small-music"  # the one for a computer without a graphics card
TO_LEARN = f"{TO_FETCH}-base"
SCRIPT = "https://raw.githubusercontent.com/huggingface/diffusers/v0.42.1/scripts/convert_stable_audio_3_to_diffusers.py"
LICENCE = (
    "Stability AI Community License: free below US $1,000,000 of yearly revenue, commercial use wants registration at "
    "stability.ai/community-license; the text encoder is under Google's Gemma Terms of Use"
)
PACKAGES = ("torch", "transformers", "diffusers", "safetensors", "peft")


@dataclass(frozen=True)
class Places:
    """The checkpoints in one models folder. `folder` None: only the hub's cache is looked at."""

    folder: Path | None

    def base(self) -> Path | None:
        """The checkpoint that plays."""
        own = repository(self.folder, OWNER, (OWN,)) if self.folder else None
        return own or repository(self.folder, OWNER, REPOSITORIES)

    def to_learn(self) -> Path:
        """The checkpoint that styles are trained on: a base one, as its authors do. EngineError
        missing_weights.
        """
        own = repository(self.folder, OWNER, (OWN,)) if self.folder else None
        if own and not is_distilled(own):
            return own
        if found := repository(
            self.folder, OWNER, (name for name in REPOSITORIES if name.endswith("-base"))
        ):
            return found
        why = "styles are trained on a base checkpoint and play on both kinds"
        raise EngineError("missing_weights", f"{why}; {missing_base(self.folder, TO_LEARN)}")

    def trouble(self) -> str:
        """Why the family cannot serve, in words; empty when it can."""
        try:
            self.check()
        except EngineError as error:
            return error.message
        return ""

    def check(self) -> None:
        """EngineError not_ready (packages) or missing_weights."""
        check_packages("stable_audio_3", PACKAGES)
        if self.base() is None:
            message = f"stable_audio_3 lacks weights, nothing is fetched by itself; {missing_base(self.folder)}"
            raise EngineError("missing_weights", message)


def is_distilled(folder: Path) -> bool:
    """Whether a checkpoint has its guidance within; its scheduler says so."""
    try:
        config = json.loads(
            (folder / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8")
        )
    except (OSError, ValueError):  # reading the checkpoint says what is wrong with it
        return False
    return bool(config.get("stochastic_sampling"))


def missing_base(folder: Path | None, name: str = TO_FETCH) -> Missing:
    """A small checkpoint, and the commands that fetch and convert it."""
    target, larger = (folder or Path("MODELS_DIR")) / name, name.replace("small-music", "medium")
    command = (
        f"accept the terms on huggingface.co/{OWNER}/{name} and huggingface.co/google/t5gemma-b-b-ul2, then "
        f"hf auth login && curl -LO {SCRIPT} && python convert_stable_audio_3_to_diffusers.py "
        f'--checkpoint_path {OWNER}/{name} --output_dir "{target}" '
        f"(medium, about 10 GB, for a graphics card: {larger} in both places)"
    )
    title = f"Stable Audio 3 {name.removeprefix('stable-audio-3-')}"
    return Missing(title, "about 3.6 GB", LICENCE, command)
