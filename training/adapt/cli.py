"""Styles from recordings: run, methods, recipes, report, import, export, merge."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from training.adapt import config as settings
from training.adapt.config import TrainError
from training.dataset.clips import DataError

if TYPE_CHECKING:
    from engine.adapters.names import ModelLayers

DONE, FAILED = 0, 1


def main(
    argv: Sequence[str] | None = None, models: Path | None = None, presets: Path | None = None
) -> int:
    """0: done or paused, 1: refused, with the reason on stderr. `models`, `presets`: where the
    server looks.
    """
    from engine.errors import EngineError

    arguments = _parser().parse_args(argv)
    arguments.models = getattr(arguments, "models", None) or models
    arguments.presets = presets
    try:
        return arguments.run(arguments)
    except (TrainError, DataError, EngineError) as error:
        print(f"retimbre train {arguments.action}: {error}", file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="retimbre train", description=__doc__)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, run: object, text: str) -> argparse.ArgumentParser:
        child = actions.add_parser(name, help=text, description=text)
        child.set_defaults(run=run)
        return child

    child = action(
        "run", _run, "learn a style; the same command again goes on where a run was paused"
    )
    child.add_argument(
        "data", type=Path, help="folder of clips with captions and splits (retimbre data …)"
    )
    child.add_argument("--name", required=True, help="of the run and of the style")
    child.add_argument(
        "--recipe",
        default="",
        choices=settings.RECIPES,
        help="default: style; of nano, nano or nano_words",
    )
    child.add_argument(
        "--config", type=Path, metavar="YAML", help="settings by name; flags win over it"
    )
    child.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="FOLDER", help="default: runs"
    )
    child.add_argument(
        "--models", type=Path, metavar="FOLDER", help="default: where the server looks"
    )
    child.add_argument(
        "--licence", default="unknown: say it with --licence", help="of the recordings"
    )
    child.add_argument(
        "--install", action="store_true", help="copy the preset to where the server finds it"
    )
    settings.add_flags(child)
    action("methods", _methods, "which method works on which family, and why the rest does not")
    action("recipes", _recipes, "named settings, and where they come from")
    child = action(
        "report", _report, "judge a finished run: gain, retention, memorisation, A/B samples"
    )
    child.add_argument("folder", type=Path, metavar="RUN")
    child.add_argument("data", type=Path, help="the folder it learned from")
    child.add_argument(
        "--models", type=Path, metavar="FOLDER", help="default: where the server looks"
    )
    child.add_argument("--out", type=Path, help="new folder (default RUN/report)")
    child.add_argument("--seconds", type=float, default=10.0)
    child.add_argument("--most", type=int, default=20, help="held-out clips")
    child.add_argument(
        "--clap",
        default="",
        metavar="FOLDER",
        help="CLAP's weights, or their name in the hub's cache",
    )
    child.add_argument("--device", default="")
    child = action(
        "import", _import, "bring a LoRA of peft, diffusers, kohya or ComfyUI in as a style"
    )
    child.add_argument("source", type=Path, help="file or folder")
    child.add_argument("--name", required=True)
    child.add_argument("--family", required=True, help="the model it was made for")
    child.add_argument("--licence", required=True, help="of the LoRA and its base")
    child.add_argument(
        "--models", type=Path, metavar="FOLDER", help="kohya's names need the model's own"
    )
    child.add_argument("--out", type=Path, default=Path("."), metavar="FOLDER")
    child.add_argument(
        "--install", action="store_true", help="copy the preset to where the server finds it"
    )
    child = action("export", _export, "write a style's LoRA in another program's form")
    child.add_argument("source", type=Path, help="the style's safetensors")
    child.add_argument(
        "target", type=Path, help="folder (peft, diffusers) or file (kohya, comfyui)"
    )
    child.add_argument("--form", required=True, choices=("peft", "diffusers", "kohya", "comfyui"))
    child = action("merge", _merge, "several LoRA styles into one file, exactly their weighted sum")
    child.add_argument("target", type=Path)
    child.add_argument("parts", nargs="+", metavar="FILE=WEIGHT")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    config = settings.build(arguments.recipe, arguments.config, settings.given_flags(arguments))
    from training.adapt import families

    families.check(config.family, config.method, config.targets, config.inner, config.dora)
    from training.adapt import preset, work
    from training.adapt.loop import PRESET

    name = _name(arguments.name)
    run, parts = work.prepared(config, arguments.data, arguments.runs / name, arguments.models)
    outcome = run.go()
    if outcome == "paused":
        print(f"paused at step {run.progress.step} of {config.steps}; the same command goes on")
        return DONE
    folder = preset.write(run, name, parts, arguments.licence, run.folder / PRESET)
    print(f"{outcome} at step {run.progress.step}, best at {run.progress.best_step}: {folder}")
    if arguments.install:
        print(f"installed: {_installed(folder, arguments.presets)}")
    return DONE


def _methods(_: argparse.Namespace) -> int:
    from training.adapt.families import table

    print("\n".join(table()))
    return DONE


def _recipes(_: argparse.Namespace) -> int:
    for name, (text, changes) in settings.RECIPES.items():
        print(
            f"{name}: {text}\n  "
            + (", ".join(f"{key} {value}" for key, value in changes.items()) or "the defaults")
        )
    return DONE


def _report(arguments: argparse.Namespace) -> int:
    import json

    from evaluation.metrics import embeddings
    from training.adapt import preset, report, work

    asked = json.loads((arguments.folder / "config.json").read_text(encoding="utf-8"))["config"]
    config = settings.build(flags={**asked, "device": arguments.device or asked["device"]})
    run, parts = work.prepared(config, arguments.data, arguments.folder, arguments.models)
    preset.load_best(run, preset.best_of(arguments.folder))
    clap = embeddings.load(arguments.clap) if arguments.clap else None
    folder = arguments.out or arguments.folder / "report"
    report.examined(
        run.subject,
        run.learner,
        parts,
        folder,
        seconds=arguments.seconds,
        seed=config.seed,
        most=arguments.most,
        clap=clap,
    )
    print((folder / "REPORT.md").read_text(encoding="utf-8"))
    return DONE


def _import(arguments: argparse.Namespace) -> int:
    from training.adapt import convert, families, preset

    name, row = _name(arguments.name), families.row_of(arguments.family)
    layers = _layers_of(arguments.family, arguments.models, row.renames)
    lora = convert.read(arguments.source, layers)
    for remark in lora.remarks:
        print(remark)
    folder = preset.of_lora(lora, name, arguments.family, arguments.licence, arguments.out)
    print(f"{len(lora.layers)} layers: {folder}")
    if arguments.install:
        print(f"installed: {_installed(folder, arguments.presets)}")
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


def _export(arguments: argparse.Namespace) -> int:
    from training.adapt import convert

    lora = convert.read(arguments.source)
    prefix = convert.prefix_of(arguments.source) or "unet"  # as diffusers calls the part
    print(convert.write(lora, arguments.target, arguments.form, prefix))
    return DONE


def _merge(arguments: argparse.Namespace) -> int:
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


def _installed(folder: Path, presets: Path | None) -> Path:
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


def _name(name: str) -> str:
    import re

    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        raise TrainError(
            "bad_setting", f"--name: expected small letters, digits, '_', '-', '.', got {name!r}"
        )
    return name


if __name__ == "__main__":
    sys.exit(main())
