"""What a run leaves: a preset folder that the server loads, with a model card.

NAME/NAME.yaml          what clients choose
NAME/NAME.safetensors   what was learned
NAME/MODEL_CARD.md, card.json    data, settings, versions, hashes, licence
NAME/previews/base_0.flac, style_0.flac    the same words and seed, without and with the style
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from engine.adapters.files import write_adapter_file
from engine.adapters.lora import LoraFile, to_adapter_file
from engine.families.registry import FAMILIES, family_named
from presets.files import file_sha256
from presets.loader import load_preset
from training.adapt import families
from training.adapt.card import make_card, markdown
from training.adapt.config import Config, TrainError
from training.adapt.examples import first_of_each_caption
from training.adapt.run import Run
from training.adapt.run_dir import best_style
from training.adapt.samples import play_base_or_style
from training.dataset.caption import most_common_sound
from training.dataset.clips import Clip, write_text

PREFIXES = {  # in files: as diffusers calls the part
    "nano": "denoiser",
    "audioldm2": "unet",
    "ace_step": "transformer",
    "stable_audio_3": "transformer",
}
PREVIEWS = 2


def write_preset(
    run: Run, name: str, parts: Mapping[str, Sequence[Clip]], licence: str, target: Path
) -> Path:
    """The folder, from the best of a run; nothing is overwritten. TrainError exists."""
    final = target / name
    if final.exists():
        raise TrainError("exists", f"{final} is there already; choose another --name")
    partial = target / f".{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    style = partial / f"{name}.safetensors"
    shutil.copyfile(best_style(run.folder), style)
    card = make_card(run, name, parts, licence, style)
    text = _yaml(card, run.config, name, _prompt(run.config, parts["train"]))
    write_text(partial / f"{name}.yaml", yaml.safe_dump(text, sort_keys=False, width=110))
    write_text(partial / "card.json", json.dumps(card, indent=2) + "\n")
    write_text(partial / "MODEL_CARD.md", markdown(card))
    _previews(run, style, partial / "previews", parts["validation"])
    load_preset(partial / f"{name}.yaml")
    os.replace(partial, final)
    return final


def _prompt(config: Config, clips: Sequence[Clip]) -> str:
    """The user's words; of families that hear the region, what the captions call the sound."""
    if families.FAMILIES[config.family].hears_region:
        return most_common_sound([clip.text for clip in clips])
    words = {
        "textual_inversion": f"{{text}}, {config.placeholder}",
        "dreambooth": f"{config.trigger}, {{text}}",
    }
    return words.get(config.method, "{text}")


def _yaml(card: Mapping[str, Any], config: Config, name: str, prompt: str) -> dict[str, Any]:
    minutes = card["data"]["train"]["minutes"]
    learns_words = config.method in ("soft_prompt", "textual_inversion")
    tensor = {
        "path": f"{name}.safetensors",
        "weight": 1.0,
        "sha256": card["hashes"][f"{name}.safetensors"],
    }
    where: dict[str, Any] = {"soft_prompt": tensor} if learns_words else {"adapters": [tensor]}
    return {
        "name": name,
        "title": name.replace("_", " ").replace("-", " ").capitalize(),
        "description": f"learned by {config.method} from {minutes:g} minutes",
        "model": config.family,
        "task": FAMILIES[config.family].tasks[0],
        "prompts": [{"text": prompt}],
        **where,
        "licence": card["licence"][:300],
        "notes": f"base {card['base']}, {card['result']['steps']} steps; see MODEL_CARD.md",
    }


def _previews(run: Run, style: Path, folder: Path, clips: Sequence[Clip]) -> None:
    """The base and the style with the same words and seed."""
    import numpy as np
    import soundfile

    folder.mkdir()
    load_style(run, style)
    seconds, seed = run.config.sample_seconds, run.config.seed
    chosen = first_of_each_caption(clips)[:PREVIEWS]
    for is_style in (False, True):
        for index, clip in enumerate(chosen):
            samples = play_base_or_style(
                run.model, run.adapter, is_style, clip.text, seconds, seed, clip.path
            )
            path = folder / f"{'style' if is_style else 'base'}_{index}.flac"
            soundfile.write(path, np.clip(samples, -1, 1), run.model.rate_hz)
    write_text(folder / "captions.txt", "\n".join(clip.text for clip in chosen) + "\n")


def write_lora_preset(lora: LoraFile, name: str, family: str, licence: str, target: Path) -> Path:
    """A preset folder of somebody else's LoRA; nothing is overwritten. TrainError exists."""
    final, partial = target / name, target / f".{name}.partial"
    if final.exists():
        raise TrainError("exists", f"{final} is there already; choose another --name")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    style = write_adapter_file(
        partial / f"{name}.safetensors", to_adapter_file(lora), PREFIXES.get(family, "")
    )
    text = {
        "name": name,
        "title": name.replace("_", " ").capitalize(),
        "description": "a LoRA brought in from elsewhere",
        "model": family,
        "task": family_named(family).tasks[0],
        "prompts": [{"text": "{text}"}],
        "adapters": [{"path": style.name, "weight": 1.0, "sha256": file_sha256(style)}],
        "licence": licence[:300],
    }
    write_text(partial / f"{name}.yaml", yaml.safe_dump(text, sort_keys=False, width=110))
    load_preset(partial / f"{name}.yaml")
    os.replace(partial, final)
    return final


def load_style(run: Run, style: Path) -> None:
    """A style's file into what learned it."""
    from engine.adapters.files import SOFT_PROMPT, read_adapter_file
    from engine.adapters.soft_prompts import read_soft_prompt

    if run.adapter.words is not None:
        prompt = read_soft_prompt(style, run.model.word_width)
        run.adapter.load({SOFT_PROMPT: prompt.vectors})
    elif run.adapter.method == "full" and run.adapter.module_adapter is not None:
        run.adapter.module_adapter.load(read_adapter_file(style).tensors)
    else:
        run.adapter.load(read_adapter_file(style).tensors)
