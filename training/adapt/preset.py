"""What a run leaves: a preset folder that the server loads, with a card that says where it comes
from.

    NAME/NAME.yaml          what clients choose
    NAME/NAME.safetensors   what was learned
    NAME/MODEL_CARD.md, card.json    data, settings, versions, hashes, licence
    NAME/previews/base_0.flac, style_0.flac    the same words and seed, without and with the style
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from engine.adapters.files import write_adapter_file
from engine.adapters.lora import LoraFile, to_adapter_file
from engine.families.registry import FAMILIES, family_named
from presets.loader import file_sha256, load_preset
from training.adapt import families
from training.adapt.config import Config, TrainError, plain
from training.adapt.loop import BEST, LAST, Run, of_each_caption
from training.dataset.caption import commonest
from training.dataset.clips import SPLITS, Clip, write_text

PACKAGES = ("retimbre", "torch", "transformers", "diffusers", "peft", "accelerate")
PREFIXES = {  # in files: as diffusers calls the part
    "nano": "denoiser",
    "audioldm2": "unet",
    "ace_step": "transformer",
    "stable_audio_3": "transformer",
}
PREVIEWS = 2


def fingerprint(parts: Mapping[str, Sequence[Clip]]) -> str:
    """Of sounds, captions and splits: another hash means other data."""
    digest = hashlib.sha256()
    for name in SPLITS:
        for clip in sorted(parts[name], key=lambda clip: clip.path.name):
            digest.update(f"{name} {file_sha256(clip.path)} {clip.text}\n".encode())
    return digest.hexdigest()


def described(parts: Mapping[str, Sequence[Clip]]) -> dict[str, Any]:
    """Of the data, for the card: clips, recordings and minutes of each split."""
    import soundfile

    def minutes(clips: Sequence[Clip]) -> float:
        return round(sum(soundfile.info(clip.path).duration for clip in clips) / 60, 2)

    return {
        name: {
            "clips": len(clips),
            "recordings": len({clip.track for clip in clips}),
            "minutes": minutes(clips),
        }
        for name, clips in parts.items()
    }


def write(
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
    shutil.copyfile(best_of(run.folder), style)
    card = _card(run, name, parts, licence, style)
    text = _yaml(card, run.config, name, _prompt(run.config, parts["train"]))
    write_text(partial / f"{name}.yaml", yaml.safe_dump(text, sort_keys=False, width=110))
    write_text(partial / "card.json", json.dumps(card, indent=2) + "\n")
    write_text(partial / "MODEL_CARD.md", _markdown(card))
    _previews(run, style, partial / "previews", parts["validation"])
    load_preset(partial / f"{name}.yaml")
    os.replace(partial, final)
    return final


def _card(
    run: Run, name: str, parts: Mapping[str, Sequence[Clip]], licence: str, style: Path
) -> dict[str, Any]:
    subject, progress = run.subject, run.progress
    return {
        "name": name,
        "family": run.config.family,
        "base": subject.base,
        "method": run.config.method,
        "licence": f"{licence}; base: {subject.licence}",
        "data": {"fingerprint": run.fingerprint, "seed": run.config.seed, **described(parts)},
        "result": {
            "outcome": progress.outcome,
            "steps": progress.step,
            "best_step": progress.best_step,
            "validation_loss": progress.best,
            "numbers": run.learner.count,
        },
        "config": plain(run.config),
        "versions": {package: _version(package) for package in PACKAGES},
        "hashes": {
            style.name: file_sha256(style),
            **{f"base/{key}": file_sha256(path) for key, path in sorted(subject.files().items())},
        },
    }


def _prompt(config: Config, clips: Sequence[Clip]) -> str:
    """The user's words; of families that hear the region, what the captions call the sound."""
    if families.FAMILIES[config.family].hears_region:
        return commonest([clip.text for clip in clips])
    words = {
        "textual_inversion": f"{{text}}, {config.placeholder}",
        "dreambooth": f"{config.trigger}, {{text}}",
    }
    return words.get(config.method, "{text}")


def _yaml(card: Mapping[str, Any], config: Config, name: str, prompt: str) -> dict[str, Any]:
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
        "description": f"learned by {config.method} from {card['data']['train']['minutes']:g} minutes",
        "model": config.family,
        "task": FAMILIES[config.family].tasks[0],
        "prompts": [{"text": prompt}],
        **where,
        "licence": card["licence"][:300],
        "notes": f"base {card['base']}, {card['result']['steps']} steps; see MODEL_CARD.md",
    }


def _markdown(card: Mapping[str, Any]) -> str:
    data, result = card["data"], card["result"]
    rows = [
        f"| {name} | {data[name]['clips']} | {data[name]['recordings']} | {data[name]['minutes']} |"
        for name in SPLITS
    ]
    settings = [f"| {key} | {value} |" for key, value in card["config"].items()]
    hashes = [f"- `{name}`: {value}" for name, value in card["hashes"].items()]
    versions = ", ".join(f"{name} {number}" for name, number in card["versions"].items())
    return "\n".join(
        [
            f"# {card['name']}",
            "",
            f"A style for {card['family']} ({card['base']}): {result['numbers']:,} numbers, learned by {card['method']}.",
            "",
            f"Licence: {card['licence']}",
            "",
            "## Data",
            "",
            "| split | clips | recordings | minutes |",
            "|---|---|---|---|",
            *rows,
            "",
            f"Fingerprint: `{data['fingerprint']}`. Split by recording with seed {data['seed']} or as the list says.",
            "",
            "## Training",
            "",
            f"{result['outcome']} after {result['steps']} steps; these are the weights of step {result['best_step']}, "
            f"validation loss {result['validation_loss']:.5f}.",
            "",
            "| setting | value |",
            "|---|---|",
            *settings,
            "",
            f"Versions: {versions}.",
            "",
            "## Hashes (SHA-256)",
            "",
            *hashes,
            "",
        ]
    )


def _previews(run: Run, style: Path, folder: Path, clips: Sequence[Clip]) -> None:
    """The base and the style with the same words and seed."""
    import numpy as np
    import soundfile
    import torch

    folder.mkdir()
    load_best(run, style)
    chosen = of_each_caption(clips)[:PREVIEWS]
    for is_style in (False, True):
        run.learner.set_active(is_style)
        for index, clip in enumerate(chosen):
            torch.manual_seed(run.config.seed)
            words = run.learner.words if is_style else None
            text = (
                clip.text
                if words or run.learner.words is None
                else run.learner.words.without_placeholder(clip.text)
            )
            samples = run.subject.play(
                text, run.config.sample_seconds, run.config.seed, clip.path, words
            )
            name = f"{'style' if is_style else 'base'}_{index}.flac"
            soundfile.write(folder / name, np.clip(samples, -1, 1), run.subject.rate_hz)
    write_text(folder / "captions.txt", "\n".join(clip.text for clip in chosen) + "\n")


def best_of(folder: Path) -> Path:
    """A run's best style, or its last. TrainError no_run."""
    for name in (BEST, LAST):
        if (folder / name).is_file():
            return folder / name
    raise TrainError(
        "no_run",
        f"{folder} holds no style; expected {BEST} or {LAST}, as retimbre train run leaves them",
    )


def of_lora(lora: LoraFile, name: str, family: str, licence: str, target: Path) -> Path:
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


def load_best(run: Run, style: Path) -> None:
    """A style's file into what learned it."""
    from engine.adapters.files import SOFT_PROMPT, read_adapter_file
    from engine.adapters.soft_prompts import read_soft_prompt

    if run.learner.words is not None:
        prompt = read_soft_prompt(style, run.subject.word_width)
        run.learner.load({SOFT_PROMPT: prompt.vectors})
    elif run.learner.method == "full":
        run.learner.adapter.load(read_adapter_file(style).tensors)
    else:
        run.learner.load(read_adapter_file(style).tensors)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "source"
