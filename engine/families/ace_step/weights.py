"""Which ACE-Step checkpoint plays, and of which kind is it?

models/ace_step/                        any checkpoint in diffusers' layout: it plays before others
models/acestep-v15-xl-base-diffusers/   a repository of `ACE-Step` as published
"""

from __future__ import annotations

import json
from pathlib import Path

from engine.families.shared.weights import PACKAGES, Download, FamilyWeights

OWNER = "ACE-Step"
BASE, SFT, TURBO = "base", "sft", "turbo"  # base does every task
KINDS = (BASE, SFT, TURBO)
REPOSITORIES = tuple(f"acestep-v15-xl-{kind}-diffusers" for kind in KINDS)
SMALLER = tuple(f"acestep-v15-{kind}-diffusers" for kind in KINDS)  # converted by the user
LICENCE = "MIT"


class AceStepWeights(FamilyWeights):
    """The ACE-Step checkpoints on this machine."""

    family, owner, own = "ace_step", OWNER, ("ace_step",)
    packages = (*PACKAGES, "peft")
    repositories = (*SMALLER[:1], *REPOSITORIES, *SMALLER[1:])
    download = Download(
        "ACE-Step 1.5 XL base",
        "about 12 GB",
        LICENCE,
        f'hf download {OWNER}/{REPOSITORIES[0]} --local-dir "{{folder}}/{REPOSITORIES[0]}"',
    )


def kind_of(folder: Path) -> str:
    """base, sft or turbo, from the transformer's configuration or else the folder's name.

    Empty where neither says it.
    """
    try:
        config = json.loads((folder / "transformer" / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        config = {}
    if config.get("is_turbo"):
        return TURBO
    # in the hub's cache the name is that of the folder two levels up
    is_cached = folder.parent.name == "snapshots"
    name = folder.parent.parent.name if is_cached else folder.name
    for text in (str(config.get("model_version") or ""), name):
        for kind in (TURBO, SFT, BASE):
            if kind in text.lower():
                return kind
    return ""
