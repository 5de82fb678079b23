"""What the actions of `retimbre train` do; each gives its exit status."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from training.adapt import config as settings
from training.adapt.config import TrainError
from training.adapt.recipes import RECIPES

if TYPE_CHECKING:
    from engine.adapters.names import ModelLayers

DONE = 0


def run_training(arguments: argparse.Namespace) -> int:
    config = settings.build(arguments.recipe, arguments.config, settings.collect_flags(arguments))
    from training.adapt import families

    families.check(config.family, config.method, config.targets, config.inner, config.dora)
    from training.adapt import prepare, preset
    from training.adapt.run_dir import PRESET

    name = _check_name(arguments.name)
    run, parts = prepare.prepare_run(
        config, arguments.data, arguments.runs / name, arguments.models
    )
    outcome = run.run()
    if outcome == "paused":
        print(f"paused at step {run.progress.step} of {config.steps}; the same command goes on")
        return DONE
    folder = preset.write_preset(run, name, parts, arguments.licence, run.folder / PRESET)
    print(f"{outcome} at step {run.progress.step}, best at {run.progress.best_step}: {folder}")
    if arguments.install:
        print(f"installed: {_install(folder, arguments.presets)}")
    return DONE


def list_methods(_: argparse.Namespace) -> int:
    from training.adapt.families import table

    print("\n".join(table()))
    return DONE


def list_recipes(_: argparse.Namespace) -> int:
    for name, (text, changes) in RECIPES.items():
        print(
            f"{name}: {text}\n  "
            + (", ".join(f"{key} {value}" for key, value in changes.items()) or "the defaults")
        )
    return DONE


def write_report(arguments: argparse.Namespace) -> int:
    import json

    from evaluation.metrics import embeddings
    from training.adapt import prepare, preset, report, run_dir

    asked = json.loads((arguments.folder / "config.json").read_text(encoding="utf-8"))["config"]
    config = settings.build(flags={**asked, "device": arguments.device or asked["device"]})
    run, parts = prepare.prepare_run(config, arguments.data, arguments.folder, arguments.models)
    preset.load_style(run, run_dir.best_style(arguments.folder))
    clap = embeddings.load(arguments.clap) if arguments.clap else None
    folder = arguments.out or arguments.folder / "report"
    report.write_report(
        run.model,
        run.adapter,
        parts,
        folder,
        seconds=arguments.seconds,
        seed=config.seed,
        most=arguments.most,
        clap=clap,
    )
    print((folder / "REPORT.md").read_text(encoding="utf-8"))
    return DONE


def import_lora(arguments: argparse.Namespace) -> int:
    from training.adapt import convert, families, preset

    name, row = _check_name(arguments.name), families.row_of(arguments.family)
    layers = _layers_of(arguments.family, arguments.models, row.renames)
    lora = convert.read(arguments.source, layers)
    for remark in lora.remarks:
        print(remark)
    folder = preset.write_lora_preset(
        lora, name, arguments.family, arguments.licence, arguments.out
    )
    print(f"{len(lora.layers)} layers: {folder}")
    if arguments.install:
        print(f"installed: {_install(folder, arguments.presets)}")
    return DONE


def _layers_of(family: str, folder: Path | None, renames: Mapping[str, str]) -> ModelLayers | None:
    """The model's layers; None where its weights are not at hand, and then only playing tells."""
    from engine.adapters.names import ModelLayers
    from engine.errors import EngineError
    from training.adapt import families

    try:
        module = families.load(family, folder).module
    except EngineError:
        return None
    return ModelLayers.of_module(module, renames)


def export_lora(arguments: argparse.Namespace) -> int:
    from training.adapt import convert

    lora = convert.read(arguments.source)
    prefix = convert.prefix_of(arguments.source) or "unet"  # as diffusers calls the part
    print(convert.write(lora, arguments.target, arguments.form, prefix))
    return DONE


def merge_loras(arguments: argparse.Namespace) -> int:
    from engine.adapters.files import write_adapter_file
    from engine.adapters.lora import to_adapter_file
    from training.adapt import convert

    if arguments.target.exists():
        raise TrainError("exists", f"{arguments.target} is there already; nothing is overwritten")
    parts = []
    for part in arguments.parts:
        path, _, weight = part.rpartition("=")
        try:
            parts.append((convert.read(Path(path)), float(weight)))
        except ValueError as error:
            if isinstance(error, TrainError):
                raise
            raise TrainError(
                "bad_setting", f"expected FILE=WEIGHT, as fiddle.safetensors=0.7, got {part!r}"
            ) from error
    merged = to_adapter_file(convert.merge(parts))
    print(write_adapter_file(arguments.target, merged, convert.prefix_of(Path(path))))
    return DONE


def _install(folder: Path, presets: Path | None) -> Path:
    """A copy among the user's presets. TrainError exists."""
    import os
    import shutil

    if presets is None:
        raise TrainError(
            "bad_setting",
            "--install: run `retimbre train`, which knows where the server's presets lie",
        )
    target = presets / folder.name
    if target.exists():
        raise TrainError("exists", f"{target} is there already; nothing is overwritten")
    presets.mkdir(parents=True, exist_ok=True)
    partial = presets / f".{folder.name}.partial"
    shutil.copytree(folder, partial)
    os.replace(partial, target)
    return target


def _check_name(name: str) -> str:
    import re

    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        raise TrainError(
            "bad_setting", f"--name: expected small letters, digits, '_', '-', '.', got {name!r}"
        )
    return name
