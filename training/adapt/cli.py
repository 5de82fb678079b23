"""Styles from recordings: run, methods, recipes, report, import, export, merge."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.adapt import commands
from training.adapt.config import TrainError, add_flags
from training.adapt.recipes import RECIPES
from training.cli_table import Action, Arguments, build_parser
from training.dataset.clips import DataError

FAILED = 1
FOLDER: dict[str, Any] = {"type": Path, "metavar": "FOLDER"}
MODELS = {**FOLDER, "help": "default: where the server looks"}
INSTALL = {"action": "store_true", "help": "copy the preset to where the server finds it"}

# fmt: off
RUN: Arguments = {
    "data": {"type": Path, "help": "folder of clips with captions and splits (retimbre data …)"},
    "--name": {"required": True, "help": "of the run and of the style"},
    "--recipe": {"default": "", "choices": RECIPES,
                 "help": "default: style; of nano, nano or nano_words"},
    "--config": {"type": Path, "metavar": "YAML", "help": "settings by name; flags win over it"},
    "--runs": {**FOLDER, "default": Path("runs"), "help": "default: runs"},
    "--models": MODELS,
    "--licence": {"default": "unknown: say it with --licence", "help": "of the recordings"},
    "--install": INSTALL,
}
REPORT: Arguments = {
    "folder": {"type": Path, "metavar": "RUN"},
    "data": {"type": Path, "help": "the folder it learned from"},
    "--models": MODELS,
    "--out": {"type": Path, "help": "new folder (default RUN/report)"},
    "--seconds": {"type": float, "default": 10.0},
    "--most": {"type": int, "default": 20, "help": "held-out clips"},
    "--clap": {"default": "", "metavar": "FOLDER",
               "help": "CLAP's weights, or their name in the hub's cache"},
    "--device": {"default": ""},
}
IMPORT: Arguments = {
    "source": {"type": Path, "help": "file or folder"},
    "--name": {"required": True},
    "--family": {"required": True, "help": "the model it was made for"},
    "--licence": {"required": True, "help": "of the LoRA and its base"},
    "--models": {**FOLDER, "help": "kohya's names need the model's own"},
    "--out": {**FOLDER, "default": Path(".")},
    "--install": INSTALL,
}
EXPORT: Arguments = {
    "source": {"type": Path, "help": "the style's safetensors"},
    "target": {"type": Path, "help": "folder (peft, diffusers) or file (kohya, comfyui)"},
    "--form": {"required": True, "choices": ("peft", "diffusers", "kohya", "comfyui")},
}
MERGE: Arguments = {"target": {"type": Path}, "parts": {"nargs": "+", "metavar": "FILE=WEIGHT"}}
ACTIONS = (
    Action("run", commands.run_training,
           "learn a style; the same command again goes on where a run was paused", RUN, add_flags),
    Action("methods", commands.list_methods,
           "which method works on which family, and why the rest does not"),
    Action("recipes", commands.list_recipes, "named settings, and where they come from"),
    Action("report", commands.write_report,
           "judge a finished run: gain, retention, memorisation, A/B samples", REPORT),
    Action("import", commands.import_lora,
           "bring a LoRA of peft, diffusers, kohya or ComfyUI in as a style", IMPORT),
    Action("export", commands.export_lora,
           "write a style's LoRA in another program's form", EXPORT),
    Action("merge", commands.merge_loras,
           "several LoRA styles into one file, exactly their weighted sum", MERGE),
)
# fmt: on


def main(
    argv: Sequence[str] | None = None, models: Path | None = None, presets: Path | None = None
) -> int:
    """0: done or paused, 1: refused, with the reason on stderr.

    `models`, `presets`: where the server looks.
    """
    from engine.errors import EngineError

    arguments = build_parser("retimbre train", __doc__, ACTIONS).parse_args(argv)
    arguments.models = getattr(arguments, "models", None) or models
    arguments.presets = presets
    try:
        return arguments.run(arguments)
    except (TrainError, DataError, EngineError) as error:
        print(f"retimbre train {arguments.action}: {error}", file=sys.stderr)
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
