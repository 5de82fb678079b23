"""Where the checkpoints lie, which kind each is, and how one gets those that are missing.

Needs no torch.

models/ace_step/                          any checkpoint in diffusers' layout: it plays before all others
models/acestep-v15-xl-base-diffusers/     repositories of `ACE-Step` as they are published, or the hub's cache
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from engine.errors import EngineError
from engine.families.repository import Missing, check_packages, repository

OWNER, OWN = "ACE-Step", "ace_step"
BASE, SFT, TURBO = "base", "sft", "turbo"
# base does every task
REPOSITORIES = tuple(f"acestep-v15-xl-{kind}-diffusers" for kind in (BASE, SFT, TURBO))
# converted by the user
SMALLER = tuple(f"acestep-v15-{kind}-diffusers" for kind in (BASE, SFT, TURBO))
LICENCE = "MIT"
PACKAGES = ("torch", "transformers", "diffusers", "safetensors", "peft")


@dataclass(frozen=True)
class Places:
    """The checkpoints in one models folder. `folder` None: only the hub's cache is looked at."""

    folder: Path | None

    def base(self) -> Path | None:
        """The checkpoint that plays."""
        own = repository(self.folder, OWNER, (OWN,)) if self.folder else None
        return own or repository(self.folder, OWNER, (*SMALLER[:1], *REPOSITORIES, *SMALLER[1:]))

    def trouble(self) -> str:
        """Why the family cannot serve, in words; empty when it can."""
        try:
            self.check()
        except EngineError as error:
            return error.message
        return ""

    def check(self) -> None:
        """EngineError not_ready (packages) or missing_weights."""
        check_packages("ace_step", PACKAGES)
        if self.base() is None:
            message = (
                f"ace_step lacks weights, nothing is fetched by itself; {missing_base(self.folder)}"
            )
            raise EngineError("missing_weights", message)


def missing_base(folder: Path | None) -> Missing:
    """The base checkpoint, which does every task."""
    target = (folder or Path("MODELS_DIR")) / REPOSITORIES[0]
    command = f'hf download {OWNER}/{REPOSITORIES[0]} --local-dir "{target}"'
    return Missing("ACE-Step 1.5 XL base", "about 12 GB", LICENCE, command)


def kind_of(folder: Path) -> str:
    """base, sft or turbo; empty where neither the transformer's configuration nor the folder's name
    says it.
    """
    try:
        config = json.loads((folder / "transformer" / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        config = {}
    if config.get("is_turbo"):
        return TURBO
    # of the hub's cache, where the name stands two folders up
    is_cached = folder.parent.name == "snapshots"
    name = folder.parent.parent.name if is_cached else folder.name
    for text in (str(config.get("model_version") or ""), name):
        for kind in (TURBO, SFT, BASE):
            if kind in text.lower():
                return kind
    return ""
